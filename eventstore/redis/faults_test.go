package redis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/redistest"
)

// short lets leases run out while a test waits.
var short = timing{lease: time.Second, tick: 50 * time.Millisecond, block: 50 * time.Millisecond, answer: 200 * time.Millisecond, patience: time.Minute}

// openConsumer opens a subscription with short leases, through addr unless it is empty.
func openConsumer(t *testing.T, s eventstore.Secret, addr string) *store {
	t.Helper()
	if addr != "" {
		s = maps.Clone(s)
		s[layout.SecretEndpoints] = []byte(addr)
	}
	c := openSecret(t, s).(*store)
	c.timing = short
	return c
}

// await calls f until it reports true.
func await(t *testing.T, what string, f func() bool) {
	t.Helper()
	deadline := time.After(5 * time.Minute)
	for !f() {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestLostReply(t *testing.T) {
	server := redistest.Start(t)
	p := newProxy(t, server.Addr)
	cases := map[string]struct {
		reason  string
		lose    int
		unknown bool
	}{
		"Once":  {reason: "The driver asks again by itself.", lose: 1},
		"Twice": {reason: "Then the caller is told, and may repeat.", lose: 2, unknown: true},
	}
	for name, tc := range cases {
		for _, expected := range []eventstore.Version{1, eventstore.Any} {
			t.Run(fmt.Sprintf("%s/%d", name, expected), func(t *testing.T) {
				s := openConsumer(t, server.Store(t, layout.Sourcing, nil), p.addr)
				_, err := s.Append(t.Context(), order42, 0, placed("a"))
				must(t, err)
				p.loseReplies(tc.lose, appendScript, "")
				v, err := s.Append(t.Context(), order42, expected, placed("b"), placed("c"))
				if tc.unknown {
					if !errors.Is(err, eventstore.ErrUnknownOutcome) {
						t.Errorf("%s\nAppend: %v, want ErrUnknownOutcome", tc.reason, err)
					}
					v, err = s.Append(t.Context(), order42, expected, placed("b"), placed("c"))
				}
				if v != 3 || err != nil {
					t.Errorf("%s\nAppend: version %d, %v; want 3", tc.reason, v, err)
				}
				var got []string
				for e, err := range s.Read(t.Context(), order42, 0) {
					must(t, err)
					got = append(got, e.ID)
				}
				if diff := cmp.Diff([]string{"a", "b", "c"}, got); diff != "" {
					t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
				}
			})
		}
	}
}

// A consumer that does not learn what its transactions took finds out, and misses nothing.
func TestConsumerMissesTransaction(t *testing.T) {
	server := redistest.Start(t)
	p := newProxy(t, server.Addr)
	secret := server.Store(t, layout.Sourcing, nil)
	s, consumer := openSecret(t, secret), openConsumer(t, server.Subscription(t, secret, "billing"), p.addr)
	consumer.timing.lease = time.Minute // Not to be lost for another reason, nor to help by running out.
	p.loseTransactions(1, "ce_id")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	// It reads so only while there is much to read, which it may have done otherwise before it begins.
	next, events := 0, 0
	for p.toLose() > 0 && ctx.Err() == nil {
		for range 2 * window {
			_, err := s.Append(t.Context(), order42, eventstore.Version(events), placed(fmt.Sprint(events)))
			must(t, err)
			events++
		}
		round, done := context.WithCancel(ctx)
		must(t, consumer.Subscribe(round, func(_ context.Context, e eventstore.Event) error {
			if e.ID != fmt.Sprint(next) {
				t.Errorf("event %s comes, want %d", e.ID, next)
				done()
			}
			if next++; next == events {
				done()
			}
			return nil
		}))
		done()
	}
	if next != events || p.toLose() != 0 {
		t.Errorf("%d of %d events came, and %d replies were not lost: want all, and none", next, events, p.toLose())
	}
	pending, err := server.Admin.XPending(t.Context(), eventsOf(secret.Get(layout.SecretStore)), "billing").Result()
	if err != nil || pending.Count != 0 {
		t.Errorf("%d entries are pending, %v; want none", pending.Count, err)
	}
}

// A consumer that misses the reply to any of its scripts goes on as if nothing had happened.
func TestConsumerMissesReply(t *testing.T) {
	server := redistest.Start(t)
	p := newProxy(t, server.Addr)
	cases := map[string]struct {
		reason string
		script *redis.Script
		reply  string // What is in it.
	}{
		"Take":       {reason: "A lease that was taken unknowingly is not waited for.", script: takeScript},
		"Keep":       {reason: "The next one comes in time.", script: keepScript},
		"FetchNone":  {reason: "There was nothing in it.", script: fetchScript, reply: "*0"},
		"Fetch":      {reason: "What was taken comes first, once, and in order.", script: fetchScript, reply: "ce_id"},
		"Fail":       {reason: "At worst the event is tried more often; here it is not.", script: failScript},
		"DeadLetter": {reason: "It is written once.", script: deadScript},
		"Ack":        {reason: "It is acknowledged again.", script: ackScript},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			secret := server.Store(t, layout.Sourcing, nil)
			s, consumer := openSecret(t, secret), openConsumer(t, server.Subscription(t, secret, "billing"), p.addr)
			consumer.timing.lease = time.Minute // Not to be lost for another reason, nor to help by running out.
			partition := layout.Partition(order42.String(), redistest.Partitions)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			put := func(version eventstore.Version, id string) {
				_, err := s.Append(t.Context(), order42, version, placed(id))
				must(t, err)
			}

			p.loseReplies(1, tc.script, tc.reply)
			var got []string
			first, missed := make(chan struct{}), make(chan struct{})
			var wg sync.WaitGroup
			wg.Go(func() {
				must(t, consumer.Subscribe(ctx, func(_ context.Context, e eventstore.Event) error {
					switch got = append(got, e.ID); {
					case e.ID == "again" && len(got) == 1:
						return errors.New("told to fail")
					case e.ID == "bad":
						return eventstore.Permanent(errors.New("told to fail"))
					case e.ID == "first":
						close(first)
						<-missed // It is in flight while what follows it is read.
					case e.ID == "last":
						cancel()
					}
					return nil
				}, eventstore.WithBackoff(time.Millisecond, time.Millisecond)))
			})
			put(0, "again")
			put(1, "first")
			select {
			case <-first:
			case <-ctx.Done():
				t.Error("waited in vain for the first events")
			}
			put(2, "bad")
			if tc.script == fetchScript && tc.reply != "" {
				p.loseReplies(1, tc.script, tc.reply)
				put(3, "next")
				await(t, "the reply to be lost", func() bool { return p.toLose() == 0 })
			} else {
				put(3, "next")
			}
			put(4, "last")
			close(missed)
			wg.Wait()

			if diff := cmp.Diff([]string{"again", "again", "first", "bad", "next", "last"}, got); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
			if left := p.toLose(); left != 0 {
				t.Errorf("%d replies were not lost: nothing was tested", left)
			}
			var letters []string
			for d, err := range consumer.DeadLetters(t.Context()) {
				must(t, err)
				letters = append(letters, d.Event.ID)
			}
			if diff := cmp.Diff([]string{"bad"}, letters); diff != "" {
				t.Errorf("%s\ndead letters -want, +got:\n%s", tc.reason, diff)
			}
			of := secret.Get(layout.SecretStore)
			pending, err := server.Admin.XPending(t.Context(), eventsOf(of), "billing").Result()
			if err != nil || pending.Count != 0 {
				t.Errorf("%d entries are pending, %v; want none", pending.Count, err)
			}
			if left := server.Admin.HGetAll(t.Context(), layout.RedisRetries(of, partition, "billing")).Val(); len(left) != 0 {
				t.Errorf("retries that are kept for what is done: %v", left)
			}
			if token := server.Admin.HGet(t.Context(), layout.RedisLease(of, partition, "billing"), layout.RedisLeaseToken).Val(); token != "1" {
				t.Errorf("%s\ntoken %s: the lease was taken twice", tc.reason, token)
			}
		})
	}
}

