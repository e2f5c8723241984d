package history

import (
	"context"
	"time"
)

// A Fault is something that goes wrong.
type Fault struct {
	Name   string                          // In the past tense, for the summary: "connections cut".
	Inject func(ctx context.Context) error // Returns when it is over.
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
