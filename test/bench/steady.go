package main

import (
	"context"
	"fmt"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/test/bench/plane"
)

// settle is how long nothing new happens before the steady state is watched: a few intervals of the background refresh.
const settle = 30 * time.Second

// idle measures what the provider asks of the broker without any store: it looks after each ProviderConfig, of which the
// local control plane has several for one broker.
func (b *bench) idle(ctx context.Context) error {
	b.say("watching nothing for %s", settle)
	if err := pause(ctx, settle); err != nil { // It has just started, which takes requests of its own.
		return err
	}
	before, err := b.ledger(ctx)
	if err != nil {
		return err
	}
	if err := pause(ctx, settle); err != nil {
		return err
	}
	after, err := b.ledger(ctx)
	if err != nil {
		return err
	}
	requests := after.provider.Since(before.provider).BrokerRequests(b.backend)
	b.add("without any store, broker requests of the provider", plane.Total(requests)/after.at.Sub(before.at).Minutes(), "per minute")
	return nil
}

// steady watches for a while what the provider does with all those stores and subscriptions when nobody changes anything,
// and applications write to some and read from them.
func (b *bench) steady(ctx context.Context, w *plane.Workspace) error {
	n := min(b.o.traffic, b.o.stores)
	b.say("starting traffic on %d stores", n)
	t, err := b.startTraffic(ctx, w, n)
	if err != nil {
		return err
	}
	err = b.watchSteady(ctx)
	b.say("stopping traffic")
	written, missing, terr := t.stop(b.patience(1))
	if err != nil {
		return err
	}
	if terr != nil {
		return terr
	}
	b.add(steadyName(b.o.stores, n, "records written"), float64(written), "records")
	b.add(steadyLost, float64(missing), "records")
	return nil
}

func steadyName(stores, traffic int, what string) string {
	return fmt.Sprintf("steady state, %d stores and subscriptions, %d under traffic, %s", stores, traffic, what)
}

func (b *bench) watchSteady(ctx context.Context) error {
	if err := pause(ctx, settle); err != nil {
		return err
	}
	before, err := b.ledger(ctx)
	if err != nil {
		return err
	}
	b.say("watching for %s", b.o.window)
	if err := pause(ctx, b.o.window); err != nil {
		return err
	}
	after, err := b.ledger(ctx)
	if err != nil {
		return err
	}
	elapsed, counters := after.at.Sub(before.at), after.provider.Since(before.provider)
	requests := counters.BrokerRequests(b.backend)
	b.add(steadyReqs, plane.Total(requests)/elapsed.Minutes(), "per minute")
	b.add("steady state, API server writes of the provider", counters.Writes()/elapsed.Minutes(), "per minute")
	b.add(steadyCPU, 100*(after.cpu-before.cpu).Seconds()/elapsed.Seconds(), "% of a core")
	mib, err := b.Memory()
	if err != nil {
		return err
	}
	b.add("steady state, provider memory", mib, "MiB")
	for _, kind := range descending(requests) {
		b.r.add(measure{
			Measure: kind, Backend: b.backend, Value: requests[kind] / elapsed.Minutes(), Unit: "per minute",
			table: fmt.Sprintf("Broker requests of the provider in the steady state of %d stores and subscriptions, by what they are for", b.o.stores),
		})
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
