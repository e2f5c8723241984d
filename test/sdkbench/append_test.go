package sdkbench

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/test/bench/report"
)

// streamsOfWorker is among how many streams each worker takes turns.
const streamsOfWorker = 16

type speed struct {
	perSecond float64
	p50       time.Duration
}

// An appender appends one event to a stream at a version.
type appender func(ctx context.Context, stream eventstore.StreamID, version eventstore.Version) error

// appendRounds has the raw client and the driver append in turns, each to a store of its own, and returns the medians.
func (s subject) appendRounds(t *testing.T, size sizes, inFlight int) (raw, own speed) {
	t.Helper()
	store := open(t, s.store(t))
	sides := []*side{
		{appends: s.appends(t, s.store(t)), worker: make([]int, inFlight)},
		{appends: func(ctx context.Context, stream eventstore.StreamID, version eventstore.Version) error {
			_, err := store.Append(ctx, stream, version, event())
			return err
		}, worker: make([]int, inFlight)},
	}
	for _, one := range sides {
		one.run(t, min(time.Second, size.round)) // Connections are made, and partitions read.
		one.rounds = nil
	}
	for range size.rounds {
		for _, one := range sides {
			one.run(t, size.round)
		}
	}
	return sides[0].median(), sides[1].median()
}

// A side is one of the two that append in turns.
type side struct {
	appends appender
	worker  []int // How often each has appended.
	rounds  []speed
}

func (s *side) run(t *testing.T, d time.Duration) {
	t.Helper()
	took := make([][]time.Duration, len(s.worker))
	start := time.Now()
	var wg sync.WaitGroup
	for w := range s.worker {
		wg.Go(func() {
			for before := time.Now(); before.Sub(start) < d; {
				n := s.worker[w]
				stream := eventstore.StreamID{Type: "order", ID: fmt.Sprintf("%d-%d", w, n%streamsOfWorker)}
				if err := s.appends(t.Context(), stream, eventstore.Version(n/streamsOfWorker)); err != nil {
					t.Error(err)
					return
				}
				s.worker[w]++
				now := time.Now()
				took[w] = append(took[w], now.Sub(before))
				before = now
			}
		})
	}
	wg.Wait()
	all := slices.Concat(took...)
	s.rounds = append(s.rounds, speed{perSecond: float64(len(all)) / time.Since(start).Seconds(), p50: report.Percentile(all, 50)})
}

func (s *side) median() speed {
	var perSecond, p50 []float64
	for _, r := range s.rounds {
		perSecond, p50 = append(perSecond, r.perSecond), append(p50, float64(r.p50))
	}
	return speed{perSecond: median(perSecond), p50: time.Duration(median(p50))}
}
