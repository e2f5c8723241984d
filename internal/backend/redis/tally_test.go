package redis

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// bounded makes a store with a limit of bytes.
func (f *fixture) bounded(t *testing.T, name string, partitions int, r plan.Retention) {
	t.Helper()
	d, c := f.store(name)
	d.Partitions, d.Retention = partitions, r
	f.applyStore(t, d, c)
}

// add appends records, each of so many bytes: one for the name of its field, the rest is the payload.
func (f *fixture) add(t *testing.T, store string, partition, records, bytes int) (ids []string) {
	t.Helper()
	p := f.admin.Pipeline()
	var added []*redis.StringCmd
	for range records {
		added = append(added, p.XAdd(t.Context(), &redis.XAddArgs{Stream: layout.RedisEvents(store, partition), Values: []string{"d", strings.Repeat("x", bytes-1)}}))
	}
	if _, err := p.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, a := range added {
		ids = append(ids, a.Val())
	}
	return ids
}

// maintain lets the store be maintained until everything was counted.
func (f *fixture) maintain(t *testing.T, store string) {
	t.Helper()
	for range 5 {
		if err := f.backend.Maintain(t.Context(), []string{store}); err != nil {
			t.Fatal(err)
		}
	}
}

func (f *fixture) ids(t *testing.T, store string, partition int) (ids []string) {
	t.Helper()
	for _, m := range f.admin.XRange(t.Context(), layout.RedisEvents(store, partition), "-", "+").Val() {
		ids = append(ids, m.ID)
	}
	return ids
}

// TestBytesOfUnequalRecords has a few large old records before many small ones: Redis, asked for a sample, takes all of
// them for large.
func TestBytesOfUnequalRecords(t *testing.T) {
	f := start(t, broker.RedisOptions{})
	f.bounded(t, "orders", 1, plan.Retention{Bytes: 100 << 20})
	f.add(t, "orders", 0, 6, 1<<20)
	f.add(t, "orders", 0, 20_000, 200)
	if used := f.admin.MemoryUsage(t.Context(), layout.RedisEvents("orders", 0)).Val(); used < 100<<20 {
		t.Fatalf("MEMORY USAGE guesses %d bytes, want a guess far above what is there", used)
	}
	f.maintain(t, "orders")
	if n := f.readStore(t, "orders").Records(); n != 20_006 {
		t.Errorf("%d of 20,006 records are left, although they take 10 MB of 100", n)
	}
	m := f.admin.HGetAll(t.Context(), layout.RedisPartition("orders", 0)+"tally").Val()
	if want := fmt.Sprint(6<<20 + 20_000*200); m["bytes"] != want || m["records"] != "20006" {
		t.Errorf("counted: %v, want %s bytes of 20006 records", m, want)
	}
}

// TestBytesThatArePending has a group that has read everything and acknowledged nothing.
func TestBytesThatArePending(t *testing.T) {
	f := start(t, broker.RedisOptions{})
	f.bounded(t, "orders", 1, plan.Retention{Bytes: 50_000})
	f.add(t, "orders", 0, 5000, 10)
	f.do(t, "XGROUP", "CREATE", layout.RedisEvents("orders", 0), "slow", "0")
	f.do(t, "XREADGROUP", "GROUP", "slow", "me", "COUNT", 5000, "STREAMS", layout.RedisEvents("orders", 0), ">")
	if used := f.admin.MemoryUsage(t.Context(), layout.RedisEvents("orders", 0), 0).Val(); used < 100_000 {
		t.Fatalf("the stream takes %d bytes of memory, want far more than its limit", used)
	}
	f.maintain(t, "orders")
	if n := f.readStore(t, "orders").Records(); n != 5000 {
		t.Errorf("%d of 5,000 records are left, although their 50,000 bytes are what may stay", n)
	}
}