// A consumer that is cut off ends its handlers before another takes its partitions, and changes nothing afterwards.
func TestTakeover(t *testing.T) {
	server := redistest.Start(t)
	secret := server.Store(t, layout.Sourcing, nil)
	s, sub := openSecret(t, secret), server.Subscription(t, secret, "billing")
	for v := range 3 {
		_, err := s.Append(t.Context(), order42, eventstore.Version(v), placed(fmt.Sprint(v)))
		must(t, err)
	}
	p := newProxy(t, server.Addr)
	first, second := openConsumer(t, sub, p.addr), openConsumer(t, sub, "")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	began, ended := make(chan struct{}), make(chan struct{})
	wg.Go(func() {
		err := first.Subscribe(ctx, func(work context.Context, e eventstore.Event) error {
			if e.ID != "0" {
				t.Errorf("the first consumer got event %s, while it still had 0", e.ID)
			}
			close(began)
			<-work.Done()
			close(ended)
			return nil // It thinks that it succeeded.
		}, eventstore.WithConcurrency(1))
		if err != nil {
			t.Errorf("first Subscribe: %v", err)
		}
	})
	<-began
	p.freeze()
	var got []string
	err := second.Subscribe(ctx, func(_ context.Context, e eventstore.Event) error {
		select {
		case <-ended:
		default:
			t.Error("the second consumer began while the first one's handler ran")
		}
		if got = append(got, e.ID); len(got) == 3 {
			cancel()
		}
		return nil
	})
	must(t, err)
	p.thaw()
	wg.Wait()
	if diff := cmp.Diff([]string{"0", "1", "2"}, got); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
	pending, err := server.Admin.XPending(t.Context(), eventsOf(secret.Get(layout.SecretStore)), "billing").Result()
	if err != nil || pending.Count != 0 {
		t.Errorf("%d entries are pending, %v; want none", pending.Count, err)
	}
}

