package plan

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestToken(t *testing.T) {
	base := Token("u", FieldDelete, "x")
	for reason, other := range map[string]string{
		"Another resource": Token("v", FieldDelete, "x"),
		"Another change":   Token("u", FieldEvents, "x"),
		"Another target":   Token("u", FieldDelete, "y"),
		"Shifted bounds":   Token("u"+string(FieldDelete), "", "x"),
	} {
		if other == base {
			t.Errorf("%s has the same token", reason)
		}
	}
	if base != Token("u", FieldDelete, "x") || len(base) != 8 || strings.Trim(base, "0123456789abcdef") != "" {
		t.Errorf("Token: %q, want the same eight hexadecimal digits each time", base)
	}
}

func TestConfirmed(t *testing.T) {
	cases := map[string]struct {
		reason, annotation string
		want               bool
	}{
		"One":     {reason: "A single token.", annotation: "abcd", want: true},
		"Several": {reason: "One of several.", annotation: "1234,abcd,5678", want: true},
		"Spaces":  {reason: "People put spaces after commas.", annotation: " 1234, abcd ", want: true},
		"None":    {reason: "No annotation confirms nothing."},
		"Part":    {reason: "A part of a token is none.", annotation: "abc,bcd"},
		"Longer":  {reason: "Nor is what contains one.", annotation: "abcde"},
		"Glued":   {reason: "Tokens are parted by commas.", annotation: "1234 abcd"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := Confirmed(tc.annotation, "abcd"); got != tc.want {
				t.Errorf("%s\nConfirmed(%q): %t, want %t", tc.reason, tc.annotation, got, tc.want)
			}
		})
	}
}

func TestChangeString(t *testing.T) {
	for want, c := range map[string]Change{
		"snapshots: false -> true":                 {Field: FieldSnapshots, From: "false", To: "true"},
		"owner: me":                                {Field: FieldOwner, To: "me"},
		"events of partition 0: create":            {Field: FieldEvents, To: "create"},
		"position of partition 3: missing -> 17-4": {Field: FieldGroup, Partition: 3, From: "missing", To: "17-4"},
	} {
		if got := c.String(); got != want {
			t.Errorf("String of %+v: %q, want %q", c, got, want)
		}
	}
}

func TestOwnerString(t *testing.T) {
	cluster := Owner{ControlPlane: "11112222-3333", Group: "eventstore.crossplane.io", Kind: "EventStore", Name: "orders"}
	for want, o := range map[string]Owner{
		"EventStore.eventstore.m.crossplane.io shop/orders of control plane 11112222": orders(),
		"EventStore.eventstore.crossplane.io orders of control plane 11112222":        cluster,
	} {
		if got := o.String(); got != want {
			t.Errorf("String: %q, want %q", got, want)
		}
	}
}

func TestRefuseUnsupported(t *testing.T) {
	table := Capabilities{Backend: "redis", Fields: map[Field]Support{
		FieldPartitions: {Supported: true}, FieldTieringBytes: {Note: "set retention.bytes"},
	}}
	// Sorted and each once, so that the same problem has the same text.
	got := refuseUnsupported(table, []Field{FieldTieringBytes, FieldPartitions, FieldKafkaConfig, FieldTieringBytes})
	want := []Refusal{
		{Reason: ReasonUnsupported, Field: FieldKafkaConfig, Message: "kafka.config is not supported on redis: remove it from the spec, or choose another backend"},
		{Reason: ReasonUnsupported, Field: FieldTieringBytes, Message: "tiering.afterBytes is not supported on redis: set retention.bytes"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
}
