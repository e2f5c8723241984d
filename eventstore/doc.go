// Package eventstore appends events to streams and reads them back, on Kafka, Pulsar or Redis alike. Import a driver for
// its side effect, then call [Open] with the connection Secret of an EventStore:
//
//	import (
//		"github.com/crossplane-contrib/provider-eventstore/eventstore"
//		_ "github.com/crossplane-contrib/provider-eventstore/eventstore/redis"
//	)
//
//	store, err := eventstore.Open(ctx, os.DirFS("/bindings/orders"))
//
// A stream holds the events of one aggregate. Its version is how many there are.
//
// # Writing
//
//	order := eventstore.StreamID{Type: "order", ID: "42"}
//	version, err := store.Append(ctx, order, 0, eventstore.EventData{Type: "OrderPlaced", Data: placed})
//
// [Appender.Append] adds events to a stream if it is at the version that the caller expects; if another writer was
// faster, the error says so, and nothing is written. [Aggregate] wraps the usual loop: load, decide, append, and again
// from the start after a conflict.
//
// # Reading
//
// [Reader.Read] yields the events of one stream, and sees every append that ended before. [Reader.Replay] yields those of
// all streams, from the beginning, a position or a time. Both are iterators: leave the loop whenever you like.
//
// # Subscribing
//
// [Subscriber.Subscribe] brings each event to a [Handler], in order for each stream, at least once. It takes the Secret
// of a Subscription, which keeps the position, and says how often to try and what to do then.
//
// # Projecting
//
// [Projection] keeps a [View] up to date, such as a table: from its checkpoint on, or from the beginning. A view that writes
// its checkpoint in the same transaction has each event exactly once.
//
// # With a database
//
// Package postgres handles each event once, in a transaction of PostgreSQL, and has an outbox: events that a transaction writes,
// and a relay that appends them. Package redisinbox is for handlers that change something outside of it.
//
// # Types of events
//
// [Types] maps event types to Go types, with a [Codec] for each: [JSON], or those of packages protobuf and avro. [Upcast]
// brings events that were written long ago to the type that the program has now.
//
// # Observing
//
// [Logged] logs what a store does. Package otelstore traces it, through the log to whoever handles the events, and measures it.
//
// # Testing
//
// Package memory is a complete store without a broker.
//
// # Two kinds of store
//
// A sourcing store keeps every event. A streaming store, one with a finite retention, forgets: it takes appends at
// [Any] version only, its events have no version, and a single stream cannot be read; the error is [ErrUnsupported].
package eventstore