// Consumers come to equal shares, whoever was first, and what one leaves the others take.
func TestShares(t *testing.T) {
	server := redistest.Start(t)
	secret := server.Store(t, layout.Sourcing, nil)
	sub := server.Subscription(t, secret, "billing")
	shares := func() map[string]int {
		held := map[string]int{}
		for p := range redistest.Partitions {
			key := layout.RedisLease(secret.Get(layout.SecretStore), p, "billing")
			l, err := server.Admin.HGetAll(t.Context(), key).Result()
			must(t, err)
			if l[layout.RedisLeaseUntil] != "0" && l[layout.RedisLeaseUntil] != "" {
				held[l[layout.RedisLeaseConsumer]]++
			}
		}
		return held
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	stops := []context.CancelFunc{}
	for n := 1; n <= redistest.Partitions; n++ {
		consumer := openConsumer(t, sub, "")
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		stops = append(stops, stop)
		wg.Go(func() {
			if err := consumer.Subscribe(ctx, func(context.Context, eventstore.Event) error { return nil }); err != nil {
				t.Errorf("Subscribe: %v", err)
			}
		})
		await(t, fmt.Sprintf("%d equal shares", n), func() bool {
			held := shares()
			for _, k := range held {
				if k < redistest.Partitions/n || k > (redistest.Partitions+n-1)/n {
					return false
				}
			}
			return len(held) == n
		})
	}
	for n, stop := range stops[1:] {
		stop()
		await(t, "the others to take over", func() bool {
			sum := 0
			held := shares()
			for _, k := range held {
				sum += k
			}
			return len(held) == redistest.Partitions-n-1 && sum == redistest.Partitions
		})
	}
}

// Failed deliveries are counted across consumers.
func TestRetriesAreKept(t *testing.T) {
	server := redistest.Start(t)
	secret := server.Store(t, layout.Sourcing, nil)
	s, sub := openSecret(t, secret), server.Subscription(t, secret, "billing")
	_, err := s.Append(t.Context(), order42, 0, placed("good"), placed("bad"))
	must(t, err)
	key := layout.RedisRetries(secret.Get(layout.SecretStore), layout.Partition(order42.String(), redistest.Partitions), "billing")
	for n := 1; n <= 2; n++ {
		consumer := openConsumer(t, sub, "")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			must(t, consumer.Subscribe(ctx, func(_ context.Context, e eventstore.Event) error {
				if e.ID == "bad" {
					return errors.New("told to fail")
				}
				return nil
			}, eventstore.WithMaxDeliveries(3), eventstore.WithBackoff(time.Hour, time.Hour)))
		})
		await(t, "the failure to be noted", func() bool {
			for _, v := range server.Admin.HGetAll(t.Context(), key).Val() {
				return v == fmt.Sprint(n)
			}
			return false
		})
		cancel()
		wg.Wait()
	}
	consumer := openConsumer(t, sub, "")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err = s.Append(t.Context(), order42, 2, placed("next"))
	must(t, err)
	must(t, consumer.Subscribe(ctx, func(_ context.Context, e eventstore.Event) error {
		switch e.ID {
		case "bad":
			return errors.New("told to fail")
		case "next":
			cancel()
		}
		return nil
	}, eventstore.WithMaxDeliveries(3)))
	for d, err := range consumer.DeadLetters(t.Context()) {
		if err != nil || d.Event.ID != "bad" || d.Attempts != 3 || d.Event.Version != 2 {
			t.Errorf("dead letter %+v, %v; want bad after 3 attempts, at version 2", d, err)
		}
	}
	if left := server.Admin.HGetAll(t.Context(), key).Val(); len(left) != 0 {
		t.Errorf("retries that are kept for what is done: %v", left)
	}
}

