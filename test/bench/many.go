package main

import (
	"context"
	"fmt"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/test/bench/plane"
	"github.com/crossplane-contrib/provider-eventstore/test/bench/report"
)

// A ledger is what everybody has counted at one moment.
type ledger struct {
	at            time.Time
	provider, api plane.Counters
	commands      float64 // Of the broker, if it counts.
	counts        bool
	cpu           time.Duration
}

func (b *bench) ledger(ctx context.Context) (l ledger, err error) {
	if l.provider, err = b.ProviderCounters(ctx); err != nil {
		return l, err
	}
	if l.api, err = b.APICounters(ctx); err != nil {
		return l, err
	}
	if l.commands, l.counts, err = b.broker.Commands(ctx); err != nil {
		return l, err
	}
	l.cpu, err = b.CPU()
	l.at = time.Now()
	return l, err
}

func storeName(i int) string        { return fmt.Sprintf("many-%d", i) }
func subscriptionName(i int) string { return fmt.Sprintf("consumer-%d", i) }

// many applies stores at once and waits until all are Ready; 0 partitions are the default. Each has a user and, but for
// the largest scale, snapshots, so that it is two topics on Kafka and Pulsar.
func (b *bench) many(ctx context.Context, w *plane.Workspace, partitions int32) error {
	n := b.atOnce()
	if b.o.scale {
		n = b.o.stores
	}
	watch, err := w.Watch(ctx, plane.EventStore)
	if err != nil {
		return err
	}
	before, err := b.ledger(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := b.createStores(ctx, w, 0, n, partitions); err != nil {
		return err
	}
	applied := time.Since(began)
	if err := b.awaitStores(ctx, w, n); err != nil {
		return err
	}
	took := watch.Last().Sub(began)
	after, err := b.ledger(ctx)
	if err != nil {
		return err
	}
	b.reportMany(n, partitions, applied, took, before, after)
	if n < b.o.stores && partitions == 1 {
		if err := b.createStores(ctx, w, n, b.o.stores, partitions); err != nil {
			return err
		}
		return b.awaitStores(ctx, w, b.o.stores)
	}
	return nil
}

// createStores creates those from the first number up to the other.
func (b *bench) createStores(ctx context.Context, w *plane.Workspace, from, to int, partitions int32) error {
	b.say("creating %d stores", to-from)
	return plane.Parallel(to-from, func(i int) error {
		opts := []plane.Option{plane.WithSnapshots(!b.o.scale)}
		if partitions > 0 {
			opts = append(opts, plane.WithPartitions(partitions))
		}
		return w.Kube.Create(ctx, w.Store(storeName(from+i), b.backend, opts...))
	})
}

func (b *bench) awaitStores(ctx context.Context, w *plane.Workspace, n int) error {
	return w.AwaitReady(ctx, plane.EventStore, n, b.patience(n), func(ready int) { b.say("%d of %d stores are Ready", ready, n) })
}

func (b *bench) reportMany(n int, partitions int32, applied, took time.Duration, before, after ledger) {
	what := "6 partitions, the default"
	if partitions > 0 {
		what = fmt.Sprintf("%d partition", partitions)
	}
	name := func(s string) string { return fmt.Sprintf("%d EventStores of %s at once, %s", n, what, s) }
	b.add(name("applied"), applied.Seconds(), "s")
	goal := ""
	if partitions == 1 && n == 1000 {
		goal = goals[allReady][b.backend]
	}
	b.r.Add(report.Measure{Measure: name(allReady), Backend: b.backend, Value: took.Seconds(), Unit: "s", Goal: goal})
	b.add(name("broker requests of the provider"), plane.Total(after.provider.Since(before.provider).BrokerRequests(b.backend)), "requests")
	if before.counts {
		b.add(name("commands that the broker carried out"), after.commands-before.commands, "commands")
	}
	b.add(name("provider CPU"), (after.cpu - before.cpu).Seconds(), "s")
	if mib, err := b.Memory(); err == nil {
		b.add(name("provider memory"), mib, "MiB")
	}
	if partitions == 1 {
		b.reportPath(n, before, after)
	}
}

// reportPath reports what the path to Ready costs the API server for each store.
func (b *bench) reportPath(n int, before, after ledger) {
	table := fmt.Sprintf("Requests that the API server answered on the way to Ready, for each of %d EventStores of 1 partition", n)
	each := func(name string, requests float64) {
		if per := requests / float64(n); per >= 0.05 {
			b.r.Add(report.Measure{Measure: name, Backend: b.backend, Value: per, Unit: "requests", Table: table})
		}
	}
	provider, api := after.provider.Since(before.provider).Requests(), after.api.Since(before.api).APIRequests()
	for _, k := range descending(api) {
		each(k, api[k])
	}
	each("all", plane.Total(api))
	for _, k := range descending(provider) {
		each("of them the provider's: "+k, provider[k])
	}
}

// subscribe makes a subscription to each store.
func (b *bench) subscribe(ctx context.Context, w *plane.Workspace) error {
	watch, err := w.Watch(ctx, plane.Subscription)
	if err != nil {
		return err
	}
	n := b.o.stores
	b.say("creating %d subscriptions", n)
	began := time.Now()
	err = plane.Parallel(n, func(i int) error {
		sub := w.Subscription(subscriptionName(i), storeName(i), b.backend)
		if b.o.scale { // One Kafka on one machine has not the files for as many topics again.
			sub.Spec.ForProvider.DeadLetter = &v1alpha1.DeadLetter{Enabled: new(false)}
		}
		return w.Kube.Create(ctx, sub)
	})
	if err != nil {
		return err
	}
	err = w.AwaitReady(ctx, plane.Subscription, n, b.patience(n), func(ready int) { b.say("%d of %d subscriptions are Ready", ready, n) })
	if err != nil {
		return err
	}
	b.add(fmt.Sprintf("%d Subscriptions to them at once, all Ready", n), watch.Last().Sub(began).Seconds(), "s")
	return nil
}
