package arbiter

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// A Disk keeps the index from one process to the next, so that a restart reads on where the last one ended, and not from the
// beginning. What it has may be old, or of a log that is gone: the arbiter looks before it believes it. Its methods may be
// called concurrently, for one partition by one goroutine at a time.
type Disk interface {
	// Key returns a secret that stays the same as long as anything is kept.
	Key() []byte

	// Load returns what was kept of a partition last; nothing is the zero value.
	Load(partition int) (Kept, error)

	// Keep keeps what has changed, all or nothing.
	Keep(partition int, k Kept) error

	// Forget forgets a partition.
	Forget(partition int) error

	// Close is called when nothing is kept any more.
	Close() error
}

// Kept is what a disk has of a partition.
type Kept struct {
	Next    Position // Everything before it was read.
	Mark    Mark
	Streams map[string]Stream
}

// A Mark tells whether a log is still the one that was read.
type Mark struct {
	At   Position // of the last append that was read
	Hash [16]byte
}

// Stream is the index of one stream in a form that can be stored. Chunks that are full never change.
type Stream struct {
	Head  []byte
	First int      // number of the first of Full
	Full  [][]byte // On Load all; on Keep those that are new.
}

// keepPause is how often what has changed is kept.
const keepPause = 5 * time.Second

// keepStreams is how many streams are taken at a time while nobody else can use the partition.
const keepStreams = 500

func (e *Entry) mark() Mark {
	h := sha256.New()
	for _, part := range []string{e.stream, e.id, e.attempt} {
		_ = binary.Write(h, binary.BigEndian, uint64(len(part)))
		_, _ = io.WriteString(h, part)
	}
	m := Mark{At: e.Position}
	copy(m.Hash[:], h.Sum(nil))
	return m
}

// keyed returns a hash that is the same in all processes that have the key, and in no other.
func keyed(key []byte) func(id string) uint64 {
	return func(id string) uint64 {
		var b [128]byte
		sum := sha256.Sum256(append(append(b[:0], key...), id...))
		return binary.BigEndian.Uint64(sum[:])
	}
}

var errKept = errors.New("what was kept cannot be understood")

func (c *chunk) encode(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(c.base))
	b = binary.AppendUvarint(b, uint64(c.from.Segment))
	b = binary.AppendUvarint(b, uint64(c.from.Offset))
	return append(b, c.entries...)
}

func decodeChunk(b []byte) (c chunk, err error) {
	r := numbers{b: b}
	c = chunk{base: r.number(), from: Position{r.number(), r.number()}}
	c.entries = r.b
	return c, r.err
}

// encode returns the stream as it is, with the full chunks that are not kept yet.
func (h *history) encode() Stream {
	head := binary.AppendUvarint(nil, uint64(h.version))
	head = binary.AppendUvarint(head, uint64(h.last.Segment))
	head = binary.AppendUvarint(head, uint64(h.last.Offset))
	head = binary.AppendUvarint(head, uint64(h.records))
	s := Stream{Head: h.chunk.encode(head), First: int(h.kept)}
	if h.full != nil {
		for i := range (*h.full)[h.kept:] {
			s.Full = append(s.Full, (*h.full)[int(h.kept)+i].encode(nil))
		}
	}
	return s
}

func decodeHistory(s Stream) (*history, error) {
	r := numbers{b: s.Head}
	h := &history{version: r.number(), last: Position{r.number(), r.number()}, records: int32(r.number())}
	var err error
	if h.chunk, err = decodeChunk(r.b); err != nil || r.err != nil {
		return nil, errKept
	}
	if len(s.Full) > 0 {
		full := make([]chunk, len(s.Full))
		for i := range full {
			if full[i], err = decodeChunk(s.Full[i]); err != nil {
				return nil, err
			}
		}
		h.full, h.kept = &full, int32(len(full))
	}
	return h, nil
}

// numbers reads numbers.
type numbers struct {
	b   []byte
	err error
}

func (r *numbers) number() int64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.b, r.err = nil, errKept
		return 0
	}
	r.b = r.b[n:]
	return int64(v)
}

// load takes what was kept, once, if it is still right. It is called before anything else of the partition is used.
func (p *partition) load(ctx context.Context) error {
	if p.disk == nil {
		return nil
	}
	p.loading.Lock()
	defer p.loading.Unlock()
	if p.loaded {
		return nil
	}
	kept, err := p.disk.Load(p.number)
	right := err == nil
	if right && kept.Mark != (Mark{}) {
		e, err := p.log.At(ctx, p.number, kept.Mark.At)
		if err != nil {
			return fmt.Errorf("cannot look whether the index of partition %d is still right: %w", p.number, err)
		}
		right = e.mark() == kept.Mark
	}
	histories := make(map[string]*history, len(kept.Streams))
	for name, s := range kept.Streams {
		if histories[name], err = decodeHistory(s); err != nil {
			right = false
			break
		}
	}
	if !right {
		if err := p.disk.Forget(p.number); err != nil {
			return fmt.Errorf("cannot forget the index of partition %d: %w", p.number, err)
		}
		p.loaded = true
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.index.streams, p.loaded = histories, true
	if p.next.Before(kept.Next) {
		p.next = kept.Next
	}
	return nil
}

// note notes what the disk does not have yet. The caller holds the lock.
func (p *partition) note(e *Entry, changed bool) {
	if p.disk == nil {
		return
	}
	if changed {
		p.changed[e.stream] = struct{}{}
	}
	p.seen = *e
}

// keep keeps what has changed. What changes meanwhile is kept too, or next time: a stream may be newer on the disk than the
// position is, and is then not folded twice.
func (p *partition) keep() error {
	p.mu.Lock()
	k := Kept{Next: p.next, Mark: p.seen.mark(), Streams: map[string]Stream{}}
	changed := p.changed
	p.changed = map[string]struct{}{}
	p.mu.Unlock()
	if len(changed) == 0 {
		return nil
	}
	for some := range batches(changed, keepStreams) {
		p.mu.Lock()
		for _, name := range some {
			k.Streams[name] = p.index.streams[name].encode()
		}
		p.mu.Unlock()
	}
	err := p.disk.Keep(p.number, k)
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, s := range k.Streams {
		if err != nil {
			p.changed[name] = struct{}{}
		} else {
			p.index.streams[name].kept = int32(s.First + len(s.Full))
		}
	}
	return err
}

// batches yields names, some at a time.
func batches(names map[string]struct{}, size int) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		some := make([]string, 0, size)
		for name := range names {
			if some = append(some, name); len(some) == size {
				if !yield(some) {
					return
				}
				some = some[:0]
			}
		}
		if len(some) > 0 {
			yield(some)
		}
	}
}

// keepAll keeps all partitions again and again until ctx ends, and then once more.
func (a *Arbiter) keepAll(ctx context.Context) {
	for last := false; !last; {
		select {
		case <-time.After(keepPause):
		case <-ctx.Done():
			last = true
		}
		for _, p := range a.partitions {
			_ = p.keep() // What is not kept is read again after a restart.
		}
	}
}
