// Package stack starts everything that a person or an end-to-end test wants: a control plane, this repository's packages
// installed in it, brokers, and ProviderConfigs for them.
//
//	s, err := stack.Start(ctx, stack.Options{Dir: t.TempDir()})
//	defer s.Stop()
//
// Brokers are ProviderConfigs and ClusterProviderConfigs named after them: "redis", "kafka" and "pulsar", and with TLS
// "redis-tls", "kafka-tls" and "pulsar-tls". The classes are "fast" for Redis, "durable" for Kafka, "isolated" for Pulsar.
package stack

import (
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/controlplane"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/packages"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/state"
)

// Options say where the stack lives and what belongs to it. Either Dir or State is required.
type Options struct {
	// Dir holds everything. State is used instead by a caller who keeps more in the same folder.
	Dir   string
	State *state.Folder

	// Brokers to start: redis, kafka, pulsar. Default: redis.
	Brokers []string

	// Activation: see controlplane.Options. The configuration package activates our own kinds anyway.
	Activation string

	// Packages that are built already. Default: this repository's are built.
	Packages []controlplane.Package

	// WithoutConfiguration leaves the configuration package and the functions out.
	WithoutConfiguration bool

	// ProviderArgs are added to the provider's command line, for example --debug or --poll=5s.
	ProviderArgs []string

	// CrossplaneArgs and Host: see controlplane.Options.
	CrossplaneArgs []string
	Host           func(component string) (program string, args []string)

	// Progress gets a line for each step. Default: standard error.
	Progress io.Writer

	// keepRuntimeConfig leaves the provider's arguments as they are.
	keepRuntimeConfig bool
}

// A Stack is all of it, running.
type Stack struct {
	*controlplane.ControlPlane

	// Brokers that were not asked for are nil.
	Redis  *broker.Redis
	Kafka  *broker.Kafka
	Pulsar *broker.Pulsar

	state *state.Folder
}

// Start starts everything and returns when all packages are healthy and the ProviderConfigs are there.
func Start(ctx context.Context, o Options) (*Stack, error) {
	if o.Progress == nil {
		o.Progress = os.Stderr
	}
	if len(o.Brokers) == 0 {
		o.Brokers = []string{Redis}
	}
	if err := known(o.Brokers); err != nil {
		return nil, err
	}
	if o.State == nil {
		if o.Dir == "" {
			return nil, errors.New("cannot start stack: Dir is required")
		}
		f, err := state.Open(o.Dir)
		if err != nil {
			return nil, err
		}
		o.State = f
	}
	if err := recordBrokers(o.State, o.Brokers); err != nil {
		return nil, err
	}
	s := &Stack{state: o.State}
	if err := s.start(ctx, o); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Stack) start(ctx context.Context, o Options) error {
	// Compiling the provider and starting the API server take about as long as each other.
	g, gctx := errgroup.WithContext(ctx)
	ours := o.Packages
	if len(ours) == 0 {
		g.Go(func() (err error) {
			ours, err = packages.Build(gctx, packages.Options{Out: o.State.Path("xpkg"), Progress: o.Progress})
			return err
		})
	}
	g.Go(func() (err error) {
		s.ControlPlane, err = controlplane.Start(gctx, controlplane.Options{
			State: o.State, Activation: o.Activation, CrossplaneArgs: o.CrossplaneArgs, Host: o.Host, Progress: o.Progress,
		})
		if err != nil || o.WithoutConfiguration {
			return err
		}
		// While the provider may still be compiling.
		functions, err := s.Functions(gctx)
		if err != nil {
			return err
		}
		return s.Install(gctx, functions...)
	})
	s.startBrokers(gctx, g, o)
	if err := g.Wait(); err != nil {
		return err
	}
	return s.install(ctx, o, ours)
}

// install installs our packages, then tells the provider about the brokers.
func (s *Stack) install(ctx context.Context, o Options, ours []controlplane.Package) error {
	if !o.keepRuntimeConfig {
		if err := s.applyRuntimeConfig(ctx, o); err != nil {
			return err
		}
	}
	var chosen []controlplane.Package
	for _, p := range ours {
		if p.Kind == controlplane.Provider {
			p.RuntimeConfig = runtimeConfig
		} else if o.WithoutConfiguration {
			continue
		}
		chosen = append(chosen, p)
	}
	if err := s.Install(ctx, chosen...); err != nil {
		return err
	}
	return s.applyProviderConfigs(ctx)
}

// Attach returns the stack that runs in a state folder. Its Stop stops nothing: use Down.
func Attach(f *state.Folder, progress io.Writer) (*Stack, error) {
	cp, err := controlplane.Attach(f, progress)
	if err != nil {
		return nil, err
	}
	s := &Stack{ControlPlane: cp, state: f}
	s.attachBrokers(f)
	return s, nil
}

// Reload builds our packages again and upgrades those that changed.
func (s *Stack) Reload(ctx context.Context, f *state.Folder, o Options) error {
	o.State, o.keepRuntimeConfig = f, len(o.ProviderArgs) == 0
	ours, err := packages.Build(ctx, packages.Options{Out: f.Path("xpkg"), Progress: o.Progress})
	if err != nil {
		return err
	}
	return s.install(ctx, o, ours)
}

// Stop ends everything, brokers last: the provider may still want to reach them. It is idempotent.
func (s *Stack) Stop() error {
	var err error
	if s.ControlPlane != nil {
		err = s.ControlPlane.Stop()
	}
	return errors.Join(err, s.stopBrokers())
}
