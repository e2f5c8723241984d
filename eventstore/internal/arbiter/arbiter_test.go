package arbiter

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/lifetime"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

var order42 = eventstore.StreamID{Type: "order", ID: "42"}

// entry is that of a record of one event.
func entry(offset int64, stream, version, id string) Entry {
	return entryOf(offset, recordOf(stream, version, id))
}

func recordOf(stream, version, id string, more ...record.Field) record.Fields {
	return append(record.Fields{
		{Name: record.Subject, Value: stream}, {Name: record.Version, Value: version}, {Name: record.ID, Value: id},
	}, more...)
}

func batchOf(count string) record.Fields {
	return record.Fields{{Name: record.ContentType, Value: record.BatchContentType}, {Name: record.Count, Value: count}}
}

func TestRule(t *testing.T) {
	elsewhere := "order/0"
	for n := 0; layout.Partition(elsewhere, 2) == layout.Partition("order/42", 2); n++ {
		elsewhere = "order/" + strconv.Itoa(n)
	}
	genesis := record.Field{Name: record.ContentType, Value: layout.GenesisType}
	cases := map[string]struct {
		reason  string
		records []record.Fields
		counts  []bool
		version int64
	}{
		"InTurn": {
			reason:  "Every record begins where the one before ended.",
			records: []record.Fields{recordOf("order/42", "1", "a"), recordOf("order/42", "2", "b")}, counts: []bool{true, true}, version: 2,
		},
		"Race": {
			reason:  "Of two at one version the first wins.",
			records: []record.Fields{recordOf("order/42", "1", "a"), recordOf("order/42", "1", "b")}, counts: []bool{true, false}, version: 1,
		},
		"Ahead": {
			reason:  "A record that is ahead is void, and stays void when the stream gets there.",
			records: []record.Fields{recordOf("order/42", "2", "b"), recordOf("order/42", "1", "a")}, counts: []bool{false, true}, version: 1,
		},
		"Copy": {
			reason:  "A copy is void.",
			records: []record.Fields{recordOf("order/42", "1", "a"), recordOf("order/42", "1", "a")}, counts: []bool{true, false}, version: 1,
		},
		"Batch": {
			reason:  "A batch moves the version by its count.",
			records: []record.Fields{recordOf("order/42", "1", "a", batchOf("3")...), recordOf("order/42", "4", "b")}, counts: []bool{true, true}, version: 4,
		},
		"CountOfOne": {
			reason:  "Only a batch has a count.",
			records: []record.Fields{recordOf("order/42", "1", "a", record.Field{Name: record.Count, Value: "9"})}, counts: []bool{true}, version: 1,
		},
		"Envelope": {
			reason: "What has no envelope that can be understood is passed over.",
			records: []record.Fields{
				recordOf("", "1", "a"), recordOf("order/42", "1", ""), recordOf("order/42", "", "a"), recordOf("order/42", "0", "a"),
				recordOf("order/42", "1.0", "a"), recordOf("order/42", "9007199254740993", "a"), recordOf("order", "1", "a"),
				recordOf("order/42", "1", "a", batchOf("")...), recordOf("order/42", "1", "a", batchOf("0")...),
				recordOf("order/42", "1", "a", genesis), recordOf("order/42", "1", "a"),
			},
			counts: []bool{false, false, false, false, false, false, false, false, false, false, true}, version: 1,
		},
		"Twice": {
			reason: "Of two fields of one name the last counts.",
			records: []record.Fields{
				recordOf("order/42", "9", "a", record.Field{Name: record.Version, Value: "1"}),
				recordOf("order/42", "2", "b", record.Field{Name: record.Version, Value: "9"}),
			},
			counts: []bool{true, false}, version: 1,
		},
		"Elsewhere": {
			reason:  "A stream lives in one partition.",
			records: []record.Fields{recordOf(elsewhere, "1", "a")}, counts: []bool{false},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			a := New(newFakeLog(2, 1, faults{}), 2, nil)
			defer a.Close()
			p := a.partition("order/42")
			entries := make([]Entry, len(tc.records))
			for i, fields := range tc.records {
				entries[i] = entryOf(int64(i), fields)
			}
			for _, when := range []string{"read by who asks", "read before"} {
				counts := make([]bool, len(entries))
				if err := a.Judge(t.Context(), p.number, entries, counts); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tc.counts, counts); diff != "" {
					t.Errorf("%s\n%s, -want, +got:\n%s", tc.reason, when, diff)
				}
			}
			if got := p.index.version("order/42"); got != tc.version {
				t.Errorf("%s\nversion %d, want %d", tc.reason, got, tc.version)
			}
		})
	}
}

