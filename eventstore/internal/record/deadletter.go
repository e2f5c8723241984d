package record

import (
	"strconv"
	"strings"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// Names of fields of a dead letter, beside those of the event's own record.
const (
	DeadReason   = "dl_reason"
	DeadAttempts = "dl_attempts"
	DeadPosition = "dl_position"
	DeadRecorded = "dl_recorded" // RFC 3339. Absent where a position tells it.
)

// reasonBytes is how much is kept of a reason: that of a handler that panicked has a stack.
const reasonBytes = 1 << 14

// DeadLetter returns the record of an event that was given up, without [DeadRecorded].
func DeadLetter(store string, e eventstore.Event, attempts int, cause error) (Fields, error) {
	fields, err := Single(SourceOf(store), e)
	if err != nil {
		return nil, err
	}
	reason := cause.Error()
	if len(reason) > reasonBytes {
		reason = strings.ToValidUTF8(reason[:reasonBytes], "") + "…"
	}
	return append(fields,
		Field{DeadReason, reason}, Field{DeadAttempts, strconv.Itoa(attempts)}, Field{DeadPosition, e.Position.String()}), nil
}

// DecodeDeadLetter is the inverse of DeadLetter. At is when the letter was written.
func DecodeDeadLetter(fields Fields, at time.Time) (eventstore.DeadLetter, error) {
	d := eventstore.DeadLetter{Reason: fields.Get(DeadReason), Time: at}
	d.Attempts, _ = strconv.Atoi(fields.Get(DeadAttempts))
	events, err := Decode(fields)
	if err != nil {
		return d, err
	}
	d.Event = events[0]
	d.Event.Recorded, _ = time.Parse(time.RFC3339Nano, fields.Get(DeadRecorded))
	d.Event.Position, err = eventstore.ParsePosition(fields.Get(DeadPosition))
	return d, err
}
