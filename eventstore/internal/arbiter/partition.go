package arbiter

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/lifetime"
)

// partition is what a process knows of one partition.
type partition struct {
	*Arbiter
	number int

	loading sync.Mutex
	loaded  bool // The disk was asked.

	mu       sync.Mutex
	index    *index
	next     Position            // Everything before it was read.
	seen     Entry               // The last append that was read, if there is a disk.
	changed  map[string]struct{} // Streams that the disk has not, as they are; nil without a disk.
	reading  bool                // A tail runs.
	warm     bool                // Everything that there was when the partition was first used was read.
	shutDown bool
	lost     error                      // Final: history is lost.
	attempts map[uint64]*attempt        // Published, and without a verdict.
	newest   uint64                     // number of the last attempt
	turns    map[string][]chan struct{} // Streams that have an append in flight, and who waits for it, in order.

	asking bool     // Somebody asks for the end.
	asked  *barrier // What the next one who asks for the end will answer; nil: nobody waits.
	goals  []goal   // Who waits for the fold.
}

// barrier is a promise that everything was read that there was when it was made.
type barrier struct {
	done chan struct{}
	err  error
}

// goal is a barrier that holds once everything before a position was read.
type goal struct {
	*barrier
	at Position
}

func newBarrier() *barrier { return &barrier{done: make(chan struct{})} }

// wait returns when the barrier holds, or cannot.
func (b *barrier) wait(ctx context.Context) error {
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (b *barrier) settle(err error) {
	b.err = err
	close(b.done)
}

func newPartition(a *Arbiter, n int) *partition {
	p := &partition{Arbiter: a, number: n, attempts: map[uint64]*attempt{}, turns: map[string][]chan struct{}{}}
	if a.disk == nil {
		p.index = newIndex(seeded())
		return p
	}
	p.index, p.changed = newIndex(keyed(a.disk.Key())), map[string]struct{}{}
	return p
}

// read starts to tail the partition, if nobody does. The caller holds the lock.
func (p *partition) read() error {
	switch {
	case p.lost != nil:
		return p.lost
	case p.shutDown:
		return lifetime.ErrClosed
	case p.reading:
		return nil
	}
	p.reading = true
	from := p.next
	p.wg.Go(func() {
		p.stopped(p.log.Tail(p.ctx, p.number, from, p.fold))
	})
	return nil
}

// stopped tells everybody who waits why the tail has ended.
func (p *partition) stopped(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reading = false
	switch {
	case p.shutDown:
		err = lifetime.ErrClosed
	case err == nil:
		err = errors.New("it stopped")
	}
	err = fmt.Errorf("cannot read partition %d: %w", p.number, err)
	if errors.Is(err, eventstore.ErrHistoryLost) {
		p.lost = err
	}
	for _, g := range p.goals {
		g.settle(err)
	}
	p.goals = nil
	for n, a := range p.attempts {
		delete(p.attempts, n)
		a.settle(verdict{err: err})
	}
}

// shut lets nothing begin any more.
func (p *partition) shut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shutDown = true
}

// fold judges records, and wakes whom they concern.
func (p *partition) fold(entries []Entry, next Position) (known Position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range entries {
		if e := &entries[i]; !e.Position.Before(p.next) { // A log may deliver twice what it had before it lost its connection.
			p.judge(e)
		}
	}
	if p.next.Before(next) {
		p.next = next
	}
	p.wake()
	return p.next
}

// landed judges a record that the tail has yet to bring, if it is the next one.
func (p *partition) landed(e *Entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.Position == p.next {
		p.judge(e)
		p.wake()
	}
}

// judgeRead judges records that somebody else has read, unless there are others before them that nobody has folded.
func (p *partition) judgeRead(entries []Entry, counts []bool) (judged bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.lost != nil:
		return false, p.lost
	case p.shutDown:
		return false, lifetime.ErrClosed
	case p.next.Before(entries[0].Position):
		return false, nil
	}
	for i := range entries {
		if e := &entries[i]; e.Position.Before(p.next) {
			counts[i] = e.Valid() && p.index.has(*e)
		} else {
			counts[i] = p.judge(e)
		}
	}
	p.wake()
	return true, nil
}

