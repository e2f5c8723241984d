package redis

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// replicaOf makes one server the replica of another, or a master.
func (f *fixture) replicaOf(t *testing.T, r *broker.Redis, of ...any) {
	t.Helper()
	if err := f.server(t, r).Do(t.Context(), "REPLICAOF", of[0], of[1]).Err(); err != nil {
		t.Fatal(err)
	}
}

// TestDemotedMasterIsNotBelieved demotes the master while the Sentinels cannot say so.
func TestDemotedMasterIsNotBelieved(t *testing.T) {
	t.Parallel()
	f, s := startSentinel(t, broker.RedisGroupOptions{})
	d, c := f.store("orders")
	f.applyStore(t, d, c)
	sub, sc := f.subscription("orders", "billing")
	f.applySubscription(t, sub, sc)
	for _, sentinel := range s.Sentinels {
		if err := sentinel.Process().Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	f.replicaOf(t, s.Nodes[1], "NO", "ONE")
	f.replicaOf(t, s.Nodes[0], "127.0.0.1", s.Nodes[1].Port)

	const want = "the server is not the master any more"
	id := backend.SubscriptionID{Store: "orders", Name: "billing"}
	for what, err := range map[string]error{
		"ReadStores":          f.backend.ReadStores(t.Context(), []string{"orders"})[0].Err,
		"ReadSubscriptions":   f.backend.ReadSubscriptions(t.Context(), []backend.SubscriptionID{id})[0].Err,
		"FenceStores":         f.backend.FenceStores(t.Context(), []string{"orders"})[0],
		"DeleteStores":        f.backend.DeleteStores(t.Context(), stores("orders"))[0],
		"DeleteSubscriptions": f.backend.DeleteSubscriptions(t.Context(), subscriptions(id))[0],
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", what, err, want)
		}
	}
}

// failOver has the Sentinels make a replica the master, and waits until they say that it is.
func (f *fixture) failOver(t *testing.T, s *broker.RedisSentinel) *broker.Redis {
	t.Helper()
	before := f.ruler(t)
	sentinel, err := f.config("", "").SentinelAt(s.Sentinels[0].Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer sentinel.Close()
	eventually(t, "a replica to be fit for a failover", func() error {
		return sentinel.Do(t.Context(), "SENTINEL", "FAILOVER", broker.RedisMasterName).Err()
	})
	eventually(t, "another master", func() error {
		f.backend.fleet.distrust()
		if f.ruler(t) == before {
			return errors.New("it is still " + before)
		}
		return nil
	})
	for _, r := range s.Nodes {
		if r.Addr == f.ruler(t) {
			return r
		}
	}
	t.Fatalf("nobody knows the master %s", f.ruler(t))
	return nil
}

// ruler returns where the master is.
func (f *fixture) ruler(t *testing.T) string {
	t.Helper()
	top, err := f.backend.fleet.topology(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return top.servers[0].address
}

// TestFailoverWhileAStoreIsDeleted has the new master acknowledge a record after the old one was found to have none.
func TestFailoverWhileAStoreIsDeleted(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		reason string
		reread bool // By the drift detection, which guards nothing.
	}{
		"Deleted": {reason: "What was read was on another server."},
		"Read":    {reason: "That others have read the store since, does not make the look count that was had before.", reread: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, s := startSentinel(t, broker.RedisGroupOptions{})
			d, c := f.store("orders")
			f.applyStore(t, d, c)
			fence := func() {
				t.Helper()
				eventually(t, "the fence", func() error { return f.backend.FenceStores(t.Context(), []string{"orders"})[0] })
			}
			fence()
			if n := f.readStore(t, "orders").Records(); n != 0 {
				t.Fatalf("%d records, want none", n)
			}
			master := f.server(t, f.failOver(t, s))
			if err := master.XAdd(t.Context(), &redis.XAddArgs{Stream: layout.RedisEvents("orders", 0), Values: []string{"d", "x"}}).Err(); err != nil {
				t.Fatal(err)
			}
			if tc.reread {
				eventually(t, "the record to be seen", func() error {
					r := f.backend.ReadStores(t.Context(), []string{"orders"})[0]
					if r.Err == nil && r.Value.Records() != 1 {
						return fmt.Errorf("%d records", r.Value.Records())
					}
					return r.Err
				})
			}
			if err := f.backend.DeleteStores(t.Context(), stores("orders"))[0]; !errors.Is(err, errReign) {
				t.Errorf("%s\nDeleteStores: %v, want %v", tc.reason, err, errReign)
			}
			if n := master.XLen(t.Context(), layout.RedisEvents("orders", 0)).Val(); n != 1 {
				t.Errorf("%s\n%d records are left, want 1", tc.reason, n)
			}
			if m := master.HExists(t.Context(), layout.RedisMarker("orders"), fieldDeletion).Val(); m {
				t.Errorf("%s\nthe deletion has begun", tc.reason)
			}

			fence()
			if n := f.readStore(t, "orders").Records(); n != 1 {
				t.Errorf("%s\n%d records were read, want 1", tc.reason, n)
			}
			if err := f.backend.DeleteStores(t.Context(), stores("orders"))[0]; err != nil {
				t.Errorf("%s\nDeleteStores, once more: %v", tc.reason, err)
			}
			if keys := master.Keys(t.Context(), "*").Val(); len(keys) > 0 {
				t.Errorf("%s\nkeys are left: %v", tc.reason, keys)
			}
		})
	}
}

