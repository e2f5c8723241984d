package history

import (
	"fmt"
	"strings"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// Outcomes of an operation.
const (
	Succeeded = "succeeded"
	Conflict  = "conflict" // The stream was at another version.
	Unknown   = "unknown"  // It may have happened or not, or may happen yet.
	Failed    = "failed"   // For certain it did not happen.
)

// An Operation is an append or a read of one stream, by one client, and what came of it.
type Operation struct {
	Client int
	Stream eventstore.StreamID

	// An append of events with these ids, or a read of what is after a version.
	IDs      []string
	Expected eventstore.Version
	After    eventstore.Version

	// When it was called, and when its outcome was known, since the run began.
	Call, Return time.Duration

	Outcome string
	Version eventstore.Version // Of the stream: after an append, of a conflict, or of the last event that was read.
	Read    []string           // The ids of the events that were read.
	Error   string
}

func (o Operation) isAppend() bool { return len(o.IDs) > 0 }

// String returns what a person reads to find out what went wrong.
func (o Operation) String() string {
	call := fmt.Sprintf("Read(%s, %d)", o.Stream, o.After)
	if o.isAppend() {
		call = fmt.Sprintf("Append(%s, %d, %s)", o.Stream, o.Expected, strings.Join(o.IDs, " "))
	}
	out := o.Outcome
	switch {
	case o.Error != "":
		out += ": " + o.Error
	case o.Outcome == Conflict || o.isAppend() && o.Outcome == Succeeded:
		out = fmt.Sprintf("%s, version %d", o.Outcome, o.Version)
	case o.Outcome == Succeeded:
		out = fmt.Sprintf("%d events to version %d", len(o.Read), o.Version)
	}
	return fmt.Sprintf("%12s to %12s  client %d: %s = %s", o.Call, o.Return, o.Client, call, out)
}
