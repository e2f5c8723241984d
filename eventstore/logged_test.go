package eventstore_test

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/memory"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/storetest"
)

// withoutTime leaves out what differs from run to run.
func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey || a.Key == "took" {
		return slog.Attr{}
	}
	return a
}

func TestLogged(t *testing.T) {
	var out strings.Builder
	store := eventstore.Logged(memory.New(memory.WithPartitions(1)),
		slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: withoutTime})))
	ctx := t.Context()
	order := eventstore.StreamID{Type: "order", ID: "42"}
	_, _ = store.Append(ctx, order, 0, eventstore.EventData{ID: "e1", Type: "OrderPlaced", Data: "hunter2"})
	_, _ = store.Append(ctx, order, 0, eventstore.EventData{Type: "OrderPlaced"})
	_, _ = store.Append(ctx, eventstore.StreamID{}, 0, eventstore.EventData{Type: "OrderPlaced"})
	for range store.Read(ctx, order, 0) {
	}
	for range store.Replay(ctx, eventstore.Start{}) {
	}
	_, _ = store.LoadSnapshot(ctx, order)
	_ = store.SaveSnapshot(ctx, eventstore.Snapshot{Stream: order, Version: 1, Data: []byte("hunter2")})
	_, _ = store.LoadSnapshot(ctx, order)
	sub, stop := context.WithCancel(ctx)
	failed := false
	_ = store.Subscribe(sub, func(context.Context, eventstore.Event) error {
		if !failed {
			failed = true
			return errors.New("boom")
		}
		stop()
		return nil
	}, eventstore.WithBackoff(0, 0))
	_ = store.Close()

	want := `level=DEBUG msg=append stream=order/42 expected=0 events=1 version=1
level=DEBUG msg=append stream=order/42 expected=0 events=1 version=0 error="cannot append to order/42: stream is at version 1, expected 0"
level=WARN msg=append stream=/ expected=0 events=1 version=0 error="cannot use stream \"/\": it needs a type and an id, as in order/42"
level=DEBUG msg=read stream=order/42 after=0 events=1
level=DEBUG msg=replay after="" live=false events=1
level=DEBUG msg="load snapshot" stream=order/42 version=0 error="cannot load snapshot of order/42: not found"
level=DEBUG msg="save snapshot" stream=order/42 version=1 bytes=7
level=DEBUG msg="load snapshot" stream=order/42 version=1
level=DEBUG msg=subscribe
level=WARN msg=handle stream=order/42 version=1 position=0@1 id=e1 type=OrderPlaced error=boom
level=DEBUG msg=handle stream=order/42 version=1 position=0@1 id=e1 type=OrderPlaced
level=DEBUG msg=unsubscribed
`
	got := regexp.MustCompile(`(?m) +$`).ReplaceAllString(out.String(), "")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
	if _, ok := eventstore.As[*memory.Store](store); !ok {
		t.Error("As does not find the store that is wrapped")
	}
	if _, ok := eventstore.As[*faulty](store); ok {
		t.Error("As finds a store that is not there")
	}
}

// What is logged is a store like any other.
func TestLoggedStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) eventstore.Store {
		return eventstore.Logged(memory.New(), slog.New(slog.DiscardHandler))
	})
}
