package kafka

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/kafkatest"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

var payload = []byte(`"` + strings.Repeat("x", 254) + `"`)

// BenchmarkAppend appends events of 256 bytes to many streams, with 1, 128 and 1,024 appends in flight: by the driver, and
// by the raw client, which does not know what it appends to. A raw tail in the same process reads along, as the driver's.
// full has the driver's headers; plain has the payload alone.
func BenchmarkAppend(b *testing.B) {
	server := kafkatest.Start(b)
	for _, inFlight := range []int{1, 128, 1024} {
		for name, start := range map[string]func(*testing.B, *kafkatest.Server) func(worker, n int) error{
			"driver": benchDriver, "raw-full": benchRaw(true), "raw-plain": benchRaw(false),
		} {
			b.Run(fmt.Sprintf("inFlight=%d/%s", inFlight, name), func(b *testing.B) {
				run(b, inFlight, start(b, server))
			})
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

func benchDriver(b *testing.B, server *kafkatest.Server) func(worker, n int) error {
	b.Helper()
	s := openSecret(b, server.Store(b, layout.Sourcing, nil))
	return func(worker, n int) error {
		stream, version := streamOf(worker, n), eventstore.Version(n/streamsOfWorker)
		_, err := s.Append(context.Background(), stream, version, eventstore.EventData{Type: "Counted", Data: payload})
		return err
	}
}

func benchRaw(full bool) func(*testing.B, *kafkatest.Server) func(worker, n int) error {
	return func(b *testing.B, server *kafkatest.Server) func(worker, n int) error {
		b.Helper()
		secret := server.Store(b, layout.Sourcing, nil)
		topic := layout.KafkaEvents(secret.Get(layout.SecretStore))
		client := server.Admin(b, kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
		tail := server.Admin(b, kgo.ConsumeTopics(topic), kgo.FetchMaxWait(longPoll))
		go func() {
			for !tail.PollFetches(context.Background()).IsClientClosed() { //nolint:revive // What it reads is for nobody.
			}
		}()
		return func(worker, n int) error {
			stream := streamOf(worker, n).String()
			r := &kgo.Record{Key: []byte(stream), Value: payload, Partition: int32(layout.Partition(stream, kafkatest.Partitions))}
			if full {
				for _, h := range [][2]string{
					{"ce_specversion", "1.0"},
					{"ce_id", "01890a5d-ac96-774b-bcce-b302099a8057"},
					{"ce_source", "/eventstores/shop.orders-1"},
					{"ce_type", "Counted"},
					{"ce_subject", stream},
					{"ce_time", time.Now().UTC().Format(time.RFC3339Nano)},
					{"content-type", "application/json"},
					{"ce_version", "17"},
					{"attempt", "0123456789abcdef0123456789abcdef"},
				} {
					r.Headers = append(r.Headers, kgo.RecordHeader{Key: h[0], Value: []byte(h[1])})
				}
			}
			return client.ProduceSync(context.Background(), r).FirstErr()
		}
	}
}