func TestFences(t *testing.T) {
	var f fences
	f.put("a", "1")
	f.put("b", "1")
	f.put("unknown", "")
	f.saw([]string{"a", "b", "never"}, "1")
	f.saw([]string{"b"}, "2")
	f.saw([]string{"b"}, "1") // Too late: somebody else may have read it in between.
	got := map[string][]string{}
	for _, s := range []string{"a", "b", "unknown", "never"} {
		got[s] = f.of(s)
	}
	want := map[string][]string{"a": {"1"}, "b": {string(broken)}, "unknown": nil, "never": nil}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reigns: -want, +got:\n%s", diff)
	}
	if f.drop("b"); f.any([]string{"b", "never"}) || !f.any([]string{"never", "a"}) {
		t.Error("fences that were dropped count")
	}
}

// TestSentinelsDisagree reads what several Sentinels say of the same servers.
func TestSentinelsDisagree(t *testing.T) {
	server := func(port int, flags string) any {
		return map[any]any{"ip": "10.0.0.1", "port": fmt.Sprint(port), "flags": flags}
	}
	says := func(master string, replicas ...string) sighting {
		s := sight(t.Context(), &node{}, "events")
		s.master.SetVal(server(1, master))
		var all []any
		for i, flags := range replicas {
			all = append(all, server(2+i, flags))
		}
		s.replicas.SetVal(all)
		return s
	}
	for name, tc := range map[string]struct {
		reason       string
		others       []sighting
		wantDown     map[string]bool
		wantFailover bool
	}{
		"Agree": {
			reason: "Nobody sees one of the replicas.", others: []sighting{says("master", "slave", "slave,s_down")},
			wantDown: map[string]bool{"10.0.0.1:1": false, "10.0.0.1:2": false, "10.0.0.1:3": true},
		},
		"Disagree": {
			reason: "Somebody sees it, and so may applications.", others: []sighting{says("master", "slave", "slave,s_down,disconnected"), says("master", "slave", "slave")},
			wantDown: map[string]bool{"10.0.0.1:1": false, "10.0.0.1:2": false, "10.0.0.1:3": false},
		},
		"Failover": {
			reason: "Only the Sentinel that leads a failover says so.", others: []sighting{says("master,failover_in_progress,force_failover", "slave", "slave,s_down")}, wantFailover: true,
			wantDown: map[string]bool{"10.0.0.1:1": false, "10.0.0.1:2": false, "10.0.0.1:3": true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			top := &topology{down: map[string]bool{"10.0.0.1:1": false, "10.0.0.1:2": false, "10.0.0.1:3": true}}
			for _, s := range tc.others {
				s.disagree(top)
			}
			if diff := cmp.Diff(tc.wantDown, top.down); diff != "" || top.failover != tc.wantFailover {
				t.Errorf("%s\nfailover %t, down: -want, +got:\n%s", tc.reason, top.failover, diff)
			}
		})
	}
}
