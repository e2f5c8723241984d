package backdoor

import (
	"context"
	"errors"
	"hash/fnv"
	"strconv"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// sdkApplication uses the SDK, where it has a driver.
type sdkApplication struct{ store eventstore.Store }

func (a *sdkApplication) Write(ctx context.Context, id string) error {
	_, err := a.store.Append(ctx, eventstore.StreamID{Type: "bench", ID: stream(id)}, eventstore.Any, eventstore.EventData{ID: id, Type: "Written"})
	return err
}

// stream spreads ids over a few streams, which spread over the partitions.
func stream(id string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // Never fails.
	return strconv.Itoa(int(h.Sum32() % 16))
}

func (a *sdkApplication) Records(ctx context.Context) (map[string]int, error) {
	found := map[string]int{}
	for e, err := range a.store.Replay(ctx, eventstore.Start{}) {
		if err != nil {
			return nil, err
		}
		found[e.ID]++
	}
	return found, nil
}

func (a *sdkApplication) Consume(ctx context.Context, handle func(id string)) error {
	err := a.store.Subscribe(ctx, func(_ context.Context, e eventstore.Event) error {
		handle(e.ID)
		return nil
	})
	if ctx.Err() != nil || errors.Is(err, context.Canceled) {
		return nil //nolint:nilerr // It was told to stop.
	}
	return err
}

func (a *sdkApplication) Close() error { return a.store.Close() }