// TestBytesDropExactlyTheOldest counts to the byte.
func TestBytesDropExactlyTheOldest(t *testing.T) {
	cases := map[string]struct {
		reason string
		limit  int64
		add    func(f *fixture, t *testing.T)
		want   []int // Records that are left of those of each partition, the newest.
	}{
		"Exactly": {
			reason: "What fits exactly stays.", limit: 3000, want: []int{30},
			add: func(f *fixture, t *testing.T) { f.add(t, "orders", 0, 30, 100) },
		},
		"OneByte": {
			reason: "An excess smaller than the oldest record drops nothing: less than may stay would be left.", limit: 2999, want: []int{30},
			add: func(f *fixture, t *testing.T) { f.add(t, "orders", 0, 30, 100) },
		},
		"TenRecords": {
			reason: "The ten oldest are the excess.", limit: 2000, want: []int{20},
			add: func(f *fixture, t *testing.T) { f.add(t, "orders", 0, 30, 100) },
		},
		"LargeOldOnes": {
			reason: "Two large ones are more than all small ones together.", limit: 3000, want: []int{20},
			add: func(f *fixture, t *testing.T) {
				f.add(t, "orders", 0, 2, 5000)
				f.add(t, "orders", 0, 20, 150)
			},
		},
		"SmallOldOnes": {
			reason: "The large one comes last, and stays.", limit: 5000, want: []int{1},
			add: func(f *fixture, t *testing.T) {
				f.add(t, "orders", 0, 20, 150)
				f.add(t, "orders", 0, 1, 5000)
			},
		},
		"LargerThanTheLimit": {
			reason: "The only record stays, however large.", limit: 10, want: []int{1},
			add: func(f *fixture, t *testing.T) { f.add(t, "orders", 0, 1, 5000) },
		},
		"UnevenPartitions": {
			reason: "A full partition beside an empty one may have what the other does not use.", limit: 3000, want: []int{30, 0},
			add: func(f *fixture, t *testing.T) { f.add(t, "orders", 0, 30, 100) },
		},
		"UnevenPartitionsAndExcess": {
			reason: "The excess of the store goes, from the partition that has more than its share.", limit: 3000, want: []int{25, 5},
			add: func(f *fixture, t *testing.T) {
				f.add(t, "orders", 0, 40, 100)
				f.add(t, "orders", 1, 5, 100)
			},
		},
		"EvenPartitions": {
			reason: "Each gives its part.", limit: 3000, want: []int{15, 15},
			add: func(f *fixture, t *testing.T) {
				f.add(t, "orders", 0, 20, 100)
				f.add(t, "orders", 1, 20, 100)
			},
		},
		"Many": {
			reason: "More than one step can count.", limit: 100_000, want: []int{1000},
			add: func(f *fixture, t *testing.T) { f.add(t, "orders", 0, 3*talliedEntries+7, 100) },
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := start(t, broker.RedisOptions{})
			f.bounded(t, "orders", len(tc.want), plan.Retention{Bytes: tc.limit})
			tc.add(f, t)
			var want [][]string
			for p, n := range tc.want {
				ids := f.ids(t, "orders", p)
				want = append(want, ids[len(ids)-n:])
			}
			f.maintain(t, "orders")
			for p := range want {
				if got := f.ids(t, "orders", p); strings.Join(got, " ") != strings.Join(want[p], " ") {
					t.Errorf("%s\n%d records are left in partition %d, want the %d newest", tc.reason, len(got), p, len(want[p]))
				}
			}
		})
	}
}

// TestBytesAreCountedAnew has others remove records behind the count's back, which must never make it drop too much.
func TestBytesAreCountedAnew(t *testing.T) {
	const records, limit = 100, 10_000 // Exactly what fits.
	key := layout.RedisEvents("orders", 0)
	for name, remove := range map[string]func(f *fixture, t *testing.T, ids []string){
		"Trimmed":       func(f *fixture, t *testing.T, _ []string) { f.do(t, "XTRIM", key, "MAXLEN", 50) },
		"DeletedFirst":  func(f *fixture, t *testing.T, ids []string) { f.do(t, "XDEL", key, ids[0]) },
		"DeletedMiddle": func(f *fixture, t *testing.T, ids []string) { f.do(t, "XDEL", key, ids[40], ids[50]) },
		"DeletedLast":   func(f *fixture, t *testing.T, ids []string) { f.do(t, "XDEL", key, ids[99]) },
		"Emptied":       func(f *fixture, t *testing.T, _ []string) { f.do(t, "XTRIM", key, "MAXLEN", 0) },
		"MadeAnew":      func(f *fixture, t *testing.T, _ []string) { f.do(t, "DEL", key) },
		"Counters":      func(f *fixture, t *testing.T, ids []string) { f.do(t, "XSETID", key, ids[99], "ENTRIESADDED", 5000) },
		"Forgotten": func(f *fixture, t *testing.T, _ []string) {
			f.do(t, "DEL", layout.RedisPartition("orders", 0)+"tally")
		},
		"Damaged": func(f *fixture, t *testing.T, _ []string) {
			f.do(t, "HSET", layout.RedisPartition("orders", 0)+"tally", "bytes", "many")
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t, broker.RedisOptions{})
			f.bounded(t, "orders", 1, plan.Retention{Bytes: limit})
			ids := f.add(t, "orders", 0, records, 100)
			f.maintain(t, "orders")
			remove(f, t, ids)
			left := int(f.admin.XLen(t.Context(), key).Val())
			f.add(t, "orders", 0, records-left, 100) // Full again.
			f.maintain(t, "orders")
			if n := f.admin.XLen(t.Context(), key).Val(); n != records {
				t.Errorf("%d records are left, want all %d: they fit", n, records)
			}
			f.add(t, "orders", 0, 7, 100)
			f.maintain(t, "orders")
			if n := f.admin.XLen(t.Context(), key).Val(); n != records {
				t.Errorf("%d records are left after 7 more, want %d", n, records)
			}
		})
	}
}

