package api_test

import (
	"maps"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// store is what a subscription needs to be valid.
const store = "eventStoreRef: {name: orders}\n"

// TestSubscriptionRules creates subscriptions of both scopes. An empty want means that it is accepted.
func TestSubscriptionRules(t *testing.T) {
	cases := map[string]struct {
		reason string
		params string
		want   string
	}{
		"ByReference":           {"A reference is enough.", store, ""},
		"BySelector":            {"A selector is enough.", `eventStoreSelector: {matchLabels: {app: shop}}`, ""},
		"ByName":                {"The external name is enough.", `eventStore: team-a.orders`, ""},
		"NoStore":               {"It must read something.", `type: Shared`, "say which store to read"},
		"StoreNameUpperCase":    {"Stores have lower case names.", `eventStore: Orders`, "eventStore"},
		"FromLatest":            {"An end of the store.", store + `startFrom: {position: Latest}`, ""},
		"FromTime":              {"A time.", store + `startFrom: {time: "2026-01-31T12:00:00Z"}`, ""},
		"FromPositions":         {"A position for each partition.", store + `startFrom: {positions: [{partition: 0, position: "42"}, {partition: 1, position: "12:7"}]}`, ""},
		"FromNowhere":           {"An empty start says nothing.", store + `startFrom: {}`, "exactly one of position"},
		"FromTwoPlaces":         {"Two starts contradict each other.", store + `startFrom: {position: Earliest, time: "2026-01-31T12:00:00Z"}`, "exactly one of position"},
		"FromUnknown":           {"The message lists what there is.", store + `startFrom: {position: Middle}`, `supported values: "Earliest", "Latest"`},
		"FromNoTime":            {"A day is not a time.", store + `startFrom: {time: "2026-01-31"}`, "date-time"},
		"PartitionTwice":        {"A partition has one position.", store + `startFrom: {positions: [{partition: 0, position: "1"}, {partition: 0, position: "2"}]}`, "Duplicate value"},
		"PositionNegative":      {"Relative offsets are Kafka's own language.", store + `startFrom: {positions: [{partition: 0, position: "-1"}]}`, "write a position as the backend spells it"},
		"NoPositions":           {"An empty list says nothing.", store + `startFrom: {positions: []}`, "at least 1 items"},
		"TypeUnknown":           {"The message lists what there is.", store + `type: Key_Shared`, `supported values: "Exclusive", "Failover", "KeyShared", "Shared"`},
		"NoDeliveries":          {"An event is delivered at least once.", store + `retry: {maxDeliveries: 0}`, "should be greater than or equal to 1"},
		"BackoffShrinks":        {"The pause grows.", store + `retry: {initialBackoff: 1m, maxBackoff: 30s}`, "initialBackoff must be at most maxBackoff"},
		"BackoffAboveDefault":   {"The rule sees the default of the other field.", store + `retry: {initialBackoff: 31s}`, "initialBackoff must be at most maxBackoff"},
		"BackoffEqual":          {"A constant pause is fine.", store + `retry: {initialBackoff: 30s}`, ""},
		"BackoffNoDuration":     {"One clear message, not an evaluation error.", store + `retry: {initialBackoff: soon}`, "write a positive duration"},
		"DeadLettersOff":        {"They can be turned off.", store + `deadLetter: {enabled: false}`, ""},
		"DeadLettersOffAndKept": {"What is not there cannot be kept.", store + `deadLetter: {enabled: false, retention: 1h}`, "retention has no meaning"},
		"DeadLettersKept":       {"A retention alone leaves them on.", store + `deadLetter: {retention: 720h}`, ""},
		"ReplayWithoutID":       {"The id makes it happen once.", store + `replay: {from: {position: Earliest}}`, "replay.id: Required"},
		"ReplayWithoutFrom":     {"It must go somewhere.", store + `replay: {id: a}`, "replay.from: Required"},
		"ReplayFromNowhere":     {"A replay starts like a subscription.", store + `replay: {id: a, from: {}}`, "exactly one of position"},
		"ReplayIDWithSpace":     {"The id is one word.", store + `replay: {id: "a b", from: {position: Latest}}`, "replay.id"},
		"FilterNothing":         {"A filter without types would skip everything.", store + `filter: {eventTypes: []}`, "at least 1 items"},
		"FilterComma":           {"The Secret separates types by commas.", store + `filter: {eventTypes: ["a,b"]}`, "filter.eventTypes[0]"},
		"FilterTwice":           {"A set has each type once.", store + `filter: {eventTypes: [a, a]}`, "Duplicate value"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for sn, s := range scopes {
				refused(t, sn+": "+tc.reason, try(t, s.params(t, "Subscription", "billing", tc.params)), tc.want)
			}
		})
	}
}

