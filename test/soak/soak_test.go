package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	namespacedv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/apiserver"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
	"github.com/crossplane-contrib/provider-eventstore/test/bench/backdoor"
	"github.com/crossplane-contrib/provider-eventstore/test/bench/plane"
)

// TestSoak is a short slice of a soak, on Redis alone, with a provider that has a race detector.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("a control plane is not started in short mode")
	}
	quiet()
	p, r := provider(t)
	o := options{duration: 25 * time.Second, seed: uint64(time.Now().UnixNano()), slots: 4, pause: 800 * time.Millisecond, memory: 2048}
	b := &brokerUnderTest{name: "redis", config: "redis", door: backdoor.Redis(r), process: r}
	t.Cleanup(func() { _ = b.door.Close() })
	summary, err := soak(t.Context(), p, []*brokerUnderTest{b}, o)
	t.Log(summary)
	if err != nil {
		t.Fatalf("seed %d: %v", o.seed, err)
	}
	if b.tally["stores"] == 0 || b.tally["subscriptions"] == 0 || b.tally["records acknowledged"] == 0 || b.tally["times killed"]+b.tally["times stopped"] == 0 {
		t.Errorf("seed %d: little happened", o.seed)
	}
}

// provider starts an API server, a Redis and the provider, all of which end with the test.
func provider(t *testing.T) (*plane.Plane, *broker.Redis) {
	t.Helper()
	dir := t.TempDir()
	server, err := apiserver.Start(t.Context(), apiserver.Options{Dir: filepath.Join(dir, "api"), Controllers: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	r, err := broker.StartRedis(t.Context(), broker.RedisOptions{Dir: filepath.Join(dir, "redis"), AppendOnly: true, ACLFile: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Stop() })
	if _, err := envtest.InstallCRDs(server.Config(), envtest.CRDInstallOptions{Paths: []string{"../../package/provider/crds"}, ErrorIfPathMissing: true}); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "provider")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-race", "-o", program, "../../cmd/provider").CombinedOutput(); err != nil {
		t.Fatalf("cannot build the provider: %v\n%s", err, out)
	}
	ports, err := process.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(dir, "provider.log")
	proc, err := process.Start(process.Spec{
		Name: "provider", Path: program, LogFile: log, Env: []string{"KUBECONFIG=" + server.Kubeconfig()},
		Args: []string{fmt.Sprintf("--metrics-bind-address=127.0.0.1:%d", ports[0]), "--health-probe-bind-address=0", "--drift-interval=2s"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = proc.Stop(0)
		if t.Failed() {
			t.Logf("the provider's last lines:\n%s", process.Tail(log, 30))
		}
	})
	p, err := plane.New(plane.Options{
		Config: server.Config(), Metrics: fmt.Sprintf("http://127.0.0.1:%d/metrics", ports[0]),
		Provider: func() (*process.Process, error) { return proc, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	configure(t, p, r)
	return p, r
}

// configure tells the provider about the broker.
func configure(t *testing.T, p *plane.Plane, r *broker.Redis) {
	t.Helper()
	meta := metav1.ObjectMeta{Namespace: "default", Name: "redis"}
	pc := &namespacedv1alpha1.ClusterProviderConfig{ObjectMeta: metav1.ObjectMeta{Name: "redis"}}
	pc.Spec.Redis = &v1alpha1.RedisSettings{Addresses: []string{r.Addr}, Username: r.AdminUser}
	pc.Spec.Credentials = &v1alpha1.Credentials{Source: xpv2.CredentialsSourceSecret, SecretRef: &xpv2.SecretKeySelector{
		SecretReference: xpv2.SecretReference{Namespace: meta.Namespace, Name: meta.Name}, Key: "password",
	}}
	for _, o := range []client.Object{&corev1.Secret{ObjectMeta: meta, StringData: map[string]string{"password": r.AdminPassword}}, pc} {
		if err := p.Kube.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
}
