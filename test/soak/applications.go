package main

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/test/bench/backdoor"
	"github.com/crossplane-contrib/provider-eventstore/test/bench/plane"
)

const (
	// pace is the pause between two records of one writer.
	pace = 200 * time.Millisecond

	// retryAfter is how long an application waits that its broker has failed.
	retryAfter = 500 * time.Millisecond
)

// An application is a goroutine that connects, works, and begins again whenever its broker fails it.
type application struct {
	cancel context.CancelFunc
	done   chan struct{}
}

func start(ctx context.Context, b *brokerUnderTest, secret eventstore.Secret, work func(ctx context.Context, a backdoor.Application) error) *application {
	ctx, cancel := context.WithCancel(ctx)
	app := &application{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(app.done)
		for ctx.Err() == nil {
			a, err := b.door.Connect(ctx, secret)
			if err == nil {
				err = work(ctx, a)
				_ = a.Close() // It may have lost its connection already.
			}
			if err != nil {
				b.count("times an application was failed by its broker", 1)
				pause(ctx, retryAfter)
			}
		}
	}()
	return app
}

// stop ends the application and waits for it. It is idempotent.
func (a *application) stop() {
	a.cancel()
	<-a.done
}

// A writer writes records to a store, and remembers which.
type writer struct {
	*application

	mu  sync.Mutex
	all map[string]bool // By id, whether it was acknowledged.
}

func startWriter(ctx context.Context, b *brokerUnderTest, secret eventstore.Secret, prefix string) *writer {
	w := &writer{all: map[string]bool{}}
	n := 0
	w.application = start(ctx, b, secret, func(ctx context.Context, a backdoor.Application) error {
		for ctx.Err() == nil {
			n++
			id := fmt.Sprintf("%s-%d", prefix, n)
			w.note(id, false)
			// A record that is under way when the writer is stopped is waited for.
			if err := a.Write(context.WithoutCancel(ctx), id); err != nil {
				return err
			}
			w.note(id, true)
			pause(ctx, pace)
		}
		return nil
	})
	return w
}

func (w *writer) note(id string, acknowledged bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all[id] = acknowledged
}

// ids returns those of the records that were acknowledged, and those of all.
func (w *writer) ids() (acknowledged, attempted map[string]bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	acknowledged, attempted = map[string]bool{}, map[string]bool{}
	for id, ok := range w.all {
		attempted[id] = true
		if ok {
			acknowledged[id] = true
		}
	}
	return acknowledged, attempted
}

// A reader consumes a subscription, and remembers what.
type reader struct {
	*application

	name  string
	begin func() *application

	mu   sync.Mutex
	seen map[string]bool
}

func startReader(ctx context.Context, b *brokerUnderTest, secret eventstore.Secret, name string) *reader {
	r := &reader{name: name, seen: map[string]bool{}}
	r.begin = func() *application {
		return start(ctx, b, secret, func(ctx context.Context, a backdoor.Application) error { return a.Consume(ctx, r.saw) })
	}
	r.application = r.begin()
	return r
}

func (r *reader) saw(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen[id] = true
}

// rest ends the reader, and begins another in its place: it goes on where this one stopped.
func (r *reader) rest() {
	r.stop()
	r.application = r.begin()
}

// await waits until the reader has seen all of these records.
func (r *reader) await(ctx context.Context, ids map[string]bool) error {
	var missing string
	err := plane.Until(ctx, patience, r.name+" has consumed everything", func(context.Context) (bool, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		missing = ""
		for id := range maps.Keys(ids) {
			if !r.seen[id] {
				missing = id
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("%w: record %s is missing", err, missing)
	}
	return nil
}

// records returns how often each record is in a store.
func records(ctx context.Context, b *brokerUnderTest, secret eventstore.Secret) (map[string]int, error) {
	a, err := b.door.Connect(ctx, secret)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	return a.Records(ctx)
}
