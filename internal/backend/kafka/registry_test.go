package kafka

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// unhealed returns what is still hidden in the registry, as it is now.
func (b *Backend) unhealed(t *testing.T) (keys []string) {
	t.Helper()
	if err := b.registry.view(t.Context(), func(f *fold) { keys = f.unhealed() }); err != nil {
		t.Fatal(err)
	}
	return keys
}

// TestRegistryShared lets two providers that share a registry claim the same store at the same moment: one of them has it,
// both know which, and so does one that comes later.
func TestRegistryShared(t *testing.T) {
	f := start(t)
	backends := []*Backend{f.backend, f.open(t, f.config(t))}
	for i := range 15 {
		name := fmt.Sprintf("rivals.s%d", i)
		changes := make([]backend.StoreChange, len(backends))
		for j := range backends {
			d, c := f.store(name)
			d.Owner.Name = fmt.Sprintf("rival-%d", j)
			changes[j] = backend.StoreChange{Desired: d, Changes: plan.Store(d, plan.ObservedStore{}, c).Changes[:1]}
		}
		errs := make([]error, len(backends))
		var wg sync.WaitGroup
		for j, b := range backends {
			wg.Go(func() { errs[j] = b.ApplyStores(t.Context(), changes[j:j+1])[0] })
		}
		wg.Wait()
		third := f.open(t, f.config(t))
		for j, b := range append(backends, third) {
			o := b.ReadStores(t.Context(), []string{name})[0]
			if o.Err != nil {
				t.Fatal(o.Err)
			}
			for k, c := range changes {
				if won := o.Value.Owner == c.Desired.Owner; won != (errs[k] == nil) {
					t.Errorf("%s, seen by %d: rival %d owns it: %t, error: %v", name, j, k, won, errs[k])
				}
			}
		}
		for k, err := range errs {
			if err != nil && !errors.Is(err, backend.ErrConflict) {
				t.Errorf("%s: rival %d: %v, want ErrConflict", name, k, err)
			}
		}
		if keys := third.unhealed(t); len(keys) > 0 {
			t.Errorf("%s: what counts is still hidden from whoever reads the registry after compaction", name)
		}
	}
}

