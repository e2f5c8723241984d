// Package backendtest proves that a backend keeps the contract of [backend.Backend], whatever its broker:
//
//	func TestConformance(t *testing.T) {
//		backendtest.Run(t, newHarness(t))
//	}
//
// The suite plans with package plan and applies what was planned, as the provider does, and looks at the broker through
// the [Harness], which does what applications and strangers do to it.
package backendtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// A Harness is a real broker with the backend that administers it. Its functions are called from the test's goroutine,
// and fail the test if they cannot do what they say. Nil functions and empty lists mean that there is no such thing on
// that broker; the tests that need them say so and are skipped.
type Harness struct {
	Backend backend.Backend

	// Append adds records to one partition of a store.
	Append func(t *testing.T, store string, partition, records int)

	// Read delivers the next records of one partition to a consumer of the subscription, which acknowledges them if
	// ack says so, and leaves. It returns their positions; fewer than asked for if there are no more.
	Read func(t *testing.T, id backend.SubscriptionID, partition, records int, ack bool) []string

	// Occupy makes a consumer of that name read one partition until the returned function is called.
	Occupy func(t *testing.T, id backend.SubscriptionID, partition int, name string) (leave func())

	// DeadLetter adds dead letters to one partition of a subscription.
	DeadLetter func(t *testing.T, id backend.SubscriptionID, partition, records int)

	// What can get lost out of band.
	LoseLog                func(t *testing.T, store string, partition int)
	LoseMarker             func(t *testing.T, store string)
	LosePosition           func(t *testing.T, id backend.SubscriptionID, partition int)
	LoseSubscriptionMarker func(t *testing.T, id backend.SubscriptionID)

	// What can be changed out of band, and must be found and repaired.
	StoreDrifts        []Drift[string]
	SubscriptionDrifts []Drift[backend.SubscriptionID]

	// Login connects as a user, and returns an error if the broker refuses.
	Login func(ctx context.Context, user, password string) error

	// StoreAttempts and SubscriptionAttempts are what somebody with the credentials of a store or subscription may
	// try. They are called after the store has records.
	StoreAttempts        func(t *testing.T, store, user, password string) []Attempt
	SubscriptionAttempts func(t *testing.T, id backend.SubscriptionID, user, password string) []Attempt

	// SubscriptionsGoWithStore means that the broker keeps nothing of a subscription whose store was deleted.
	SubscriptionsGoWithStore bool

	// Others are backends for the same broker over other ways to reach it, such as TLS.
	Others map[string]backend.Backend
}

// A Drift is a change that somebody makes behind our back.
type Drift[ID any] struct {
	Name string
	Make func(t *testing.T, id ID)
	Want plan.Field // The field of the change that repairs it.
}

// An Attempt is something that a principal tries.
type Attempt struct {
	Name    string
	Allowed bool
	Try     func(ctx context.Context) error
}

// Run runs the suite. Names are its own, so the broker may be used by others at the same time.
func Run(t *testing.T, h Harness) {
	s := &suite{Harness: h}
	t.Run("Health", s.testHealth)
	t.Run("Connection", s.testConnection)
	t.Run("Capabilities", s.testCapabilities)
	t.Run("Store", s.testStores)
	t.Run("Subscription", s.testSubscriptions)
	t.Run("Rights", s.testRights)
	t.Run("Others", s.testOthers)
}

type suite struct {
	Harness

	n atomic.Int64

	mu     sync.Mutex
	issued map[string]string // Passwords, by principal.
}

// name returns a name that no other test uses, and none that begins like it.
func (s *suite) name() string { return fmt.Sprintf("suite.s%ds", s.n.Add(1)) }

