package eventstore

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Checkpoint says how far somebody has read a store: the position of the last event of each partition, sorted by partition.
// The zero Checkpoint is before the first event. To replay from there on, pass it as [Start.After].
type Checkpoint []Position

// ParseCheckpoint is the inverse of [Checkpoint.String].
func ParseCheckpoint(s string) (Checkpoint, error) {
	var c Checkpoint
	for field := range strings.FieldsSeq(s) {
		p, err := ParsePosition(field)
		if err != nil {
			return nil, fmt.Errorf("cannot read checkpoint: %w", err)
		}
		if _, found := c.find(p.Partition); found {
			return nil, fmt.Errorf("cannot read checkpoint: it names partition %d twice", p.Partition)
		}
		c = c.With(p)
	}
	return c, nil
}

// String returns the positions with spaces between them: "0@17 3@5". It suits a column of text.
func (c Checkpoint) String() string {
	positions := make([]string, len(c))
	for i, p := range c {
		positions[i] = p.String()
	}
	return strings.Join(positions, " ")
}

// With returns a copy of c that has come to p in p's partition.
func (c Checkpoint) With(p Position) Checkpoint {
	i, found := c.find(p.Partition)
	if !found {
		return slices.Concat(c[:i], Checkpoint{p}, c[i:])
	}
	c = slices.Clone(c)
	c[i] = p
	return c
}

func (c Checkpoint) find(partition int) (i int, found bool) {
	return slices.BinarySearchFunc(c, partition, func(p Position, n int) int { return cmp.Compare(p.Partition, n) })
}
