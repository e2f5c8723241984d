package stack

import (
	"bytes"
	"context"
	"embed"
	"encoding/base64"
	"fmt"
	"os"
	"text/template"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/controlplane"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
)

//go:embed manifests
var manifests embed.FS

// runtimeConfig is the name of the DeploymentRuntimeConfig of our provider.
const runtimeConfig = "eventstore-local"

// Ports of the provider, by the name of their component.
const (
	ProviderMetrics = "provider-metrics"
	ProviderHealth  = "provider-health"
)

// applyRuntimeConfig gives the provider its arguments, the way that a platform team does. Its servers would else listen on
// every interface of this machine, on ports that others want too.
func (s *Stack) applyRuntimeConfig(ctx context.Context, o Options) error {
	var addrs []string
	for _, name := range []string{ProviderMetrics, ProviderHealth} {
		port := o.State.KnownPort(name)
		if port == 0 {
			var err error
			if port, err = o.State.Port(name); err != nil {
				return err
			}
		}
		addrs = append(addrs, process.Loopback(port))
	}
	args := append([]string{"--metrics-bind-address=" + addrs[0], "--health-probe-bind-address=" + addrs[1]}, o.ProviderArgs...)
	return s.applyManifest(ctx, "runtimeconfig.yaml", map[string]any{
		"Name": runtimeConfig, "Args": args, "HealthPort": o.State.KnownPort(ProviderHealth),
	})
}

// ProviderMetricsURL returns where the provider serves Prometheus metrics.
func (s *Stack) ProviderMetricsURL() string {
	return "http://" + process.Loopback(s.state.KnownPort(ProviderMetrics)) + "/metrics"
}

// applyProviderConfigs tells the provider how to reach the brokers.
func (s *Stack) applyProviderConfigs(ctx context.Context) error {
	if s.Redis == nil {
		return nil
	}
	data := map[string]any{
		"Namespace": controlplane.Namespace, "Addr": s.Redis.Addr, "TLSAddr": s.Redis.TLSAddr,
		"User": s.Redis.AdminUser, "Password": s.Redis.AdminPassword,
	}
	for key, file := range map[string]string{"CA": s.Redis.CAFile, "ClientCert": s.Redis.ClientCertFile, "ClientKey": s.Redis.ClientKeyFile} {
		b, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("cannot read certificates of Redis: %w", err)
		}
		data[key] = base64.StdEncoding.EncodeToString(b)
	}
	return s.applyManifest(ctx, "redis.yaml", data)
}

// crdWait is how long a CRD that the package manager has created may take until it is served.
const crdWait = 20 * time.Second

func (s *Stack) applyManifest(ctx context.Context, name string, data any) error {
	t, err := template.ParseFS(manifests, "manifests/"+name)
	if err != nil {
		return fmt.Errorf("cannot read manifest: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return fmt.Errorf("cannot fill manifest: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, crdWait, fmt.Errorf("its kind is not served after %s", crdWait))
	defer cancel()
	for {
		err := s.ApplyYAML(ctx, b.Bytes())
		if !meta.IsNoMatchError(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
