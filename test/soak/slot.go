package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crossplane-contrib/provider-eventstore/test/bench/backdoor"
	"github.com/crossplane-contrib/provider-eventstore/test/bench/plane"
)

// A slot is the place of one store: there is one after the other, all of the same name, so that whatever a deletion leaves
// behind meets the next.
type slot struct {
	w          *plane.Workspace
	broker     *brokerUnderTest
	name       string // Of the store.
	rng        *rand.Rand
	pause      time.Duration
	generation int

	writer  *writer // nil: there is no store.
	readers []*reader

	// right is what there was of stores and subscriptions when they had become Ready, by what a change of it is called.
	right map[backdoor.Target]map[string]string
}

// live lets stores come and go until alive ends. The last one stays.
func (s *slot) live(ctx, alive context.Context) error {
	for alive.Err() == nil {
		s.generation++
		if err := s.oneStore(ctx, alive); err != nil {
			return fmt.Errorf("store %s, generation %d: %w", s.name, s.generation, err)
		}
	}
	return nil
}

// oneStore is the life of one store.
func (s *slot) oneStore(ctx, alive context.Context) error {
	opts := []plane.Option{plane.WithPartitions(int32(1 + s.rng.IntN(4))), plane.WithSnapshots(s.rng.IntN(2) == 0)}
	if s.rng.IntN(2) == 0 {
		opts = append(opts, plane.Protected)
	}
	store := s.w.Store(s.name, s.broker.config, opts...)
	s.right = map[backdoor.Target]map[string]string{}
	if err := s.create(ctx, store, backdoor.Target{Store: s.w.External(s.name)}); err != nil {
		return err
	}
	s.broker.count("stores", 1)
	secret, err := s.w.Secret(ctx, s.name)
	if err != nil {
		return err
	}
	// Ids tell one generation from another: a record of the last store in this one would be found.
	s.writer = startWriter(ctx, s.broker, secret, fmt.Sprintf("%s-%d", s.name, s.generation))
	for range 3 + s.rng.IntN(10) {
		pause(alive, time.Duration(s.rng.Int64N(int64(s.pause))))
		if alive.Err() != nil {
			return nil //nolint:nilerr // The time is over.
		}
		if err := s.act(ctx); err != nil {
			return err
		}
	}
	if err := s.check(ctx); err != nil {
		return err
	}
	s.stop()
	return s.delete(ctx)
}

// act does something to the store or to one of its subscriptions.
func (s *slot) act(ctx context.Context) error {
	switch n := s.rng.IntN(10); {
	case n < 3 && len(s.readers) < 3:
		return s.subscribe(ctx)
	case n == 3 && len(s.readers) > 0:
		return s.unsubscribe(ctx, s.rng.IntN(len(s.readers)))
	case n == 4 && len(s.readers) > 0:
		s.readers[s.rng.IntN(len(s.readers))].rest()
		return nil
	default:
		return s.drift(ctx)
	}
}

// create makes a store or subscription, and looks what the broker has of it, unless that went down meanwhile: what a crash
// takes away may not be back yet.
func (s *slot) create(ctx context.Context, o client.Object, t backdoor.Target) error {
	began := s.broker.restarted.Load()
	delete(s.right, t) // It may be the second of that name, with another password.
	if _, err := s.w.CreateReady(ctx, o, patience); err != nil {
		return err
	}
	s.broker.up.RLock()
	defer s.broker.up.RUnlock()
	if s.broker.restarted.Load() != began {
		return nil
	}
	s.right[t] = map[string]string{}
	for _, c := range s.broker.door.Changes() {
		if c.Subscription != (t.Subscription != "") || c.Destroys {
			continue
		}
		seen, err := c.See(ctx, t)
		if err != nil {
			return err
		}
		s.right[t][c.Name] = seen
	}
	return nil
}

func (s *slot) subscribe(ctx context.Context) error {
	name := s.freeName()
	t := backdoor.Target{Store: s.w.External(s.name), Subscription: name}
	if err := s.create(ctx, s.w.Subscription(name, s.name, s.broker.config), t); err != nil {
		return err
	}
	secret, err := s.w.Secret(ctx, name)
	if err != nil {
		return err
	}
	s.broker.count("subscriptions", 1)
	s.readers = append(s.readers, startReader(ctx, s.broker, secret, name))
	return nil
}

