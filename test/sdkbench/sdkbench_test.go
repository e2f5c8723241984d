// Package sdkbench measures the SDK's drivers beside the raw clients that they are made of: the same records, in the same run,
// against the same broker, in turns.
//
//	make bench-sdk
//
// Without its flag it is a short slice, which only shows that everything can be measured.
package sdkbench

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/pulsartest"
	"github.com/crossplane-contrib/provider-eventstore/test/bench/report"
)

var (
	output   = flag.String("bench.json", "", "measure in earnest, print a table, and write the figures to this file")
	backends = flag.String("bench.backends", "kafka,pulsar,redis", "which drivers are measured, separated by commas")
	measures = flag.String("bench.measures", "append,subscribe,load,restart", "what is measured, separated by commas")
)

func TestMain(m *testing.M) { pulsartest.Main(m) }

// A subject is a driver on a broker, with what people would use without it.
type subject struct {
	name  string
	goals goals

	// store makes a store, and returns its Secret.
	store func(t *testing.T) eventstore.Secret
	// subscription makes one that begins with the first event, and returns its Secret.
	subscription func(t *testing.T, store eventstore.Secret, name string) eventstore.Secret
	// appends returns what appends a record to a stream with the raw client, as large as the driver's, while a raw reader reads
	// along as the driver has to. The version is the stream's before.
	appends func(t *testing.T, store eventstore.Secret) func(ctx context.Context, stream eventstore.StreamID, version eventstore.Version) error
	// consumes reads and acknowledges n records of a subscription with the raw client.
	consumes func(t *testing.T, subscription eventstore.Secret, n int) error
	// indexed says that processes have an index.
	indexed bool
}

// sizes say how much is done.
type sizes struct {
	round    time.Duration // Of appends, of one side.
	rounds   int           // Of each side.
	inFlight []int
	consumed int // Events.
	streams  int // In the index.
	indexed  int // Events before a restart.
	loads    int
}

func (s sizes) String() string {
	return fmt.Sprintf("%d rounds of %s, %d events consumed, %d streams", s.rounds, s.round, s.consumed, s.streams)
}

func TestMeasure(t *testing.T) {
	if testing.Short() {
		t.Skip("starts brokers")
	}
	size := sizes{round: 100 * time.Millisecond, rounds: 1, inFlight: []int{1, 16}, consumed: 500, streams: 100, indexed: 500, loads: 10}
	if *output != "" {
		size = sizes{round: 5 * time.Second, rounds: 3, inFlight: []int{1, 128, 1024}, consumed: 500_000, streams: 50_000, indexed: 1_000_000, loads: 1000}
	}
	t.Log(size)
	r := &report.Report{}
	all := map[string]func(*testing.T) []subject{"kafka": kafkaSubjects, "pulsar": pulsarSubjects, "redis": redisSubjects}
	for name := range strings.SplitSeq(*backends, ",") {
		subjects, ok := all[name]
		if !ok {
			t.Fatalf("there is no driver %q", name)
		}
		t.Run(name, func(t *testing.T) {
			for _, s := range subjects(t) {
				s.measure(t, size, r)
			}
		})
	}
	if *output == "" {
		return
	}
	r.Print(os.Stdout)
	if err := r.Write(*output); err != nil {
		t.Fatal(err)
	}
}

func (s subject) measure(t *testing.T, size sizes, r *report.Report) {
	t.Helper()
	add := func(name string, value float64, unit string) {
		r.Add(report.Measure{Measure: name, Backend: s.name, Value: value, Unit: unit, Goal: s.goals[name]})
	}
	chosen := strings.Split(*measures, ",")
	if slices.Contains(chosen, "append") {
		s.append(t, size, add)
	}
	if slices.Contains(chosen, "subscribe") {
		raw, own := s.consume(t, size)
		add("subscribe", own, "events/s")
		add("subscribe, raw", raw, "events/s")
		add("subscribe, of raw", 100*own/raw, "%")
	}
	if slices.Contains(chosen, "load") {
		add("load a stream of 100 events, p50", ms(s.load(t, size)), "ms")
	}
	if slices.Contains(chosen, "restart") {
		s.reopen(t, size, add)
		s.restart(t, size, add)
	}
}

func (s subject) append(t *testing.T, size sizes, add func(name string, value float64, unit string)) {
	t.Helper()
	for _, n := range size.inFlight {
		raw, own := s.appendRounds(t, size, n)
		what := fmt.Sprintf("append, %d in flight", n)
		if n == 1 {
			add(what+", p50", ms(own.p50), "ms")
			add(what+", p50 above raw", ms(own.p50-raw.p50), "ms")
			continue
		}
		add(what, own.perSecond, "events/s")
		add(what+", raw", raw.perSecond, "events/s")
		add(what+", of raw", 100*own.perSecond/raw.perSecond, "%")
	}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// goals are what the measures should be, by their names.
type goals map[string]string

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

func open(t *testing.T, s eventstore.Secret, opts ...eventstore.OpenOption) eventstore.Store {
	t.Helper()
	store, err := eventstore.OpenSecret(t.Context(), s, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// event is what is appended: 256 bytes of JSON.
func event() eventstore.EventData { return eventstore.EventData{Type: "Counted", Data: payload} }

var payload = []byte(`"` + strings.Repeat("x", 254) + `"`)
