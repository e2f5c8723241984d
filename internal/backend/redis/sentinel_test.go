package redis

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/redisclient"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// planned returns what is left to do for a store, or why that cannot be told.
func (f *fixture) planned(t testing.TB, d plan.DesiredStore, c plan.Context) (plan.Plan, error) {
	t.Helper()
	r := f.backend.ReadStores(t.Context(), []string{d.Name})[0]
	return plan.Store(d, r.Value, c), r.Err
}

// inPlace reports whether there is nothing left to do for a store.
func (f *fixture) inPlace(t testing.TB, d plan.DesiredStore, c plan.Context) error {
	t.Helper()
	p, err := f.planned(t, d, c)
	if err == nil && len(p.Changes)+len(p.Refusals) > 0 {
		err = fmt.Errorf("the plan is not empty: %+v", p)
	}
	return err
}

// repair makes a store what it should be, once that can be done.
func (f *fixture) repair(t testing.TB, d plan.DesiredStore, c plan.Context) error {
	t.Helper()
	r := f.backend.ReadStores(t.Context(), []string{d.Name})[0]
	if r.Err != nil {
		return r.Err
	}
	p := plan.Store(d, r.Value, c)
	for _, refused := range p.Refusals {
		if refused.Reason == plan.ReasonUnowned { // A failover may lose the marker that was written last. A person says whose it is.
			c.Confirm = refused.Token
			p = plan.Store(d, r.Value, c)
		}
	}
	if err := f.backend.ApplyStores(t.Context(), []backend.StoreChange{{Desired: d, Observed: r.Value, Changes: p.Changes, Password: password(d.Name)}})[0]; err != nil {
		return err
	}
	return f.inPlace(t, d, c)
}

// warned reports whether Health names a server.
func (f *fixture) warned(t testing.TB, address string) error {
	t.Helper()
	h, err := f.backend.Health(t.Context())
	if err == nil && !strings.Contains(strings.Join(h.Warnings, "\n"), address) {
		err = fmt.Errorf("no warning names %s: %q", address, h.Warnings)
	}
	return err
}

func TestSentinelFailsOver(t *testing.T) {
	t.Parallel()
	f, s := startSentinel(t, broker.RedisGroupOptions{AppendOnly: true})
	d, c := f.store("orders")
	f.applyStore(t, d, c)
	sub, sc := f.subscription("orders", "billing")
	f.applySubscription(t, sub, sc)
	f.append(t, "orders", 0, 3)
	f.awaitReplicas(t)
	if err := f.sameUsers(t, 2, s.Nodes...); err != nil {
		t.Fatal(err)
	}
	if err := s.Nodes[0].Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the store to be as it was, on the new master", func() error { return f.inPlace(t, d, c) })
	if n := f.readStore(t, "orders").Records(); n != 3 {
		t.Errorf("%d records after the failover, want 3", n)
	}
	if p := plan.Subscription(sub, f.readSubscription(t, "orders", "billing"), sc); len(p.Changes)+len(p.Refusals) > 0 {
		t.Errorf("the subscription after the failover: %+v", p)
	}
	other, oc := f.store("invoices")
	f.applyStore(t, other, oc)
	eventually(t, "a warning that names the old master", func() error { return f.warned(t, s.Nodes[0].Addr) })
	h, err := f.backend.Health(t.Context())
	if err != nil || h.Endpoint == s.Nodes[0].Addr {
		t.Errorf("Health: %+v, %v, want the new master's address", h, err)
	}

	// The old master comes back without users, because it has no file for them.
	if err := s.Nodes[0].Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the returned server to be found without users", func() error { return f.lacks(t, d, c, s.Nodes[0].Addr) })
	for _, store := range []string{"orders", "invoices"} {
		d, c := f.store(store)
		eventually(t, "the repair of "+store, func() error { return f.repair(t, d, c) })
	}
	f.applySubscription(t, sub, sc)
	if err := f.sameUsers(t, 3, s.Nodes...); err != nil {
		t.Error(err)
	}
}

// awaitReplicas waits until the replicas have what their masters have, which Redis does not do before it acknowledges.
func (f *fixture) awaitReplicas(t testing.TB) {
	t.Helper()
	for _, r := range f.nodes {
		eventually(t, "the replicas of "+r.Addr, func() error {
			info, err := f.server(t, r).Info(t.Context(), "replication").Result()
			if err != nil || !strings.Contains(info, "role:master") {
				return err
			}
			_, end, _ := strings.Cut(info, "master_repl_offset:")
			end, _, _ = strings.Cut(end, "\r")
			for line := range strings.Lines(info) {
				if strings.HasPrefix(line, "slave") && !strings.Contains(line, ",offset="+end+",") {
					return fmt.Errorf("it is at %s: %s", end, line)
				}
			}
			return nil
		})
	}
}

