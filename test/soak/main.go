// Command soak lets stores and subscriptions come and go on all backends for a while, at random but seeded: applications
// write and consume, somebody changes things behind the provider's back, brokers are killed and come back. In the end
// everything that was acknowledged must be there and have been consumed, all that is left must be Ready, and after its
// deletion nothing may be left anywhere. Then claims with a store on every backend change in the same way, and
// schemas are broken and put back: see packages churn and schemas. In the end the SDK's drivers are checked, on brokers of their
// own: see package storetest.
//
//	make soak
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/stack"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/redisclient"
	"github.com/crossplane-contrib/provider-eventstore/test/bench/backdoor"
	"github.com/crossplane-contrib/provider-eventstore/test/bench/plane"
)

func main() {
	o := options{}
	dir := flag.String("dir", "", "where the control plane and the brokers live; default: a folder that is deleted afterwards, unless something was wrong")
	backends := flag.String("backends", "redis,kafka,pulsar", "which brokers are used, separated by commas")
	flag.DurationVar(&o.duration, "duration", 15*time.Minute, "for how long things come and go; 0: not at all")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "what everything is drawn by")
	flag.IntVar(&o.slots, "slots", 8, "how many stores there are at a time on each backend")
	flag.DurationVar(&o.pause, "pause", 4*time.Second, "how long it takes at most until the next thing happens to a store")
	flag.Float64Var(&o.memory, "memory", 512, "how much memory the provider may take, in MiB")
	flag.IntVar(&o.claims, "claims", 50, "how many claims with a store on each backend change afterwards; 0: none")
	flag.DurationVar(&o.churn, "churn", 5*time.Minute, "for how long claims change")
	flag.IntVar(&o.schemas, "schemas", 1000, "how many of the catalogue's changes are made to schemas in the end, at most; 0: none")
	flag.IntVar(&o.operations, "operations", 100_000, "how many operations of each of the SDK's drivers are checked in the end, while things go wrong; 0: none")
	flag.IntVar(&o.repeats, "repeats", 20, "how often the suite of each driver is repeated then; 0: never")
	flag.Parse()
	quiet()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	names := stack.ParseBrokers(*backends)
	err := run(ctx, *dir, names, o)
	if err == nil {
		err = checkDrivers(ctx, names, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1) //nolint:gocritic // The process ends, and its deferred calls with it.
	}
}

// quiet keeps libraries from telling what ends in an error, or is tried again: brokers go down here all the time.
func quiet() {
	ctrllog.SetLogger(logr.Discard())
	connect.SetLogger(func(string) {})
	redisclient.SetLogger(func(string) {})
}

// run starts a control plane of its own, because only who started a broker can start it again.
func run(ctx context.Context, dir string, backends []string, o options) (err error) {
	if o.duration == 0 && o.claims == 0 && o.schemas == 0 {
		return nil
	}
	temporary := dir == ""
	if temporary {
		if dir, err = os.MkdirTemp("", "soak-"); err != nil {
			return err
		}
	}
	s, err := stack.Start(ctx, stack.Options{Dir: dir, Brokers: backends})
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, s.Stop())
		switch {
		case err != nil:
			err = fmt.Errorf("%w\nThe logs are in %s", err, filepath.Join(dir, "logs"))
		case temporary:
			err = os.RemoveAll(dir)
		}
	}()
	p, err := plane.New(plane.Options{
		Config: s.Config(), Metrics: s.ProviderMetricsURL(),
		Provider: func() (*process.Process, error) { return s.Process("provider-eventstore") },
	})
	if err != nil {
		return err
	}
	brokers, err := brokersOf(s, backends)
	if err != nil {
		return err
	}
	defer func() {
		for _, b := range brokers {
			err = errors.Join(err, b.door.Close())
		}
	}()
	if o.duration > 0 {
		summary, err := soak(ctx, p, brokers, o)
		fmt.Println(summary)
		if err != nil {
			return err
		}
	}
	if o.claims > 0 {
		summary, err := churnClaims(ctx, s, brokers, o)
		fmt.Println(summary)
		if err != nil {
			return err
		}
	}
	if o.schemas > 0 {
		summary, err := breakSchemas(ctx, s, brokers, o)
		fmt.Println(summary)
		return err
	}
	return nil
}

// restartable is what soak needs of a broker that runs here.
type restartable interface {
	Kill() error
	Stop() error
	Restart(ctx context.Context) error
}

func brokersOf(s *stack.Stack, names []string) ([]*brokerUnderTest, error) {
	doors, err := backdoor.Open(s, names)
	if err != nil {
		return nil, err
	}
	processes := map[string]restartable{stack.Redis: s.Redis, stack.Kafka: s.Kafka, stack.Pulsar: s.Pulsar}
	brokers := make([]*brokerUnderTest, len(names))
	for i, name := range names {
		brokers[i] = &brokerUnderTest{name: name, config: name, door: doors[i], process: processes[name]}
	}
	return brokers, nil
}
