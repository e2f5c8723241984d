package controlplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	authnv1 "k8s.io/api/authentication/v1"
	authzv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/binaries"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/image"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
)

const (
	testProvider = "provider-test"
	installedAs  = "crossplane-contrib-" + testProvider
)

// provider follows a provider with safe-start through its life.
func provider(t *testing.T, cp *ControlPlane) {
	port := installTestProvider(t, cp)

	t.Run("NothingRunsBeforeActivation", func(t *testing.T) {
		if _, err := cp.Process(testProvider); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("Process: %v, want none", err)
		}
	})
	apply(t, cp, "activation.yaml")
	p := running(t, cp, port, 0)
	t.Run("ItsRightsAreThoseOfItsPackage", func(t *testing.T) { rights(t, p) })
	t.Run("ItSeesWhatAPodSees", func(t *testing.T) { environment(t, p) })
	t.Run("KilledItComesBack", func(t *testing.T) {
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
		p = running(t, cp, port, p.PID())
	})
	t.Run("DeletedItIsGone", func(t *testing.T) {
		if err := cp.Client().Delete(t.Context(), object("pkg.crossplane.io/v1", Provider, "", installedAs)); err != nil {
			t.Fatal(err)
		}
		waitFor(t, "the process to end", func(context.Context) error {
			if p.Running() {
				return errors.New("it still runs")
			}
			return nil
		})
	})
}

// installTestProvider builds a package around testdata/program, and returns the port that it will serve its health on.
func installTestProvider(t *testing.T, cp *ControlPlane) int {
	t.Helper()
	root, err := binaries.RepositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), testProvider)
	if err := image.GoBuild(t.Context(), root, "./cluster/local/controlplane/testdata/program", program, ""); err != nil {
		t.Fatal(err)
	}
	pkg := Package{Kind: Provider, Name: testProvider, Version: "v0.1.0", File: program + ".xpkg", RuntimeConfig: "test"}
	src := image.Package{Root: filepath.Join(root, "cluster/local/controlplane/testdata/provider"), Program: program}
	if err := src.Build(t.Context(), cp.Crank(), pkg.File); err != nil {
		t.Fatal(err)
	}
	ports, err := process.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile("testdata/runtimeconfig.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := cp.ApplyYAML(t.Context(), []byte(strings.ReplaceAll(string(b), "12345", fmt.Sprint(ports[0])))); err != nil {
		t.Fatal(err)
	}
	if err := cp.Install(t.Context(), pkg); err != nil {
		t.Fatal(err)
	}
	return ports[0]
}

// running waits until the provider runs, is healthy, and is another process than before.
func running(t *testing.T, cp *ControlPlane, port, before int) *process.Process {
	t.Helper()
	var p *process.Process
	waitFor(t, "the provider to run", func(ctx context.Context) (err error) {
		if p, err = cp.Process(testProvider); err != nil {
			return err
		}
		if p.PID() == before {
			return errors.New("it is the process that was killed")
		}
		return conditions(ctx, cp, object("pkg.crossplane.io/v1", Provider, "", installedAs), "Installed", "Healthy")
	})
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.PID()))
	if err != nil {
		t.Fatal(err)
	}
	if want := "\x00" + process.Loopback(port) + "\x00"; !strings.HasSuffix(string(cmdline), want) {
		t.Errorf("its command line is %q, want it to end with the argument of its DeploymentRuntimeConfig, %q", cmdline, want)
	}
	return p
}

func processEnv(t *testing.T, p *process.Process) map[string]string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.PID()))
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{}
	for v := range strings.SplitSeq(strings.TrimRight(string(b), "\x00"), "\x00") {
		k, v, _ := strings.Cut(v, "=")
		env[k] = v
	}
	return env
}

func environment(t *testing.T, p *process.Process) {
	env := processEnv(t, p)
	if got := env["POD_NAMESPACE"]; got != Namespace {
		t.Errorf("POD_NAMESPACE is %q, want %q", got, Namespace)
	}
	if env["PROVIDER_NAME"] != installedAs || env["REVISION_NAME"] == "" || env["REVISION_UID"] == "" {
		t.Errorf("it does not know its revision: %v", env)
	}
	if _, ok := env["HOME"]; ok {
		t.Error("it has this process's environment")
	}
	for _, file := range []string{"tls.crt", "tls.key", "ca.crt"} {
		for _, dir := range []string{"TLS_SERVER_CERTS_DIR", "TLS_CLIENT_CERTS_DIR"} {
			if _, err := os.Stat(filepath.Join(env[dir], file)); err != nil {
				t.Errorf("%s: %v", dir, err)
			}
		}
	}
}

// rights asks the API server who the provider is and what it may do, with the provider's own kubeconfig.
func rights(t *testing.T, p *process.Process) {
	cfg, err := clientcmd.BuildConfigFromFlags("", processEnv(t, p)["KUBECONFIG"])
	if err != nil {
		t.Fatal(err)
	}
	c, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	self, err := c.AuthenticationV1().SelfSubjectReviews().Create(t.Context(), &authnv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := self.Status.UserInfo.Username, "system:serviceaccount:"+Namespace+":"+installedAs+"-"; !strings.HasPrefix(got, want) {
		t.Errorf("it is %q, want %q and a hash", got, want)
	}
	allowed := func(ctx context.Context, verb, group, resource string) bool {
		r := &authzv1.SelfSubjectAccessReview{Spec: authzv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authzv1.ResourceAttributes{Verb: verb, Group: group, Resource: resource},
		}}
		if r, err = c.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, r, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		return r.Status.Allowed
	}
	waitFor(t, "the right to list its own kind", func(ctx context.Context) error {
		if !allowed(ctx, "list", "test.example.org", "widgets") {
			return errors.New("it is refused")
		}
		return nil
	})
	for _, resource := range []string{"namespaces", "pods"} {
		if allowed(t.Context(), "list", "", resource) {
			t.Errorf("it may list %s, which its package does not ask for", resource)
		}
	}
}