// TestSubscriptionNames checks what the name alone gives away.
func TestSubscriptionNames(t *testing.T) {
	for sn, s := range scopes {
		refused(t, sn+": A dot would separate store and subscription at the wrong place.",
			try(t, s.params(t, "Subscription", "billing.eu", store)), "use '-' in metadata.name")
		refused(t, sn+": A composed resource has a long name, and its external name from an annotation.",
			try(t, s.params(t, "Subscription", strings.Repeat("a", 63), store)), "")
	}
}

// TestSubscriptionStaysInItsNamespace makes sure that the reference of the namespaced kind leads nowhere else.
func TestSubscriptionStaysInItsNamespace(t *testing.T) {
	s := scopes["Namespaced"]
	for name, params := range map[string]string{
		"Reference": `eventStoreRef: {name: orders, namespace: team-b}`,
		"Selector":  `eventStoreSelector: {matchLabels: {app: shop}, namespace: team-b}`,
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, "It could read another team's events.", try(t, s.params(t, "Subscription", "billing", params)), "a store of its own namespace")
		})
	}
}

// TestSubscriptionChanges changes the parameters of a subscription that exists.
func TestSubscriptionChanges(t *testing.T) {
	const replay = store + `replay: {id: a, from: {position: Earliest}}`
	changes(t, "Subscription", map[string]change{
		"OtherStoreByRef":   {"Positions in one store mean nothing in another.", store, `eventStoreRef: {name: invoices}`, "eventStoreRef cannot change"},
		"NoRefAnyMore":      {"It would let the next change through.", store + `eventStore: a`, `eventStore: a`, "eventStoreRef cannot change"},
		"OtherStoreByName":  {"Positions in one store mean nothing in another.", `eventStore: a`, `eventStore: b`, "eventStore cannot change"},
		"Resolve":           {"The resolved name and reference are written.", `eventStoreSelector: {matchLabels: {a: b}}`, store + "eventStoreSelector: {matchLabels: {a: b}}\neventStore: a", ""},
		"MoveStart":         {"It would have no effect.", store, store + `startFrom: {position: Latest}`, "set replay"},
		"RemoveStart":       {"The default would come back, and have no effect.", store + `startFrom: {position: Latest}`, store, "set replay"},
		"ChangeType":        {"Consumers may share events in another way.", store, store + `type: Shared`, ""},
		"ChangeRetry":       {"Retries may change.", store, store + `retry: {maxDeliveries: 10}`, ""},
		"AddReplay":         {"A subscription can be moved.", store, replay, ""},
		"ReplayAgain":       {"With a new id it moves again.", replay, store + `replay: {id: b, from: {position: Latest}}`, ""},
		"ReplaySameID":      {"The same id would do nothing.", replay, store + `replay: {id: a, from: {position: Latest}}`, "new id"},
		"RemoveReplay":      {"What is done may be removed.", replay, store, ""},
		"ReplayIDUnchanged": {"Nothing moves while the replay stays.", replay, replay + "\ntype: Shared", ""},
	})
}

// A change is an update of spec.forProvider. An empty want means that it is accepted.
type change struct {
	reason        string
	before, after string
	want          string
}

func changes(t *testing.T, kind string, cases map[string]change) {
	t.Helper()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for sn, s := range scopes {
				u := s.params(t, kind, strings.ToLower("change-"+name), tc.before)
				keep(t, u)
				next := map[string]any{}
				if err := yaml.UnmarshalStrict([]byte(tc.after), &next); err != nil {
					t.Fatal(err)
				}
				spec := maps.Clone(u.Object["spec"].(map[string]any)) //nolint:forcetypeassert // The test wrote it.
				spec["forProvider"] = next
				u.Object["spec"] = spec
				refused(t, sn+": "+tc.reason, kube.Update(t.Context(), u.DeepCopy(), client.DryRunAll), tc.want)
			}
		})
	}
}
