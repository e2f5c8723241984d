package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/test/bench/backdoor"
	"github.com/crossplane-contrib/provider-eventstore/test/bench/plane"
	"github.com/crossplane-contrib/provider-eventstore/test/bench/report"
)

// A bench measures one backend. The ClusterProviderConfig and the class that it uses have the backend's name.
type bench struct {
	*plane.Plane

	o       options
	r       *report.Report
	backend string
	broker  backdoor.Broker

	idleRequests float64 // Each minute, without any store.
}

// run measures what was asked for. It begins with a provider that has just started.
func (b *bench) run(ctx context.Context) error {
	if err := b.RestartProvider(ctx, b.patience(1)); err != nil {
		return err
	}
	if b.wants(measureReady) {
		if err := b.within(ctx, 1, b.oneByOne); err != nil {
			return err
		}
	}
	if b.wants(measureSteady) {
		if err := b.idle(ctx); err != nil {
			return err
		}
	}
	if b.wants(measureMany) {
		if err := b.within(ctx, b.atOnce(), func(ctx context.Context, w *plane.Workspace) error { return b.many(ctx, w, 0) }); err != nil {
			return err
		}
	}
	if b.wants(measureMany) || b.wants(measureDrift) || b.wants(measureSteady) {
		return b.within(ctx, b.o.stores, b.fleet)
	}
	return nil
}

// fleet makes the stores of one partition, and measures what is to be measured on them.
func (b *bench) fleet(ctx context.Context, w *plane.Workspace) error {
	if err := b.many(ctx, w, 1); err != nil {
		return err
	}
	if !b.wants(measureDrift) && !b.wants(measureSteady) {
		return nil
	}
	if err := b.subscribe(ctx, w); err != nil {
		return err
	}
	if b.wants(measureDrift) {
		if err := b.drift(ctx, w); err != nil {
			return err
		}
	}
	if b.wants(measureSteady) {
		return b.steady(ctx, w)
	}
	return nil
}

func (b *bench) wants(measure string) bool { return slices.Contains(b.o.measures, measure) }

// atOnce is how many stores are applied at once. Pulsar makes a namespace for each, one after the other.
func (b *bench) atOnce() int {
	if b.backend == "pulsar" {
		return min(b.o.stores, 200)
	}
	return b.o.stores
}

// patience is how long anything may take that is done to n resources before the benchmark gives up.
func (b *bench) patience(n int) time.Duration {
	return 5*time.Minute + time.Duration(n)*200*time.Millisecond
}

// within runs f in a workspace of its own for n stores, and then makes sure that nothing is left of it.
func (b *bench) within(ctx context.Context, n int, f func(ctx context.Context, w *plane.Workspace) error) error {
	w, err := b.Workspace(ctx, "bench-")
	if err != nil {
		return err
	}
	err = f(ctx, w)
	// Also when it was interrupted.
	ctx = context.WithoutCancel(ctx)
	b.say("cleaning up")
	if cerr := w.Clear(ctx, b.patience(n)); cerr != nil {
		return errors.Join(err, cerr)
	}
	left, terr := b.broker.Traces(ctx, w.Namespace+".")
	if len(left) > 0 {
		terr = fmt.Errorf("%d things of deleted stores are left on the broker: %s", len(left), strings.Join(left[:min(5, len(left))], ", "))
	}
	return errors.Join(err, terr)
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s  %-6s  %s\n", time.Now().Format(time.TimeOnly), b.backend, fmt.Sprintf(format, args...))
}

// add reports a figure. Its goal is that of the name; at the largest scale only what must not happen has one.
func (b *bench) add(name string, value float64, unit string) {
	goal := goals[name][b.backend]
	if b.o.scale && goal != "0" {
		goal = ""
	}
	b.r.Add(report.Measure{Measure: name, Backend: b.backend, Value: value, Unit: unit, Goal: goal})
}

// times reports percentiles.
func (b *bench) times(name, unit string, times []time.Duration, each time.Duration, percentiles ...int) {
	for _, p := range percentiles {
		text := fmt.Sprintf("%s, p%d", name, p)
		if p == 100 {
			text = name + ", max"
		}
		b.add(text, float64(report.Percentile(times, p))/float64(each), unit)
	}
}

// descending returns the keys of a table of counters, the greatest first.
func descending(by map[string]float64) []string {
	return slices.SortedFunc(maps.Keys(by), func(a, b string) int {
		if by[a] != by[b] {
			if by[a] > by[b] {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
}
