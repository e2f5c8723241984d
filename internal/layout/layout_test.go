package layout

import (
	"strings"
	"testing"
)

func TestMurmur2(t *testing.T) {
	// The vectors of Kafka's own test: clients/src/test/java/org/apache/kafka/common/utils/UtilsTest.java, testMurmur2.
	cases := map[string]int32{
		"21":                         -973932308,
		"foobar":                     -790332482,
		"a-little-bit-long-string":   -985981536,
		"a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
		"abc": 479470107,
	}
	for in, want := range cases {
		if got := int32(murmur2([]byte(in))); got != want {
			t.Errorf("murmur2(%q) = %d, want %d", in, got, want)
		}
	}
}

func TestPartition(t *testing.T) {
	seen := map[int]bool{}
	for i := range 1000 {
		p := Partition("order/"+strings.Repeat("x", i%7)+string(rune('a'+i%26)), 6)
		if p < 0 || p >= 6 {
			t.Fatalf("Partition(…, 6) = %d, out of range", p)
		}
		seen[p] = true
	}
	if len(seen) != 6 {
		t.Errorf("1000 streams fell into %d of 6 partitions", len(seen))
	}
}

func TestValidate(t *testing.T) {
	cases := map[string]struct {
		reason   string
		name     string
		store    bool
		validSub bool
	}{
		"Plain":     {reason: "Letters, digits and dashes are the usual name.", name: "orders-2", store: true, validSub: true},
		"Namespace": {reason: "A namespaced store's name has the namespace before a dot; a subscription's has no dots.", name: "shop.orders", store: true},
		"One":       {reason: "One character suffices.", name: "o", store: true, validSub: true},
		"Empty":     {reason: "An empty name names nothing."},
		"Upper":     {reason: "Upper case is refused: Pulsar and DNS would differ.", name: "Orders"},
		"Colon":     {reason: "Colons part the names of keys and users.", name: "a:b"},
		"Brace":     {reason: "Braces are hash tags on Redis.", name: "a}b"},
		"Glob":      {reason: "Stars would widen an ACL pattern.", name: "a*b"},
		"Slash":     {reason: "Slashes part Pulsar's topic names.", name: "a/b"},
		"DotLast":   {reason: "A trailing dot would be lost to the eye.", name: "a."},
		"Long":      {reason: "At the limit.", name: strings.Repeat("a", MaxStoreName), store: true},
		"TooLong":   {reason: "One over the limit.", name: strings.Repeat("a", MaxStoreName+1)},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if err := ValidateStore(tc.name); (err == nil) != tc.store {
				t.Errorf("%s\nValidateStore(%q): %v, want valid: %t", tc.reason, tc.name, err, tc.store)
			}
			if err := ValidateSubscription(tc.name); (err == nil) != tc.validSub {
				t.Errorf("%s\nValidateSubscription(%q): %v, want valid: %t", tc.reason, tc.name, err, tc.validSub)
			}
		})
	}
}