// Whoever reads a partition from its second record on reads for everybody, wherever positions begin.
func TestBegins(t *testing.T) {
	a := New(newFakeLog(1, 1, faults{}), 1, nil)
	defer a.Close()
	a.Begins(0, Position{Segment: 7, Offset: 1})
	entries := []Entry{entry(0, "order/42", "1", "a"), entry(0, "order/42", "2", "b")}
	entries[0].Position, entries[1].Position = Position{Segment: 7, Offset: 1}, Position{Segment: 7, Offset: 2}
	counts := make([]bool, 2)
	if err := a.Judge(t.Context(), 0, entries, counts); err != nil || !counts[0] || !counts[1] {
		t.Errorf("Judge: %v, %v; want both to count", counts, err)
	}
	a.Begins(0, Position{Segment: 7, Offset: 1}) // Too late to be true.
	from, tailed, err := a.Unread(t.Context(), 0)
	if want := (Position{Segment: 7, Offset: 3}); from != want || tailed || err != nil {
		t.Errorf("read up to %v, by a tail: %t, %v; want %v, without", from, tailed, err, want)
	}
}

// fill puts events e1, e2 … into the stream, one record each.
func (l *fakeLog) fill(n int) {
	for v := 1; v <= n; v++ {
		l.add(0, recordOf(order42.String(), strconv.Itoa(v), fmt.Sprintf("e%d", v))...)
	}
}

func appendOf(expected eventstore.Version, id string) Append {
	return Append{Stream: order42, Expected: expected, Fields: fieldsOf(order42, id)}
}

func TestAppend(t *testing.T) {
	conflict := func(expected, actual eventstore.Version) error {
		return &eventstore.ConcurrencyError{Expected: expected, Actual: actual}
	}
	cases := map[string]struct {
		reason    string
		there     int // events before
		append    Append
		version   eventstore.Version
		err       error
		published int
	}{
		"First":       {reason: "A stream begins.", append: appendOf(0, "a"), version: 1, published: 1},
		"Next":        {reason: "A stream goes on.", there: 3, append: appendOf(3, "a"), version: 4, published: 1},
		"Behind":      {reason: "Who knows that it lost publishes nothing.", there: 3, append: appendOf(1, "a"), err: conflict(1, 3)},
		"Ahead":       {reason: "Nothing is published ahead of the stream.", there: 3, append: appendOf(4, "a"), err: conflict(4, 3)},
		"Repeated":    {reason: "An earlier copy has won.", there: 3, append: appendOf(1, "e2"), version: 2},
		"Other":       {reason: "The same id elsewhere is no copy.", there: 3, append: appendOf(1, "e3"), err: conflict(1, 3)},
		"Any":         {reason: "At any version.", there: 3, append: appendOf(eventstore.Any, "a"), version: 4, published: 1},
		"AnyRepeated": {reason: "It is among the last 16.", there: 20, append: appendOf(eventstore.Any, "e5"), version: 5},
		"AnyForgot":   {reason: "It is not among the last 16.", there: 20, append: appendOf(eventstore.Any, "e4"), version: 21, published: 1},
		"Nothing":     {reason: "Only the expectation is checked.", there: 3, append: Append{Stream: order42, Expected: 3}, version: 3},
		"NothingAt":   {reason: "It does not hold.", there: 3, append: Append{Stream: order42, Expected: 2}, err: conflict(2, 3)},
		"NothingAny":  {reason: "The version is told.", there: 3, append: Append{Stream: order42, Expected: eventstore.Any}, version: 3},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			log := newFakeLog(1, 1, faults{})
			log.fill(tc.there)
			a := New(log, 1, nil)
			defer a.Close()
			v, err := a.Append(t.Context(), tc.append)
			if diff := cmp.Diff(tc.err, err); diff != "" || v != tc.version {
				t.Errorf("%s\nversion %d, want %d; error -want, +got:\n%s", tc.reason, v, tc.version, diff)
			}
			if log.published != tc.published {
				t.Errorf("%s\n%d records published, want %d", tc.reason, log.published, tc.published)
			}
		})
	}
}

