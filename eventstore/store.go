package eventstore

import (
	"context"
	"io"
	"iter"
	"time"
)

// A Store is an open event store. All methods may be called concurrently.
type Store interface {
	Appender
	Reader
	Subscriber
	Snapshots
	io.Closer // Close ends what is still running, and waits for it.
}

// An Appender writes events.
type Appender interface {
	// Append adds events to a stream, all or none, and returns the stream's new version. The stream must be at the
	// expected version, or the error is a [*ConcurrencyError]; with [Any] it may be at any. Appends to one stream are
	// linearizable. An event of a stream is never changed or removed. Without events it only checks the expectation, and so
	// tells the version if that is Any.
	//
	// Event ids are idempotency keys: if the events after the expected version begin with these ids, an earlier copy of
	// this very append won, and Append returns its success. With Any the stream's last 16 appends are compared, perhaps some
	// more, and none in a streaming store.
	//
	// Errors: [ErrConcurrency], [ErrUnknownOutcome], [ErrTooLarge], [ErrUnsupported] (an expected version in a streaming
	// store, or a subscription's Secret), [ErrHistoryLost].
	Append(ctx context.Context, s StreamID, expected Version, events ...EventData) (Version, error)
}

// A Reader reads events. The iterators stop at the first error, which they yield as the last pair.
type Reader interface {
	// Read yields the events of a stream with a version greater than after, in order. It sees every append that ended
	// before Read began. A stream without events is at version 0, and yields nothing. In a streaming store the error is
	// [ErrUnsupported]: there is no index of its streams, use Replay.
	Read(ctx context.Context, s StreamID, after Version) iter.Seq2[Event, error]

	// Replay yields the events of all streams, once, in the order of each partition. Partitions are merged by the
	// broker's clock as well as it goes. It ends with the last event that was there when it began, unless from.Live; and
	// with [ErrHistoryLost] where it would leave a hole, see [Start].
	Replay(ctx context.Context, from Start) iter.Seq2[Event, error]
}

// Start says where a replay begins. The zero Start is the beginning of the store.
type Start struct {
	// After has for each partition the position of the last event that is not wanted; partitions that it does not name
	// begin at Time. To resume, pass the last position that was seen of each partition.
	//
	// A streaming store forgets. If it no longer has the record at a position, events after it may be gone too, and the
	// replay ends with [ErrHistoryLost] instead of leaving them out; so does one that is so slow that the store forgets
	// what it has yet to yield. Begin again from the start or from a time, with a projection that is empty. A position is
	// good for ever while nothing was appended to its partition after it.
	After []Position

	// Time is the broker's time of the first event that is wanted. Zero: the beginning.
	Time time.Time

	// Live makes the replay wait for new events at the end, until ctx ends.
	Live bool
}

// A Subscriber has events brought to it.
type Subscriber interface {
	// Subscribe calls h for every event of the subscription whose Secret opened the store, and blocks until ctx ends;
	// then it lets running handlers finish, and returns nil. Consumers of one subscription share its partitions.
	//
	// Delivery is at least once, and in order for each stream. An event whose handler fails is delivered again after a
	// pause, while only its own stream waits; after too many failures, or one that is [Permanent], it is written to the
	// dead letters and the stream goes on. Without dead letters nothing is given up: retries do not end, and a
	// permanent failure ends Subscribe with its error.
	//
	// Errors: [ErrUnsupported] (a store's Secret), [ErrNotFound] (the subscription is gone from the broker).
	Subscribe(ctx context.Context, h Handler, opts ...SubscribeOption) error
}

// A Handler takes one event. It must be idempotent, as a delivery can be repeated: [Event.ID] stays the same. Its context
// ends when the delivery is no longer ours to finish. A panic counts as an error.
type Handler func(ctx context.Context, e Event) error

// Snapshots keep the latest folded state of each stream, so that loading need not read all events.
type Snapshots interface {
	// SaveSnapshot replaces the stream's snapshot, unless the one that is there has a greater version.
	SaveSnapshot(ctx context.Context, s Snapshot) error

	// LoadSnapshot returns the stream's snapshot, or [ErrNotFound].
	LoadSnapshot(ctx context.Context, s StreamID) (Snapshot, error)
}

// A Snapshot is the state of a stream at a version.
type Snapshot struct {
	Stream  StreamID
	Version Version
	Data    []byte
	// Schema says how Data is to be read: change it with the state's type. Optional.
	Schema string
	Time   time.Time // Default: now.
}

// A DeadLetterReader is a store that was opened with the Secret of a subscription, if its driver can read what the
// subscription gave up on:
//
//	if r, ok := eventstore.As[eventstore.DeadLetterReader](store); ok { … }
type DeadLetterReader interface {
	// DeadLetters yields the dead letters of the subscription, oldest first in each partition.
	DeadLetters(ctx context.Context) iter.Seq2[DeadLetter, error]
}

// A Redriver is a DeadLetterReader whose driver can remove what was handled after all. Pulsar's cannot.
//
//	if r, ok := eventstore.As[eventstore.Redriver](store); ok { … }
type Redriver interface {
	// Redrive hands the dead letters of the subscription to h, once each, oldest first in each partition, one after the other.
	// What h handles is a dead letter no more. What it fails with becomes a new one, behind all others, with the new reason and
	// one attempt more; later dead letters of the same stream follow it there without being tried. Redrive ends with the
	// letters that there were when it began, or when ctx ends, and returns how many were handled.
	//
	// The streams have gone on meanwhile: h has to expect an event that is older than those that it handled last. As with
	// Subscribe, it must be idempotent: what was handled comes again if the process dies before the letter is removed, or if
	// another redrives at the same time.
	//
	// Errors: what failed first, if anything did; [ErrUnsupported] (a store's Secret).
	Redrive(ctx context.Context, h Handler) (handled int, err error)
}

// A DeadLetter is an event that a subscription gave up on.
type DeadLetter struct {
	Event    Event     // with its original position
	Reason   string    // the handler's last error
	Attempts int       // deliveries in all
	Time     time.Time // when it was given up
}
