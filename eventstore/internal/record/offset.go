package record

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// Offset is that of an event: the place of its record, and from the second event of a batch on "." and its number.
func Offset(place string, event int) string {
	if event == 0 {
		return place
	}
	return place + "." + strconv.Itoa(event)
}

// ParseOffset is the inverse of Offset. What it gives for anything else is not turned into the same text by Offset.
func ParseOffset(offset string) (place string, event int) {
	place, number, batch := strings.Cut(offset, ".")
	if batch {
		event, _ = strconv.Atoi(number)
	}
	return place, max(event, 0)
}

// After returns the offsets that a replay goes on after, by partition.
func After[T any](from eventstore.Start, partitions int, parse func(offset string) (T, error)) (map[int]T, error) {
	after := make(map[int]T, len(from.After))
	for _, at := range from.After {
		offset, err := parse(at.Offset)
		if err != nil {
			return nil, err
		}
		if at.Partition < 0 || at.Partition >= partitions {
			return nil, fmt.Errorf("position %q is not of this store: it has %d partitions", at, partitions)
		}
		after[at.Partition] = offset
	}
	return after, nil
}
