package kafka

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// cursor is an event of a record. As an offset it is the record's, and for the second event on "." and its number.
type cursor struct {
	offset int64
	event  int
}

func parseCursor(s string) (cursor, error) {
	offset, event, batch := strings.Cut(s, ".")
	var c cursor
	var err error
	if c.offset, err = strconv.ParseInt(offset, 10, 64); err == nil && batch {
		c.event, err = strconv.Atoi(event)
	}
	if err != nil || c.String() != s || c.offset < 0 || c.event < 0 {
		return cursor{}, fmt.Errorf("cannot read offset %.60q: it must look like 1234, or 1234.1 within a batch", s)
	}
	return c, nil
}

func (c cursor) String() string {
	if c.event == 0 {
		return strconv.FormatInt(c.offset, 10)
	}
	return strconv.FormatInt(c.offset, 10) + "." + strconv.Itoa(c.event)
}

func (c cursor) position(partition int32) eventstore.Position {
	return eventstore.Position{Partition: int(partition), Offset: c.String()}
}