// lacks reports whether the only thing that is wrong with a store is that its user is missing on one server.
func (f *fixture) lacks(t testing.TB, d plan.DesiredStore, c plan.Context, address string) error {
	t.Helper()
	r := f.backend.ReadStores(t.Context(), []string{d.Name})[0]
	if r.Err != nil {
		return r.Err
	}
	if want := "missing on " + address; r.Value.Principal.Rights != want {
		return fmt.Errorf("the principal's rights are %q, want %q", r.Value.Principal.Rights, want)
	}
	if p := plan.Store(d, r.Value, c); len(p.Changes) != 1 || p.Changes[0].Field != plan.FieldPrincipal {
		t.Fatalf("the plan is %+v, want a change of the principal alone", p)
	}
	return nil
}

func TestReplicaForgetsItsUsers(t *testing.T) {
	t.Parallel()
	f, s := startSentinel(t, broker.RedisGroupOptions{})
	d, c := f.store("orders")
	f.applyStore(t, d, c)
	for name, forget := range map[string]func() error{
		"Restart": func() error { return s.Nodes[2].Restart(t.Context()) },
		"Deleted": func() error { return f.server(t, s.Nodes[2]).ACLDelUser(t.Context(), d.Principal.Name).Err() },
	} {
		if err := forget(); err != nil {
			t.Fatal(err)
		}
		eventually(t, name+": the missing user to be found", func() error { return f.lacks(t, d, c, s.Nodes[2].Addr) })
		f.applyStore(t, d, c)
		if err := f.sameUsers(t, 1, s.Nodes...); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := f.server(t, s.Nodes[1]).ACLSetUser(t.Context(), d.Principal.Name, ">another").Err(); err != nil {
		t.Fatal(err)
	}
	if p, err := f.planned(t, d, c); err != nil || len(p.Changes) != 1 || p.Changes[0].From != "another password" {
		t.Errorf("another password on a replica: %+v, %v", p, err)
	}
	f.applyStore(t, d, c)
	if err := f.server(t, s.Nodes[1]).ACLSetUser(t.Context(), d.Principal.Name, "+flushall").Err(); err != nil {
		t.Fatal(err)
	}
	if p, err := f.planned(t, d, c); err != nil || len(p.Changes) != 1 || p.Changes[0].From != "other rights" {
		t.Errorf("other rights on a replica: %+v, %v", p, err)
	}
	f.applyStore(t, d, c)
	if err := f.sameUsers(t, 1, s.Nodes...); err != nil {
		t.Error(err)
	}
}

// TestServerIsDownMeanwhile makes, changes and deletes stores while a replica is down, and while one hangs.
func TestServerIsDownMeanwhile(t *testing.T) {
	for name, tc := range map[string]struct {
		down, up func(t *testing.T, r *broker.Redis) error
	}{
		"Killed": {
			down: func(_ *testing.T, r *broker.Redis) error { return r.Kill() },
			up:   func(t *testing.T, r *broker.Redis) error { return r.Restart(t.Context()) },
		},
		"Hanging": {
			down: func(_ *testing.T, r *broker.Redis) error { return r.Process().Signal(syscall.SIGSTOP) },
			up:   func(_ *testing.T, r *broker.Redis) error { return r.Process().Signal(syscall.SIGCONT) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, s := startSentinel(t, broker.RedisGroupOptions{ACLFile: true})
			old, oldc := f.store("old")
			f.applyStore(t, old, oldc)
			away := s.Nodes[1]
			if err := tc.down(t, away); err != nil {
				t.Fatal(err)
			}
			d, c := f.store("orders")
			f.applyStore(t, d, c)
			if err := f.inPlace(t, d, c); err != nil {
				t.Errorf("with a replica that is down: %v", err)
			}
			eventually(t, "a warning that names the replica", func() error { return f.warned(t, away.Addr) })
			if err := f.backend.DeleteStores(t.Context(), stores("old"))[0]; err != nil {
				t.Error(err)
			}
			if err := f.sameUsers(t, 1, s.Nodes[0], s.Nodes[2]); err != nil {
				t.Error(err)
			}
			if err := tc.up(t, away); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the returned replica to be found without the new user", func() error { return f.lacks(t, d, c, away.Addr) })
			f.applyStore(t, d, c)
			eventually(t, "the user of the deleted store to go", func() error {
				if err := f.backend.Maintain(t.Context(), nil); err != nil {
					return err
				}
				return f.sameUsers(t, 1, s.Nodes...)
			})
		})
	}
}

func TestFenceOnEveryServer(t *testing.T) {
	t.Parallel()
	f, s := startSentinel(t, broker.RedisGroupOptions{})
	d, c := f.store("orders")
	f.applyStore(t, d, c)
	conns := make([]*redis.Conn, len(s.Nodes))
	for i, r := range s.Nodes {
		app, err := f.config(d.Principal.Name, password("orders")).Server(r.Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer app.Close()
		conns[i] = app.Conn()
		defer conns[i].Close()
		if err := conns[i].Ping(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	fence := func() error { return f.backend.FenceStores(t.Context(), []string{"orders"})[0] }
	if err := fence(); err != nil {
		t.Fatal(err)
	}
	for i, r := range s.Nodes {
		if err := conns[i].Ping(t.Context()).Err(); err == nil {
			t.Errorf("a connection to %s outlives the fence", r.Addr)
		}
	}
	login := f.loginEverywhere(t)
	if err := login(t.Context(), d.Principal.Name, password("orders")); err == nil {
		t.Error("a fenced application logs in")
	}
	if err := f.backend.UnfenceStores(t.Context(), []string{"orders"})[0]; err != nil {
		t.Fatal(err)
	}
	if err := login(t.Context(), d.Principal.Name, password("orders")); err != nil {
		t.Error(err)
	}
	if err := f.inPlace(t, d, c); err != nil {
		t.Error(err)
	}

	// A server that only we cannot reach may be written to by others; one that is down for everybody may not.
	if err := s.Nodes[1].Kill(); err != nil {
		t.Fatal(err)
	}
	first := fence()
	if first != nil && !strings.Contains(first.Error(), s.Nodes[1].Addr) {
		t.Errorf("FenceStores: %v, want an error that names %s", first, s.Nodes[1].Addr)
	}
	eventually(t, "the Sentinels to take the replica to be down", fence)
}

// TestFailoverToAnEmptyReplica loses all events: the master restarts without any, and the replicas follow it.
func TestFailoverToAnEmptyReplica(t *testing.T) {
	t.Parallel()
	f, s := startSentinel(t, broker.RedisGroupOptions{})
	d, c := f.store("orders")
	f.applyStore(t, d, c)
	f.append(t, "orders", 1, 4)
	c.KnownRecords = map[int]int64{1: 4}
	if err := s.Nodes[0].Kill(); err != nil {
		t.Fatal(err)
	}
	for _, r := range s.Nodes[1:] {
		if err := errors.Join(r.Kill(), r.Restart(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Nodes[0].Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the loss to be noticed", func() error {
		p, err := f.planned(t, d, c)
		if err == nil && (len(p.Changes) > 0 || len(p.Refusals) != 1 || p.Refusals[0].Reason != plan.ReasonDataLost) {
			t.Fatalf("the plan is %+v, want DataLost and no change", p)
		}
		return err
	})
}

func TestSentinelSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	f, s := startSentinel(t, broker.RedisGroupOptions{SentinelPassword: true})
	for name, tc := range map[string]struct {
		reason string
		change func(c *redisclient.Config)
		want   string
	}{
		"MasterName": {
			reason: "The name of the master is a setting that is easy to get wrong.",
			change: func(c *redisclient.Config) { c.Sentinel.Master = "another" },
			want:   `the Sentinels watch no master of the name "another"`,
		},
		"SentinelPassword": {
			reason: "The Sentinels have a password of their own.",
			change: func(c *redisclient.Config) { c.Sentinel.Password = "wrong" },
			want:   "refuses the user name or the password",
		},
		"Password": {
			reason: "The Sentinels answer, and the servers refuse.",
			change: func(c *redisclient.Config) { c.Password = "wrong" },
			want:   s.Nodes[0].Addr + ": the server refuses the user name or the password",
		},
		"Nobody": {
			reason: "No Sentinel is there.",
			change: func(c *redisclient.Config) { c.Addresses = []string{"127.0.0.1:1", "127.0.0.1:2"} },
			want:   "the Sentinels 127.0.0.1:1,127.0.0.1:2: the connection is refused",
		},
		"Cluster": {
			reason: "Sentinels are no cluster.",
			change: func(c *redisclient.Config) { c.Mode, c.Addresses = redisclient.ModeCluster, []string{s.Nodes[0].Addr} },
			want:   "not part of a Redis Cluster: set redis.mode",
		},
	} {
		t.Run(name, func(t *testing.T) {
			config := f.config(f.AdminUser, f.AdminPassword)
			tc.change(&config)
			b, err := New(config)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			if _, err := b.Health(t.Context()); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s\nHealth: %v, want %q", tc.reason, err, tc.want)
			}
			if r := b.ReadStores(t.Context(), []string{"orders"})[0]; r.Err == nil || !strings.Contains(r.Err.Error(), tc.want) {
				t.Errorf("%s\nReadStores: %v, want %q", tc.reason, r.Err, tc.want)
			}
			if err := b.FenceStores(t.Context(), []string{"orders"})[0]; err == nil {
				t.Errorf("%s\nFenceStores says that it is done", tc.reason)
			}
		})
	}
}