// TestRegistryHealed leaves a lost claim behind, as a provider does that is killed before it can put things right. Whoever
// comes by does that.
func TestRegistryHealed(t *testing.T) {
	f := start(t)
	d, c := f.store("healed.orders")
	f.applyStore(t, d, c)
	key := layout.KafkaStoreKey(d.Name)
	thief := encode(&storeMarker{common: common{Layout: 1, Partitions: 3, Owner: owner{Name: "thief"}}, Hash: layout.Hash, Kind: layout.Sourcing})
	f.produce(t, place{f.backend.config.RegistryTopic, 0}, message{key: []byte(key), value: thief, headers: []kmsg.Header{{Key: layout.KafkaSeen, Value: []byte("0")}}})
	if o := f.readStore(t, d.Name); o.Owner != d.Owner {
		t.Errorf("a claim that came too late counts: %v", o.Owner)
	}
	if keys := f.backend.unhealed(t); len(keys) != 1 || keys[0] != key {
		t.Fatalf("hidden: %q, want %q", keys, key)
	}
	if err := f.backend.Maintain(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if keys := f.backend.unhealed(t); len(keys) > 0 {
		t.Errorf("hidden after Maintain: %q", keys)
	}
	if o := f.readStore(t, d.Name); o.Owner != d.Owner {
		t.Errorf("after Maintain the store belongs to %v", o.Owner)
	}
}

// TestRegistryDamaged breaks one marker, which hurts nobody else, and puts it right by hand.
func TestRegistryDamaged(t *testing.T) {
	f := start(t)
	for _, n := range []string{"damaged.a", "damaged.b"} {
		d, c := f.store(n)
		f.applyStore(t, d, c)
	}
	f.byHand(t, layout.KafkaStoreKey("damaged.a"), []byte("{"))
	f.byHand(t, "what is this", nil)
	r := f.backend.ReadStores(t.Context(), []string{"damaged.a", "damaged.b"})
	if !errors.As(r[0].Err, &damagedError{}) || r[1].Err != nil || !r[1].Value.Marked {
		t.Errorf("the damaged one: %v; the other: %+v, %v", r[0].Err, r[1].Value, r[1].Err)
	}
	sub := f.backend.ReadSubscriptions(t.Context(), []backend.SubscriptionID{{Store: "damaged.a", Name: "x"}})[0]
	if !errors.As(sub.Err, &damagedError{}) {
		t.Errorf("a subscription of the damaged one: %+v, %v", sub.Value, sub.Err)
	}
	f.byHand(t, layout.KafkaStoreKey("damaged.a"), nil)
	if o := f.readStore(t, "damaged.a"); o.Marked || len(o.Logs) != 3 {
		t.Errorf("after the marker was deleted: %+v", o)
	}
}

// TestDeletionHasBegun has a store whose deletion was interrupted: nothing is put back, nobody can claim it, and the resource
// that it belongs to finishes.
func TestDeletionHasBegun(t *testing.T) {
	f := start(t)
	d, c := f.store("begun.orders")
	f.applyStore(t, d, c)
	s, sc := f.subscription(d.Name, "reader")
	f.applySubscription(t, s, sc)
	late, _ := f.changeSubscription(t, s, sc)
	late.Changes = []plan.Change{{Field: plan.FieldGroup, Partition: 1}}
	f.editStore(t, d.Name, func(m map[string]any) { m["deletion"] = deleting })
	if o := f.readSubscription(t, d.Name, "reader"); !o.StoreGone || o.StoreHasLogs || !o.Exists() {
		t.Errorf("the subscription: %+v", o)
	}
	errs := f.backend.ApplySubscriptions(t.Context(), []backend.SubscriptionChange{late})
	for _, edit := range []func(o *plan.Owner){func(o *plan.Owner) { o.UID = "another" }, func(o *plan.Owner) { o.Name = "another" }} {
		change, _ := f.change(t, d, c)
		edit(&change.Desired.Owner)
		change.Changes = []plan.Change{{Field: plan.FieldOwner}}
		errs = append(errs, f.backend.ApplyStores(t.Context(), []backend.StoreChange{change})...)
	}
	for i, err := range errs {
		if !errors.Is(err, backend.ErrConflict) {
			t.Errorf("change %d of what is being deleted: %v, want ErrConflict", i, err)
		}
	}
	if err := f.backend.DeleteStores(t.Context(), stores(d.Name))[0]; err != nil {
		t.Error(err)
	}
	if f.readStore(t, d.Name).Exists() {
		t.Error("the store exists")
	}
}

// TestRegistryMadeAnew deletes the registry topic: the provider knows no owner any more, and takes none for granted.
func TestRegistryMadeAnew(t *testing.T) {
	f := start(t)
	d, c := f.store("anew.orders")
	f.applyStore(t, d, c)
	f.deleteTopic(t, f.backend.config.RegistryTopic)
	if o := f.readStore(t, d.Name); o.Marked || len(o.Logs) != 3 {
		t.Errorf("without the registry: %+v", o)
	}
	_, p := f.change(t, d, c)
	if len(p.Refusals) != 1 || p.Refusals[0].Reason != plan.ReasonUnowned {
		t.Fatalf("plan without the registry: %+v", p)
	}
	c.Confirm = p.Refusals[0].Token
	if o := f.applyStore(t, d, c); o.Owner != d.Owner {
		t.Errorf("adopted: %v", o.Owner)
	}
}

// TestRegistryWrongTopic names a topic that somebody else uses.
func TestRegistryWrongTopic(t *testing.T) {
	f := start(t)
	config := f.config(t)
	config.RegistryTopic = "wrong.topic"
	errs := make([]error, 1)
	f.backend.createTopics(t.Context(), []newTopic{{0, config.RegistryTopic, 2, 1, nil}}, errs)
	if errs[0] != nil {
		t.Fatal(errs[0])
	}
	eventually(t, "the topic", func() bool {
		topics, err := f.backend.cluster.metadata(t.Context(), []string{config.RegistryTopic})
		return err == nil && len(topics) == 1
	})
	b := f.open(t, config)
	eventually(t, "the refusal", func() bool { // The broker that is asked may learn of the topic a moment later.
		err := b.ReadStores(t.Context(), []string{"orders"})[0].Err
		var d dataError
		return errors.As(err, &d)
	})
}

// TestRegistryCompacted reads the registry after Kafka has compacted it.
func TestRegistryCompacted(t *testing.T) {
	f := startOwn(t, broker.KafkaOptions{Config: map[string]string{"log.cleaner.backoff.ms": "100", "log.cleaner.dedupe.buffer.size": "2000000"}})
	names := []string{"a", "b", "c"}
	for _, n := range names {
		d, c := f.store(n)
		f.applyStore(t, d, c)
	}
	topic := f.backend.config.RegistryTopic
	for k, v := range map[string]string{"min.compaction.lag.ms": "0", "min.cleanable.dirty.ratio": "0.01", "segment.ms": "50", "delete.retention.ms": "0"} {
		f.alter(t, topic, k, v)
	}
	key := layout.KafkaStoreKey("b")
	f.produce(t, place{topic, 0}, message{key: []byte(key), value: []byte("{}"), headers: []kmsg.Header{{Key: layout.KafkaSeen, Value: []byte("0")}}})
	if err := f.backend.Maintain(t.Context(), nil); err != nil { // Which has not seen it yet.
		t.Fatal(err)
	}
	f.readStore(t, "b")
	if err := f.backend.Maintain(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := f.backend.DeleteStores(t.Context(), stores("c"))[0]; err != nil {
		t.Fatal(err)
	}
	written := time.Time{}
	eventually(t, "compaction", func() bool {
		if time.Since(written) > 500*time.Millisecond { // A write may begin another segment, and only those that are full are compacted.
			written = time.Now()
			f.byHand(t, "of somebody else", fmt.Append(nil, written))
		}
		left := 0
		for _, r := range f.fetch(t, place{topic, 0}, 0) {
			if string(r.Key) == key {
				left++
			}
		}
		return left == 1
	})
	b := f.open(t, f.config(t))
	for i, r := range b.ReadStores(t.Context(), names) {
		if r.Err != nil || r.Value.Marked != (i < 2) || i < 2 && r.Value.Owner.Name != names[i] {
			t.Errorf("store %q after compaction: %+v, %v", names[i], r.Value, r.Err)
		}
	}
	d, c := f.store("c")
	f.applyStore(t, d, c)
	if r := b.ReadStores(t.Context(), []string{"c"})[0]; r.Err != nil || r.Value.Owner != d.Owner {
		t.Errorf("a store made anew, as another provider sees it: %+v, %v", r.Value, r.Err)
	}
}

// TestRegistryLoad reads ten thousand markers.
func TestRegistryLoad(t *testing.T) {
	f := start(t)
	const count = 10_000
	won, err := f.backend.registry.update(t.Context(), func(*fold) (writes []write) {
		for i := range count {
			d, _ := f.store(fmt.Sprintf("load.s%d", i))
			next, err := nextStore(nil, backend.StoreChange{Desired: d, Changes: []plan.Change{{Field: plan.FieldOwner}}})
			if err != nil {
				t.Fatal(err)
			}
			writes = append(writes, write{layout.KafkaStoreKey(d.Name), encode(next)})
		}
		return writes
	})
	if err != nil || len(won) != count {
		t.Fatalf("%d markers written, %v", len(won), err)
	}
	b := f.open(t, f.config(t))
	begin := time.Now()
	r := b.ReadStores(t.Context(), []string{"load.s1", fmt.Sprintf("load.s%d", count-1)})
	t.Logf("the first read of %d markers took %s", count, time.Since(begin).Round(time.Millisecond))
	for _, r := range r {
		if r.Err != nil || !r.Value.Marked {
			t.Errorf("%+v, %v", r.Value, r.Err)
		}
	}
}

// TestRegistryClosed has a cluster where everybody may use what nobody has a right to, as on Amazon MSK. Applications are kept
// from the registry all the same, and the entries of others stay.
func TestRegistryClosed(t *testing.T) {
	f := startOwn(t, broker.KafkaOptions{Config: map[string]string{"allow.everyone.if.no.acl.found": "true"}})
	d, c := f.store("closed.orders")
	f.applyStore(t, d, c)
	topic := f.backend.config.RegistryTopic
	forge := func() error {
		p := place{topic, 0}
		results, err := produce(t.Context(), f.as(t, d.Principal.Name, passwordOf(d.Name)), []batch{{p, []message{{key: []byte("store/forged"), value: []byte("{}")}}}})
		return first(err, results[p].err)
	}
	if err := forge(); !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Fatalf("an application writes to the registry: %v", err)
	}
	own := right(f.AdminUser, layout.KafkaACL{Type: "TOPIC", Name: topic, Operation: "ALL"})
	other := right("another-provider", layout.KafkaACL{Type: "TOPIC", Name: topic, Operation: "ALL"})
	has := func(e acl) bool {
		entries, err := f.backend.registryEntries(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return slices.Contains(entries, e)
	}
	f.rights(t, other, true)
	f.rights(t, own, false)
	healthy := func(b *Backend) []string {
		h, err := b.Health(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return h.Warnings
	}
	if w := healthy(f.open(t, f.config(t))); len(w) > 0 || !has(own) || !has(other) {
		t.Errorf("after Health: warnings %q, our right is there: %t, the other's: %t", w, has(own), has(other))
	}

	// Only the cluster knows the name that a certificate stands for.
	f.rights(t, own, false)
	f.rights(t, other, false)
	b := f.open(t, f.overTLS(t, f.MTLSAddr, true))
	if r := b.ReadStores(t.Context(), []string{d.Name})[0]; r.Err != nil {
		t.Fatal(r.Err)
	}
	if w := healthy(b); len(w) > 0 || has(own) {
		t.Errorf("warnings: %q", w)
	}
	if err := forge(); !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("an application writes to the registry of a provider with a certificate: %v", err)
	}
	f.rights(t, other, true)

	// Another provider, whose user has no right to it and none to give itself one.
	config := f.config(t)
	config.Username, config.Password = d.Principal.Name, passwordOf(d.Name)
	err := f.open(t, config).ReadStores(t.Context(), []string{d.Name})[0].Err
	if !errors.Is(err, backend.ErrUnauthorized) || !strings.Contains(err.Error(), topic) || !strings.Contains(err.Error(), "give it All on that topic") {
		t.Errorf("who has no right to the registry: %v", err)
	}
}

// TestRegistryOpen has a provider that only the cluster knows the name of, and that is no super user: a right of anybody else
// would shut it out, and is taken back.
func TestRegistryOpen(t *testing.T) {
	f := startOwn(t, broker.KafkaOptions{Config: map[string]string{"allow.everyone.if.no.acl.found": "true"}})
	d, c := f.store("named.orders")
	f.applyStore(t, d, c)
	topic := f.backend.config.RegistryTopic
	f.rights(t, right(f.AdminUser, layout.KafkaACL{Type: "TOPIC", Name: topic, Operation: "ALL"}), false)
	config := f.ways(t)["OAuthBearer"]
	config.OAuth.ClientID, config.OAuth.ClientSecret = "administrator", f.Issuer.Secret("administrator")
	b := f.open(t, config)
	read := func() error { return b.ReadStores(t.Context(), []string{"nobody"})[0].Err } // Others are closed to all but their users.
	if err := read(); err != nil {
		t.Fatal(err)
	}
	h, err := b.Health(t.Context())
	if err != nil || len(h.Warnings) != 1 || !strings.Contains(h.Warnings[0], "open to every application") {
		t.Errorf("health: %+v, %v", h, err)
	}
	eventually(t, "the right to be taken back", func() bool { return read() == nil })
	f.rights(t, right("administrator", layout.KafkaACL{Type: "TOPIC", Name: topic, Operation: "ALL"}), true) // As the warning says.
	if h, err := f.open(t, config).Health(t.Context()); err != nil || len(h.Warnings) > 0 {
		t.Errorf("health of what is closed: %+v, %v", h, err)
	}
	if err := read(); err != nil {
		t.Errorf("after the registry was closed: %v", err)
	}
}
