package kafka

import "sort"

// progress is how far a consumer is with a partition: a position, as Kafka knows it, and what is done behind it. A stream that
// waits for its next attempt keeps the position where it is, and the others go on.
type progress struct {
	open  []slot // Records that were taken and that the position does not cover, in order.
	done  int    // How many of them are done.
	bytes int    // What the others have.
	next  int64  // The position: everything before it is done.

	earlier []span // What was done behind the position before, in order.
}

// slot is a record that was taken.
type slot struct {
	offset int64
	bytes  int32
	done   bool
}

// span is offsets from one to before another.
type span struct{ from, to int64 }

// pending is how many records were taken and are not done.
func (p *progress) pending() int { return len(p.open) - p.done }

// take notes a record. It is false if it is done already.
func (p *progress) take(offset int64, bytes int) bool {
	if offset < p.next {
		return false
	}
	for len(p.earlier) > 0 && p.earlier[0].to <= offset {
		p.earlier = p.earlier[1:]
	}
	p.open = append(p.open, slot{offset: offset, bytes: int32(bytes)})
	p.bytes += bytes
	if len(p.earlier) > 0 && p.earlier[0].from <= offset {
		p.finish(offset)
		return false
	}
	return true
}

// finish notes that a record is done.
func (p *progress) finish(offset int64) {
	i := int(offset - p.open[0].offset) // Seldom is there a hole.
	if i >= len(p.open) || p.open[i].offset != offset {
		i = sort.Search(len(p.open), func(i int) bool { return p.open[i].offset >= offset })
	}
	p.open[i].done = true
	p.done++
	p.bytes -= int(p.open[i].bytes)
	n := 0
	for n < len(p.open) && p.open[n].done {
		p.next = p.open[n].offset + 1
		n++
	}
	p.open, p.done = p.open[n:], p.done-n
}

// spans returns what is done behind the position.
func (p *progress) spans() (done []span) {
	if p.done == 0 && len(p.earlier) == 0 {
		return nil
	}
	add := func(s span) {
		if n := len(done); n > 0 && done[n-1].to == s.from {
			done[n-1].to = s.to
		} else {
			done = append(done, s)
		}
	}
	taken := p.next
	for _, s := range p.open {
		if taken = s.offset + 1; s.done {
			add(span{s.offset, taken})
		}
	}
	for _, s := range p.earlier {
		if s.to > taken {
			add(span{max(s.from, taken), s.to})
		}
	}
	return done
}
