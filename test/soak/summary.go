package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/test/bench/plane"
)

// memoryWatch looks at the provider's memory now and then.
type memoryWatch struct {
	done chan struct{}
	wg   sync.WaitGroup

	samples []float64 // MiB
}

func watchMemory(p *plane.Plane) *memoryWatch {
	m := &memoryWatch{done: make(chan struct{})}
	m.wg.Go(func() {
		for {
			if mib, err := p.Memory(); err == nil { // No process: it is just starting.
				m.samples = append(m.samples, mib)
			}
			select {
			case <-time.After(time.Second):
			case <-m.done:
				return
			}
		}
	})
	return m
}

// stop says how much it was at most, and whether that is too much.
func (m *memoryWatch) stop(limit float64) (text string, err error) {
	close(m.done)
	m.wg.Wait()
	if len(m.samples) == 0 {
		return "unknown", fmt.Errorf("the provider's memory could not be read")
	}
	peak := slices.Max(m.samples)
	// Where it was after a while, and in the end.
	early, end := m.samples[len(m.samples)/4], m.samples[len(m.samples)-1]
	text = fmt.Sprintf("%.0f MiB after a quarter of the time, %.0f MiB in the end, %.0f MiB at most", early, end, peak)
	if peak > limit {
		err = fmt.Errorf("the provider took %.0f MiB of memory, more than %.0f", peak, limit)
	}
	return text, err
}

func summarize(brokers []*brokerUnderTest, memory string) string {
	var lines []string
	for _, b := range brokers {
		var parts []string
		for _, what := range slices.Sorted(maps.Keys(b.tally)) {
			parts = append(parts, fmt.Sprintf("%s: %d", what, b.tally[what]))
		}
		lines = append(lines, b.name+"  "+strings.Join(parts, ", "))
	}
	return strings.Join(append(lines, "provider memory  "+memory), "\n")
}
