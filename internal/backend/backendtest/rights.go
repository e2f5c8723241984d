package backendtest

import (
	"context"
	"strings"
	"testing"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

func (s *suite) testRights(t *testing.T) {
	t.Run("Store", s.testStoreRights)
	t.Run("Subscription", s.testSubscriptionRights)
	t.Run("Password", s.testPassword)
	t.Run("IssuedPassword", s.testIssuedPassword)
	t.Run("NoSecretInErrors", s.testNoSecretInErrors)
}

func (s *suite) testStoreRights(t *testing.T) {
	if s.StoreAttempts == nil {
		t.Skip("the broker has no users")
	}
	d := s.store(s.name())
	s.mustApplyStore(t, d)
	s.Append(t, d.Name, 0, 3)
	s.attempt(t, s.StoreAttempts(t, d.Name, d.Principal.Name, s.password(layout.StorePrincipal(d.Name))))
}

func (s *suite) testSubscriptionRights(t *testing.T) {
	if s.SubscriptionAttempts == nil {
		t.Skip("the broker has no users")
	}
	d, id := s.withStore(t)
	s.mustApplySubscription(t, d)
	s.attempt(t, s.SubscriptionAttempts(t, id, d.Principal.Name, s.password(layout.SubscriptionPrincipal(d.Store, d.Name))))
}

func (s *suite) attempt(t *testing.T, attempts []Attempt) {
	t.Helper()
	for _, a := range attempts {
		t.Run(a.Name, func(t *testing.T) {
			if err := a.Try(t.Context()); (err == nil) != a.Allowed {
				t.Errorf("%v, want allowed: %t", err, a.Allowed)
			}
		})
	}
}

// testPassword changes a password: the old one is worth nothing from then on.
func (s *suite) testPassword(t *testing.T) {
	if s.Login == nil {
		t.Skip("the broker has no users")
	}
	if _, ok := s.Backend.(backend.Issuer); ok {
		t.Skip("the backend issues passwords, so nobody chooses one")
	}
	d := s.store(s.name())
	s.mustApplyStore(t, d)
	const renewed = "fifteen men on a dead man's chest"
	user := d.Principal.Name
	if err := s.Login(t.Context(), user, s.password(layout.StorePrincipal(d.Name))); err != nil {
		t.Fatal(err)
	}
	d.Principal = s.Backend.StorePrincipal(d.Name, "", renewed)
	change, p := s.change(t, d, s.context("uid-1"))
	equal(t, "changes", "principal", fields(p.Changes))
	for _, c := range p.Changes {
		if strings.Contains(c.String(), d.Principal.Digest) || strings.Contains(c.String(), renewed) {
			t.Errorf("the change shows the secret: %s", c)
		}
	}
	change.Password = renewed
	if err := s.applyStore(t, change); err != nil {
		t.Fatal(err)
	}
	equal(t, "principal", d.Principal, s.readStore(t, d.Name).Principal)
	if err := s.Login(t.Context(), user, s.password(layout.StorePrincipal(d.Name))); err == nil {
		t.Error("the old password still works")
	}
	if err := s.Login(t.Context(), user, renewed); err != nil {
		t.Errorf("the new password: %v", err)
	}
	if err := s.Backend.DeleteStores(t.Context(), s.stores(d.Name))[0]; err != nil {
		t.Fatal(err)
	}
	if err := s.Login(t.Context(), user, renewed); err == nil {
		t.Error("the user outlives its store")
	}
}

// testIssuedPassword proves that an issued password is good for its principal alone, and kept while it is.
func (s *suite) testIssuedPassword(t *testing.T) {
	issuer, ok := s.Backend.(backend.Issuer)
	if !ok || s.Login == nil {
		t.Skip("the backend issues no passwords")
	}
	d, other := s.store(s.name()), s.store(s.name())
	s.mustApplyStore(t, d)
	s.mustApplyStore(t, other)
	user, password := d.Principal.Name, s.password(d.Principal.Name)
	for what, current := range map[string]string{"none": "", "no password of ours": "guess", "another's": s.password(other.Principal.Name)} {
		if got, err := issuer.Issue(user, current); err != nil || got == current {
			t.Errorf("issued where there was %s: the same: %t, %v", what, got == current, err)
		}
		if p := s.Backend.StorePrincipal(d.Name, "", current); p == d.Principal {
			t.Errorf("the principal with %s has the digest of an issued one", what)
		}
	}
	if got, err := issuer.Issue(user, password); err != nil || got != password {
		t.Errorf("issued where there was a good one: the same: %t, %v", got == password, err)
	}
	if err := s.Login(t.Context(), user, password); err != nil {
		t.Errorf("login: %v", err)
	}
	if err := s.Login(t.Context(), user, s.password(other.Principal.Name)); err == nil {
		t.Error("another's password works")
	}
	if err := s.Backend.DeleteStores(t.Context(), s.stores(d.Name))[0]; err != nil {
		t.Fatal(err)
	}
	if err := s.Login(t.Context(), user, password); err == nil {
		t.Error("the user outlives its store")
	}
}

// testNoSecretInErrors makes every operation fail, with a password at hand.
func (s *suite) testNoSecretInErrors(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d := s.store(s.name())
	sub := s.subscription(d.Name, "reader")
	change, _ := s.change(t, d, s.context("uid-1"))
	subChange, _ := s.changeSubscription(t, sub, s.context("uid-2"))
	id := []backend.SubscriptionID{{Store: d.Name, Name: "reader"}}
	errs := s.Backend.ApplyStores(ctx, []backend.StoreChange{change})
	errs = append(errs, s.Backend.ApplySubscriptions(ctx, []backend.SubscriptionChange{subChange})...)
	errs = append(errs, s.Backend.DeleteStores(ctx, s.stores(d.Name))...)
	errs = append(errs, s.Backend.DeleteSubscriptions(ctx, s.subscriptions(id...))...)
	errs = append(errs, s.Backend.FenceStores(ctx, []string{d.Name})...)
	errs = append(errs, s.Backend.UnfenceStores(ctx, []string{d.Name})...)
	errs = append(errs, s.Backend.ReadStores(ctx, []string{d.Name})[0].Err, s.Backend.ReadSubscriptions(ctx, id)[0].Err)
	for i, err := range errs {
		if err == nil {
			if i != 1 { // A subscription to a store that is not there has no changes, and so nothing to fail.
				t.Errorf("operation %d succeeds after its context has ended", i)
			}
			continue
		}
		for _, secret := range []string{change.Password, subChange.Password, d.Principal.Digest, sub.Principal.Digest} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error shows a secret: %v", err)
			}
		}
		if strings.ContainsAny(err.Error(), "\n\r") {
			t.Errorf("the error has several lines: %q", err)
		}
	}
}
