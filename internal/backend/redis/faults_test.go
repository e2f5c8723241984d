package redis

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

func TestOneBadKeyFailsAlone(t *testing.T) {
	f := start(t, broker.RedisOptions{})
	for _, n := range []string{"good", "log", "damaged", "hash", "sub"} {
		d, c := f.store(n)
		f.applyStore(t, d, c)
	}
	s, c := f.subscription("good", "reader")
	f.applySubscription(t, s, c)
	f.do(t, "SET", layout.RedisMarker("marker"), "somebody else's")
	f.do(t, "DEL", layout.RedisEvents("log", 1))
	f.do(t, "SET", layout.RedisEvents("log", 1), "somebody else's")
	f.do(t, "HSET", layout.RedisMarker("damaged"), "partitions", "many")
	f.do(t, "HSET", layout.RedisMarker("hash"), "hash", "crc16")
	f.do(t, "SET", layout.RedisSubscriptionMarker("sub", "marker"), "somebody else's")
	f.do(t, "SET", layout.RedisDeadLetters("good", 0, "dlq"), "somebody else's")
	f.do(t, "HSET", layout.RedisSubscriptionMarker("good", "dlq"), "owner-name", "x", "partitions", "3")

	stores := []string{"good", "marker", "log", "damaged", "hash", "absent"}
	for i, r := range f.backend.ReadStores(t.Context(), stores) {
		if bad := i > 0 && i < 5; bad != (r.Err != nil) {
			t.Errorf("store %q: %v", stores[i], r.Err)
		} else if bad && !strings.Contains(r.Err.Error(), fmt.Sprintf("cannot read store %q: ", stores[i])) {
			t.Errorf("store %q: the error does not name it: %v", stores[i], r.Err)
		}
	}
	ids := []backend.SubscriptionID{{Store: "good", Name: "reader"}, {Store: "sub", Name: "marker"}, {Store: "good", Name: "dlq"}, {Store: "marker", Name: "x"}, {Store: "log", Name: "x"}, {Store: "damaged", Name: "x"}}
	for i, r := range f.backend.ReadSubscriptions(t.Context(), ids) {
		if (i > 0) != (r.Err != nil) {
			t.Errorf("subscription %q: %v", ids[i], r.Err)
		}
	}

	// The same for writes.
	bad, c := f.store("marker")
	good, _ := f.store("new")
	errs := f.backend.ApplyStores(t.Context(), []backend.StoreChange{
		{Desired: bad, Changes: plan.Store(bad, plan.ObservedStore{}, c).Changes, Password: "x"},
		{Desired: good, Changes: plan.Store(good, plan.ObservedStore{}, c).Changes, Password: "x"},
	})
	if errs[0] == nil || errs[1] != nil {
		t.Errorf("ApplyStores: %v", errs)
	}
	if n := f.admin.Exists(t.Context(), layout.RedisEvents("marker", 0)).Val(); n != 0 {
		t.Error("a store whose marker could not be claimed was created all the same")
	}
}

// TestEverythingIsGone flushes the server: what held records is not made again as if nothing had been.
func TestEverythingIsGone(t *testing.T) {
	f := start(t, broker.RedisOptions{})
	d, c := f.store("shop.orders")
	f.applyStore(t, d, c)
	s, sc := f.subscription("shop.orders", "reader")
	o := f.applySubscription(t, s, sc)
	f.append(t, "shop.orders", 0, 1)
	f.do(t, "FLUSHALL")

	if sub := f.readSubscription(t, s.Store, s.Name); !sub.StoreGone || sub.Exists() {
		t.Errorf("subscription: %+v, want neither store nor subscription", sub)
	}
	c.KnownRecords = map[int]int64{0: 1}
	p := plan.Store(d, f.readStore(t, d.Name), c)
	if len(p.Changes) > 0 || len(p.Refusals) != 1 || p.Refusals[0].Reason != plan.ReasonDataLost {
		t.Fatalf("plan: %+v, want a refusal, DataLost", p)
	}
	c.Confirm = p.Refusals[0].Token
	f.applyStore(t, d, c)
	sc.KnownPositions = map[int]string{}
	for _, g := range o.Groups {
		sc.KnownPositions[g.Partition] = g.Position
	}
	f.append(t, "shop.orders", 0, 2)
	if lag := f.applySubscription(t, s, sc).Lag(); lag != 2 {
		t.Errorf("lag of the restored subscription is %d, want 2", lag)
	}
}

