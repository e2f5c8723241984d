package stack

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/apiserver"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/controlplane"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/state"
)

// startOrder is the order in which components depend on each other; they are stopped in reverse. The package runtime
// stops the providers and functions that it runs.
func startOrder(brokers []string) []string {
	return slices.Concat(brokers, []string{
		controlplane.Registry, apiserver.Etcd, apiserver.APIServer, apiserver.ControllerManager,
		controlplane.Crossplane, controlplane.RBACManager, controlplane.Runtime,
	})
}

// upFile is there once up has succeeded: a start that was interrupted is not up, though much of it runs.
const upFile = "up"

// MarkUp records that everything was started.
func MarkUp(f *state.Folder) error {
	if err := os.WriteFile(f.Path(upFile), nil, 0o600); err != nil {
		return fmt.Errorf("cannot record that it is up: %w", err)
	}
	return nil
}

// Missing returns the components that should run with these brokers, but do not: none if it is up.
func Missing(f *state.Folder, brokers []string) ([]string, error) {
	if _, err := os.Stat(f.Path(upFile)); errors.Is(err, os.ErrNotExist) {
		return startOrder(brokers), nil
	} else if err != nil {
		return nil, fmt.Errorf("cannot tell whether it is up: %w", err)
	}
	var missing []string
	for _, c := range startOrder(brokers) {
		if _, err := f.Attach(c); errors.Is(err, os.ErrNotExist) {
			missing = append(missing, c)
		} else if err != nil {
			return nil, err
		}
	}
	return missing, nil
}

// Clean stops what an earlier run has left behind, if anything.
func Clean(f *state.Folder, progress io.Writer) error {
	left, err := process.Leftovers(f.Path())
	if err != nil || len(left) == 0 {
		return err
	}
	fmt.Fprintf(progress, "stopping what runs, or was left behind, to start anew; data stays\n")
	return Down(f, progress)
}

// Down stops everything that belongs to the state folder, in reverse order, and keeps the data.
func Down(f *state.Folder, progress io.Writer) error {
	for _, file := range []string{upFile, brokersFile} {
		if err := os.Remove(f.Path(file)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("cannot record that it is down: %w", err)
		}
	}
	for _, c := range slices.Backward(startOrder(allBrokers)) {
		p, err := f.Attach(c)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := p.Stop(grace(c)); err != nil {
			return err
		}
		fmt.Fprintf(progress, "stopped %s\n", c)
	}
	// Whatever lost its pidfile: found by what its environment says.
	left, err := process.Leftovers(f.Path())
	if err != nil {
		return err
	}
	for _, p := range left {
		fmt.Fprintf(progress, "killing %s, process %d\n", p.Name(), p.PID())
		if err := p.Kill(); err != nil {
			return err
		}
	}
	return nil
}

// grace is how long a component may take to stop.
func grace(component string) time.Duration {
	switch component {
	case apiserver.APIServer:
		return 2 * time.Second // It would wait up to a minute for watches, whose clients are ours.
	case controlplane.Runtime:
		return 20 * time.Second // It waits for providers and functions.
	case Kafka, Pulsar:
		return time.Minute // With thousands of partitions; two seconds without.
	default:
		return 5 * time.Second
	}
}
