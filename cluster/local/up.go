package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/stack"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/state"
)

func (c *commands) options(f *state.Folder) stack.Options {
	return stack.Options{
		State: f, Activation: c.activation,
		ProviderArgs: c.providerArgs, CrossplaneArgs: c.coreArgs, Progress: c.out,
	}
}

func (c *commands) up(ctx context.Context, f *state.Folder) error {
	unlock, err := f.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	brokers, err := c.wanted(f)
	if err != nil {
		return err
	}
	switch missing, err := stack.Missing(f, brokers); {
	case err != nil:
		return err
	case len(missing) == 0:
		fmt.Fprintf(c.out, "It is already up.\n")
		return c.summary(f)
	}
	if err := stack.Clean(f, c.out); err != nil {
		return err
	}

	program, err := keepProgram(f)
	if err != nil {
		return err
	}
	f.Detached = true
	o := c.options(f)
	o.Brokers, o.Progress = brokers, &timed{w: c.out, start: time.Now()}
	o.Host = func(component string) (string, []string) { return program, []string{"--state", f.Path(), component} }
	if _, err := stack.Start(ctx, o); err != nil {
		return fmt.Errorf("%w\nThe logs are in %s", err, filepath.Dir(f.LogFile("")))
	}
	if err := stack.MarkUp(f); err != nil {
		return err
	}
	fmt.Fprintf(o.Progress, "it is up\n")
	return c.summary(f)
}

// wanted are the brokers that run, or should, and those that are asked for now: one more does not end another.
func (c *commands) wanted(f *state.Folder) ([]string, error) {
	brokers, err := stack.Brokers(f)
	if err != nil {
		return nil, err
	}
	for _, b := range stack.ParseBrokers(c.brokers) {
		if !slices.Contains(brokers, b) {
			brokers = append(brokers, b)
		}
	}
	return brokers, nil
}

// keepProgram copies this program into the state folder: go run deletes it as soon as it returns, and it must serve the
// registry and run the packages until down.
func keepProgram(f *state.Folder) (string, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("cannot find this program: %w", err)
	}
	in, err := os.Open(exe)
	if err != nil {
		return "", fmt.Errorf("cannot copy this program: %w", err)
	}
	defer in.Close()
	path := f.Path("local")
	_ = os.Remove(path) // One that still runs could not be written to.
	out, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		return "", fmt.Errorf("cannot copy this program: %w", err)
	}
	if _, err := io.Copy(out, in); err != nil {
		_ = out.Close()
		return "", fmt.Errorf("cannot copy this program: %w", err)
	}
	return path, out.Close()
}

func (c *commands) reload(ctx context.Context, f *state.Folder) error {
	unlock, err := f.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	o := c.options(f)
	o.Progress = &timed{w: c.out, start: time.Now()}
	s, err := stack.Attach(f, o.Progress)
	if err != nil {
		return err
	}
	return s.Reload(ctx, f, o)
}

func (c *commands) down(f *state.Folder) error {
	unlock, err := f.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := stack.Down(f, c.out); err != nil {
		return err
	}
	if c.keep {
		return nil
	}
	return f.Remove()
}

func (c *commands) summary(f *state.Folder) error {
	s, err := stack.Attach(f, c.out)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "\n  export KUBECONFIG=%s\n\n", s.Kubeconfig())
	if s.Redis != nil {
		fmt.Fprintf(c.out, "  Redis     %s (TLS: %s), user %s, password in %s\n", s.Redis.Addr, s.Redis.TLSAddr, s.Redis.AdminUser, f.Path("redis", "admin-password"))
	}
	if s.Kafka != nil {
		fmt.Fprintf(c.out, "  Kafka     %s (TLS: %s), user %s, password in %s\n", s.Kafka.Addr, s.Kafka.TLSAddr, s.Kafka.AdminUser, f.Path("kafka", "admin-password"))
	}
	if s.Pulsar != nil {
		fmt.Fprintf(c.out, "  Pulsar    %s, %s (TLS: %s, %s), token in %s\n", s.Pulsar.ServiceURL, s.Pulsar.AdminURL, s.Pulsar.TLSServiceURL, s.Pulsar.TLSAdminURL, f.Path("pulsar", "admin-token"))
	}
	fmt.Fprintf(c.out, `  Registry  %s (plain HTTP)

Next:
  kubectl get providers,functions,configurations
  kubectl create namespace shop && kubectl apply -f examples/claims/eventstore.yaml
  go run ./cluster/local status | logs provider-eventstore -f | reload | down
`, s.RegistryAddr())
	return nil
}

// timed writes how long it has been going before each line.
type timed struct {
	w     io.Writer
	start time.Time
}

func (t *timed) Write(b []byte) (int, error) {
	if _, err := fmt.Fprintf(t.w, "%6.1fs  %s", time.Since(t.start).Seconds(), b); err != nil {
		return 0, err
	}
	return len(b), nil
}