// TestBytesOfALogMadeAnew replaces the log by one of as many records, which are smaller: the old count must not live on.
func TestBytesOfALogMadeAnew(t *testing.T) {
	f := start(t, broker.RedisOptions{})
	f.bounded(t, "orders", 1, plan.Retention{Bytes: 10_000})
	f.add(t, "orders", 0, 100, 100)
	f.maintain(t, "orders")
	f.do(t, "DEL", layout.RedisEvents("orders", 0))
	f.add(t, "orders", 0, 107, 50)
	f.maintain(t, "orders")
	if n := f.readStore(t, "orders").Records(); n != 107 {
		t.Errorf("%d of 107 records are left, although they take half of what may stay", n)
	}
}

// TestBytesAndDuration has both limits: what is old goes, whatever there is room for, and the count knows.
func TestBytesAndDuration(t *testing.T) {
	f := start(t, broker.RedisOptions{})
	f.bounded(t, "orders", 1, plan.Retention{Bytes: 1 << 30, Duration: time.Hour})
	f.fill(t, layout.RedisEvents("orders", 0), 3000, 2*time.Hour)
	f.maintain(t, "orders")
	if n := f.readStore(t, "orders").Records(); n != 3000 {
		t.Errorf("%d records are left, want the 3,000 new ones", n)
	}
	m := f.admin.HGetAll(t.Context(), layout.RedisPartition("orders", 0)+"tally").Val()
	if m["records"] != "3000" || m["bytes"] != fmt.Sprint(3000*101) {
		t.Errorf("counted: %v, want 3000 records of 101 bytes", m)
	}
}

// TestBytesByTwo lets two providers maintain one store: together they drop no more than one would.
func TestBytesByTwo(t *testing.T) {
	f := start(t, broker.RedisOptions{})
	f.bounded(t, "orders", 3, plan.Retention{Bytes: 100_000})
	other := f.connect(t, f.AdminUser, f.AdminPassword)
	for range 10 {
		for p, n := range []int{400, 300, 200} {
			f.add(t, "orders", p, n, 100)
		}
		done := make(chan error)
		go func() { done <- other.Maintain(t.Context(), []string{"orders"}) }()
		if err := f.backend.Maintain(t.Context(), []string{"orders"}); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n := f.readStore(t, "orders").Records(); n < 900 {
			t.Fatalf("%d records are left, want at least the 900 of the first round", n)
		}
	}
	f.maintain(t, "orders")
	if n := f.readStore(t, "orders").Records(); n < 1000 || n > 1003 {
		t.Errorf("%d records are left, want 1,000 and at most one more for each partition", n)
	}
}

// TestMaintainFailsInHealth forbids what retention needs, and allows it again.
func TestMaintainFailsInHealth(t *testing.T) {
	f := start(t, broker.RedisOptions{})
	f.bounded(t, "orders", 1, plan.Retention{Duration: time.Hour})
	f.bounded(t, "bills", 1, plan.Retention{Bytes: 10})
	limited := f.limited(t, "-xtrim")
	warnings := func() string {
		t.Helper()
		h, err := limited.Health(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(h.Warnings, "; ")
	}
	f.add(t, "bills", 0, 10, 10)
	first := warnings()
	for range 2 {
		if err := limited.Maintain(t.Context(), []string{"orders", "bills"}); err == nil {
			t.Fatal("Maintain without the right to trim succeeds")
		}
		if w := warnings(); !strings.Contains(w, "Retention is not enforced: cannot trim key \"es:{") || !strings.Contains(w, "(and 1 more)") || strings.Contains(w, "\n") {
			t.Errorf("warnings: %q, want one line that says why retention is not enforced", w)
		}
	}
	f.do(t, "ACL", "SETUSER", "limited", "+xtrim")
	if err := limited.Maintain(t.Context(), []string{"orders", "bills"}); err != nil {
		t.Fatal(err)
	}
	if w := warnings(); w != first {
		t.Errorf("warnings after it works again: %q, want %q", w, first)
	}
}
