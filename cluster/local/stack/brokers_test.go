package stack

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/state"
)

func TestParseBrokers(t *testing.T) {
	cases := map[string]struct {
		reason, list string
		want         []string
	}{
		"One":    {reason: "A name alone is a list.", list: "kafka", want: []string{"kafka"}},
		"Spaces": {reason: "People write spaces.", list: "redis, kafka,pulsar", want: []string{"redis", "kafka", "pulsar"}},
		"Empty":  {reason: "No name is no broker.", want: []string{}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, ParseBrokers(tc.list)); diff != "" {
				t.Errorf("%s\nParseBrokers(%q): -want, +got:\n%s", tc.reason, tc.list, diff)
			}
		})
	}
}

func TestStartRefusesAnUnknownBroker(t *testing.T) {
	if _, err := Start(t.Context(), Options{Dir: t.TempDir(), Brokers: []string{Redis, "kafak"}}); err == nil {
		t.Error("Start: no error")
	}
}

func TestBrokersOfAFolder(t *testing.T) {
	f, err := state.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Brokers(f); len(got) != 0 || err != nil {
		t.Errorf("Brokers of a new folder: %v (%v), want none", got, err)
	}
	chosen := []string{Redis, Kafka}
	if err := recordBrokers(f, chosen); err != nil {
		t.Fatal(err)
	}
	if err := MarkUp(f); err != nil {
		t.Fatal(err)
	}
	if got, err := Brokers(f); !slices.Equal(got, chosen) || err != nil {
		t.Errorf("Brokers: %v (%v), want %v", got, err, chosen)
	}
	missing, err := Missing(f, chosen)
	if err != nil || !slices.Contains(missing, Kafka) || slices.Contains(missing, Pulsar) {
		t.Errorf("Missing: %v (%v), want kafka and not pulsar, which nobody asked for", missing, err)
	}
	if err := Down(f, t.Output()); err != nil {
		t.Fatal(err)
	}
	if got, err := Brokers(f); len(got) != 0 || err != nil {
		t.Errorf("Brokers after Down: %v (%v), want none", got, err)
	}
}