func TestRestart(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		opts   broker.RedisOptions
		want   []plan.Change // None: everything is as it was, data and users.
	}{
		"ACLFile": {
			reason: "Users are saved where the server has a file for them.",
			opts:   broker.RedisOptions{AppendOnly: true, ACLFile: true},
		},
		"NoACLFile": {
			reason: "Users that a restart forgot are made again.",
			opts:   broker.RedisOptions{AppendOnly: true},
			want:   []plan.Change{{Field: plan.FieldPrincipal, To: "create es:orders"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t, tc.opts)
			d, c := f.store("orders")
			f.applyStore(t, d, c)
			if err := f.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, plan.Store(d, f.readStore(t, "orders"), c).Changes); diff != "" {
				t.Errorf("%s\nplan after the restart: -want, +got:\n%s", tc.reason, diff)
			}
			f.applyStore(t, d, c)
			if err := f.login(t.Context(), d.Principal.Name, password("orders")); err != nil {
				t.Errorf("%s\nlogin: %v", tc.reason, err)
			}
		})
	}
}

// TestUsersAreSavedLater lets the server fail to save, which must not be forgotten.
func TestUsersAreSavedLater(t *testing.T) {
	f := start(t, broker.RedisOptions{ACLFile: true, AppendOnly: true})
	d, c := f.store("orders")
	o := f.readStore(t, "orders")
	change := backend.StoreChange{Desired: d, Observed: o, Changes: plan.Store(d, o, c).Changes, Password: password("orders")}
	limited := f.limited(t, "-acl|save")
	if err := limited.ApplyStores(t.Context(), []backend.StoreChange{change})[0]; err == nil || !strings.Contains(err.Error(), "ACL SAVE") {
		t.Fatalf("ApplyStores without the right to save: %v, want an error that names ACL SAVE", err)
	}
	if err := limited.Maintain(t.Context(), nil); err == nil {
		t.Error("Maintain says that users are saved")
	}
	h, err := limited.Health(t.Context())
	if w := strings.Join(h.Warnings, "\n"); err != nil || !strings.Contains(w, "A restart brings back users as they were saved last: cannot save") || strings.Contains(w, "Retention") {
		t.Errorf("Health: %q, %v, want that users are not saved, and nothing about retention", w, err)
	}
	f.do(t, "ACL", "SETUSER", "limited", "+@all")
	if err := limited.Maintain(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := f.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p := plan.Store(d, f.readStore(t, "orders"), c); len(p.Changes) > 0 {
		t.Errorf("plan after the restart: %+v, want nothing", p)
	}
	if h, err := limited.Health(t.Context()); err != nil || len(h.Warnings) > 0 {
		t.Errorf("Health after the users were saved: %+v, %v, want no warning", h, err)
	}
}

// TestOldPasswordIsCutLater gives a store another password without the right to cut those who came in by the old one.
func TestOldPasswordIsCutLater(t *testing.T) {
	f := start(t, broker.RedisOptions{})
	d, c := f.store("orders")
	f.applyStore(t, d, c)
	app, err := f.config(d.Principal.Name, password("orders")).Server(f.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer app.Close()
	conn := app.Conn()
	defer conn.Close()
	if err := conn.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	limited := f.limited(t, "-client|kill")
	d.Principal = f.backend.StorePrincipal("orders", "", "another")
	change := func() error {
		o := f.readStore(t, "orders")
		changes := plan.Store(d, o, c).Changes
		if len(changes) != 1 || changes[0].Field != plan.FieldPrincipal {
			t.Fatalf("changes: %+v, want one of the principal", changes)
		}
		return limited.ApplyStores(t.Context(), []backend.StoreChange{{Desired: d, Observed: o, Changes: changes, Password: "another"}})[0]
	}
	for range 2 { // It stays drift until it is done.
		if err := change(); err == nil || !strings.Contains(err.Error(), "lacks the right to run CLIENT KILL") {
			t.Fatalf("ApplyStores without the right to cut connections: %v, want an error that names CLIENT KILL", err)
		}
		if err := conn.Ping(t.Context()).Err(); err != nil {
			t.Fatalf("the connection by the old password: %v, want that nobody could cut it", err)
		}
	}
	f.do(t, "ACL", "SETUSER", "limited", "+@all")
	if err := change(); err != nil {
		t.Fatal(err)
	}
	if err := conn.Ping(t.Context()).Err(); err == nil {
		t.Error("a connection by the old password outlives the change")
	}
	if err := f.inPlace(t, d, c); err != nil {
		t.Error(err)
	}
}

// limited returns a backend whose user has all rights but some.
func (f *fixture) limited(t *testing.T, rules ...string) *Backend {
	t.Helper()
	if err := f.admin.ACLSetUser(t.Context(), "limited", append([]string{"reset", "on", ">limited-secret", "~*", "&*", "+@all"}, rules...)...).Err(); err != nil {
		t.Fatal(err)
	}
	return f.connect(t, "limited", "limited-secret")
}

// TestProvidedPrincipals runs without any right to users, as on a managed Redis.
func TestProvidedPrincipals(t *testing.T) {
	f := start(t, broker.RedisOptions{Config: map[string]string{"save": "3600 1"}})
	limited := f.limited(t, "-acl", "-config", "-client|kill")
	f.backend = limited
	d, c := f.store("orders")
	managed := d
	d.Principal = plan.Principal{}
	o := f.applyStore(t, d, c)
	if p := plan.Store(d, o, c); len(p.Changes) > 0 {
		t.Errorf("plan after apply: %+v", p)
	}
	s, sc := f.subscription("orders", "reader")
	s.Principal = plan.Principal{}
	f.applySubscription(t, s, sc)
	if _, err := limited.Health(t.Context()); err != nil {
		t.Error(err)
	}

	change := backend.StoreChange{Desired: managed, Observed: o, Changes: plan.Store(managed, o, c).Changes, Password: password("orders")}
	err := limited.ApplyStores(t.Context(), []backend.StoreChange{change})[0]
	if err == nil || !strings.Contains(err.Error(), "lacks the right to run ACL SETUSER") {
		t.Errorf("managed principals: %v, want an error that names the missing right", err)
	}
	if err := limited.DeleteSubscriptions(t.Context(), subscriptions(backend.SubscriptionID{Store: "orders", Name: "reader"}))[0]; err != nil {
		t.Error(err)
	}
	for _, do := range []func(context.Context, []string) []error{limited.FenceStores, limited.UnfenceStores} {
		if err := do(t.Context(), []string{"orders"})[0]; err != nil {
			t.Error(err)
		}
	}
	if err := limited.DeleteStores(t.Context(), stores("orders"))[0]; err != nil {
		t.Error(err)
	}
	if n := f.admin.DBSize(t.Context()).Val(); n != 0 {
		t.Errorf("%d keys are left: %v", n, f.admin.Keys(t.Context(), "*").Val())
	}
}

// TestFenceCutsConnections keeps a connection of an application open, which must not write any more.
func TestFenceCutsConnections(t *testing.T) {
	f := start(t, broker.RedisOptions{})
	d, c := f.store("orders")
	f.applyStore(t, d, c)
	app, err := f.config(d.Principal.Name, password("orders")).Server(f.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer app.Close()
	conn := app.Conn()
	defer conn.Close()
	add := &redis.XAddArgs{Stream: layout.RedisEvents("orders", 0), Values: []string{"d", "x"}}
	if err := conn.XAdd(t.Context(), add).Err(); err != nil {
		t.Fatal(err)
	}
	if err := f.backend.FenceStores(t.Context(), []string{"orders", "absent", "Not A Name"}); cmpErr(err...) != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := app.XAdd(t.Context(), add).Err(); err == nil {
			t.Error("a fenced application appends")
		}
	}
	if n := f.readStore(t, "orders").Records(); n != 1 {
		t.Errorf("%d records after fencing, want 1", n)
	}
	if n := f.admin.ACLUsers(t.Context()).Val(); len(n) != 3 {
		t.Errorf("users: %v, want no more than before", n)
	}
}

// TestUsersAreSavedSeldom saves no more often than that leaves the server time for others, and forgets nothing over it.
func TestUsersAreSavedSeldom(t *testing.T) {
	f := start(t, broker.RedisOptions{ACLFile: true, AppendOnly: true})
	for i := range 20 {
		d, c := f.store(fmt.Sprintf("orders-%d", i))
		f.applyStore(t, d, c)
	}
	f.backend.unsaved.saved(time.Hour) // As if it had taken that long.
	f.do(t, "CONFIG", "RESETSTAT")
	d, c := f.store("late")
	f.applyStore(t, d, c)
	if err := f.backend.DeleteStores(t.Context(), stores("orders-0"))[0]; err != nil {
		t.Fatal(err)
	}
	if n := f.calls(t)["acl|save"]; n != 0 {
		t.Errorf("users were saved %d times, want never so soon", n)
	}
	// The server forgets the new user, and remembers the one that was deleted.
	if err := f.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if users := f.admin.ACLUsers(t.Context()).Val(); !slices.Contains(users, "es:orders-0") || slices.Contains(users, "es:late") {
		t.Fatalf("users after the restart: %v, want the old ones", users)
	}
	if err := f.backend.Maintain(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if users := f.admin.ACLUsers(t.Context()).Val(); slices.Contains(users, "es:orders-0") {
		t.Error("the user of a deleted store is back")
	}
	f.applyStore(t, d, c)
	if err := f.backend.Maintain(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := f.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p := plan.Store(d, f.readStore(t, "late"), c); len(p.Changes) > 0 {
		t.Errorf("plan after the second restart: %+v, want nothing", p)
	}
	if users := f.admin.ACLUsers(t.Context()).Val(); slices.Contains(users, "es:orders-0") {
		t.Error("the user of a deleted store is back after the second restart")
	}
}

// TestServerWithoutACL runs on a server that does not know the command, as some managed services do.
func TestServerWithoutACL(t *testing.T) {
	f := start(t, broker.RedisOptions{Config: map[string]string{"rename-command": `ACL ""`}})
	d, c := f.store("orders")
	d.Principal = plan.Principal{}
	f.applyStore(t, d, c)
	if p := plan.Store(d, f.readStore(t, "orders"), c); len(p.Changes) > 0 {
		t.Errorf("plan after apply: %+v", p)
	}
	for what, err := range map[string]error{
		"FenceStores":  f.backend.FenceStores(t.Context(), []string{"orders"})[0],
		"Maintain":     f.backend.Maintain(t.Context(), []string{"orders"}),
		"DeleteStores": f.backend.DeleteStores(t.Context(), stores("orders"))[0],
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestReadWhileItIsMade reads stores while others make and delete them: none may look like data that nobody has marked.
func TestReadWhileItIsMade(t *testing.T) {
	f := start(t, broker.RedisOptions{})
	d, c := f.store("orders")
	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for ctx.Err() == nil {
				if r := f.backend.ReadStores(t.Context(), []string{"orders"})[0]; r.Err == nil && !r.Value.Marked && len(r.Value.Logs) > 0 {
					t.Errorf("a store without marker has %d logs", len(r.Value.Logs))
				}
				id := backend.SubscriptionID{Store: "orders", Name: "billing"}
				if r := f.backend.ReadSubscriptions(t.Context(), []backend.SubscriptionID{id})[0]; r.Value.StoreHasLogs {
					t.Error("a subscription sees logs of a store that is gone")
				}
			}
		})
	}
	for range 100 {
		f.applyStore(t, d, c)
		if err := f.backend.DeleteStores(t.Context(), stores("orders"))[0]; err != nil {
			t.Error(err)
		}
	}
	stop()
	readers.Wait()
}
