package redis

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
)

// entryID is the id of a stream entry: the server's time in milliseconds, and a number among those of that millisecond.
type entryID struct{ ms, seq uint64 }

func parseEntryID(s string) (entryID, error) {
	ms, seq, ok := strings.Cut(s, "-")
	m, err1 := strconv.ParseUint(ms, 10, 64)
	n, err2 := strconv.ParseUint(seq, 10, 64)
	id := entryID{m, n}
	if !ok || err1 != nil || err2 != nil || id.String() != s {
		return entryID{}, fmt.Errorf("cannot read entry id %.50q: it must look like 1700000000000-0", s)
	}
	return id, nil
}

func (e entryID) String() string {
	b := strconv.AppendUint(make([]byte, 0, 41), e.ms, 10) // Two numbers of 20 digits.
	return string(strconv.AppendUint(append(b, '-'), e.seq, 10))
}

func (e entryID) compare(o entryID) int {
	return cmp.Or(cmp.Compare(e.ms, o.ms), cmp.Compare(e.seq, o.seq))
}

func (e entryID) time() time.Time { return time.UnixMilli(int64(e.ms)).UTC() }

// cursor is an event of an entry. As an offset it is the entry's id, and for the second event on "." and its number.
type cursor struct {
	entryID
	event int
}

func parseCursor(offset string) (c cursor, err error) {
	var id string
	id, c.event = record.ParseOffset(offset)
	if c.entryID, err = parseEntryID(id); err != nil || c.String() != offset {
		return cursor{}, fmt.Errorf("cannot read offset %.60q: it must look like 1700000000000-0, or 1700000000000-0.1 within a batch", offset)
	}
	return c, nil
}

func (c cursor) String() string { return record.Offset(c.entryID.String(), c.event) }
