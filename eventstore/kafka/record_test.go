package kafka

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
)

// What was received is overwritten by what comes next, and handlers keep what they get.
func TestEventsAreCopies(t *testing.T) {
	at := time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)
	var d decoder
	var got, want []eventstore.Event
	for n := range 100 { // Many pieces.
		size := 10
		if n%7 == 0 {
			size = pieceBytes
		}
		e := eventstore.Event{
			Stream: eventstore.StreamID{Type: "order", ID: fmt.Sprint(n)}, Version: eventstore.Version(n + 1),
			ID: fmt.Sprintf("e%d", n), Type: "Counted", ContentType: "text/plain", Data: []byte(strings.Repeat("x", size+n)),
			Time: at, Recorded: at, CorrelationID: fmt.Sprintf("c%d", n), Metadata: map[string]string{"region": fmt.Sprintf("r%d", n)},
			Position: eventstore.Position{Partition: 3, Offset: fmt.Sprint(n)},
		}
		want = append(want, e)
		fields, err := record.Single("/eventstores/shop", e)
		if err != nil {
			t.Fatal(err)
		}
		r := message(e.Stream.String(), fields)
		r.Partition, r.Offset, r.Timestamp = 3, int64(n), at
		events, err := d.decode(r)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, events...)
		_ = append(events, eventstore.Event{ID: "not the next one's place"})
		_ = append(events[0].Data, "nor that of its payload"...)
		overwrite(r)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want, +got):\n%s", diff)
	}
}

func overwrite(r *kgo.Record) {
	clear(r.Key)
	clear(r.Value)
	for _, h := range r.Headers {
		clear(h.Value)
	}
}

// What is lent for one batch must be worth clearing for it.
func TestPool(t *testing.T) {
	var p pool
	p.PutDecompressBytes(make([]byte, 1<<20))
	if b := p.GetDecompressBytes(make([]byte, 1000), kgo.CodecSnappy); b != nil {
		t.Errorf("%d bytes are lent for a batch of 1,000", cap(b))
	}
	if records := p.GetRecords(1); records != nil {
		t.Errorf("%d records are lent for one", cap(records))
	}
}
