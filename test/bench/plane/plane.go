// Package plane looks at a control plane from outside, as its operator does: what is applied to it, when that becomes
// Ready, and what it costs the API server, the provider's process and the brokers.
//
//	p, err := plane.New(plane.Options{Config: cfg, Provider: find, Metrics: url})
//	w, err := p.Workspace(ctx, "bench-")
//	defer w.Clear(ctx)
package plane

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crossplane-contrib/provider-eventstore/apis"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
)

// Options say where the control plane is. All are required.
type Options struct {
	Config *rest.Config

	// Provider finds the provider's process, which is another one after a restart.
	Provider func() (*process.Process, error)

	// Metrics is where the provider serves its metrics: http://…/metrics.
	Metrics string
}

// A Plane is a control plane that runs. It may be used concurrently.
type Plane struct {
	Kube client.WithWatch

	o      Options
	scheme *runtime.Scheme
}

// New returns the control plane that the options say.
func New(o Options) (*Plane, error) {
	o.Config = rest.CopyConfig(o.Config)
	o.Config.QPS, o.Config.Burst = 2000, 4000
	// A warning of the API server is for whoever wrote the object, and here that is a program.
	o.Config.WarningHandler = rest.NoWarnings{}
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, apis.AddToScheme} {
		if err := add(s); err != nil {
			return nil, err
		}
	}
	kube, err := client.NewWithWatch(o.Config, client.Options{Scheme: s})
	if err != nil {
		return nil, fmt.Errorf("cannot reach the control plane: %w", err)
	}
	return &Plane{Kube: kube, o: o, scheme: s}, nil
}

// Until asks until ok, and says what it was waiting for if that does not come within the patience.
func Until(ctx context.Context, patience time.Duration, what string, ask func(context.Context) (ok bool, err error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("waited %s until %s", patience, what))
	defer cancel()
	for {
		ok, err := ask(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx) // Whatever ask says now, it says because of that.
		}
		if ok || err != nil {
			return err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Parallel calls f for 0..n-1, at most fifty at a time, and returns the first error.
func Parallel(n int, f func(i int) error) error {
	var wg sync.WaitGroup
	errs := make([]error, n)
	slots := make(chan struct{}, 50)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			errs[i] = f(i)
			<-slots
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
