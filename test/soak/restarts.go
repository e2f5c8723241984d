package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// restarts takes the broker down now and then, as an operator does or as a power cut does, and starts it again.
func (b *brokerUnderTest) restarts(ctx, alive context.Context, rng *rand.Rand, duration time.Duration) error {
	// About six times in all, and once at least.
	mean := duration / 6
	for {
		pause(alive, mean/2+time.Duration(rng.Int64N(int64(mean))))
		if alive.Err() != nil {
			return nil //nolint:nilerr // The time is over.
		}
		if err := b.restart(ctx, rng.IntN(2) == 0, time.Duration(rng.Int64N(int64(5*time.Second)))); err != nil {
			return fmt.Errorf("cannot restart %s: %w", b.name, err)
		}
	}
}

func (b *brokerUnderTest) restart(ctx context.Context, kill bool, down time.Duration) error {
	b.up.Lock()
	defer b.up.Unlock()
	how, end := "stopped", b.process.Stop
	if kill {
		how, end = "killed", b.process.Kill
	}
	if err := end(); err != nil {
		return err
	}
	say("%s: %s, back in %s", b.name, how, down.Round(time.Millisecond))
	pause(ctx, down)
	if err := b.process.Restart(ctx); err != nil {
		return err
	}
	b.restarted.Add(1)
	b.count("times "+how, 1)
	return nil
}
