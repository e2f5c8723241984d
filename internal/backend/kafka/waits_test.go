package kafka

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// batchContext has the time that the mirror gives a batch.
func batchContext(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), 30*time.Second)
}

// TestNotEnoughReplicas creates a store that wants more copies to confirm than there are, beside one that does not: it
// waits, and nobody waits with it.
func TestNotEnoughReplicas(t *testing.T) {
	f := startOwn(t, broker.KafkaOptions{Nodes: 3})
	if err := f.Nodes[2].Kill(); err != nil {
		t.Fatal(err)
	}
	stuck, sc := f.store("copies.stuck")
	stuck.Replicas, stuck.MinInSync = 3, 3
	good, gc := f.store("copies.good")
	good.Replicas = 1
	eventually(t, "the store that lacks nothing", func() bool {
		ctx, cancel := batchContext(t)
		defer cancel()
		var all []backend.StoreChange
		for _, d := range []struct {
			plan.DesiredStore
			plan.Context
		}{{stuck, sc}, {good, gc}} {
			r := f.backend.ReadStores(ctx, []string{d.Name})[0]
			if r.Err != nil {
				return said(t, d.Name, r.Err)
			}
			d.DesiredStore.Settings, _ = f.backend.StoreSettings(d.DesiredStore)
			p := plan.Store(d.DesiredStore, r.Value, d.Context)
			all = append(all, backend.StoreChange{Desired: d.DesiredStore, Observed: r.Value, Changes: p.Changes, Password: passwordOf(d.Name)})
		}
		errs := f.backend.ApplyStores(ctx, all)
		if ctx.Err() != nil {
			t.Errorf("one store took all the time of its batch: %v", errs)
		}
		said(t, good.Name, errs[1])
		return errs[1] == nil && errs[0] != nil && strings.Contains(errs[0].Error(), "NOT_ENOUGH_REPLICAS")
	})
	if o := f.readStore(t, good.Name); len(o.Logs) != 3 || o.Principal != good.Principal {
		t.Errorf("the store that lacks nothing: %+v", o)
	}
	if err := f.Nodes[2].Restart(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other one", func() bool { return said(t, stuck.Name, f.tryStore(t.Context(), stuck, sc)) })
}
