package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

func TestParseFrom(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	cases := map[string]struct {
		reason, from string
		want         eventstore.Start
		err          string
	}{
		"Beginning": {reason: "Nothing is the beginning.", from: ""},
		"Ago":       {reason: "A duration is counted back.", from: "2h", want: eventstore.Start{Time: now.Add(-2 * time.Hour)}},
		"Time":      {reason: "A time is one.", from: "2026-11-20T08:00:00Z", want: eventstore.Start{Time: now.Add(-4 * time.Hour)}},
		"Positions": {
			reason: "Positions are those that a line shows.", from: "3@41 5@7-0",
			want: eventstore.Start{After: []eventstore.Position{{Partition: 3, Offset: "41"}, {Partition: 5, Offset: "7-0"}}},
		},
		"Yesterday": {reason: "What it cannot be is named, with what it can.", from: "yesterday", err: `--from is "yesterday": give a time such as`},
		"Future":    {reason: "Nothing was appended in the future.", from: "-2h", err: `--from is "-2h"`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := parseFrom(tc.from, now)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Fatalf("%s\nparseFrom(%q): %v, want %q", tc.reason, tc.from, err, tc.err)
				}
				return
			}
			if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
				t.Errorf("%s\nparseFrom(%q): %v (-want, +got):\n%s", tc.reason, tc.from, err, diff)
			}
		})
	}
}

func TestSecretOf(t *testing.T) {
	const several = `{kind: EventStoreClaim, metadata: {namespace: shop, name: orders}, spec: {writeConnectionSecretToRef: {name: all}}, status: {locations: [
		{cloud: aws, region: us-east-1, secretName: here}, {cloud: azure, region: eastus, secretName: there}]}}`
	const listed = `{kind: EventStoreClaim, metadata: {namespace: shop, name: orders}, status: {locations: [{cloud: aws, region: us-east-1, secretName: here}],
		subscriptions: [{name: billing, cloud: aws, region: us-east-1, secretName: orders-billing}]}}`
	cases := map[string]struct {
		reason, manifest string
		which            choice
		want             client.ObjectKey
		err              string
	}{
		"Managed": {
			reason:   "A cluster-scoped resource says where its Secret is.",
			manifest: `{kind: EventStore, metadata: {name: orders}, spec: {writeConnectionSecretToRef: {namespace: shop, name: orders}}}`,
			want:     client.ObjectKey{Namespace: "shop", Name: "orders"},
		},
		"Claim": {
			reason:   "A claim's is beside it; in one place there is nothing to choose.",
			manifest: `{kind: EventStoreClaim, metadata: {namespace: shop, name: orders}, spec: {writeConnectionSecretToRef: {name: mine}}, status: {locations: [{cloud: aws, region: us-east-1}]}}`,
			want:     client.ObjectKey{Namespace: "shop", Name: "mine"},
		},
		"Binding": {
			reason:   "A namespaced composite resource has chosen one.",
			manifest: `{kind: AppEventStore, metadata: {namespace: shop, name: orders}, status: {binding: {name: orders-eventstore}}}`,
			want:     client.ObjectKey{Namespace: "shop", Name: "orders-eventstore"},
		},
		"Chosen": {reason: "Of several places one is chosen.", manifest: several, which: choice{location: "azure/eastus"}, want: client.ObjectKey{Namespace: "shop", Name: "there"}},
		"Several": {
			reason: "Whose events they are must not be guessed.", manifest: several,
			err: `EventStoreClaim "orders" is in several places: choose one with --location aws/us-east-1 or azure/eastus`,
		},
		"Elsewhere": {
			reason: "What is not there is said, with what is.", manifest: several, which: choice{location: "gcp/x"},
			err: `EventStoreClaim "orders" is not in "gcp/x": it is in aws/us-east-1, azure/eastus`,
		},
		"Listed": {
			reason:   "A subscription that the claim lists has a Secret of its own.",
			manifest: listed, which: choice{subscription: "billing"}, want: client.ObjectKey{Namespace: "shop", Name: "orders-billing"},
		},
		"NotListed": {
			reason: "One that it does not list has none.", manifest: listed, which: choice{subscription: "audit"},
			err: `EventStoreClaim "orders" lists no subscription "audit"`,
		},
		"None": {
			reason:   "There is nothing to read with.",
			manifest: `{kind: EventStore, metadata: {name: orders}}`, err: `EventStore "orders" has no connection Secret yet`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			u := &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte(strings.ReplaceAll(tc.manifest, "\t", "")), &u.Object); err != nil {
				t.Fatal(err)
			}
			got, err := tc.which.secretOf(u)
			if tc.err != "" {
				if err == nil || !strings.HasPrefix(err.Error(), tc.err) {
					t.Fatalf("%s\nsecretOf: %v, want %q", tc.reason, err, tc.err)
				}
				return
			}
			if err != nil || got != tc.want {
				t.Errorf("%s\nsecretOf: %v, %v, want %v", tc.reason, got, err, tc.want)
			}
		})
	}
}