// freeName is the first name that no subscription of the store has now.
func (s *slot) freeName() string {
	for i := 0; ; i++ {
		name, taken := fmt.Sprintf("%s-reader-%d", s.name, i), false
		for _, r := range s.readers {
			taken = taken || r.name == name
		}
		if !taken {
			return name
		}
	}
}

// unsubscribe deletes a subscription, which may lag: that is confirmed.
func (s *slot) unsubscribe(ctx context.Context, i int) error {
	r := s.readers[i]
	r.stop()
	s.readers = append(s.readers[:i:i], s.readers[i+1:]...)
	return s.w.Delete(ctx, s.w.Subscription(r.name, s.name, s.broker.config), patience)
}

// drift changes something behind the provider's back, and waits until it is repaired, after what a crash has taken is. The
// broker stays up meanwhile.
func (s *slot) drift(ctx context.Context) error {
	s.broker.up.RLock()
	defer s.broker.up.RUnlock()
	changes := s.broker.door.Changes()
	c := changes[s.rng.IntN(len(changes))]
	t := backdoor.Target{Store: s.w.External(s.name)}
	if c.Destroys || c.Subscription && len(s.readers) == 0 {
		return nil
	}
	if c.Subscription {
		r := s.readers[s.rng.IntN(len(s.readers))]
		t.Subscription = r.name
		if c.Idle {
			r.stop()
			defer r.rest()
		}
	}
	right, ok := s.right[t][c.Name]
	if !ok {
		return nil
	}
	if err := backdoor.Await(ctx, c, t, right, patience); err != nil {
		return fmt.Errorf("%s is not as it was made (%s): %w", t, c.Name, err)
	}
	took, err := backdoor.Repair(ctx, c, t, right, patience)
	if err != nil {
		return err
	}
	say("%s: %s, repaired after %s", t, c.Name, took.Round(10*time.Millisecond))
	s.broker.count("changes repaired", 1)
	return nil
}

// check makes sure that every record is there that was acknowledged, and none that nobody wrote, and that everybody who
// reads has read all. Nothing is written meanwhile, nor afterwards.
func (s *slot) check(ctx context.Context) error {
	if s.writer == nil {
		return nil
	}
	s.writer.stop()
	acknowledged, attempted := s.writer.ids()
	secret, err := s.w.Secret(ctx, s.name)
	if err != nil {
		return err
	}
	var found map[string]int
	err = plane.Until(ctx, patience, "the records of "+s.name+" can be read", func(ctx context.Context) (bool, error) {
		found, err = records(ctx, s.broker, secret)
		return err == nil, nil
	})
	if err != nil {
		return err
	}
	for id := range acknowledged {
		if found[id] == 0 {
			return fmt.Errorf("record %s was acknowledged, and is not there", id)
		}
	}
	for id := range found {
		if !attempted[id] {
			return fmt.Errorf("record %s is there, and was never written", id)
		}
	}
	s.broker.count("records acknowledged", len(acknowledged))
	s.broker.count("records of unknown outcome", len(attempted)-len(acknowledged))
	var errs []error
	for _, r := range s.readers {
		errs = append(errs, r.await(ctx, acknowledged))
	}
	return errors.Join(errs...)
}

// stop ends the applications.
func (s *slot) stop() {
	if s.writer != nil {
		s.writer.stop()
	}
	for _, r := range s.readers {
		r.stop()
	}
}

// delete deletes the store and its subscriptions, in either order, and confirms that.
func (s *slot) delete(ctx context.Context) error {
	if s.writer == nil {
		return nil
	}
	store := func() error { return s.w.Delete(ctx, s.w.Store(s.name, s.broker.config), patience) }
	subscriptions := func() error {
		for _, r := range s.readers {
			if err := s.w.Delete(ctx, s.w.Subscription(r.name, s.name, s.broker.config), patience); err != nil {
				return err
			}
		}
		return nil
	}
	steps := []func() error{store, subscriptions}
	s.rng.Shuffle(2, func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	s.writer, s.readers = nil, nil
	return nil
}
