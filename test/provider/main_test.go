// Package provider_test runs the provider's real binary against a real API server and real brokers, and looks at what a
// user would see of it, row by row: what goes wrong, which sentence says so, and that nothing is lost. How Crossplane
// composes and packages it is test/e2e's.
package provider_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/redis/go-redis/v9"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	"github.com/crossplane-contrib/provider-eventstore/apis"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/apiserver"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
)

// world is what the tests of this package share: one control plane, one Redis, one provider.
var world struct {
	kube   client.WithWatch
	server *apiserver.Server
	redis  *broker.Redis
	binary string
	dir    string
	file   string // Has the admin's password, and so has the environment variable of the provider.

	provider *process.Process
	metrics  string // host:port of its metrics.
}

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	ctx := context.Background()
	if world.dir, err = os.MkdirTemp("", "provider-test-"); err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(world.dir) }()
	if world.server, err = apiserver.Start(ctx, apiserver.Options{Dir: filepath.Join(world.dir, "api"), Controllers: true}); err != nil {
		return 0, fmt.Errorf("cannot start the API server: %w", err)
	}
	defer func() { _ = world.server.Stop() }()
	if world.redis, err = broker.StartRedis(ctx, broker.RedisOptions{Dir: filepath.Join(world.dir, "redis"), AppendOnly: true, ACLFile: true, TLS: true}); err != nil {
		return 0, err
	}
	defer func() { _ = world.redis.Stop() }()
	defer stopBrokers()

	audit.secret(world.redis.AdminPassword)
	world.file = filepath.Join(world.dir, "password")
	if err := os.WriteFile(world.file, []byte(world.redis.AdminPassword+"\n"), 0o600); err != nil {
		return 0, err
	}

	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, apis.AddToScheme} {
		if err := add(scheme); err != nil {
			return 0, err
		}
	}
	if world.kube, err = client.NewWithWatch(world.server.Config(), client.Options{Scheme: scheme}); err != nil {
		return 0, err
	}
	if err := installCRDs(ctx, "../../package/provider/crds"); err != nil {
		return 0, err
	}
	world.binary = filepath.Join(world.dir, "provider")
	build := exec.CommandContext(ctx, "go", "build", "-race", "-o", world.binary, "../../cmd/provider")
	if out, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("cannot build the provider: %w\n%s", err, out)
	}
	ports, err := process.FreePorts(1)
	if err != nil {
		return 0, err
	}
	world.metrics = process.Loopback(ports[0])
	if err := startProvider(); err != nil {
		return 0, err
	}
	defer func() { _ = world.provider.Stop(process.DefaultGrace) }()
	if err := shareBroker(ctx); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := audit.watch(ctx); err != nil {
		return 0, err
	}
	log.SetLogger(logr.Discard()) // What the API server warns of is looked at in test/api.
	flag.Parse()
	// The tests wait for others most of the time.
	if err := flag.Set("test.parallel", "16"); err != nil {
		return 0, err
	}
	code = m.Run()
	if err := afterwards(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if code != 0 {
		fmt.Fprintf(os.Stderr, "the provider's last lines:\n%s\n", process.Tail(filepath.Join(world.dir, "provider.log"), 40))
	}
	return code, nil
}

// passwordVariable is the environment variable of the provider that has the admin's password.
const passwordVariable = "TEST_REDIS_PASSWORD"

// driftInterval is how often the provider looks for drift.
const driftInterval = 2 * time.Second

// startProvider starts the provider, or starts it again.
func startProvider(args ...string) error {
	var err error
	world.provider, err = process.Start(process.Spec{
		Name:    "provider",
		Path:    world.binary,
		Args:    append([]string{"--metrics-bind-address=" + world.metrics, "--health-probe-bind-address=0", "--drift-interval=" + driftInterval.String(), "--debug"}, args...),
		Env:     []string{"KUBECONFIG=" + world.server.Kubeconfig(), passwordVariable + "=" + world.redis.AdminPassword},
		LogFile: filepath.Join(world.dir, "provider.log"),
	})
	return err
}

// shareBroker makes the ProviderConfig "default" of the cluster-scoped kinds and the ClusterProviderConfig "default" of
// the namespaced kinds, both for the shared Redis.
func shareBroker(ctx context.Context) error {
	objects := []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "crossplane-system"}},
		passwordSecret("crossplane-system", "redis", world.redis.AdminPassword),
		clusterConfig("default", world.redis.Addr, "crossplane-system", "redis"),
		sharedConfig("default", world.redis.Addr, "crossplane-system", "redis"),
	}
	for _, o := range objects {
		if err := world.kube.Create(ctx, o); err != nil {
			return fmt.Errorf("cannot create %T %s: %w", o, o.GetName(), err)
		}
	}
	return nil
}

// installCRDs creates the CRDs of a folder, and waits until all of them are served.
func installCRDs(ctx context.Context, dir string) error {
	paths, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil || len(paths) == 0 {
		return fmt.Errorf("cannot find CRDs in %s: %w", dir, err)
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.Unmarshal(b, crd); err != nil {
			return fmt.Errorf("cannot read %s: %w", path, err)
		}
		if err := world.kube.Create(ctx, crd); err != nil {
			return fmt.Errorf("cannot create the CRD %s: %w", crd.Name, err)
		}
		err = poll(ctx, patience, "the CRD "+crd.Name+" is served", func() (bool, string) {
			if err := world.kube.Get(ctx, objectKey(crd), crd); err != nil {
				return false, err.Error()
			}
			for _, c := range crd.Status.Conditions {
				if c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue {
					return true, ""
				}
			}
			return false, "not established"
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// afterwards looks at what all tests together have left: nobody may have read a password, the race detector has found
// nothing, and each test has deleted what it made, so what is still on the shared brokers was forgotten by the provider.
func afterwards(ctx context.Context) error {
	leaks, err := audit.leaks(filepath.Join(world.dir, "provider.log"))
	if err != nil {
		return err
	}
	if len(leaks) > 0 {
		return fmt.Errorf("passwords can be read:\n%s", strings.Join(leaks, "\n"))
	}
	log, err := os.ReadFile(filepath.Join(world.dir, "provider.log"))
	if err != nil {
		return err
	}
	for _, bad := range []string{"WARNING: DATA RACE", "panic:"} {
		if at := strings.Index(string(log), bad); at >= 0 {
			return fmt.Errorf("the provider's log has %q:\n%s", bad, log[at:min(at+4000, len(log))])
		}
	}
	c := redis.NewClient(&redis.Options{Addr: world.redis.Addr, Username: world.redis.AdminUser, Password: world.redis.AdminPassword})
	defer c.Close()
	return poll(ctx, patience, "the brokers are empty after all tests", func() (bool, string) {
		l, err := leftovers(ctx)
		if err != nil || len(l) > 0 {
			return false, fmt.Sprint(l, err)
		}
		users, err := c.Do(ctx, "ACL", "USERS").StringSlice()
		if err != nil {
			return false, err.Error()
		}
		keys, err := c.Keys(ctx, "*").Result()
		if err != nil {
			return false, err.Error()
		}
		l = slices.DeleteFunc(append(users, keys...), func(s string) bool { return s == "default" || s == world.redis.AdminUser })
		return len(l) == 0, strings.Join(l, " ")
	})
}