// wake settles the barriers that hold now. The caller holds the lock.
func (p *partition) wake() {
	if len(p.goals) == 0 {
		return
	}
	waiting := p.goals[:0]
	for _, g := range p.goals {
		if p.next.Before(g.at) {
			waiting = append(waiting, g)
			continue
		}
		g.settle(nil)
	}
	clear(p.goals[len(waiting):])
	p.goals = waiting
}

// judge is the rule. The caller holds the lock.
func (p *partition) judge(e *Entry) (counts bool) {
	p.next = e.Position.after()
	if !e.Valid() {
		return false
	}
	known := false
	h := p.index.streams[e.stream]
	switch {
	case h == nil && e.base == 0 && lives(e.stream, p.number, len(p.partitions)):
		h = &history{}
		p.index.streams[strings.Clone(e.stream)] = h // It may be a part of something large.
		counts = true
	case h == nil:
	case e.base == h.version:
		counts = true
	default: // A stream may have been kept further than the position was.
		counts, known = p.index.has(*e), true
	}
	if counts && !known {
		p.index.add(h, e)
	}
	p.note(e, counts && !known)
	if len(p.attempts) == 0 { // As always while a process only reads.
		return counts
	}
	if n, ok := p.ours(e.attempt); ok && p.attempts[n] != nil {
		v := verdict{counts: counts}
		if h != nil {
			v.version = h.version
		}
		p.attempts[n].settle(v)
		delete(p.attempts, n)
	}
	return counts
}

// after is the place after a record.
func (p Position) after() Position { return Position{p.Segment, p.Offset + 1} }

// catchUp returns when everything was read that there is now. Callers share what they ask, but never join a question that
// was asked before they came: its answer may be older than an append that they must see.
func (p *partition) catchUp(ctx context.Context) error {
	if err := p.load(ctx); err != nil {
		return err
	}
	p.mu.Lock()
	if err := p.read(); err != nil {
		p.mu.Unlock()
		return err
	}
	if p.asked == nil {
		p.asked = newBarrier()
	}
	b := p.asked
	if !p.asking {
		p.asking = true
		p.wg.Go(p.ask)
	}
	p.mu.Unlock()
	return b.wait(ctx)
}

// ask asks for the end until nobody wants to know.
func (p *partition) ask() {
	for {
		p.mu.Lock()
		b := p.asked
		p.asked, p.asking = nil, b != nil
		read := p.next // Before we ask: the fold goes on meanwhile.
		p.mu.Unlock()
		if b == nil {
			return
		}
		end, err := p.log.End(p.ctx, p.number)
		p.mu.Lock()
		switch {
		case p.shutDown:
			b.settle(lifetime.ErrClosed)
		case err != nil:
			b.settle(fmt.Errorf("cannot ask where partition %d ends: %w", p.number, err))
		case end.Before(read):
			b.settle(fmt.Errorf("partition %d ends at %v, and was read up to %v: %w", p.number, end, read, eventstore.ErrHistoryLost))
		default:
			p.reach(b, end)
		}
		p.mu.Unlock()
	}
}

// reach settles a barrier when everything before a position was read. The caller holds the lock.
func (p *partition) reach(b *barrier, at Position) {
	if !p.next.Before(at) {
		b.settle(nil)
		return
	}
	if err := p.read(); err != nil { // The tail may have ended meanwhile, and nobody would tell us.
		b.settle(err)
		return
	}
	p.goals = append(p.goals, goal{b, at})
}

func (p *partition) await(ctx context.Context, at Position) error {
	b := newBarrier()
	p.mu.Lock()
	p.reach(b, at)
	p.mu.Unlock()
	return b.wait(ctx)
}
