package history

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// client makes calls one after another, through the worker that is its own at the time.
func (r *run) client(ctx context.Context, c int) {
	rng := rand.New(rand.NewPCG(r.Seed, uint64(c)+1))
	known := map[eventstore.StreamID]eventstore.Version{}
	for n := 0; ctx.Err() == nil; n++ {
		generation, ok := r.next()
		if !ok {
			return
		}
		id := generation*streamsAtATime + rng.IntN(streamsAtATime)
		o := draw(rng, eventstore.StreamID{Type: "history", ID: fmt.Sprint(id)}, known)
		for i := range o.IDs {
			o.IDs[i] = fmt.Sprintf("%d-%d-%d", c, n, i)
		}
		o.Client = c
		o = r.persist(ctx, rng, c%r.Processes, o)
		r.note(o)
		if o.Outcome == Succeeded || o.Outcome == Conflict {
			known[o.Stream] = o.Version
		}
		if o.Outcome == Failed {
			pause(ctx, 20*time.Millisecond) // Its broker is away.
		}
	}
}

// draw returns a call of a client who knows versions of streams, be they old.
func draw(rng *rand.Rand, stream eventstore.StreamID, known map[eventstore.StreamID]eventstore.Version) Operation {
	version := known[stream]
	o := Operation{Stream: stream, Expected: version, IDs: make([]string, 1+rng.IntN(6)/5)}
	switch n := rng.IntN(20); {
	case n < 6: // A read: of all, or from an event on that is known to be there.
		o.IDs = nil
		if n > 0 {
			o.After = max(0, version-1)
		}
	case n < 8:
		o.Expected = eventstore.Any
	case n < 10: // A version that the stream is to reach yet.
		o.Expected += eventstore.Version(1 + rng.IntN(3))
	}
	return o
}

// persist makes a call, and repeats it for a while where that is safe and its outcome is unknown. Some never do.
func (r *run) persist(ctx context.Context, rng *rand.Rand, process int, o Operation) Operation {
	call := time.Since(r.start)
	doubtful := false
	for range 1 + repeats*min(1, rng.IntN(3)) {
		o = r.do(process, o)
		// An earlier copy that is under way could succeed yet, when the stream is at the expected version.
		if doubtful && (o.Outcome == Failed || o.Outcome == Conflict && o.Version < o.Expected) {
			o.Outcome = Unknown
		}
		if o.Outcome != Unknown || !o.isAppend() || o.Expected == eventstore.Any || ctx.Err() != nil {
			break
		}
		doubtful = true
		pause(ctx, 10*time.Millisecond)
	}
	o.Call = call
	return o
}

// do makes a call once.
func (r *run) do(process int, o Operation) Operation {
	o.Call = time.Since(r.start)
	a := r.process(process).do(request{Stream: o.Stream, IDs: o.IDs, Expected: o.Expected, After: o.After})
	o.Return = time.Since(r.start)
	o.Outcome, o.Version, o.Read, o.Error = a.Outcome, a.Version, a.Read, a.Error
	return o
}
