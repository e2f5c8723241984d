package redis

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

func TestStartAfter(t *testing.T) {
	at := time.UnixMilli(1700000000123)
	cases := map[string]struct {
		reason string
		start  plan.Start
		want   string
	}{
		"Earliest":   {reason: "0-0 comes before every entry.", start: plan.Start{Earliest: true}, want: "0-0"},
		"Latest":     {reason: "Redis knows the last id itself.", start: plan.Start{Latest: true}, want: "$"},
		"Time":       {reason: "The entry of that very millisecond is read.", start: plan.Start{Time: at}, want: "1700000000122-18446744073709551615"},
		"WithinMS":   {reason: "An entry of the same millisecond may have come later.", start: plan.Start{Time: at.Add(999 * time.Microsecond)}, want: "1700000000122-18446744073709551615"},
		"Before1970": {reason: "Ids do not go back that far.", start: plan.Start{Time: time.Unix(-1, 0)}, want: "0-0"},
		"Position":   {reason: "The record at a position is the first to be read.", start: plan.Start{Positions: map[int]string{1: "5-7"}}, want: "5-6"},
		"FirstInMS":  {reason: "Before the first of a millisecond is the last possible of the one before.", start: plan.Start{Positions: map[int]string{1: "5-0"}}, want: "4-18446744073709551615"},
		"Short":      {reason: "An id may leave its sequence out.", start: plan.Start{Positions: map[int]string{1: "5"}}, want: "4-18446744073709551615"},
		"Zero":       {reason: "Nothing comes before the smallest id.", start: plan.Start{Positions: map[int]string{1: "0-0"}}, want: "0-0"},
		"Others":     {reason: "A partition that is not named begins with its first record.", start: plan.Start{Positions: map[int]string{0: "5-7"}}, want: "0-0"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got, err := startAfter(tc.start, 1); err != nil || got != tc.want {
				t.Errorf("%s\nstartAfter: %s, %v, want %s", tc.reason, got, err, tc.want)
			}
		})
	}
	for _, s := range []string{"", "x", "1-x", "1-2-3", "-1", "1-", "18446744073709551616-0", "$", "+1-0"} {
		if got, err := startAfter(plan.Start{Positions: map[int]string{1: s}}, 1); err == nil && s != "" {
			t.Errorf("startAfter position %q: %s, want an error", s, got)
		}
	}
}

func FuzzID(f *testing.F) {
	for _, s := range []string{"0-0", "5-7", "1700000000123-18446744073709551615", "18446744073709551615-18446744073709551615", "7"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := parseID(s)
		if err != nil {
			return
		}
		if again, err := parseID(id.String()); err != nil || again != id {
			t.Errorf("%q does not survive a round trip: %v, %v", s, again, err)
		}
		greatest := entryID{math.MaxUint64, math.MaxUint64}
		if id != greatest && id.next().previous() != id {
			t.Errorf("%s: the one before the next is %s", id, id.next().previous())
		}
		if id != (entryID{}) && id.previous().next() != id {
			t.Errorf("%s: the one after the previous is %s", id, id.previous().next())
		}
	})
}

func TestStoreOf(t *testing.T) {
	for key, want := range map[string]string{
		layout.RedisEvents("shop.orders", 11):             "shop.orders",
		layout.RedisIndex("orders", 0, "a}:b/{c}"):        "orders",
		layout.RedisLease("orders", 3, "reader"):          "orders",
		layout.RedisMarker("orders"):                      "",
		layout.RedisSubscriptionMarker("orders", "0"):     "",
		layout.RedisSubscriptions("orders"):               "",
		"es:{orders:}:events":                             "",
		"es:{orders:1":                                    "",
		"es:{orders:x}:events":                            "",
		"es:{orders:1:2}:events":                          "",
		"other":                                           "",
		"x" + layout.RedisEvents("orders", 0):             "",
		layout.RedisEvents(`a*b`, 0) + layout.Hash + "}:": "a*b",
	} {
		if got := storeOf(key); got != want {
			t.Errorf("storeOf(%q) = %q, want %q", key, got, want)
		}
	}
}

