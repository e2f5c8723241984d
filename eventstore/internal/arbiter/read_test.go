package arbiter

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// Records that are near each other are fetched together, and come in order.
func TestCollect(t *testing.T) {
	places := []Position{{0, 1}, {0, 2}, {0, 2 + readNear}, {0, 3 + 2*readNear}, {1, 4 + 2*readNear}}
	var mu sync.Mutex
	var fetches []string
	records, err := collect(t.Context(), 0, places, func(_ context.Context, _ int, at []Position) ([][]eventstore.Event, error) {
		mu.Lock()
		defer mu.Unlock()
		fetches = append(fetches, fmt.Sprint(len(at), " from ", at[0]))
		var events [][]eventstore.Event
		for _, p := range at {
			events = append(events, []eventstore.Event{{ID: fmt.Sprint(p)}})
		}
		return events, nil
	})
	var got, want []string
	for i, events := range records {
		got, want = append(got, events[0].ID), append(want, fmt.Sprint(places[i]))
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v, -want, +got:\n%s", err, diff)
	}
	slices.Sort(fetches)
	if diff := cmp.Diff([]string{"1 from {0 131}", "1 from {1 132}", "3 from {0 1}"}, fetches); diff != "" {
		t.Errorf("fetches -want, +got:\n%s", diff)
	}
}
