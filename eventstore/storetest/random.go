package storetest

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

var seedFlag = flag.Uint64("storetest.seed", 0, "what storetest draws random tests by; 0: the time")

// newSeed returns what to draw by, which a test prints when it fails.
func (s *suite) newSeed() uint64 { return cmp.Or(*seedFlag, s.seed, uint64(time.Now().UnixNano())) }

// steps is how many things a random test does.
const steps = 300

// testRandom does things by chance, one after another, from several clients, and compares the store with an ideal one.
func (s *suite) testRandom(ctx context.Context, t testing.TB, store eventstore.Store) {
	seed := s.newSeed()
	t.Logf("seed %d", seed)
	p := s.newPlayer(seed, store)
	for _, f := range []Feature{Snapshots, Subscriptions} {
		if reason, ok := s.lacks[f]; ok {
			t.Logf("without %s, which the backend lacks: %s", f, reason)
		}
	}
	for n := range steps {
		m := p.move(ctx)
		p.history = append(p.history, fmt.Sprintf("%3d  %s = %s", n+1, m.call, m.got))
		if m.got != m.want {
			t.Fatalf("step %d: %s\n got %s\nwant %s\nTo repeat it: -storetest.seed=%d\nWhat came before:\n%s",
				n+1, m.call, m.got, m.want, seed, strings.Join(p.history, "\n"))
		}
	}
}

// A move is a call, what came of it, and what should have.
type move struct{ call, got, want string }

// player draws calls and makes them, on a store and on an ideal one.
type player struct {
	rng           *rand.Rand
	lacks         map[Feature]string
	ideal         *ideal
	clients       []eventstore.Store
	subscriptions []eventstore.Store
	events        int
	history       []string

	// Where a replay goes on.
	replayed map[eventstore.StreamID]int
	cursor   map[int]eventstore.Position
}

func (s *suite) newPlayer(seed uint64, store eventstore.Store) *player {
	p := &player{
		rng: rand.New(rand.NewPCG(seed, 0)), lacks: s.lacks, ideal: newIdeal(), clients: []eventstore.Store{store, s.reopen(store), s.reopen(store)},
		replayed: map[eventstore.StreamID]int{}, cursor: map[int]eventstore.Position{},
	}
	for i, needs := range []Feature{Subscriptions, Groups} {
		if s.lacks[Subscriptions] == "" && s.lacks[needs] == "" {
			p.subscriptions = append(p.subscriptions, s.subscription(store, fmt.Sprintf("random%d", i)))
			p.ideal.handled[fmt.Sprint(i)] = map[eventstore.StreamID]int{}
		}
	}
	return p
}

func (p *player) move(ctx context.Context) move {
	c := p.rng.IntN(len(p.clients))
	client, stream := p.clients[c], order(p.rng.IntN(5))
	var m move
	switch n := p.rng.IntN(100); {
	case n < 62:
		m = p.append(ctx, client, stream)
	case n < 80 || n < 98 && n >= 86 && p.lacks[Snapshots] != "":
		m = p.read(ctx, client, stream)
	case n < 86:
		m = p.replay(ctx, client)
	case n < 92:
		m = p.save(ctx, client, stream)
	case n < 98 || len(p.subscriptions) == 0:
		m = p.load(ctx, client, stream)
	default:
		return p.subscribe(ctx, p.rng.IntN(len(p.subscriptions)))
	}
	m.call = fmt.Sprintf("client %d: %s", c, m.call)
	return m
}

func (p *player) append(ctx context.Context, client eventstore.Store, stream eventstore.StreamID) move {
	version := p.ideal.version(stream)
	expected, ids := version, p.newIDs()
	earlier := p.ideal.appends[stream]
	switch n := p.rng.IntN(60); {
	case n < 12:
		expected = eventstore.Any
	case n < 24:
		expected = eventstore.Version(p.rng.Int64N(int64(version) + 4))
	case n < 34 && len(earlier) > 0: // One that is there already.
		a := earlier[p.rng.IntN(len(earlier))]
		ids, expected = a.ids, a.base
		if n%2 == 0 {
			expected = eventstore.Any
		}
	case n < 36:
		ids = nil
	}
	events := make([]eventstore.EventData, len(ids))
	for i, id := range ids {
		events[i] = eventstore.EventData{ID: id, Type: "Drawn"}
	}
	m := move{call: fmt.Sprintf("Append(%s, %d, %s)", stream, expected, idsOutcome(ids))}
	v, err := client.Append(ctx, stream, expected, events...)
	switch c, ok := errors.AsType[*eventstore.ConcurrencyError](err); {
	case ok:
		m.got = conflictOutcome(c.Actual)
	case err != nil:
		m.got = err.Error()
	default:
		m.got = versionOutcome(v)
	}
	if copied, ok := p.ideal.forgotten(stream, expected, ids); ok && m.got == copied {
		m.want = copied // A client that has not read the newest appends looks back further.
	} else {
		m.want = p.ideal.append(stream, expected, ids)
	}
	return m
}

