package arbiter

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
)

// An operation as porcupine sees it: append one event, or read the version and the last id.
type (
	input struct {
		stream   int
		append   bool
		expected eventstore.Version
		id       string
	}
	output struct {
		conflict bool
		version  eventstore.Version
		last     string
	}
	state struct {
		version eventstore.Version
		last    string
	}
)

// model is a stream. An append whose outcome is not known is repeated until it is, so it is one operation.
var model = porcupine.Model{
	Init: func() any { return state{} },
	Partition: func(history []porcupine.Operation) (out [][]porcupine.Operation) {
		parts := map[int][]porcupine.Operation{}
		for _, o := range history {
			n := o.Input.(input).stream
			parts[n] = append(parts[n], o)
		}
		for _, p := range parts {
			out = append(out, p)
		}
		return out
	},
	Step: func(st, in, out any) (bool, any) {
		s, i, o := st.(state), in.(input), out.(output)
		fits := i.expected == eventstore.Any || i.expected == s.version
		switch {
		case !i.append:
			return o.version == s.version && o.last == s.last, s
		case o.conflict:
			return !fits && o.version == s.version, s
		}
		return fits && o.version == s.version+1, state{s.version + 1, i.id}
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v -> %+v", in, out) },
}

const (
	processes  = 3
	clients    = 4 // of each process
	operations = 40
	streams    = 3
)

// run lets processes loose on a log, and returns what they saw.
func run(t *testing.T, seed uint64, f faults, read reader) (history []porcupine.Operation) {
	synctest.Test(t, func(t *testing.T) {
		log := newFakeLog(2, seed, f)
		start := time.Now()
		var mu sync.Mutex
		var wg sync.WaitGroup
		for p := range processes {
			a := New(log, 2, nil)
			defer a.Close()
			for c := range clients {
				random := rand.New(rand.NewPCG(seed, uint64(p*clients+c)))
				wg.Go(func() {
					var known [streams]eventstore.Version
					for n := range operations {
						in := input{stream: random.IntN(streams), append: random.IntN(3) > 0, id: fmt.Sprintf("%d-%d-%d", p, c, n)}
						in.expected = known[in.stream] + eventstore.Version(random.IntN(8)/7) // At times ahead.
						if random.IntN(4) == 0 {
							in.expected = eventstore.Any
						}
						call := time.Since(start).Nanoseconds()
						out, err := operate(log, a, in, random, read)
						if err != nil {
							t.Errorf("client %d of process %d: %v", c, p, err)
							return
						}
						known[in.stream] = out.version
						mu.Lock()
						history = append(history, porcupine.Operation{
							ClientId: p*clients + c, Input: in, Call: call, Output: out, Return: time.Since(start).Nanoseconds(),
						})
						mu.Unlock()
					}
				})
			}
		}
		wg.Wait()
		time.Sleep(time.Hour) // Copies that are still under way land.
	})
	return history
}

func operate(log *fakeLog, a *Arbiter, in input, random *rand.Rand, read reader) (out output, err error) {
	stream := eventstore.StreamID{Type: "order", ID: fmt.Sprint(in.stream)}
	for range 10_000 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(random.Int64N(int64(20*log.faults.delay))))
		if in.append {
			out.version, err = a.Append(ctx, Append{Stream: stream, Expected: in.expected, Fields: fieldsOf(stream, in.id)})
		} else {
			out, err = read(ctx, log, a, stream)
		}
		cancel()
		if c, ok := errors.AsType[*eventstore.ConcurrencyError](err); ok {
			return output{conflict: true, version: c.Actual}, nil
		}
		if err == nil {
			return out, nil
		}
		if !errors.Is(err, eventstore.ErrUnknownOutcome) && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, errPasses) {
			return out, err
		}
	}
	return out, fmt.Errorf("no outcome: %w", err)
}

type reader func(context.Context, *fakeLog, *Arbiter, eventstore.StreamID) (output, error)

func read(ctx context.Context, log *fakeLog, a *Arbiter, stream eventstore.StreamID) (out output, err error) {
	if err := a.CatchUp(ctx, stream); err != nil {
		return out, err
	}
	return look(ctx, log, a, stream)
}

// look reads what is known, whatever came meanwhile.
func look(_ context.Context, log *fakeLog, a *Arbiter, stream eventstore.StreamID) (out output, err error) {
	p, at, err := a.Locate(stream, 0, math.MaxInt)
	if out.version = eventstore.Version(len(at)); len(at) > 0 {
		out.last = log.idAt(p, at[len(at)-1])
	}
	return out, err
}

func fieldsOf(stream eventstore.StreamID, id string) record.Fields {
	return record.Fields{{Name: record.Subject, Value: stream.String()}, {Name: record.ID, Value: id}}
}

func TestLinearizable(t *testing.T) {
	const delay = time.Millisecond
	cases := map[string]struct {
		reason string
		faults faults
	}{
		"Well":     {reason: "A log that works.", faults: faults{delay: delay}},
		"Copies":   {reason: "A record may land twice: its copy is void.", faults: faults{delay: delay, copied: 0.5}},
		"Vanishes": {reason: "A record that is missing is published again.", faults: faults{delay: delay, vanishes: 0.3}},
		"Unheard":  {reason: "One that only seems to be missing is published again, too.", faults: faults{delay: delay, unheard: 0.3}},
		"Repeated": {reason: "What was read before is not judged twice.", faults: faults{delay: delay, repeated: 0.5}},
		"Ends":     {reason: "A tail that stopped goes on where it was.", faults: faults{delay: delay, ends: 0.1}},
		"Told":     {reason: "Where a record is known, the tail is not waited for.", faults: faults{delay: delay, told: 0.7}},
		"All": {
			reason: "All at once.",
			faults: faults{delay: delay, copied: 0.3, vanishes: 0.2, unheard: 0.2, repeated: 0.3, ends: 0.05, told: 0.5},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(5) {
				h := run(t, seed, tc.faults, read)
				if result := porcupine.CheckOperationsTimeout(model, h, time.Minute); result != porcupine.Ok {
					t.Errorf("%s\nseed %d: a history of %d operations is not linearizable: %s", tc.reason, seed, len(h), result)
				}
			}
		})
	}
}

// A control: what the checker is to find, it finds.
func TestReadWithoutBarrierIsFound(t *testing.T) {
	for seed := range uint64(20) {
		h := run(t, seed, faults{delay: time.Millisecond}, look)
		if porcupine.CheckOperationsTimeout(model, h, time.Minute) == porcupine.Illegal {
			return
		}
	}
	t.Error("reads that do not wait for the end pass for linearizable")
}
