package history

import (
	"fmt"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// deliveries are what the consumers of one subscription were handed. They are told in the order in which they happened: a
// handler does not return before its delivery is settled here.
type deliveries struct {
	overlap  bool                                               // Several consumers may have one stream for a while.
	handled  map[eventstore.StreamID]eventstore.Version         // The last event of each stream that was handled.
	underway map[eventstore.StreamID]map[any]eventstore.Version // By consumer.
	dead     map[any]bool                                       // Consumers.
	total    int
}

func newDeliveries(overlap bool) *deliveries {
	return &deliveries{
		overlap: overlap, handled: map[eventstore.StreamID]eventstore.Version{},
		underway: map[eventstore.StreamID]map[any]eventstore.Version{}, dead: map[any]bool{},
	}
}

// begin says what is wrong with a delivery that begins now. What was handled may come again, and nothing is left out.
func (d *deliveries) begin(consumer any, stream eventstore.StreamID, version eventstore.Version) error {
	d.total++
	if handled := d.handled[stream]; version > handled+1 {
		return fmt.Errorf("version %d of %s was delivered, though version %d was not handled yet", version, stream, handled+1)
	}
	for other, v := range d.underway[stream] {
		if !d.overlap || other == consumer {
			return fmt.Errorf("version %d of %s was delivered while version %d was being handled, by the same consumer: %t", version, stream, v, other == consumer)
		}
	}
	if d.underway[stream] == nil {
		d.underway[stream] = map[any]eventstore.Version{}
	}
	d.underway[stream][consumer] = version
	return nil
}

// end notes that a delivery is over, and whether the event was handled. One that its consumer died with was over before.
func (d *deliveries) end(consumer any, stream eventstore.StreamID, handled bool) {
	version, ok := d.underway[stream][consumer]
	if ok && handled {
		d.handled[stream] = max(d.handled[stream], version)
	}
	delete(d.underway[stream], consumer)
}

// die notes that a consumer is no more: what it had in its hands was not handled. It is told just before the consumer is killed:
// brokers may hand out the event once more before anybody could say that it is dead.
func (d *deliveries) die(consumer any) {
	d.dead[consumer] = true
	for _, underway := range d.underway {
		delete(underway, consumer)
	}
}
