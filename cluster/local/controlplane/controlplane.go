// Package controlplane runs a whole control plane on this machine's loopback, without containers: a Kubernetes API server,
// Crossplane with its RBAC manager, an OCI registry, and a package runtime that runs providers and functions as processes.
//
//	cp, err := controlplane.Start(ctx, controlplane.Options{Dir: t.TempDir(), Activation: "*"})
//	defer cp.Stop()
//	err = cp.Install(ctx, packages...)
//
// Crossplane has the rights that its Helm chart gives it, and providers those that their packages get: nothing but the
// administrator's kubeconfig is all-powerful.
package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	pkgv1 "github.com/crossplane/crossplane/apis/v2/pkg/v1"
	pkgv1beta1 "github.com/crossplane/crossplane/apis/v2/pkg/v1beta1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/apiserver"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/binaries"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/state"
)

// Namespace is where Crossplane lives.
const Namespace = "crossplane-system"

// Names of the components, as in logs and pidfiles. Those of the API server are in package apiserver.
const (
	Crossplane  = "crossplane"
	RBACManager = "crossplane-rbac"
	Registry    = "registry"
	Runtime     = "runtime"
)

// Options say where the control plane lives and how it is set up. Either Dir or State is required.
type Options struct {
	// Dir holds everything: data, logs, credentials. A control plane started again in the same Dir has the same objects.
	Dir string

	// State is used instead of Dir, by a caller who keeps more in the same folder.
	State *state.Folder

	// Activation is the pattern of managed resources that Crossplane activates by itself: "*" for all of them, as its
	// Helm chart does. Default: none, so that a provider with safe-start waits for a ManagedResourceActivationPolicy.
	Activation string

	// CrossplaneArgs are added to the command line of Crossplane's core, for example --debug.
	CrossplaneArgs []string

	// Host runs the registry and the package runtime as a program of their own. Default: inside this process, so that they
	// end with it. It is called with the component's name (Registry or Runtime) and returns the program and its arguments.
	Host func(component string) (program string, args []string)

	// Progress gets a line for each step. Default: discarded; what must be built is then still told on standard error.
	Progress io.Writer
}

// A ControlPlane is a running control plane. Its methods may be called concurrently, except Stop.
type ControlPlane struct {
	*apiserver.Server

	opts     Options
	state    *state.Folder
	programs map[string]binaries.Program
	client   client.Client
	stops    []func() error // In the order in which things were started.
}

// Start builds what is missing, starts everything and returns when Crossplane is ready to install packages.
func Start(ctx context.Context, o Options) (*ControlPlane, error) {
	building := o.Progress
	if o.Progress == nil {
		o.Progress, building = io.Discard, os.Stderr
	}
	if o.State == nil {
		if o.Dir == "" {
			return nil, errors.New("cannot start control plane: Dir is required")
		}
		f, err := state.Open(o.Dir)
		if err != nil {
			return nil, err
		}
		o.State = f
	}
	programs, err := binaries.Build(ctx, building, binaries.All()...)
	if err != nil {
		return nil, err
	}
	cp := &ControlPlane{opts: o, state: o.State, programs: programs}
	if err := cp.start(ctx); err != nil {
		return nil, errors.Join(err, cp.Stop())
	}
	return cp, nil
}

// Attach returns the control plane that runs in a state folder, for all but Functions and Crank: it knows no programs, so
// that nothing is built just to look. Its Stop stops nothing.
func Attach(f *state.Folder, progress io.Writer) (*ControlPlane, error) {
	s, err := apiserver.Attach(f)
	if err != nil {
		return nil, err
	}
	cp := &ControlPlane{Server: s, opts: Options{State: f, Progress: progress}, state: f}
	if cp.client, err = client.New(s.Config(), client.Options{Scheme: Scheme()}); err != nil {
		return nil, fmt.Errorf("cannot make client: %w", err)
	}
	return cp, nil
}

func (cp *ControlPlane) start(ctx context.Context) error {
	if err := cp.startRegistry(ctx); err != nil {
		return err
	}
	s, err := apiserver.Start(ctx, apiserver.Options{State: cp.state, Controllers: true, Progress: cp.opts.Progress})
	if err != nil {
		return err
	}
	cp.Server = s
	cp.stops = append(cp.stops, s.Stop)
	cp.say("Kubernetes API server is ready")
	if cp.client, err = client.New(s.Config(), client.Options{Scheme: Scheme()}); err != nil {
		return fmt.Errorf("cannot make client: %w", err)
	}
	if err := cp.installCRDs(ctx); err != nil {
		return err
	}
	if err := cp.prepareCrossplane(ctx); err != nil {
		return err
	}
	cp.say("Crossplane is initialised")
	if err := cp.startCrossplane(ctx); err != nil {
		return err
	}
	if err := cp.startRuntime(ctx); err != nil {
		return err
	}
	cp.say("Crossplane is ready")
	return nil
}

// Scheme knows Kubernetes' own types and those of Crossplane's packages.
func Scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(s))
	utilruntime.Must(pkgv1.AddToScheme(s))
	utilruntime.Must(pkgv1beta1.AddToScheme(s))
	utilruntime.Must(apiextensionsv1.AddToScheme(s))
	return s
}

func (cp *ControlPlane) say(format string, args ...any) {
	fmt.Fprintf(cp.opts.Progress, format+"\n", args...)
}

// run starts a program as a component, to be stopped by Stop.
func (cp *ControlPlane) run(spec process.Spec) (*process.Process, error) {
	p, err := process.Start(spec)
	if err != nil {
		return nil, err
	}
	cp.stops = append(cp.stops, func() error { return p.Stop(5 * time.Second) })
	return p, nil
}

// Client returns the administrator's client. It knows the types of Scheme, and unstructured ones.
func (cp *ControlPlane) Client() client.Client { return cp.client }

// Config returns the administrator's client configuration, without a client-side rate limit worth mentioning.
func (cp *ControlPlane) Config() *rest.Config { return cp.Server.Config() }

// Dir returns the absolute path of the state folder.
func (cp *ControlPlane) Dir() string { return cp.state.Path() }

// Process returns the process of a component, for a test that wants to kill it: Crossplane, or the name of a package such
// as provider-eventstore. The error wraps os.ErrNotExist if none runs.
func (cp *ControlPlane) Process(name string) (*process.Process, error) { return cp.state.Find(name) }

// LogFile returns where a component logs. Components that belong to a package are called after its revision.
func (cp *ControlPlane) LogFile(component string) string { return cp.state.LogFile(component) }

// Crank returns the path of Crossplane's CLI.
func (cp *ControlPlane) Crank() string { return cp.programs[binaries.Crank].Path }

// Stop ends everything in reverse order. Its error names whatever could not be stopped. It is idempotent.
func (cp *ControlPlane) Stop() error {
	var errs []error
	for i := len(cp.stops) - 1; i >= 0; i-- {
		errs = append(errs, cp.stops[i]())
	}
	cp.stops = nil
	return errors.Join(errs...)
}

// ensureNamespace creates a namespace that may exist.
func (cp *ControlPlane) ensureNamespace(ctx context.Context, name string) error {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := client.IgnoreAlreadyExists(cp.client.Create(ctx, ns)); err != nil {
		return fmt.Errorf("cannot create namespace %q: %w", name, err)
	}
	return nil
}