func TestPrint(t *testing.T) {
	recorded := time.Date(2026, 11, 20, 8, 0, 0, 250e6, time.UTC)
	placed := eventstore.Event{
		Stream: eventstore.StreamID{Type: "order", ID: "42"}, Version: 1, Position: eventstore.Position{Partition: 3, Offset: "41"}, Recorded: recorded,
		ID: "e1", Type: "OrderPlaced", Data: []byte(`{"total":4200}`), ContentType: "application/json", Time: recorded, CorrelationID: "c1", Metadata: map[string]string{"tenant": "a"},
	}
	streamed := eventstore.Event{
		Stream: eventstore.StreamID{Type: "click", ID: "7"}, Position: eventstore.Position{Offset: "9"}, Recorded: recorded,
		ID: "e2", Type: "Clicked", Data: []byte{0xff, 0}, ContentType: "application/octet-stream", Time: recorded,
	}
	all := func(yield func(eventstore.Event, error) bool) {
		_ = yield(placed, nil) && yield(streamed, nil)
	}
	cases := map[string]struct {
		reason string
		r      reading
		only   eventstore.StreamID
		want   string
	}{
		"Lines": {
			reason: "A line has what people look for first; bytes that are no text are quoted.", r: reading{output: "line"},
			want: "2026-11-20T08:00:00.250Z  3@41          order/42@1  OrderPlaced  {\"total\":4200}\n" +
				"2026-11-20T08:00:00.250Z  0@9           click/7  Clicked  \"\\xff\\x00\"\n",
		},
		"Stream": {
			reason: "Only one stream's.", r: reading{output: "line", stream: "click/7"}, only: streamed.Stream,
			want: "2026-11-20T08:00:00.250Z  0@9           click/7  Clicked  \"\\xff\\x00\"\n",
		},
		"Limit": {
			reason: "No more than asked for.", r: reading{output: "line", limit: 1},
			want: "2026-11-20T08:00:00.250Z  3@41          order/42@1  OrderPlaced  {\"total\":4200}\n",
		},
		"JSON": {
			reason: "An object has everything, as CloudEvents spells it.", r: reading{output: "json"},
			want: `{"correlationid":"c1","data":{"total":4200},"datacontenttype":"application/json","id":"e1","position":"3@41","recorded":"2026-11-20T08:00:00.25Z","subject":"order/42","tenant":"a","time":"2026-11-20T08:00:00.25Z","type":"OrderPlaced","version":1}
{"data_base64":"/wA=","datacontenttype":"application/octet-stream","id":"e2","position":"0@9","recorded":"2026-11-20T08:00:00.25Z","subject":"click/7","time":"2026-11-20T08:00:00.25Z","type":"Clicked"}
`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			if err := tc.r.print(&out, all, tc.only); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, out.String()); diff != "" {
				t.Errorf("%s (-want, +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestWriteFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "binding")
	s := eventstore.Secret{"store": []byte("shop.orders"), "password": []byte("secret")}
	if err := writeFiles(s, dir); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "store"))
	if err != nil || string(b) != "shop.orders" {
		t.Errorf("the file of a key has %q, %v", b, err)
	}
	if i, err := os.Stat(filepath.Join(dir, "password")); err != nil || i.Mode().Perm() != 0o600 {
		t.Errorf("the file of the password: %v, %v, want that its owner alone can read it", i, err)
	}
	if err := writeFiles(s, dir); err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("into a folder that has files: %v, want a refusal", err)
	}
}
