package memory

import (
	"context"
	"iter"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/deliver"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/refuse"
)

// group is what the consumers of one subscription share. Guarded by the database's lock.
type group struct {
	members  []*consumer
	owner    map[int]*consumer // Who delivers a partition now.
	done     map[int]bool      // Entries of the log that were acknowledged.
	attempts map[string]int    // Failed deliveries, by event; -1: given up.
	dead     []*eventstore.DeadLetter
}

type consumer struct {
	store *Store
	group *group
	*deliver.Consumer
}

// Subscribe implements [eventstore.Subscriber].
func (s *Store) Subscribe(ctx context.Context, h eventstore.Handler, opts ...eventstore.SubscribeOption) error {
	return deliver.Subscribe(ctx, s.binding, s.open, h, opts, func(base *deliver.Consumer) error {
		c := &consumer{store: s, Consumer: base}
		c.join()
		defer c.leave()
		var wg sync.WaitGroup
		for p := range s.db.partitions {
			wg.Go(func() { c.run(c.Stop, c.Work, p) })
		}
		wg.Wait()
		return nil
	})
}

func (c *consumer) join() {
	db := c.store.db
	db.mu.Lock()
	defer db.mu.Unlock()
	name := c.store.binding.Subscription
	if db.groups[name] == nil {
		db.groups[name] = &group{owner: map[int]*consumer{}, done: map[int]bool{}, attempts: map[string]int{}}
	}
	c.group = db.groups[name]
	c.group.members = append(c.group.members, c)
	db.notify()
}

func (c *consumer) leave() {
	db := c.store.db
	db.mu.Lock()
	defer db.mu.Unlock()
	c.group.members = slices.DeleteFunc(c.group.members, func(m *consumer) bool { return m == c })
	db.notify()
}

// mine reports whether partition p should be c's: members take turns. The caller holds the lock.
func (c *consumer) mine(p int) bool { return c.group.members[p%len(c.group.members)] == c }

// run delivers partition p whenever it is c's, until ctx ends.
func (c *consumer) run(ctx, work context.Context, p int) {
	db := c.store.db
	for ctx.Err() == nil {
		db.mu.Lock()
		changed := db.changed
		take := c.mine(p) && c.group.owner[p] == nil
		if take {
			c.group.owner[p] = c
		}
		db.mu.Unlock()
		if take {
			c.own(ctx, work, p)
			continue
		}
		_ = wait(ctx, changed)
	}
}

// own delivers partition p until another member should, or ctx ends.
func (c *consumer) own(ctx, work context.Context, p int) {
	stop, cancel := context.WithCancel(ctx)
	defer cancel()
	db := c.store.db
	q := c.Queue(stop, work, c)
	for next := 0; ; {
		db.mu.Lock()
		changed, keep := db.changed, c.mine(p)
		for ; keep && next < len(db.log); next++ {
			if e := db.log[next]; e.partition == p && !c.group.done[next] {
				q.Add(deliver.Record{ID: strconv.Itoa(next), Events: slices.Clone(e.events)})
			}
		}
		db.mu.Unlock()
		if !keep || wait(ctx, changed) != nil {
			break
		}
	}
	cancel()
	q.Wait()
	db.mu.Lock()
	defer db.mu.Unlock()
	delete(c.group.owner, p)
	db.notify()
}

// Done implements [deliver.Log].
func (c *consumer) Done(r deliver.Record) {
	c.store.db.mu.Lock()
	defer c.store.db.mu.Unlock()
	n, _ := strconv.Atoi(r.ID)
	c.group.done[n] = true
}

// Attempts implements [deliver.Log].
func (c *consumer) Attempts(r deliver.Record, i int) (n int, dead bool) {
	c.store.db.mu.Lock()
	defer c.store.db.mu.Unlock()
	n = c.group.attempts[r.Events[i].Position.String()]
	return n, n < 0
}

// Failed implements [deliver.Log].
func (c *consumer) Failed(_ context.Context, r deliver.Record, i, attempts int) error {
	c.store.db.mu.Lock()
	defer c.store.db.mu.Unlock()
	c.group.attempts[r.Events[i].Position.String()] = attempts
	return nil
}

// Dead implements [deliver.Log].
func (c *consumer) Dead(_ context.Context, r deliver.Record, i, attempts int, cause error) error {
	c.store.db.mu.Lock()
	defer c.store.db.mu.Unlock()
	c.group.attempts[r.Events[i].Position.String()] = -1
	c.group.dead = append(c.group.dead, deadLetter(r.Events[i], attempts, cause))
	return nil
}

// DeadLetters implements [eventstore.DeadLetterReader]. They can be read when the store is closed, too.
func (s *Store) DeadLetters(ctx context.Context) iter.Seq2[eventstore.DeadLetter, error] {
	return func(yield func(eventstore.DeadLetter, error) bool) {
		if err := refuse.Subscribe(s.binding); err != nil {
			yield(eventstore.DeadLetter{}, err)
			return
		}
		_ = s.deadLetters(ctx, func(l deliver.Letter) bool { return yield(l.DeadLetter, nil) }) // It never fails.
	}
}

// Redrive implements [eventstore.Redriver].
func (s *Store) Redrive(ctx context.Context, h eventstore.Handler) (int, error) {
	return deliver.Redrive(ctx, s.binding, s.open, s.deadLetters, h)
}

func (s *Store) deadLetters(_ context.Context, yield func(deliver.Letter) bool) error {
	s.db.mu.Lock()
	g := s.db.groups[s.binding.Subscription]
	var dead []*eventstore.DeadLetter
	if g != nil {
		dead = slices.Clone(g.dead)
	}
	s.db.mu.Unlock()
	for _, d := range dead {
		settle := func(more ...*eventstore.DeadLetter) error {
			s.db.mu.Lock()
			defer s.db.mu.Unlock()
			g.dead = append(slices.DeleteFunc(g.dead, func(other *eventstore.DeadLetter) bool { return other == d }), more...)
			return nil
		}
		l := deliver.Letter{
			DeadLetter: *d,
			Remove:     func(context.Context) error { return settle() },
			Renew: func(_ context.Context, attempts int, cause error) error {
				return settle(deadLetter(d.Event, attempts, cause))
			},
		}
		if !yield(l) {
			return nil
		}
	}
	return nil
}

func deadLetter(e eventstore.Event, attempts int, cause error) *eventstore.DeadLetter {
	return &eventstore.DeadLetter{Event: e, Reason: cause.Error(), Attempts: attempts, Time: time.Now().UTC().Round(0)}
}
