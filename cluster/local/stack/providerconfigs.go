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

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/controlplane"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
)

// Classes are what the Placement offers on each broker.
var Classes = map[string]string{Redis: "fast", Kafka: "durable", Pulsar: "isolated"}

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

// applyProviderConfigs tells the provider how to reach the brokers, and the function what claims become.
func (s *Stack) applyProviderConfigs(ctx context.Context) error {
	if r := s.Redis; r != nil {
		data := map[string]any{"Addr": r.Addr, "TLSAddr": r.TLSAddr, "User": r.AdminUser, "Password": r.AdminPassword}
		if err := s.applyBroker(ctx, Redis, Classes[Redis], data, r.TLSFiles); err != nil {
			return err
		}
	}
	if k := s.Kafka; k != nil {
		data := map[string]any{
			"Addr": k.Addr, "TLSAddr": k.TLSAddr, "MTLSAddr": k.MTLSAddr, "User": k.AdminUser, "Password": k.AdminPassword,
		}
		if err := s.applyBroker(ctx, Kafka, Classes[Kafka], data, k.TLSFiles); err != nil {
			return err
		}
	}
	if p := s.Pulsar; p != nil {
		data := map[string]any{
			"ServiceURL": p.ServiceURL, "AdminURL": p.AdminURL, "TLSServiceURL": p.TLSServiceURL, "TLSAdminURL": p.TLSAdminURL,
			"Token": p.AdminToken, "SigningKey": base64.StdEncoding.EncodeToString(p.SecretKey),
		}
		if err := s.applyBroker(ctx, Pulsar, Classes[Pulsar], data, p.TLSFiles); err != nil {
			return err
		}
	}
	return s.applyManifest(ctx, "placement.yaml", map[string]any{"Redis": s.Redis != nil, "Kafka": s.Kafka != nil, "Pulsar": s.Pulsar != nil})
}

// applyBroker fills the manifest of a broker: the same for the kinds of both scopes, and for the class that it is offered as.
func (s *Stack) applyBroker(ctx context.Context, name, class string, data map[string]any, tls broker.TLSFiles) error {
	for key, file := range map[string]string{"CA": tls.CAFile, "ClientCert": tls.ClientCertFile, "ClientKey": tls.ClientKeyFile} {
		b, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("cannot read certificates of %s: %w", name, err)
		}
		data[key] = base64.StdEncoding.EncodeToString(b)
	}
	data["Namespace"], data["Names"] = controlplane.Namespace, []string{class, name}
	data["Kinds"] = []map[string]string{
		{"APIVersion": "eventstore.crossplane.io/v1alpha1", "Kind": "ProviderConfig"},
		{"APIVersion": "eventstore.m.crossplane.io/v1alpha1", "Kind": "ClusterProviderConfig"},
	}
	return s.applyManifest(ctx, name+".yaml", data)
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