// A redrive that misses a reply settles a dead letter once.
func TestRedriveMissesReply(t *testing.T) {
	server := redistest.Start(t)
	p := newProxy(t, server.Addr)
	secret := server.Store(t, layout.Sourcing, nil)
	s, consumer := openSecret(t, secret), openConsumer(t, server.Subscription(t, secret, "billing"), p.addr)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for v, id := range []string{"bad", "last"} {
		_, err := s.Append(t.Context(), order42, eventstore.Version(v), placed(id))
		must(t, err)
	}
	must(t, consumer.Subscribe(ctx, func(_ context.Context, e eventstore.Event) error {
		if e.ID == "last" {
			cancel()
			return nil
		}
		return eventstore.Permanent(errors.New("told to fail"))
	}))
	p.loseReplies(1, renewScript, "")
	if n, err := consumer.Redrive(t.Context(), func(context.Context, eventstore.Event) error { return errors.New("told to fail again") }); n != 0 || err == nil {
		t.Errorf("Redrive: %d handled, %v; want an error", n, err)
	}
	var attempts []int
	for d, err := range consumer.DeadLetters(t.Context()) {
		must(t, err)
		attempts = append(attempts, d.Attempts)
	}
	if diff := cmp.Diff([]int{2}, attempts); diff != "" || p.toLose() != 0 {
		t.Errorf("%d replies were not lost; attempts of the dead letters -want, +got:\n%s", p.toLose(), diff)
	}
}

// A group that vanishes is reported, before and while somebody reads it: the SDK never makes one, as it could not know
// from where.
func TestGroupGone(t *testing.T) {
	server := redistest.Start(t)
	secret := server.Store(t, layout.Sourcing, nil)
	sub := server.Subscription(t, secret, "billing")
	events := eventsOf(secret.Get(layout.SecretStore))
	for _, when := range []string{"while", "before", "without events"} {
		if when == "without events" {
			must(t, server.Admin.Del(t.Context(), events).Err())
		}
		consumer := openConsumer(t, sub, "")
		if when == "while" {
			key := layout.RedisLease(secret.Get(layout.SecretStore), layout.Partition(order42.String(), redistest.Partitions), "billing")
			go func() { // Subscribe below ends only after this did its work.
				for server.Admin.HGet(context.Background(), key, layout.RedisLeaseToken).Val() == "" {
				}
				server.Admin.XGroupDestroy(context.Background(), events, "billing")
			}()
		}
		err := consumer.Subscribe(t.Context(), func(context.Context, eventstore.Event) error { return nil })
		if !errors.Is(err, eventstore.ErrNotFound) {
			t.Errorf("%s: Subscribe: %v, want ErrNotFound", when, err)
		}
	}
}

// A server that restarts, and knows nobody until the provider comes, interrupts appends and consumers, and ends neither.
func TestRestart(t *testing.T) {
	server := redistest.Start(t)
	secret := server.Store(t, layout.Sourcing, nil)
	s, consumer := openSecret(t, secret), openConsumer(t, server.Subscription(t, secret, "billing"), "")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	got := make(chan string, 10)
	var wg sync.WaitGroup
	wg.Go(func() {
		must(t, consumer.Subscribe(ctx, func(_ context.Context, e eventstore.Event) error {
			got <- e.ID
			return nil
		}))
	})
	for n := range 3 {
		events, err := eventstore.Prepare(placed(fmt.Sprint(n)))
		must(t, err)
		await(t, "an append to succeed", func() bool {
			_, err := s.Append(t.Context(), order42, eventstore.Version(n), events...)
			return err == nil
		})
		if id := <-got; id != fmt.Sprint(n) {
			t.Errorf("got event %s, want %d", id, n)
		}
		if n < 2 {
			must(t, server.Restart(t.Context()))
			if _, err := s.Append(t.Context(), order42, eventstore.Version(n+1), placed("early")); err == nil {
				t.Error("Append as a user that is gone: no error")
			}
			server.MakeUsers(t)
		}
	}
	cancel()
	wg.Wait()
}
