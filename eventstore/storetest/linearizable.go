package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// An operation on one stream, as porcupine sees it: append at a version, or read the version and the last id.
type (
	input struct {
		stream   int
		append   bool
		expected eventstore.Version
		id       string
	}
	output struct {
		ok      bool
		unknown bool // The outcome of an append is not known.
		version eventstore.Version
		last    string
	}
	state struct {
		version eventstore.Version
		last    string
	}
)

// model says what a stream is: an append wins iff it is at the expected version, a read sees the last that won.
var model = porcupine.Model{
	Init: func() any { return state{} },
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := map[int][]porcupine.Operation{}
		for _, o := range history {
			n := o.Input.(input).stream
			parts[n] = append(parts[n], o)
		}
		var out [][]porcupine.Operation
		for _, p := range parts {
			out = append(out, p)
		}
		return out
	},
	Step: func(st, in, out any) (bool, any) {
		s, i, o := st.(state), in.(input), out.(output)
		won := state{version: s.version + 1, last: i.id}
		switch {
		case !i.append:
			return o.version == s.version && o.last == s.last, s
		case o.unknown: // It takes effect where it can. That it never does is covered by placing it where it cannot.
			if s.version == i.expected {
				return true, won
			}
			return true, s
		case o.ok:
			return s.version == i.expected && o.version == won.version, won
		}
		return s.version != i.expected && o.version == s.version, s
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v -> %+v", in, out) },
}

func (s *suite) testLinearizable(ctx context.Context, t testing.TB, store eventstore.Store) {
	const clients, operations, streams = 6, 120, 3
	var mu sync.Mutex
	var history []porcupine.Operation
	start := time.Now()
	var wg sync.WaitGroup
	for c := range clients {
		client := s.reopen(store)
		random := rand.New(rand.NewPCG(1, uint64(c)))
		wg.Go(func() {
			var known [streams]eventstore.Version
			for n := range operations {
				in := input{stream: random.IntN(streams), append: random.IntN(3) > 0, id: fmt.Sprintf("c%d-%d", c, n)}
				in.expected = known[in.stream]
				call := time.Since(start).Nanoseconds()
				out, err := operate(ctx, client, in)
				if err != nil {
					t.Errorf("client %d: %v", c, err)
					return
				}
				known[in.stream] = out.version
				mu.Lock()
				history = append(history, porcupine.Operation{
					ClientId: c, Input: in, Call: call, Output: out, Return: time.Since(start).Nanoseconds(),
				})
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if result := porcupine.CheckOperationsTimeout(model, history, deadline); result != porcupine.Ok {
		t.Errorf("history of %d operations is not linearizable: %s", len(history), result)
	}
}

func operate(ctx context.Context, store eventstore.Store, in input) (output, error) {
	id := order(in.stream)
	if in.append {
		v, err := store.Append(ctx, id, in.expected, eventstore.EventData{ID: in.id, Type: "T"})
		if c, ok := errors.AsType[*eventstore.ConcurrencyError](err); ok {
			return output{version: c.Actual}, nil
		}
		if errors.Is(err, eventstore.ErrUnknownOutcome) {
			return output{unknown: true, version: in.expected}, nil
		}
		return output{ok: true, version: v}, err
	}
	var out output
	for e, err := range store.Read(ctx, id, 0) {
		if err != nil {
			return out, err
		}
		out.version, out.last = e.Version, e.ID
	}
	return out, nil
}
