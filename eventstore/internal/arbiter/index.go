package arbiter

import (
	"encoding/binary"
	"hash/maphash"
	"iter"
	"slices"
	"sort"
)

// index says of each stream of a partition where its records are. It holds only what counts. BenchmarkIndex measures what
// that takes.
type index struct {
	hash    func(id string) uint64
	streams map[string]*history
}

// history is what is known of one stream. Its newest records are in the chunk itself, the older ones in chunks that are
// full, so that finding a version in a long stream decodes one chunk.
type history struct {
	chunk

	records int32 // in the chunk
	kept    int32 // how many full chunks a disk has
	version int64
	last    Position
	full    *[]chunk // nil for most
}

// chunk is a run of records. Each is: how many events it has, and how far it is from the record before (segments; then
// the offset, or the difference if the segment is the same), as varints, and 8 bytes of a hash of its first event's id.
type chunk struct {
	base    int64    // version before its first record
	from    Position // what the first record's distance counts from
	entries []byte
}

const (
	chunkRecords = 128
	hashBytes    = 8
)

// located is a record of a chunk.
type located struct {
	base, count int64
	at          Position
	id          uint64 // hash of its first event's id
}

func newIndex(hash func(id string) uint64) *index {
	return &index{hash: hash, streams: map[string]*history{}}
}

// seeded returns a hash that is this process's own.
func seeded() func(id string) uint64 {
	seed := maphash.MakeSeed()
	return func(id string) uint64 { return maphash.String(seed, id) }
}

func (x *index) version(stream string) int64 {
	if h := x.streams[stream]; h != nil {
		return h.version
	}
	return 0
}

// add appends the record of an entry that counts.
func (x *index) add(h *history, e *Entry) {
	if h.records == chunkRecords {
		if h.full == nil {
			h.full = &[]chunk{}
		}
		*h.full = append(*h.full, chunk{h.base, h.from, slices.Clone(h.entries)})
		h.chunk, h.records = chunk{base: h.version, from: h.last, entries: h.entries[:0]}, 0
	}
	segments, offset := e.Position.Segment-h.last.Segment, e.Position.Offset
	if segments == 0 {
		offset -= h.last.Offset
	}
	b := binary.AppendUvarint(h.entries, uint64(e.events))
	b = binary.AppendUvarint(b, uint64(segments))
	b = binary.AppendUvarint(b, uint64(offset))
	h.entries = binary.LittleEndian.AppendUint64(b, x.hash(e.id))
	h.records++
	h.version += e.events
	h.last = e.Position
}

// all yields the records of a chunk, oldest first.
func (c *chunk) all() iter.Seq[located] {
	return func(yield func(located) bool) {
		l := located{base: c.base, at: c.from}
		for b := c.entries; len(b) > 0; l.base += l.count {
			count, n := binary.Uvarint(b)
			segments, m := binary.Uvarint(b[n:])
			offset, o := binary.Uvarint(b[n+m:])
			b = b[n+m+o:]
			if l.count = int64(count); segments > 0 {
				l.at = Position{l.at.Segment + int64(segments), 0}
			}
			l.at.Offset += int64(offset)
			l.id = binary.LittleEndian.Uint64(b)
			b = b[hashBytes:]
			if !yield(l) {
				return
			}
		}
	}
}

// after yields the records that have events after a version, oldest first.
func (h *history) after(version int64) iter.Seq[located] {
	return func(yield func(located) bool) {
		for _, c := range h.chunks(version) {
			for l := range c.all() {
				if l.base+l.count > version && !yield(l) {
					return
				}
			}
		}
	}
}

// chunks returns those that may have events after a version.
func (h *history) chunks(version int64) []chunk {
	if h.full == nil || version >= h.base {
		return []chunk{h.chunk}
	}
	full := *h.full
	n := sort.Search(len(full), func(i int) bool { return full[i].base > version })
	return append(slices.Clone(full[max(n-1, 0):]), h.chunk)
}

// positions returns where the events after a version are: of at most limit records.
func (x *index) positions(stream string, after int64, limit int) (at []Position) {
	h := x.streams[stream]
	if h == nil || after >= h.version {
		return nil
	}
	for l := range h.after(after) {
		if len(at) == limit {
			break
		}
		at = append(at, l.at)
	}
	return at
}

// find returns the version after the record that follows base, if its first event has that id.
func (x *index) find(stream string, base int64, id string) (version int64, ok bool) {
	h := x.streams[stream]
	if h == nil || base >= h.version {
		return 0, false
	}
	for l := range h.after(base) {
		return l.base + l.count, l.base == base && l.id == x.hash(id)
	}
	return 0, false
}

// findNewest is find among the stream's last n records.
func (x *index) findNewest(stream string, n int, id string) (version int64, ok bool) {
	h := x.streams[stream]
	if h == nil {
		return 0, false
	}
	var newest []located
	for l := range h.chunk.all() {
		newest = append(newest, l)
	}
	if h.full != nil && len(newest) < n {
		var older []located
		for l := range (*h.full)[len(*h.full)-1].all() {
			older = append(older, l)
		}
		newest = append(older, newest...)
	}
	hash := x.hash(id)
	for _, l := range newest[max(len(newest)-n, 0):] {
		if l.id == hash {
			return l.base + l.count, true
		}
	}
	return 0, false
}

// has reports whether the entry's record is in the index.
func (x *index) has(e Entry) bool {
	h := x.streams[e.stream]
	if h == nil || e.base >= h.version {
		return false
	}
	for l := range h.after(e.base) {
		return l.base == e.base && l.at == e.Position
	}
	return false
}