// scripted is a log whose methods are functions.
type scripted struct {
	*fakeLog

	publish func(failed func(error))
	tail    func(ctx context.Context, fold Fold) error
	end     func() (Position, error)
}

func (s scripted) Publish(p int, stream string, fields record.Fields, o Outcome) {
	if s.publish != nil {
		s.publish(o.Failed)
		return
	}
	s.fakeLog.Publish(p, stream, fields, o)
}

func (s scripted) Tail(ctx context.Context, p int, from Position, fold Fold) error {
	if s.tail != nil {
		return s.tail(ctx, fold)
	}
	return s.fakeLog.Tail(ctx, p, from, fold)
}

func (s scripted) End(ctx context.Context, p int) (Position, error) {
	if s.end != nil {
		return s.end()
	}
	return s.fakeLog.End(ctx, p)
}

func TestAppendFails(t *testing.T) {
	broken := errors.New("broken")
	cases := map[string]struct {
		reason string
		log    scripted
		is     error
		known  bool
	}{
		"Refused": {
			reason: "The log did not take it: that is certain.", known: true, is: broken,
			log: scripted{publish: func(failed func(error)) { failed(fmt.Errorf("%w: %w", ErrRefused, broken)) }},
		},
		"RefusedLater": {
			reason: "The second copy is refused, and the first may be there.", is: broken,
			log: scripted{publish: func() func(func(error)) {
				n := 0
				return func(failed func(error)) {
					if n++; n == 1 {
						failed(errPasses)
						return
					}
					failed(fmt.Errorf("%w: %w", ErrRefused, broken))
				}
			}()},
		},
		"Silence": {
			reason: "Nobody knows what became of it.", is: context.DeadlineExceeded,
			log: scripted{publish: func(func(error)) {}},
		},
		"Lost": {
			reason: "Nothing is published to a partition that lost its history.", known: true, is: eventstore.ErrHistoryLost,
			log: scripted{
				tail: func(context.Context, Fold) error { return eventstore.ErrHistoryLost },
				end:  func() (Position, error) { return Position{Offset: 1}, nil },
			},
		},
		"NoEnd": {
			reason: "Who does not know the end publishes nothing.", known: true, is: broken,
			log: scripted{end: func() (Position, error) { return Position{}, broken }},
		},
		"NoTail": {
			reason: "Who cannot read publishes nothing.", known: true, is: broken,
			log: scripted{
				tail: func(context.Context, Fold) error { return broken },
				end:  func() (Position, error) { return Position{Offset: 1}, nil },
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tc.log.fakeLog = newFakeLog(1, 1, faults{})
				tc.log.changed = make(chan struct{})
				a := New(tc.log, 1, nil)
				defer a.Close()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				_, err := a.Append(ctx, appendOf(0, "a"))
				if !errors.Is(err, tc.is) || errors.Is(err, eventstore.ErrUnknownOutcome) == tc.known {
					t.Errorf("%s\nAppend: %v, want %v, with the outcome known: %t", tc.reason, err, tc.is, tc.known)
				}
			})
		})
	}
}

