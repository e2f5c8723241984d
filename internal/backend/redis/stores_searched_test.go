package redis

import (
	"context"
	"fmt"
	"maps"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// crowd makes keys of nobody, on one server of a cluster.
func (f *fixture) crowd(t *testing.T, keys int) {
	t.Helper()
	const body = `for i = 1, ARGV[1] do redis.call('SET', KEYS[1] .. i, '') end`
	if err := f.admin.Eval(t.Context(), body+` return 1`, []string{"other:{0}:"}, keys).Err(); err != nil {
		t.Fatal(err)
	}
}

// An impatient backend is one whose calls are cut off after so many round trips.
type impatient struct {
	*Backend

	left atomic.Int64
	stop atomic.Pointer[context.CancelFunc]
}

func (f *fixture) impatient(t *testing.T) *impatient {
	t.Helper()
	i := &impatient{}
	b, err := New(f.config(f.AdminUser, f.AdminPassword), WithObserver(func(string, int) {
		if stop := i.stop.Load(); stop != nil && i.left.Add(-1) < 0 {
			(*stop)()
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	i.Backend = b
	return i
}

// delete tries to delete stores within so many round trips.
func (i *impatient) delete(t *testing.T, trips int64, names ...string) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	i.left.Store(trips)
	i.stop.Store(&cancel)
	defer i.stop.Store(nil)
	return cmpErr(i.DeleteStores(ctx, stores(names...))...)
}

// TestDeletionGoesOn deletes stores from among more keys than can be looked at in one go.
func TestDeletionGoesOn(t *testing.T) {
	const keys = 100 * scanCount
	for name, tc := range map[string]struct {
		reason string
		start  func(t *testing.T) *fixture
		trips  int64
		// between happens once, after some attempts.
		between func(t *testing.T, f *fixture)
		limit   int // Of attempts.
	}{
		"Standalone": {
			reason: "Each attempt goes on where the last one stopped.", trips: 30, limit: 40,
			start: func(t *testing.T) *fixture { return start(t, broker.RedisOptions{}) },
		},
		"Sentinel": {
			reason: "As on one server.", trips: 30, limit: 40,
			start: func(t *testing.T) *fixture { f, _ := startSentinel(t, broker.RedisGroupOptions{}); return f },
		},
		"Cluster": {
			reason: "Each master has a place of its own.", trips: 90, limit: 90,
			start: func(t *testing.T) *fixture { f, _ := startCluster(t, broker.RedisGroupOptions{}); return f },
		},
		"Restart": {
			reason: "Another process has its keys in another order.", trips: 30, limit: 60,
			start:   func(t *testing.T) *fixture { return start(t, broker.RedisOptions{AppendOnly: true}) },
			between: func(t *testing.T, f *fixture) { restart(t, f) },
		},
		"CalledOff": {
			reason: "Whoever calls a deletion off may write keys that were looked for already.", trips: 30, limit: 60,
			start:   func(t *testing.T) *fixture { return start(t, broker.RedisOptions{}) },
			between: func(t *testing.T, f *fixture) { f.callOff(t, "orders") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := tc.start(t)
			names := []string{"orders", "invoices"}
			for _, n := range names {
				d, c := f.store(n)
				f.applyStore(t, d, c)
				f.manyKeys(t, n)
			}
			f.crowd(t, keys)
			b := f.impatient(t)
			attempts := 0
			for err := b.delete(t, tc.trips, names...); err != nil; err = b.delete(t, tc.trips, names...) {
				if attempts++; attempts == 2 && tc.between != nil {
					tc.between(t, f)
				}
				if attempts == tc.limit {
					t.Fatalf("%s\nnot done after %d attempts: %v", tc.reason, attempts, err)
				}
			}
			t.Logf("%d keys, %d round trips for each attempt: done after %d more", keys, tc.trips, attempts)
			if attempts == 0 {
				t.Errorf("%s\ndone in one attempt: there is nothing to go on with", tc.reason)
			}
			for _, r := range f.nodes {
				eventually(t, "the keys to be gone from "+r.Addr, func() error { // A replica hears of it later.
					if left := f.server(t, r).Keys(t.Context(), "es:*").Val(); len(left) > 0 {
						return fmt.Errorf("%s\n%d keys are left: %.200v", tc.reason, len(left), left)
					}
					return nil
				})
			}
			if n := len(b.searched.of); n > 0 {
				t.Errorf("%s\n%d searches are remembered, want none", tc.reason, n)
			}
		})
	}
}

func restart(t *testing.T, f *fixture) {
	t.Helper()
	if err := f.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// manyKeys gives a store keys that only the application knows.
func (f *fixture) manyKeys(t *testing.T, store string) {
	t.Helper()
	for i := range 100 {
		f.do(t, "ZADD", layout.RedisIndex(store, i%3, fmt.Sprintf("order/%d", i)), 1, "1-1")
	}
}

// callOff makes a store whose deletion was interrupted what it was, keys included.
func (f *fixture) callOff(t *testing.T, store string) {
	t.Helper()
	f.do(t, "HDEL", layout.RedisMarker(store), fieldDeletion)
	f.manyKeys(t, store)
}

func TestProgress(t *testing.T) {
	a, b := &node{address: "a"}, &node{address: "b"}
	for name, tc := range map[string]struct {
		reason string
		now    whereabouts
		want   map[*node]place
	}{
		"Same": {
			reason: "Nothing has happened.", now: whereabouts{slots: "0-9", runs: map[*node]string{a: "1/r", b: "2/r"}},
			want: map[*node]place{a: {run: "1/r", cursor: "0", done: true}, b: {run: "2/r", cursor: "77"}},
		},
		"Restarted": {
			reason: "A process that is new has its keys in another order.", now: whereabouts{slots: "0-9", runs: map[*node]string{a: "3/r", b: "2/r"}},
			want: map[*node]place{a: {run: "3/r", cursor: "0"}, b: {run: "2/r", cursor: "77"}},
		},
		"Moved": {
			reason: "A key can have gone to a server that was looked at.", now: whereabouts{slots: "0-5", runs: map[*node]string{a: "1/r", b: "2/r"}},
			want: map[*node]place{a: {run: "1/r", cursor: "0"}, b: {run: "2/r", cursor: "0"}},
		},
		"FailedOver": {
			reason: "Another server is the master.", now: whereabouts{slots: "0-9", runs: map[*node]string{b: "2/s"}},
			want: map[*node]place{b: {run: "2/s", cursor: "0"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := progress{slots: "0-9", at: map[*node]place{a: {run: "1/r", cursor: "0", done: true}, b: {run: "2/r", cursor: "77"}}}
			shared := maps.Clone(p.at)
			was := p.at
			p.from(tc.now)
			if !maps.Equal(tc.want, p.at) || p.slots != tc.now.slots {
				t.Errorf("%s\nprogress: %+v, want %+v", tc.reason, p, tc.want)
			}
			if !maps.Equal(shared, was) {
				t.Errorf("%s\nwhat others share has changed", tc.reason)
			}
		})
	}
	if diff := cmp.Diff([]bool{true, false}, []bool{
		(&progress{at: map[*node]place{a: {run: "1/"}}}).lasts(), (&progress{at: map[*node]place{a: {run: "/r"}}}).lasts(),
	}); diff != "" {
		t.Errorf("lasts: -want, +got:\n%s", diff)
	}
}
