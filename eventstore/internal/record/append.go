package record

import (
	"fmt"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/refuse"
)

// ForAppend checks an append against what the store allows, and returns its record: nil if there are no events to append.
func ForAppend(b eventstore.Binding, s eventstore.StreamID, expected eventstore.Version, events []eventstore.EventData) (Fields, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if err := refuse.Expected(b, expected); err != nil || len(events) == 0 {
		return nil, err
	}
	prepared, err := eventstore.Prepare(events...)
	if err != nil {
		return nil, err
	}
	fields, err := Encode(SourceOf(b.Store), s, prepared)
	if err != nil {
		return nil, err
	}
	if size := Size(fields); b.MaxEventBytes > 0 && size > b.MaxEventBytes {
		return nil, fmt.Errorf("cannot append to %s: the record of %d events has %d bytes, store %q takes at most %d: %w",
			s, len(events), size, b.Store, b.MaxEventBytes, eventstore.ErrTooLarge)
	}
	return fields, nil
}
