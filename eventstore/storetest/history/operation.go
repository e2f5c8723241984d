package history

import (
	"fmt"
	"strings"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// What came of an operation.
const (
	succeeded = "succeeded"
	conflict  = "conflict" // The stream was at another version.
	unknown   = "unknown"  // It may have happened or not, or may happen yet.
	failed    = "failed"   // For certain it did not happen.
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
	case o.Outcome == conflict || o.isAppend() && o.Outcome == succeeded:
		out = fmt.Sprintf("%s, version %d", o.Outcome, o.Version)
	case o.Outcome == succeeded:
		out = fmt.Sprintf("%d events to version %d", len(o.Read), o.Version)
	}
	return fmt.Sprintf("%12s to %12s  client %d: %s = %s", o.Call, o.Return, o.Client, call, out)
}
