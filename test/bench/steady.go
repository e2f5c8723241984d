package main

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/crossplane-contrib/provider-eventstore/test/bench/plane"
	"github.com/crossplane-contrib/provider-eventstore/test/bench/report"
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
	b.idleRequests = plane.Total(requests) / after.at.Sub(before.at).Minutes()
	b.add("without any store, broker requests of the provider", b.idleRequests, "per minute")
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
	total := plane.Total(requests) / elapsed.Minutes()
	configs, err := b.providerConfigs(ctx)
	if err != nil {
		return err
	}
	b.add("steady state, broker requests of the provider", total, "per minute")
	b.add(steadyReqs, total-b.idleRequests*float64(configs-1)/float64(configs), "per minute")
	b.add("steady state, API server writes of the provider", counters.Writes()/elapsed.Minutes(), "per minute")
	b.add(steadyCPU, 100*(after.cpu-before.cpu).Seconds()/elapsed.Seconds(), "% of a core")
	mib, err := b.Memory()
	if err != nil {
		return err
	}
	b.add("steady state, provider memory", mib, "MiB")
	for _, kind := range descending(requests) {
		b.r.Add(report.Measure{
			Measure: kind, Backend: b.backend, Value: requests[kind] / elapsed.Minutes(), Unit: "per minute",
			Table: fmt.Sprintf("Broker requests of the provider in the steady state of %d stores and subscriptions, by what they are for", b.o.stores),
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

// providerConfigs counts those of the backend, in use or not: each is looked after.
func (b *bench) providerConfigs(ctx context.Context) (n int, err error) {
	for _, kind := range []schema.GroupVersionKind{
		{Group: "eventstore.crossplane.io", Version: "v1alpha1", Kind: "ProviderConfigList"},
		{Group: "eventstore.m.crossplane.io", Version: "v1alpha1", Kind: "ProviderConfigList"},
		{Group: "eventstore.m.crossplane.io", Version: "v1alpha1", Kind: "ClusterProviderConfigList"},
	} {
		l := &unstructured.UnstructuredList{}
		l.SetGroupVersionKind(kind)
		if err := b.Kube.List(ctx, l); err != nil {
			return 0, fmt.Errorf("cannot count ProviderConfigs: %w", err)
		}
		for _, u := range l.Items {
			if _, ok, _ := unstructured.NestedMap(u.Object, "spec", b.backend); ok {
				n++
			}
		}
	}
	if n == 0 {
		return 0, fmt.Errorf("there is no ProviderConfig of %s", b.backend)
	}
	return n, nil
}
