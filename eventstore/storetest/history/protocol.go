package history

import (
	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// Messages between the process that makes a history and its workers: JSON, one after another, on the worker's standard
// input and output. The first is the [eventstore.Secret] that the worker opens, answered with an empty response.

// request is a call that a worker is to make.
type request struct {
	ID     int
	Stream eventstore.StreamID

	IDs      []string           // Of the events to append. None: a read.
	Expected eventstore.Version // Of an append.
	After    eventstore.Version // Of a read.

	Subscribe bool // Begin to consume. There is no response but the deliveries.
	Answers   int  // A delivery, whose handler is to return. Nor is there one to this.
	Fail      bool // With an error.
}

// response is what came of a call.
type response struct {
	ID      int
	Outcome string
	Version eventstore.Version
	Read    []string
	Error   string

	Delivery int // Of an event; else 0.
	Stream   eventstore.StreamID
	Event    string
}
