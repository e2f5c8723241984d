package kafka

import (
	"fmt"
	"strconv"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
)

// cursor is an event of a record. As an offset it is the record's, and for the second event on "." and its number.
type cursor struct {
	offset int64
	event  int
}

func parseCursor(s string) (c cursor, err error) {
	var place string
	place, c.event = record.ParseOffset(s)
	if c.offset, err = strconv.ParseInt(place, 10, 64); err != nil || c.String() != s || c.offset < 0 {
		return cursor{}, fmt.Errorf("cannot read offset %.60q: it must look like 1234, or 1234.1 within a batch", s)
	}
	return c, nil
}

func (c cursor) String() string { return record.Offset(strconv.FormatInt(c.offset, 10), c.event) }

func (c cursor) position(partition int32) eventstore.Position {
	return eventstore.Position{Partition: int(partition), Offset: c.String()}
}
