package kafka

import (
	"crypto/pbkdf2"
	"crypto/sha512"
	"errors"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
)

// limited returns a backend whose user has only these rights.
func (f *fixture) limited(t *testing.T, user string, list ...acl) *Backend {
	t.Helper()
	c := f.config(t)
	c.Username, c.Password = user, passwordOf(user)
	salt := []byte("0123456789abcdef")
	key, err := pbkdf2.Key(sha512.New, c.Password, salt, 4096, sha512.Size)
	if err != nil {
		t.Fatal(err)
	}
	req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	req.Upsertions = []kmsg.AlterUserSCRAMCredentialsRequestUpsertion{{
		Name: user, Mechanism: scramSHA512, Iterations: 4096, Salt: salt, SaltedPassword: key,
	}}
	resp, err := req.RequestWith(t.Context(), f.admin())
	for _, r := range must(t, resp, err).Results {
		if err := answer(r.ErrorCode, r.ErrorMessage); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range list {
		e.principal, e.host, e.permission = principal(user), "*", kmsg.ACLPermissionTypeAllow.String()
		f.rights(t, e, true)
	}
	return f.open(t, c)
}

// TestDenied reads as a user that has rights to some of the stores: those can be read, and of the others it is said why not.
func TestDenied(t *testing.T) {
	f := start(t)
	ours, oc := f.store("denied.ours.orders")
	other, c := f.store("denied.other.orders")
	f.applyStore(t, ours, oc)
	f.applyStore(t, other, c)
	s, sc := f.subscription(ours.Name, "reader")
	f.applySubscription(t, s, sc)
	b := f.limited(t, "denied-administrator",
		acl{typ: "TOPIC", name: "denied.ours.", pattern: "PREFIXED", operation: "ALL"},
		acl{typ: "TOPIC", name: f.backend.config.RegistryTopic, pattern: "LITERAL", operation: "ALL"},
	)
	names := []string{ours.Name, other.Name, "denied.other.never-was"}
	eventually(t, "the user's rights", func() bool { return said(t, ours.Name, b.ReadStores(t.Context(), names)[0].Err) })
	for i, r := range b.ReadStores(t.Context(), names) {
		if i == 0 {
			if r.Err != nil || len(r.Value.Logs) != 3 {
				t.Errorf("store %q: %+v, %v", names[i], r.Value, r.Err)
			}
			continue
		}
		if !errors.Is(r.Err, backend.ErrUnauthorized) || !strings.Contains(r.Err.Error(), "lacks a right to the topic") {
			t.Errorf("store %q: %+v, %v, want the right that lacks", names[i], r.Value, r.Err)
		}
	}
	r := b.ReadSubscriptions(t.Context(), []backend.SubscriptionID{{Store: ours.Name, Name: "reader"}})[0]
	if !errors.Is(r.Err, backend.ErrUnauthorized) || !strings.Contains(r.Err.Error(), "lacks a right to the group") {
		t.Errorf("subscription: %+v, %v, want the right that lacks", r.Value, r.Err)
	}
}
