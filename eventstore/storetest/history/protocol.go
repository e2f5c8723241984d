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
}

// response is what came of a call.
type response struct {
	ID      int
	Outcome string
	Version eventstore.Version
	Read    []string
	Error   string
}
