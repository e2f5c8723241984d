// Command bench measures the provider on the local control plane, one backend after the other: how fast stores and claims
// become Ready, how a thousand stores fare that are applied at once, how soon drift is repaired, and what it costs when
// nothing happens. It prints one table, and writes it as JSON. See docs/benchmarks.md.
//
//	make bench
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/stack"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/state"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/redisclient"
	"github.com/crossplane-contrib/provider-eventstore/test/bench/backdoor"
	"github.com/crossplane-contrib/provider-eventstore/test/bench/plane"
	"github.com/crossplane-contrib/provider-eventstore/test/bench/report"
)

// options are the flags.
type options struct {
	state    string
	output   string
	backends list
	measures list
	one      int
	stores   int
	changes  int
	traffic  int
	window   time.Duration
	seed     uint64
	scale    bool
}

// Names of what can be measured.
const (
	measureReady  = "ready"
	measureMany   = "many"
	measureDrift  = "drift"
	measureSteady = "steady"
)

func main() {
	o := options{backends: list{"redis", "kafka", "pulsar"}, measures: list{measureReady, measureMany, measureDrift, measureSteady}}
	flag.StringVar(&o.state, "state", "_output/local", "the state folder of the local control plane")
	flag.StringVar(&o.output, "output", "_output/bench/bench.json", "where the figures go")
	flag.Var(&o.backends, "backends", "which backends are measured, separated by commas")
	flag.Var(&o.measures, "measures", "what is measured, separated by commas")
	flag.IntVar(&o.one, "n", 50, "how many stores, and how many claims, are made one after the other")
	flag.IntVar(&o.stores, "stores", 1000, "how many stores, each with a subscription, there are for all other measures")
	flag.IntVar(&o.changes, "changes", 100, "how many changes are made behind the provider's back")
	flag.IntVar(&o.traffic, "traffic", 100, "how many of the stores are under traffic in the steady state")
	flag.DurationVar(&o.window, "window", 2*time.Minute, "for how long the steady state is watched")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "what the changes are drawn by")
	scale := flag.Int("scale", 0, "measure nothing but the steady state, with so many stores of one partition, without snapshots and dead letters")
	flag.Parse()
	// What libraries tell of themselves ends in an error, or is tried again.
	ctrllog.SetLogger(logr.Discard())
	connect.SetLogger(func(string) {})
	redisclient.SetLogger(func(string) {})
	if *scale > 0 {
		o.scale, o.stores, o.measures = true, *scale, list{measureSteady}
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r, err := run(ctx, o)
	r.Print(os.Stdout)
	if werr := r.Write(o.output); werr == nil {
		fmt.Println("written to", o.output)
	} else {
		err = errors.Join(err, werr)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:gocritic // The process ends, and its deferred calls with it.
	}
}

// run measures all backends. What was measured before an error is in the report all the same.
func run(ctx context.Context, o options) (*report.Report, error) {
	r := &report.Report{}
	p, s, err := attach(o.state)
	if err != nil {
		return r, err
	}
	fmt.Fprintf(os.Stderr, "seed %d\n", o.seed)
	brokers, err := backdoor.Open(s, o.backends)
	if err != nil {
		return r, err
	}
	if slices.Contains(o.measures, measureReady) {
		if err := floor(ctx, p, o, r); err != nil {
			return r, err
		}
	}
	for i, backend := range o.backends {
		b := &bench{Plane: p, o: o, r: r, backend: backend, broker: brokers[i]}
		err = b.run(ctx)
		if last := i == len(o.backends)-1; err == nil && last && len(o.backends) == len(stack.Classes) && b.wants(measureReady) {
			all := *b
			all.backend = "all"
			err = all.within(ctx, o.one, all.everywhere)
		}
		if err = errors.Join(err, b.broker.Close()); err != nil {
			return r, fmt.Errorf("%s: %w", backend, err)
		}
	}
	return r, nil
}

// attach finds the control plane that runs in a state folder.
func attach(dir string) (*plane.Plane, *stack.Stack, error) {
	f, err := state.Open(dir)
	if err != nil {
		return nil, nil, err
	}
	s, err := stack.Attach(f, io.Discard)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot find the control plane (is it up?): %w", err)
	}
	p, err := plane.New(plane.Options{
		Config: s.Config(), Metrics: s.ProviderMetricsURL(),
		Provider: func() (*process.Process, error) { return s.Process("provider-eventstore") },
	})
	return p, s, err
}

// list is a flag with values that are separated by commas.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

func (l *list) Set(s string) error {
	*l = strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
	return nil
}