func (s *suite) testHealth(t *testing.T) {
	h, err := s.Backend.Health(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if h.Version == "" || h.Endpoint == "" || h.RoundTrip <= 0 {
		t.Errorf("Health: %+v, want a version, an endpoint and a round trip", h)
	}
}

func (s *suite) testConnection(t *testing.T) {
	c := s.Backend.Connection()
	for _, k := range []string{"type", "provider", "host", "port", "uri", "endpoints"} {
		if len(c[k]) == 0 {
			t.Errorf("Connection has no %q", k)
		}
	}
	for _, k := range []string{"username", "password", "private-key", "certificate"} {
		if _, ok := c[k]; ok {
			t.Errorf("Connection has %q, which would be the administrator's", k)
		}
	}
}

// testCapabilities wants an answer for every field of the specs, and for each that is refused, what to do instead.
func (s *suite) testCapabilities(t *testing.T) {
	c := s.Backend.Capabilities()
	for _, f := range []plan.Field{
		plan.FieldPartitions, plan.FieldRetentionDuration, plan.FieldRetentionBytes, plan.FieldSnapshots, plan.FieldMaxEventBytes,
		plan.FieldReplicas, plan.FieldMinInSync, plan.FieldTieringDuration, plan.FieldTieringBytes, plan.FieldMessageTTL,
		plan.FieldQuotaBytes, plan.FieldQuotaByteRate, plan.FieldQuotaAppendRate,
		plan.FieldKafkaConfig, plan.FieldKafkaUnmanaged, plan.FieldPulsarTenant, plan.FieldPulsarPolicies, plan.FieldPulsarSchema, plan.FieldRedisPersistence,
		plan.FieldStartFrom, plan.FieldType, plan.FieldRetry, plan.FieldDeadLetter, plan.FieldDeadLetterRetention,
		plan.FieldReplay, plan.FieldFilter,
	} {
		support, ok := c.Fields[f]
		if !ok {
			t.Errorf("the table says nothing of %s", f)
		}
		if !support.Supported && support.Note == "" {
			t.Errorf("%s is not supported, and nothing says what to do instead", f)
		}
	}
}

func (s *suite) testOthers(t *testing.T) {
	if len(s.Others) == 0 {
		t.Skip("the broker can be reached in one way only")
	}
	for name, b := range s.Others {
		t.Run(name, func(t *testing.T) {
			if _, err := b.Health(t.Context()); err != nil {
				t.Fatal(err)
			}
			other := &suite{Harness: s.Harness}
			other.Backend = b
			d := other.store(s.name())
			if got := other.mustApplyStore(t, d); !got.Marked {
				t.Error("a store that was created is not there")
			}
			if err := b.DeleteStores(t.Context(), s.stores(d.Name))[0]; err != nil {
				t.Error(err)
			}
		})
	}
}

const controlPlane = "0f0e0d0c-0000-4000-8000-000000000001"

// password returns the password that the suite gives to a principal: the backend's, if it issues them, else one that has
// what parsers of rules stumble over.
func (s *suite) password(principal string) string {
	issuer, ok := s.Backend.(backend.Issuer)
	if !ok {
		return `p>ss w#rd "` + principal + `" \ {é}`
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := issuer.Issue(principal, s.issued[principal])
	if err != nil {
		panic(err) // The signing key of the harness is no key.
	}
	if s.issued == nil {
		s.issued = map[string]string{}
	}
	s.issued[principal] = p
	return p
}

// store returns a store as a resource would ask for it.
func (s *suite) store(name string) plan.DesiredStore {
	return plan.DesiredStore{
		StoreSettings: plan.StoreSettings{
			Owner:      plan.Owner{ControlPlane: controlPlane, Group: "eventstore.m.crossplane.io", Kind: "EventStore", Namespace: "suite", Name: name, UID: "uid-1"},
			Partitions: 2,
		},
		Name:       name,
		Protection: plan.ProtectWhenNotEmpty,
		Principal:  s.storePrincipal(name),
	}
}

func (s *suite) storePrincipal(name string) plan.Principal {
	return s.Backend.StorePrincipal(name, "", s.password(layout.StorePrincipal(name)))
}

func (s *suite) subscriptionPrincipal(id backend.SubscriptionID) plan.Principal {
	return s.Backend.SubscriptionPrincipal(id, "", s.password(layout.SubscriptionPrincipal(id.Store, id.Name)))
}

// subscription returns a subscription as a resource would ask for it.
func (s *suite) subscription(store, name string) plan.DesiredSubscription {
	id := backend.SubscriptionID{Store: store, Name: name}
	return plan.DesiredSubscription{
		SubscriptionSettings: plan.SubscriptionSettings{
			Owner: plan.Owner{ControlPlane: controlPlane, Group: "eventstore.m.crossplane.io", Kind: "Subscription", Namespace: "suite", Name: store + "-" + name, UID: "uid-2"},
		},
		Store: store, Name: name,
		StartFrom:  plan.Start{Earliest: true},
		DeadLetter: true,
		Principal:  s.subscriptionPrincipal(id),
	}
}

// stores returns the deletions of stores on behalf of their resources.
func (s *suite) stores(names ...string) []backend.StoreDeletion {
	deletions := make([]backend.StoreDeletion, len(names))
	for i, n := range names {
		deletions[i] = backend.StoreDeletion{Name: n, Owner: s.store(n).Owner}
	}
	return deletions
}

// subscriptions returns the deletions of subscriptions on behalf of their resources.
func (s *suite) subscriptions(ids ...backend.SubscriptionID) []backend.SubscriptionDeletion {
	deletions := make([]backend.SubscriptionDeletion, len(ids))
	for i, id := range ids {
		deletions[i] = backend.SubscriptionDeletion{ID: id, Owner: s.subscription(id.Store, id.Name).Owner}
	}
	return deletions
}

func (s *suite) context(uid string) plan.Context {
	return plan.Context{Capabilities: s.Backend.Capabilities(), UID: uid}
}

func (s *suite) readStore(t *testing.T, name string) plan.ObservedStore {
	t.Helper()
	r := s.Backend.ReadStores(t.Context(), []string{name})
	if len(r) != 1 {
		t.Fatalf("ReadStores of one name: %d results", len(r))
	}
	if r[0].Err != nil {
		t.Fatal(r[0].Err)
	}
	return r[0].Value
}

func (s *suite) readSubscription(t *testing.T, id backend.SubscriptionID) plan.ObservedSubscription {
	t.Helper()
	r := s.Backend.ReadSubscriptions(t.Context(), []backend.SubscriptionID{id})
	if len(r) != 1 {
		t.Fatalf("ReadSubscriptions of one name: %d results", len(r))
	}
	if r[0].Err != nil {
		t.Fatal(r[0].Err)
	}
	return r[0].Value
}

// change plans what makes the store what it should be.
func (s *suite) change(t *testing.T, d plan.DesiredStore, c plan.Context) (backend.StoreChange, plan.Plan) {
	t.Helper()
	o := s.readStore(t, d.Name)
	d.Settings, d.Invalid = s.Backend.StoreSettings(d)
	p := plan.Store(d, o, c)
	return backend.StoreChange{Desired: d, Observed: o, Changes: p.Changes, Password: s.password(layout.StorePrincipal(d.Name))}, p
}

func (s *suite) applyStore(t *testing.T, c backend.StoreChange) error {
	t.Helper()
	errs := s.Backend.ApplyStores(t.Context(), []backend.StoreChange{c})
	if len(errs) != 1 {
		t.Fatalf("ApplyStores of one change: %d errors", len(errs))
	}
	return errs[0]
}

// mustApplyStore makes the store what it should be, and proves that nothing is left to do.
func (s *suite) mustApplyStore(t *testing.T, d plan.DesiredStore) plan.ObservedStore {
	t.Helper()
	return s.mustApplyStoreWith(t, d, s.context(d.Owner.UID))
}

func (s *suite) mustApplyStoreWith(t *testing.T, d plan.DesiredStore, c plan.Context) plan.ObservedStore {
	t.Helper()
	change, p := s.change(t, d, c)
	if len(p.Refusals) > 0 {
		t.Fatalf("the plan refuses: %+v", p.Refusals)
	}
	if err := s.applyStore(t, change); err != nil {
		t.Fatal(err)
	}
	after, p := s.change(t, d, c)
	if len(p.Changes)+len(p.Refusals) > 0 {
		t.Fatalf("after everything was applied the plan is not empty: %+v", p)
	}
	return after.Observed
}

func (s *suite) changeSubscription(t *testing.T, d plan.DesiredSubscription, c plan.Context) (backend.SubscriptionChange, plan.Plan) {
	t.Helper()
	o := s.readSubscription(t, backend.SubscriptionID{Store: d.Store, Name: d.Name})
	d.Settings = s.Backend.SubscriptionSettings(d)
	p := plan.Subscription(d, o, c)
	return backend.SubscriptionChange{
		Desired: d, Observed: o, Changes: p.Changes, Restore: c.KnownPositions, Password: s.password(layout.SubscriptionPrincipal(d.Store, d.Name)),
	}, p
}

func (s *suite) applySubscription(t *testing.T, c backend.SubscriptionChange) error {
	t.Helper()
	errs := s.Backend.ApplySubscriptions(t.Context(), []backend.SubscriptionChange{c})
	if len(errs) != 1 {
		t.Fatalf("ApplySubscriptions of one change: %d errors", len(errs))
	}
	return errs[0]
}

func (s *suite) mustApplySubscription(t *testing.T, d plan.DesiredSubscription) plan.ObservedSubscription {
	t.Helper()
	return s.mustApplySubscriptionWith(t, d, s.context(d.Owner.UID))
}

func (s *suite) mustApplySubscriptionWith(t *testing.T, d plan.DesiredSubscription, c plan.Context) plan.ObservedSubscription {
	t.Helper()
	change, p := s.changeSubscription(t, d, c)
	if len(p.Refusals) > 0 {
		t.Fatalf("the plan refuses: %+v", p.Refusals)
	}
	if err := s.applySubscription(t, change); err != nil {
		t.Fatal(err)
	}
	after, p := s.changeSubscription(t, d, c)
	if len(p.Changes)+len(p.Refusals) > 0 {
		t.Fatalf("after everything was applied the plan is not empty: %+v", p)
	}
	return after.Observed
}

// fields returns the fields of changes, each once.
func fields(changes []plan.Change) string {
	var names []string
	for _, c := range changes {
		if n := string(c.Field); len(names) == 0 || names[len(names)-1] != n {
			names = append(names, n)
		}
	}
	return strings.Join(names, ", ")
}

// madeOf returns the fields of the changes that create something. Settings are the backend's own business.
func madeOf(changes []plan.Change) string {
	return fields(slices.DeleteFunc(slices.Clone(changes), func(c plan.Change) bool { return c.Field == plan.FieldSetting }))
}

// refused returns the token of the only refusal, which must have the reason.
func refused(t *testing.T, p plan.Plan, want plan.Reason) string {
	t.Helper()
	if len(p.Refusals) == 0 {
		t.Fatalf("the plan refuses nothing, want %s; changes: %v", want, p.Changes)
	}
	for _, r := range p.Refusals {
		if r.Reason != want {
			t.Fatalf("the plan refuses %s (%s), want %s", r.Reason, r.Message, want)
		}
	}
	return p.Refusals[0].Token
}

func equal[T any](t *testing.T, what string, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: -want, +got:\n%s", what, diff)
	}
}
