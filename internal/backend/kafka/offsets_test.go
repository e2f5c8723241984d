package kafka

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// TestEndsLookAgain asks for a partition that is not where it was when somebody looked: it is looked again, and who looked
// first keeps what he saw.
func TestEndsLookAgain(t *testing.T) {
	f := start(t)
	d, c := f.store("ends.orders")
	f.applyStore(t, d, c)
	events := layout.KafkaEvents(d.Name)
	topics, err := f.backend.cluster.metadata(t.Context(), []string{events})
	if err != nil {
		t.Fatal(err)
	}
	stale := topics[events]
	stale.partitions = append(slices.Clone(stale.partitions), stale.partitions[0]) // One more than there is.
	topics[events] = stale
	before := maps.Clone(topics)
	_, next := f.backend.cluster.ends(t.Context(), topics, placesOf(events, 4))
	if next[place{events, 0}].offset != 1 {
		t.Errorf("the end of a partition: %+v", next[place{events, 0}])
	}
	if diff := cmp.Diff(before, topics, cmp.AllowUnexported(topicView{}, partitionView{})); diff != "" {
		t.Errorf("what was seen before: -before, +after:\n%s", diff)
	}
}
