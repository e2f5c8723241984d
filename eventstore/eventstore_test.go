package eventstore_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/memory"
)

func FuzzParseStreamID(f *testing.F) {
	for _, s := range []string{"order/42", "a/b/c", "/", "order", "order/{42}", "order/\x00", "ø/ü", "a/ b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := eventstore.ParseStreamID(s)
		if err == nil && id.String() != s { // Refusing is fine. Accepting what does not round-trip is not.
			t.Errorf("ParseStreamID(%q).String() = %q", s, id)
		}
		if err == nil && strings.ContainsAny(s, "{}\x00\n") {
			t.Errorf("ParseStreamID(%q) is accepted", s)
		}
	})
}

func FuzzParsePosition(f *testing.F) {
	for _, s := range []string{"3@1700000000000-0", "0@1.2", "@", "-1@x", "03@x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if p, err := eventstore.ParsePosition(s); err == nil && (p.String() != s || p.Partition < 0) {
			t.Errorf("ParsePosition(%q).String() = %q", s, p)
		}
	})
}

// capture is a driver that keeps the binding it was given.
type capture struct{ got *eventstore.Binding }

func (c capture) Open(_ context.Context, b eventstore.Binding) (eventstore.Store, error) {
	*c.got = b
	return memory.New(), nil
}

var captured eventstore.Binding

func init() { eventstore.Register("captured", capture{&captured}) }

func TestOpen(t *testing.T) {
	base := map[string]string{"type": "eventstore", "provider": "captured", "store": "shop.orders", "partitions": "6"}
	delivery := eventstore.DefaultDelivery()
	changed := delivery
	changed.MaxDeliveries, changed.InitialBackoff, changed.MaxBackoff = 3, 50*time.Millisecond, 2*time.Second
	changed.DeadLetter, changed.EventTypes, changed.Unordered = false, []string{"A", "B"}, true
	cases := map[string]struct {
		reason  string
		extra   map[string]string
		want    eventstore.Binding
		wantErr string // What the message says; empty: success.
	}{
		"Store": {
			reason: "The least that a Secret has.",
			want: eventstore.Binding{
				Provider: "captured", Store: "shop.orders", Layout: 1, Partitions: 6, Snapshots: true, Delivery: delivery,
			},
		},
		"Subscription": {
			reason: "Defaults of Subscribe come from the Secret.",
			extra: map[string]string{
				"subscription": "billing", "max-deliveries": "3", "initial-backoff": "50ms", "max-backoff": "2s",
				"dead-letter": "false", "event-types": "A, B", "subscription-type": "Shared", "snapshots": "false",
				"expected-versions": "false", "max-event-bytes": "100", "layout": "1\n",
			},
			want: eventstore.Binding{
				Provider: "captured", Store: "shop.orders", Subscription: "billing", Layout: 1, Partitions: 6, Streaming: true,
				MaxEventBytes: 100, SubscriptionType: "Shared", Delivery: changed,
			},
		},
		"NoDriver":   {reason: "The message says what to import.", extra: map[string]string{"provider": "redis"}, wantErr: `import _ "github.com/crossplane-contrib/provider-eventstore/eventstore/redis"`},
		"Unknown":    {reason: "The message says what there is.", extra: map[string]string{"provider": "etcd"}, wantErr: "only for captured, memory"},
		"OtherType":  {reason: "A Secret of a database is none of ours.", extra: map[string]string{"type": "postgresql"}, wantErr: `key "type" is "postgresql"`},
		"Layout":     {reason: "A newer layout is not guessed at.", extra: map[string]string{"layout": "2"}, wantErr: "reads layout 1 only"},
		"Partitions": {reason: "Without partitions no stream has a place.", extra: map[string]string{"partitions": "0"}, wantErr: "at least 1"},
		"Both":       {reason: "All that is wrong is in one line.", extra: map[string]string{"layout": "2", "partitions": "0"}, wantErr: `layout 1 only; cannot use key "partitions"`},
		"Backoff":    {reason: "Values are checked.", extra: map[string]string{"max-backoff": "long"}, wantErr: `"max-backoff" = "long"`},
		"Name":       {reason: "Names are checked.", extra: map[string]string{"store": "a:b"}, wantErr: "a:b"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			files := fstest.MapFS{"..old/type": {Data: []byte("other")}}
			values := maps.Clone(base)
			maps.Copy(values, tc.extra)
			for k, v := range values {
				files[k] = &fstest.MapFile{Data: []byte(v)}
			}
			store, err := eventstore.Open(t.Context(), files)
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Errorf("%s\nOpen: %v, want an error that says %s", tc.reason, err, tc.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatalf("%s\nOpen: %v", tc.reason, err)
			}
			_ = store.Close()
			got := captured
			got.Secret = nil
			if diff := cmp.Diff(tc.want, got, cmpopts.IgnoreUnexported(eventstore.Binding{})); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestSecretKeepsItself(t *testing.T) {
	s := eventstore.Secret{"password": []byte("hunter2")}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		if got := fmt.Sprintf(format+" "+format, s, eventstore.Binding{Secret: s}); strings.Contains(got, "hunter2") || strings.Contains(got, "104 117") {
			t.Errorf("Sprintf(%q) = %s", format, got)
		}
	}
}

func TestBackoff(t *testing.T) {
	d := eventstore.Delivery{InitialBackoff: time.Second, MaxBackoff: 5 * time.Second}
	var got []time.Duration
	for n := 1; n <= 5; n++ {
		got = append(got, d.Backoff(n))
	}
	want := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second, 5 * time.Second}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
	if got := d.Backoff(1 << 40); got != 5*time.Second {
		t.Errorf("Backoff of a very old failure: %s", got)
	}
}
