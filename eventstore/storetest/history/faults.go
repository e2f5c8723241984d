package history

import (
	"context"
	"slices"
	"time"
)

// A Fault is something that goes wrong.
type Fault struct {
	Name   string                          // In the past tense, for the summary: "connections cut".
	Inject func(ctx context.Context) error // Returns when it is over.
	Rare   bool                            // Because it takes long. It is drawn a fifth as often as others.
}

// drawn are faults as often as they are to be drawn.
func drawn(faults []Fault) []Fault {
	const often = 5
	var out []Fault
	for _, f := range faults {
		n := often
		if f.Rare {
			n = 1
		}
		out = append(out, slices.Repeat([]Fault{f}, n)...)
	}
	return out
}

// Connections are those between the workers and the broker: what a proxy holds.
type Connections interface {
	Cut()                     // Drops all that are open.
	Slow(delay time.Duration) // Holds back what is sent, in each direction. Zero ends it.
}

// ConnectionFaults are what networks do.
func ConnectionFaults(c Connections) []Fault {
	return []Fault{
		{Name: "connections cut", Inject: func(context.Context) error {
			c.Cut()
			return nil
		}},
		// A request that is under way has then arrived or not, and what repeats it is cut off too.
		{Name: "connections slow and cut", Inject: func(ctx context.Context) error {
			const delay = 4 * time.Millisecond
			c.Slow(delay)
			defer c.Slow(0)
			for range 4 {
				pause(ctx, 3*delay/2)
				c.Cut()
			}
			return nil
		}},
	}
}

// A Broker is one that runs here.
type Broker interface {
	Kill() error
	Restart(ctx context.Context) error
	Pause() error // Freezes it: it keeps its connections, and answers nothing.
	Resume() error
}

// BrokerFaults are what happens to machines.
func BrokerFaults(b Broker) []Fault {
	return []Fault{
		{Name: "broker paused", Inject: func(ctx context.Context) error {
			if err := b.Pause(); err != nil {
				return err
			}
			pause(ctx, time.Second)
			return b.Resume()
		}},
		{Name: "broker killed", Rare: true, Inject: func(ctx context.Context) error {
			if err := b.Kill(); err != nil {
				return err
			}
			return b.Restart(ctx)
		}},
	}
}
