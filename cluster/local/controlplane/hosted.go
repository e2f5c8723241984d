package controlplane

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/go-logr/logr"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/registry"
	packageruntime "github.com/crossplane-contrib/provider-eventstore/cluster/local/runtime"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/state"
)

// RegistryAddr returns host:port of the OCI registry. It speaks plain HTTP.
func (cp *ControlPlane) RegistryAddr() string { return RegistryAddr(cp.state) }

// RegistryAddr returns host:port of a state folder's registry.
func RegistryAddr(f *state.Folder) string { return process.Loopback(f.KnownPort(Registry)) }

// ServeRegistry serves the registry of a state folder until ctx ends. The port was chosen by Start.
func ServeRegistry(ctx context.Context, f *state.Folder) error {
	return registry.Serve(ctx, f.Path("registry"), RegistryAddr(f))
}

// RunRuntime runs the package runtime of a state folder until ctx ends.
func RunRuntime(ctx context.Context, f *state.Folder, log io.Writer) error {
	config, err := adminConfig(f)
	if err != nil {
		return err
	}
	return packageruntime.Run(ctx, packageruntime.Options{
		Config: config, State: f, Namespace: Namespace, Log: logger(log),
	})
}

func logger(w io.Writer) logr.Logger { return logr.FromSlogHandler(slog.NewTextHandler(w, nil)) }

func (cp *ControlPlane) startRegistry(ctx context.Context) error {
	if _, err := cp.state.Port(Registry); err != nil {
		return err
	}
	done, err := cp.host(Registry, func(ctx context.Context) error { return ServeRegistry(ctx, cp.state) })
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startWait, fmt.Errorf("no answer after %s", startWait))
	defer cancel()
	for {
		err := registry.Healthy(ctx, cp.RegistryAddr())
		if err == nil {
			return nil
		}
		select {
		case err := <-done:
			return fmt.Errorf("cannot start registry: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("cannot start registry: %w: %w", context.Cause(ctx), err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (cp *ControlPlane) startRuntime(context.Context) error {
	_, err := cp.host(Runtime, func(ctx context.Context) error {
		log, err := os.OpenFile(cp.state.LogFile(Runtime), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("cannot open log: %w", err)
		}
		defer log.Close()
		return RunRuntime(ctx, cp.state, log)
	})
	return err
}

// host runs a component of our own, as a program of its own or inside this process. The channel tells how it ended.
func (cp *ControlPlane) host(component string, run func(context.Context) error) (<-chan error, error) {
	done := make(chan error, 1)
	if cp.opts.Host != nil {
		program, args := cp.opts.Host(component)
		p, err := cp.run(cp.state.Spec(component, program, args...))
		if err != nil {
			return nil, err
		}
		go func() {
			<-p.Done()
			done <- p.Err()
		}()
		return done, nil
	}
	// Not the caller's context: it may end when Start returns.
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		done <- run(ctx)
	}()
	cp.stops = append(cp.stops, func() error {
		cancel()
		select {
		case <-ended:
			return nil
		case <-time.After(30 * time.Second):
			return fmt.Errorf("cannot stop %s: it still runs after 30s", component)
		}
	})
	return done, nil
}