// Whoever waits learns that the store was closed, and that its append may have happened.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := New(scripted{fakeLog: newFakeLog(1, 1, faults{}), publish: func(func(error)) {}}, 1, nil)
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := a.Append(t.Context(), appendOf(0, "a"))
			if !errors.Is(err, lifetime.ErrClosed) || !errors.Is(err, eventstore.ErrUnknownOutcome) {
				t.Errorf("Append: %v, want ErrClosed and an unknown outcome", err)
			}
		})
		wg.Go(func() {
			if err := a.Judge(t.Context(), 0, []Entry{entry(9, "order/42", "1", "a")}, make([]bool, 1)); !errors.Is(err, lifetime.ErrClosed) {
				t.Errorf("Judge: %v, want ErrClosed", err)
			}
		})
		synctest.Wait()
		a.Close()
		wg.Wait()
		if err := a.CatchUp(t.Context(), order42); !errors.Is(err, lifetime.ErrClosed) {
			t.Errorf("CatchUp: %v, want ErrClosed", err)
		}
	})
}

// A partition may end in what is no record of ours.
func TestGap(t *testing.T) {
	a := New(scripted{
		tail: func(ctx context.Context, fold Fold) error {
			fold([]Entry{entry(0, order42.String(), "1", "a")}, Position{Offset: 1})
			fold(nil, Position{Offset: 3})
			<-ctx.Done()
			return ctx.Err()
		},
		end: func() (Position, error) { return Position{Offset: 3}, nil },
	}, 1, nil)
	defer a.Close()
	if err := a.CatchUp(t.Context(), order42); err != nil {
		t.Fatal(err)
	}
	if _, at, err := a.Locate(order42, 0, 10); err != nil || len(at) != 1 {
		t.Errorf("Locate: %v, %v; want one record", at, err)
	}
}

// Writers of one process wait for each other, so nothing that they publish is void.
func TestOneInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newFakeLog(1, 1, faults{delay: time.Millisecond})
		a := New(log, 1, nil)
		defer a.Close()
		var wg sync.WaitGroup
		for n := range 50 {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			wg.Go(func() {
				if _, err := a.Append(ctx, appendOf(eventstore.Any, fmt.Sprint(n))); err != nil && n%5 != 0 {
					t.Errorf("Append: %v", err)
				}
			})
			if n%5 == 0 { // Some lose patience while they wait, and do not hold up the others.
				time.AfterFunc(500*time.Microsecond, cancel)
			}
		}
		wg.Wait()
		if err := a.CatchUp(t.Context(), order42); err != nil {
			t.Fatal(err)
		}
		_, at, _ := a.Locate(order42, 0, 100)
		if len(at) < 40 || len(at) != log.published {
			t.Errorf("%d records were published, %d count, want all, and at least 40", log.published, len(at))
		}
	})
}

// A record that is the next one is judged when it has landed; one that is not waits for the tail.
func TestLanded(t *testing.T) {
	a := New(newFakeLog(1, 1, faults{}), 1, nil)
	defer a.Close()
	p := a.partitions[0]
	for _, step := range []struct {
		offset  int64
		version string
		want    int64
	}{{1, "2", 0}, {0, "1", 1}, {0, "1", 1}, {1, "2", 2}} {
		ours := &attempt{partition: p, entry: entry(0, order42.String(), step.version, "a")}
		ours.Landed(Position{Offset: step.offset})
		if got := p.index.version(order42.String()); got != step.want {
			t.Errorf("after a record landed at offset %d: version %d, want %d", step.offset, got, step.want)
		}
	}
	p.fold([]Entry{entry(0, order42.String(), "1", "a"), entry(1, order42.String(), "2", "a"), entry(2, order42.String(), "3", "a")}, Position{Offset: 3})
	if got := p.index.version(order42.String()); got != 3 {
		t.Errorf("after the tail brought them too, and a third: version %d, want 3", got)
	}
}
