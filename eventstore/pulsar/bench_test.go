package pulsar

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/pulsartest"
)

var payload = []byte(`"` + strings.Repeat("x", 254) + `"`)

// BenchmarkAppend appends events of 256 bytes to many streams, with 1, 128 and 1,024 appends in flight: by the driver, and
// by the raw client, which does not know what it appends to: one message each, as the driver, and in batches. A raw reader in
// the same process reads along, as the driver's.
func BenchmarkAppend(b *testing.B) {
	for _, delay := range []string{"10", "0"} {
		server := pulsartest.Start(b, broker.PulsarOptions{Heap: "512m", Config: map[string]string{"managedLedgerNewEntriesCheckDelayInMillis": delay}})
		for _, inFlight := range []int{1, 128, 1024} {
			for _, of := range []struct {
				name  string
				start func(*testing.B, *pulsartest.Server) func(worker, n int) error
			}{{"driver", benchDriver}, {"raw", benchRaw(false)}, {"raw-batched", benchRaw(true)}} {
				b.Run(fmt.Sprintf("delay=%s/inFlight=%d/%s", delay, inFlight, of.name), func(b *testing.B) {
					run(b, inFlight, of.start(b, server))
				})
			}
		}
	}
}

// run carries out b.N operations, so many at a time, and reports how many a second, and the median.
func run(b *testing.B, inFlight int, operation func(worker, n int) error) {
	b.Helper()
	took := make([][]time.Duration, inFlight)
	var next atomic.Int64
	for w := range inFlight { // Connections are made, and partitions read.
		if err := operation(w, 0); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	var wg sync.WaitGroup
	for w := range inFlight {
		wg.Go(func() {
			for n := 1; next.Add(1) <= int64(b.N); n++ {
				start := time.Now()
				if err := operation(w, n); err != nil {
					b.Error(err)
					return
				}
				took[w] = append(took[w], time.Since(start))
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	all := slices.Concat(took...)
	slices.Sort(all)
	if len(all) > 0 {
		b.ReportMetric(float64(len(all))/b.Elapsed().Seconds(), "ops/s")
		b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "p50-ms")
	}
}

// streamsOfWorker is among how many streams each worker takes turns.
const streamsOfWorker = 16

func streamOf(worker, n int) eventstore.StreamID {
	return eventstore.StreamID{Type: "order", ID: fmt.Sprintf("%d-%d", worker, n%streamsOfWorker)}
}

func benchDriver(b *testing.B, server *pulsartest.Server) func(worker, n int) error {
	b.Helper()
	s := openSecret(b, server.Store(b, layout.Sourcing, nil))
	return func(worker, n int) error {
		stream, version := streamOf(worker, n), eventstore.Version(n/streamsOfWorker)
		_, err := s.Append(context.Background(), stream, version, eventstore.EventData{Type: "Counted", Data: payload})
		return err
	}
}

// batchDelay is how long the raw client waits for others to batch a message with.
const batchDelay = time.Millisecond

func benchRaw(batched bool) func(b *testing.B, server *pulsartest.Server) func(worker, n int) error {
	return func(b *testing.B, server *pulsartest.Server) func(worker, n int) error {
		b.Helper()
		return rawSend(rawProducers(b, server, batched))
	}
}

func rawProducers(b *testing.B, server *pulsartest.Server, batched bool) (producers [pulsartest.Partitions]pulsar.Producer) {
	b.Helper()
	secret, client := server.Store(b, layout.Sourcing, nil), server.Client(b)
	for p := range producers {
		var err error
		producers[p], err = client.CreateProducer(pulsar.ProducerOptions{
			Topic: server.Events(secret, p), DisableBatching: !batched, BatchingMaxPublishDelay: batchDelay, MaxPendingMessages: pending,
		})
		must(b, err)
		tail, err := client.CreateReader(pulsar.ReaderOptions{Topic: server.Events(secret, p), StartMessageID: pulsar.EarliestMessageID()})
		must(b, err)
		go func() {
			for err := error(nil); err == nil; {
				_, err = tail.Next(b.Context())
			}
		}()
	}
	return producers
}

func rawSend(producers [pulsartest.Partitions]pulsar.Producer) func(worker, n int) error {
	return func(worker, n int) error {
		stream := streamOf(worker, n).String()
		m := &pulsar.ProducerMessage{Key: stream, Payload: payload, Properties: map[string]string{
			"ce_specversion": "1.0",
			"ce_id":          "01890a5d-ac96-774b-bcce-b302099a8057",
			"ce_source":      "/eventstores/shop.orders-1",
			"ce_type":        "Counted",
			"ce_subject":     stream,
			"ce_time":        time.Now().UTC().Format(time.RFC3339Nano),
			"content-type":   "application/json",
			"ce_version":     "17",
			"attempt":        "0123456789abcdef0123456789abcdef",
		}}
		sent := make(chan error, 1)
		producers[layout.Partition(stream, pulsartest.Partitions)].SendAsync(context.Background(), m,
			func(_ pulsar.MessageID, _ *pulsar.ProducerMessage, err error) { sent <- err })
		return <-sent
	}
}
