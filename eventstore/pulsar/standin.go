package pulsar

import "time"

// standIn knows which of the records that come to a consumer of a failover subscription it may deliver. A broker that makes a
// stand-in the active consumer waits for a second, goes back to what the predecessor left, and only then tells it. But when it
// was just sending to the predecessor, it sends what follows to the stand-in at once (PersistentDispatcherSingleActiveConsumer
// of Pulsar 4.0 reads on after each write, whoever is active by then): that would overtake what was left. So whatever comes
// before the word is dropped. It comes again, as nobody acknowledges it.
type standIn struct {
	active  bool   // The broker has told that it is.
	trusted bool   // This broker does not tell.
	early   *place // The first record that was dropped; nil: none.
}

// admits reports whether a record may be delivered. Those that came too early may also be behind the word: the broker has
// gone back when it sends the first of them again, or one before it.
func (s *standIn) admits(at place) bool {
	if s.trusted {
		return true
	}
	if s.active && (s.early == nil || !s.early.Before(at)) {
		s.early = nil
		return true
	}
	if s.early == nil {
		s.early = &at
	}
	return false
}

// silence is how long the word may be overdue. A broker whose activeConsumerFailoverDelayTimeMillis is 0 gives it before the
// client listens; there nothing comes too early.
const silence = 5 * time.Second