// TestLag compares the lag that is observed with the records that there are, however the group came to be there.
func TestLag(t *testing.T) {
	f := start(t, broker.RedisOptions{})
	d, c := f.store("orders")
	d.Partitions = 1
	f.applyStore(t, d, c)
	const records = 3000
	f.fill(t, layout.RedisEvents("orders", 0), records/2, time.Hour)
	ids := f.admin.XRange(t.Context(), layout.RedisEvents("orders", 0), "-", "+").Val()
	for name, tc := range map[string]struct {
		reason   string
		first    int // The record that is read first.
		lo, hi   int64
		trim     int
		tombs    int // Records that are deleted from the middle.
		consumed int
	}{
		"Start":       {reason: "Redis counts from the start.", lo: records, hi: records},
		"NearTheEnd":  {reason: "Few records are counted.", first: records - 100, lo: 100, hi: 100},
		"FarAway":     {reason: "Many are estimated, and not as nothing.", first: records / 3, lo: countedRecords + 1, hi: records},
		"End":         {reason: "The last one.", first: records - 1, lo: 1, hi: 1},
		"AfterReads":  {reason: "What was read and acknowledged is no lag.", first: records - 100, consumed: 40, lo: 60, hi: 60},
		"Trimmed":     {reason: "What is gone before anybody read it is no lag either.", trim: 1000, lo: 1000, hi: 1000},
		"Tombstones":  {reason: "Deleted records are not counted.", first: records - 100, tombs: 10, lo: 90, hi: 90},
		"TrimmedRead": {reason: "Reading goes on after the gap.", trim: 1000, consumed: 40, lo: 960, hi: 960},
	} {
		t.Run(name, func(t *testing.T) {
			n := strings.ToLower(name)
			d, c := f.store(n)
			d.Partitions = 1
			f.applyStore(t, d, c)
			key := layout.RedisEvents(n, 0)
			f.do(t, "DEL", key)
			f.do(t, "COPY", layout.RedisEvents("orders", 0), key)
			id := backend.SubscriptionID{Store: n, Name: "reader"}
			s, sc := f.subscription(n, "reader")
			s.StartFrom = plan.Start{Positions: map[int]string{0: ids[tc.first].ID}}
			f.applySubscription(t, s, sc)
			if tc.trim > 0 {
				f.do(t, "XTRIM", key, "MAXLEN", tc.trim)
			}
			for i := range tc.tombs {
				f.do(t, "XDEL", key, ids[tc.first+10+i].ID)
			}
			if tc.consumed > 0 {
				f.read(t, id, 0, tc.consumed, true)
			}
			if lag := f.readSubscription(t, n, "reader").Lag(); lag < tc.lo || lag > tc.hi {
				t.Errorf("%s\nlag is %d, want %d to %d", tc.reason, lag, tc.lo, tc.hi)
			}
		})
	}
}

// TestInterruptedReplay crashes after a replay was noted and some partitions moved. The next attempt goes to the same
// places, although "the latest" is somewhere else by then.
func TestInterruptedReplay(t *testing.T) {
	f := start(t, broker.RedisOptions{})
	d, c := f.store("orders")
	f.applyStore(t, d, c)
	s, sc := f.subscription("orders", "reader")
	f.applySubscription(t, s, sc)
	f.append(t, "orders", 0, 3)
	f.append(t, "orders", 2, 3)
	s.Replay = &plan.Replay{ID: "r1", From: plan.Start{Latest: true}}
	// The move fails in the last partition, as if the provider had died before it.
	f.do(t, "RENAME", layout.RedisEvents("orders", 2), "elsewhere")
	f.do(t, "SET", layout.RedisEvents("orders", 2), "x")
	o := plan.ObservedSubscription{SubscriptionSettings: s.SubscriptionSettings, Marked: true, Created: true, Partitions: 2}
	change := backend.SubscriptionChange{Desired: s, Observed: o, Changes: []plan.Change{{Field: plan.FieldReplay}}}
	places := f.backend.places(t.Context(), []backend.SubscriptionChange{change}, make([]error, 1))
	change.Observed.Partitions = 3
	places[0] = append(places[0], f.admin.XRevRange(t.Context(), "elsewhere", "+", "-").Val()[0].ID)
	errs := make([]error, 1)
	f.backend.notePlaces(t.Context(), []backend.SubscriptionChange{change}, places, errs)
	if errs[0] != nil {
		t.Fatal(errs[0])
	}
	f.do(t, "RENAME", "elsewhere", layout.RedisEvents("orders", 2))
	f.append(t, "orders", 0, 1)
	f.append(t, "orders", 2, 1)

	got := f.applySubscription(t, s, sc)
	if got.Lag() != 2 || got.LastReplay != "r1" {
		t.Errorf("lag %d, last replay %q, want 2 (what came after the replay was noted) and r1", got.Lag(), got.LastReplay)
	}
	fields := f.admin.HGetAll(t.Context(), marker(backend.SubscriptionID{Store: "orders", Name: "reader"})).Val()
	if fields[fieldReplayPending] != "" || fields[fieldReplayPlaces] != "" {
		t.Errorf("the replay is still pending: %v", fields)
	}
}

func TestRedact(t *testing.T) {
	secret := strings.Repeat("ab", 32)
	for name, text := range map[string]string{
		"Modifier": "ERR Error in ACL SETUSER modifier '#" + secret + "': The password hash must be exactly 64 characters",
		"Plain":    "ERR Error in ACL SETUSER modifier '>" + secret + "': Syntax error",
		"Unknown":  "ERR unknown command 'ACL', with args beginning with: 'SETUSER' 'es:x' '" + secret + "' ",
	} {
		err := (&Backend{}).explain(fmt.Errorf("%w", replyText(text)))
		if strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), "ERR") {
			t.Errorf("%s: %v", name, err)
		}
		if !errors.Is(err, replyText(text)) {
			t.Errorf("%s: the cause is not there to be matched", name)
		}
	}
}

type replyText string

func (e replyText) Error() string { return string(e) }
func (e replyText) RedisError()   {}
