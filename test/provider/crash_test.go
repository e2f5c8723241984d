package provider_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	corev1 "k8s.io/api/core/v1"

	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// kills is how often the provider is killed. How long it takes to make a store and its subscription is a tenth of a
// second, and the kills are spread over that.
const kills = 8

// TestKilledWhileCreating: whatever was done when the provider is killed, it goes on from there: nothing is made twice,
// and the password that was published is the one that works. Not parallel: it kills the provider.
func TestKilledWhileCreating(t *testing.T) {
	seed := uint64(time.Now().UnixNano()) //nolint:gosec // Any number will do.
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // Not a secret.
	ns := namespace(t)
	c := admin(t, world.redis)
	// The first store after a start also waits for caches. It takes its turn before the clock runs.
	warm := store(ns, "warm")
	create(t, warm)
	ready(t, warm)
	for i := range kills {
		name := fmt.Sprintf("s%d", i)
		s, sub := store(ns, name), subscription(ns, name, name+"-sub")
		delay := time.Duration(random.Int64N(int64(150 * time.Millisecond)))
		create(t, s, sub)
		<-time.After(delay)
		if err := world.provider.Kill(); err != nil {
			t.Fatal(err)
		}
		made := left(t, c, ns+"."+name)
		if err := startProvider(); err != nil {
			t.Fatal(err)
		}
		ready(t, s)
		ready(t, sub)
		t.Logf("killed after %s, with %v", delay.Round(time.Millisecond), made)

		full := ns + "." + name
		want := []string{
			layout.StorePrincipal(full), layout.SubscriptionPrincipal(full, name+"-sub"),
			layout.RedisEvents(full, 0), layout.RedisMarker(full), layout.RedisSubscriptionMarker(full, name+"-sub"), layout.RedisSubscriptions(full),
		}
		if got := left(t, c, full); len(got) != len(want) {
			t.Errorf("Redis has %v, want %v", got, want)
		}
		appendEvents(t, asApplication(t, world.redis, ns, name), full, 1)
		if got := readGroup(t, asApplication(t, world.redis, ns, name+"-sub"), full, name+"-sub", 10); len(got) != 1 {
			t.Errorf("the subscription reads %v, want the one record", got)
		}
	}
}

// TestKilledWhileDeleting: what was begun is finished.
func TestKilledWhileDeleting(t *testing.T) {
	ns := namespace(t)
	s, sub := store(ns, "orders"), subscription(ns, "orders", "billing")
	create(t, s, sub)
	ready(t, s)
	ready(t, sub)
	remove(t, s)
	remove(t, sub)
	<-time.After(15 * time.Millisecond)
	if err := world.provider.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := startProvider(); err != nil {
		t.Fatal(err)
	}
	gone(t, s)
	gone(t, sub)
	nothingLeft(t, admin(t, world.redis), ns)
}

// TestRestartKeepsPositions: what the provider knows of positions and records outlives it.
func TestRestartKeepsPositions(t *testing.T) {
	ns := namespace(t)
	s, sub := store(ns, "orders"), subscription(ns, "orders", "billing")
	create(t, s, sub)
	ready(t, sub)
	c := admin(t, world.redis)
	ids := appendEvents(t, c, ns+".orders", 3)
	readGroup(t, c, ns+".orders", "billing", 1)
	seen(t, s, 3, 2)
	if err := world.provider.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := c.XGroupDestroy(t.Context(), layout.RedisEvents(ns+".orders", 0), "billing").Err(); err != nil {
		t.Fatal(err)
	}
	if err := startProvider(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the group is back", func() (bool, string) { return position(t, c, ns+".orders", "billing") != "", "it is not" })
	condition(t, sub, xpv2.TypeReady, corev1.ConditionTrue, "")
	// Status is written once per --poll, so some may be read again. None may be skipped.
	got := readGroup(t, c, ns+".orders", "billing", 10)
	if len(got) < 2 || got[len(got)-2] != ids[1] || got[len(got)-1] != ids[2] {
		t.Errorf("it reads %v, want at least %v", got, ids[1:])
	}
}
