package history

import (
	"fmt"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// deliveries are what the consumers of one subscription were handed. They are told in the order in which they happened: a
// handler does not return before its delivery is settled here.
type deliveries struct {
	handled  map[eventstore.StreamID]eventstore.Version // The last event of each stream that was handled.
	underway map[eventstore.StreamID]delivery
	dead     map[any]bool // Consumers.
	total    int
}

// A delivery is one event in the hands of one consumer.
type delivery struct {
	consumer any
	version  eventstore.Version
}

func newDeliveries() *deliveries {
	return &deliveries{handled: map[eventstore.StreamID]eventstore.Version{}, underway: map[eventstore.StreamID]delivery{}, dead: map[any]bool{}}
}

// begin says what is wrong with a delivery that begins now. What was handled may come again, and nothing is left out.
func (d *deliveries) begin(consumer any, stream eventstore.StreamID, version eventstore.Version) error {
	d.total++
	if handled := d.handled[stream]; version > handled+1 {
		return fmt.Errorf("version %d of %s was delivered, though version %d was not handled yet", version, stream, handled+1)
	}
	if other, ok := d.underway[stream]; ok {
		return fmt.Errorf("version %d of %s was delivered while version %d was being handled", version, stream, other.version)
	}
	d.underway[stream] = delivery{consumer: consumer, version: version}
	return nil
}

// end notes that a delivery is over, and whether the event was handled. One that its consumer died with was over before.
func (d *deliveries) end(consumer any, stream eventstore.StreamID, handled bool) {
	if d.underway[stream].consumer != consumer {
		return
	}
	if handled {
		d.handled[stream] = max(d.handled[stream], d.underway[stream].version)
	}
	delete(d.underway, stream)
}

// die notes that a consumer is no more: what it had in its hands was not handled. It is told just before the consumer is killed:
// brokers may hand out the event once more before anybody could say that it is dead.
func (d *deliveries) die(consumer any) {
	d.dead[consumer] = true
	for stream, u := range d.underway {
		if u.consumer == consumer {
			delete(d.underway, stream)
		}
	}
}