func (p *player) newIDs() []string {
	ids := make([]string, 1+p.rng.IntN(3))
	for i := range ids {
		p.events++
		ids[i] = fmt.Sprintf("e%d", p.events)
	}
	return ids
}

func (p *player) read(ctx context.Context, client eventstore.Store, stream eventstore.StreamID) move {
	after := eventstore.Version(p.rng.Int64N(int64(p.ideal.version(stream)) + 2))
	m := move{call: fmt.Sprintf("Read(%s, %d)", stream, after), want: p.ideal.read(stream, after)}
	events, err := all(client.Read(ctx, stream, after))
	m.got = outcome(idsOutcome(ids(events)), err)
	for i, e := range events {
		if want := after + eventstore.Version(i+1); e.Version != want || e.Stream != stream {
			m.got += fmt.Sprintf(", and %s is version %d of %s", e.ID, e.Version, e.Stream)
		}
	}
	return m
}

// replay goes on where the replay before it stopped, whichever client made that.
func (p *player) replay(ctx context.Context, client eventstore.Store) move {
	from := eventstore.Start{}
	for _, at := range p.cursor {
		from.After = append(from.After, at)
	}
	m := move{call: "Replay where it stopped", want: streamsOutcome(p.ideal.since(p.replayed))}
	events, err := all(client.Replay(ctx, from))
	for _, e := range events {
		p.cursor[e.Position.Partition] = e.Position
	}
	m.got = outcome(streamsOutcome(byStream(events)), err)
	return m
}

func (p *player) save(ctx context.Context, client eventstore.Store, stream eventstore.StreamID) move {
	p.events++
	s := eventstore.Snapshot{
		Stream: stream, Version: eventstore.Version(1 + p.rng.IntN(20)), Data: fmt.Appendf(nil, "state %d", p.events),
	}
	p.ideal.save(s)
	err := client.SaveSnapshot(ctx, s)
	return move{call: fmt.Sprintf("SaveSnapshot(%s, %s)", stream, snapshotOutcome(s)), want: "done", got: outcome("done", err)}
}

func (p *player) load(ctx context.Context, client eventstore.Store, stream eventstore.StreamID) move {
	m := move{call: fmt.Sprintf("LoadSnapshot(%s)", stream), want: p.ideal.load(stream)}
	s, err := client.LoadSnapshot(ctx, stream)
	if m.got = outcome(snapshotOutcome(s), err); errors.Is(err, eventstore.ErrNotFound) {
		m.got = "none"
	}
	return m
}

// subscribe runs a consumer until it has what it lacks. Some events fail once or twice.
func (p *player) subscribe(ctx context.Context, i int) move {
	want := p.ideal.since(p.ideal.handled[fmt.Sprint(i)])
	m := move{call: fmt.Sprintf("subscription %d: Subscribe", i), want: streamsOutcome(want)}
	if len(want) == 0 {
		return m // Nothing that it could be seen to stop after.
	}
	run, cancel := context.WithCancel(ctx)
	defer cancel()
	r := newRecorder(count(want), cancel)
	for n := range p.events { // Of those that fail, some have been handled already, and some are not there.
		r.fail[fmt.Sprintf("e%d", n)] = max(0, p.rng.IntN(8)-5)
	}
	err := p.subscriptions[i].Subscribe(run, r.handle, quick)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	m.got = outcome(streamsOutcome(r.got), err)
	return m
}

func all(events iter.Seq2[eventstore.Event, error]) (out []eventstore.Event, err error) {
	for e, err := range events {
		if err != nil {
			return out, err
		}
		out = append(out, e)
	}
	return out, nil
}

// outcome is what came of a call.
func outcome(text string, err error) string {
	if err != nil {
		return err.Error()
	}
	return text
}
