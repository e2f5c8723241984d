package redis

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// An entryID is the id of an entry in a Redis stream: when it was added, and a sequence number within the millisecond.
type entryID struct{ ms, seq uint64 }

func (id entryID) String() string {
	return strconv.FormatUint(id.ms, 10) + "-" + strconv.FormatUint(id.seq, 10)
}

// parseID reads "<milliseconds>-<sequence>" or "<milliseconds>", which means sequence 0.
func parseID(s string) (entryID, error) {
	ms, seq, ok := strings.Cut(s, "-")
	if !ok {
		seq = "0"
	}
	var id entryID
	var err1, err2 error
	id.ms, err1 = strconv.ParseUint(ms, 10, 64)
	id.seq, err2 = strconv.ParseUint(seq, 10, 64)
	if err1 != nil || err2 != nil {
		return entryID{}, fmt.Errorf("position %q is not one of Redis: it must be <milliseconds>-<sequence>", s)
	}
	return id, nil
}

// next returns the smallest id after id. The greatest has none, and is returned itself.
func (id entryID) next() entryID {
	switch {
	case id.seq < math.MaxUint64:
		return entryID{id.ms, id.seq + 1}
	case id.ms < math.MaxUint64:
		return entryID{id.ms + 1, 0}
	default:
		return id
	}
}

// previous returns the greatest id before id. The smallest has none, and is returned itself.
func (id entryID) previous() entryID {
	switch {
	case id.seq > 0:
		return entryID{id.ms, id.seq - 1}
	case id.ms > 0:
		return entryID{id.ms - 1, math.MaxUint64}
	default:
		return id
	}
}

// timeOf returns when the entry was added; the zero time if s is no id.
func timeOf(s string) time.Time {
	id, err := parseID(s)
	if err != nil || id.ms > math.MaxInt64 {
		return time.Time{}
	}
	return time.UnixMilli(int64(id.ms)).UTC()
}

// latest stands for the last id of a stream in XGROUP CREATE.
const latest = "$"

// beginning comes before all entries.
const beginning = "0-0"

// after returns the id after which a group must read so that the entry at position is the first.
func after(position string) (string, error) {
	id, err := parseID(position)
	if err != nil {
		return "", err
	}
	return id.previous().String(), nil
}

// startAfter returns the id after which a group reads that begins at s, in one partition.
func startAfter(s plan.Start, partition int) (string, error) {
	switch {
	case s.Latest:
		return latest, nil
	case !s.Time.IsZero():
		// Entries know whole milliseconds. Those of the millisecond that t is in may have come before t or after: they
		// are read, because one too many does no harm.
		ms := s.Time.UnixMilli()
		if ms <= 0 {
			return beginning, nil
		}
		return entryID{ms: uint64(ms)}.previous().String(), nil
	case s.Positions[partition] != "":
		return after(s.Positions[partition])
	default:
		return beginning, nil
	}
}
