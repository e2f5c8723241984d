package eventstore

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Version is the number of events in a stream: 0 says that there is none.
type Version int64

// Any is the expected version of an append that does not mind what the stream holds. It is the only one that a streaming
// store takes.
const Any Version = -1

// EventData is an event to append. Only Type is required.
type EventData struct {
	// ID is the idempotency key. Default: a new UUID (version 7) at each Append. An append that may have to be repeated
	// needs an ID that stays the same: [Prepare] assigns one, or take it from the command that caused the event.
	ID string

	// Type says what happened, in the past tense: "OrderPlaced".
	Type string

	// Data is the payload. A []byte or json.RawMessage is stored as it is, anything else as JSON.
	Data any

	// ContentType is the media type of Data. Default: application/json.
	ContentType string

	// Time is when it happened, in the application's view. Default: now.
	Time time.Time

	CorrelationID string // The request or process that this belongs to. Optional.
	CausationID   string // The event or command that caused this one. Optional.

	// Metadata become CloudEvents extension attributes: names are 1 to 20 lower case letters and digits. Optional.
	Metadata map[string]string
}

// Event is an event as it was read.
type Event struct {
	Stream   StreamID
	Version  Version   // Version of the stream after this event: 1 for the first. 0 in a streaming store.
	Position Position  // Its place in the store.
	Recorded time.Time // When the broker took it, by the broker's clock.

	ID            string
	Type          string
	Data          []byte
	ContentType   string
	Time          time.Time // When it happened, by the clock of who appended it.
	CorrelationID string
	CausationID   string
	Metadata      map[string]string
}

// Decode reads the event's JSON payload into v, as [json.Unmarshal] does.
func (e Event) Decode(v any) error {
	if err := json.Unmarshal(e.Data, v); err != nil {
		return fmt.Errorf("cannot decode event %s of type %q: %w", e.ID, e.Type, err)
	}
	return nil
}

// Position is a place in a store. Positions of one partition are ordered by the store; those of two partitions are not.
type Position struct {
	Partition int
	Offset    string // the backend's own cursor; only the driver that made it can read it
}

// ParsePosition is the inverse of [Position.String].
func ParsePosition(s string) (Position, error) {
	p, offset, ok := strings.Cut(s, "@")
	n, err := strconv.ParseUint(p, 10, 31)
	if !ok || err != nil || offset == "" || strconv.FormatUint(n, 10) != p {
		return Position{}, fmt.Errorf("cannot read position %.40q: it must look like 3@<offset>", s)
	}
	return Position{Partition: int(n), Offset: offset}, nil
}

// String returns "<partition>@<offset>".
func (p Position) String() string { return strconv.Itoa(p.Partition) + "@" + p.Offset }

// Prepare returns copies of events that have all defaults filled in and Data encoded, or says which event cannot be
// appended. Append does the same first; calling it yourself fixes the ids, so that an append that ended in
// [ErrUnknownOutcome] can be repeated.
func Prepare(events ...EventData) ([]EventData, error) {
	out := slices.Clone(events)
	for i := range out {
		if err := out[i].prepare(); err != nil {
			return nil, fmt.Errorf("cannot append event %d of type %q: %w", i+1, out[i].Type, err)
		}
	}
	if len(out) == 1 {
		return out, nil
	}
	seen := make(map[string]bool, len(out))
	for i := range out {
		if id := out[i].ID; seen[id] {
			return nil, fmt.Errorf("cannot append event %d of type %q: id %q occurs twice", i+1, out[i].Type, id)
		}
		seen[out[i].ID] = true
	}
	return out, nil
}

func (d *EventData) prepare() error {
	if d.Type == "" {
		return errors.New("it has no type")
	}
	for name := range d.Metadata {
		if !attributeName.MatchString(name) || slices.Contains(reservedAttributes, name) {
			return fmt.Errorf("metadata name %q is reserved, or not 1 to 20 lower case letters and digits", name)
		}
	}
	switch data := d.Data.(type) {
	case nil:
		d.Data = []byte(nil)
	case []byte:
	case json.RawMessage:
		d.Data = []byte(data)
	default:
		b, err := json.Marshal(data)
		if err != nil {
			return err
		}
		d.Data = b
	}
	if d.ID == "" {
		d.ID = newID()
	}
	d.ContentType = cmp.Or(d.ContentType, "application/json")
	if d.Time.IsZero() {
		d.Time = time.Now()
	}
	d.Time = d.Time.UTC().Round(0) // As it will be read back: no zone, no monotonic clock.
	return d.validate()
}

func (d *EventData) validate() error {
	valid := true
	for _, value := range d.Metadata {
		valid = valid && utf8.ValidString(value)
	}
	for _, value := range [...]string{d.ID, d.Type, d.ContentType, d.CorrelationID, d.CausationID} {
		valid = valid && utf8.ValidString(value)
	}
	switch {
	case !valid:
		return errors.New("an attribute is not valid UTF-8")
	case strings.HasPrefix(d.ContentType, "application/cloudevents"):
		return fmt.Errorf("content type %q would be read as an envelope", d.ContentType)
	case d.Time.Year() < 1 || d.Time.Year() > 9999:
		return errors.New("its time is not in the years 1 to 9999")
	}
	return nil
}

var attributeName = regexp.MustCompile(`^[a-z0-9]{1,20}$`)

// reservedAttributes are CloudEvents attributes with a meaning of their own, here or in the specification.
var reservedAttributes = []string{
	"causationid", "correlationid", "count", "data", "datacontenttype", "dataschema", "id",
	"source", "specversion", "subject", "time", "type", "version",
}

// newID returns a UUID of version 7: ids that are made later sort later. Source: RFC 9562, section 5.7.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // Never fails: see crypto/rand.
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(time.Now().UnixMilli()))
	copy(b[:6], ms[2:])
	b[6] = b[6]&0x0f | 0x70
	b[8] = b[8]&0x3f | 0x80
	text := hex.AppendEncode(make([]byte, 0, 36), b[:4])
	for _, part := range [...][]byte{b[4:6], b[6:8], b[8:10], b[10:]} {
		text = hex.AppendEncode(append(text, '-'), part)
	}
	return string(text)
}
