package provider_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"testing"
	"time"

	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	"github.com/redis/go-redis/v9"
	corev1 "k8s.io/api/core/v1"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	namespacedv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// pair creates a store and a subscription of its own namespace, with three records of which one is read.
func pair(t *testing.T) (ns string, s *namespacedv1alpha1.EventStore, sub *namespacedv1alpha1.Subscription, ids []string) {
	t.Helper()
	ns = namespace(t)
	s, sub = store(ns, "orders"), subscription(ns, "orders", "billing")
	create(t, s, sub)
	ready(t, s)
	ready(t, sub)
	c := admin(t, world.redis)
	ids = appendEvents(t, c, ns+".orders", 3)
	readGroup(t, c, ns+".orders", "billing", 1)
	return ns, s, sub, ids
}

// seen waits until the provider has seen how many records a store holds, and how many of them its subscription "billing",
// if there is one, has to read, so that it can know what was lost.
func seen(t *testing.T, s *namespacedv1alpha1.EventStore, records, lag int64) {
	t.Helper()
	name := s.GetNamespace() + "." + s.GetName()
	want := map[string]int64{fmt.Sprintf(`eventstore_store_records{.*store=%q}`, name): records}
	if lag >= 0 {
		want[fmt.Sprintf(`eventstore_subscription_lag_records{.*store=%q,subscription="billing"}`, name)] = lag
	}
	eventually(t, "the provider has seen the records", func() (bool, string) {
		got, err := scrape(t.Context())
		if err != nil {
			return false, err.Error()
		}
		for metric, n := range want {
			if m := regexp.MustCompile(metric + ` (\S+)`).FindStringSubmatch(got); m == nil || m[1] != strconv.FormatInt(n, 10) {
				return false, fmt.Sprintf("%s: %v, want %d", metric, m, n)
			}
		}
		return true, ""
	})
	eventually(t, "status knows of records", func() (bool, string) {
		err := world.kube.Get(t.Context(), objectKey(s), s)
		return err == nil && s.Status.AtProvider.Records != nil && *s.Status.AtProvider.Records > 0, describe(s)
	})
}

// scrape returns the provider's metrics.
func scrape(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+world.metrics+"/metrics", nil)
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	return string(b), err
}

func TestUserDeletedOrChanged(t *testing.T) {
	t.Parallel()
	ns, s, sub, _ := pair(t)
	c := admin(t, world.redis)
	works := func(secret, store string) func() (bool, string) {
		return func() (bool, string) {
			app := asApplication(t, world.redis, ns, secret)
			err := app.XLen(t.Context(), layout.RedisEvents(store, 0)).Err()
			return err == nil, "the Secret's user cannot read"
		}
	}
	for _, tc := range []struct {
		secret, user string
		do           []any
	}{
		{"orders", layout.StorePrincipal(ns + ".orders"), []any{"ACL", "DELUSER", layout.StorePrincipal(ns + ".orders")}},
		{"orders", layout.StorePrincipal(ns + ".orders"), []any{"ACL", "SETUSER", layout.StorePrincipal(ns + ".orders"), "resetpass", ">somebody-else's"}},
		{"billing", layout.SubscriptionPrincipal(ns+".orders", "billing"), []any{"ACL", "SETUSER", layout.SubscriptionPrincipal(ns+".orders", "billing"), "off"}},
		{"billing", layout.SubscriptionPrincipal(ns+".orders", "billing"), []any{"ACL", "DELUSER", layout.SubscriptionPrincipal(ns+".orders", "billing")}},
	} {
		before := connection(t, ns, tc.secret)
		if err := c.Do(t.Context(), tc.do...).Err(); err != nil {
			t.Fatal(err)
		}
		// The user may be back before anybody could try: the last repair has just had everything observed anew.
		eventually(t, "the user works again", works(tc.secret, ns+".orders"))
		if after := connection(t, ns, tc.secret); string(after["password"]) != string(before["password"]) {
			t.Error("the password was changed, of which no application knows")
		}
	}
	// Rights that somebody added are taken away.
	user := layout.StorePrincipal(ns + ".orders")
	if err := c.ACLSetUser(t.Context(), user, "~*", "+@all").Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the rights are as before", func() (bool, string) {
		err := asApplication(t, world.redis, ns, "orders").Keys(t.Context(), "*").Err()
		return err != nil && redis.IsPermissionError(err), "the user may do everything"
	})
	happened(t, s, "principal: ")
	happened(t, sub, "principal: ")
	ready(t, s)
	ready(t, sub)
}

// TestGroupLost: a position comes back where it was: not at the beginning, and not at the end.
func TestGroupLost(t *testing.T) {
	t.Parallel()
	ns, s, sub, ids := pair(t)
	seen(t, s, 3, 2)
	c := admin(t, world.redis)
	if err := c.XGroupDestroy(t.Context(), layout.RedisEvents(ns+".orders", 0), "billing").Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the group is back", func() (bool, string) { return position(t, c, ns+".orders", "billing") != "", "it is not" })
	if got := readGroup(t, c, ns+".orders", "billing", 10); len(got) != 2 || got[0] != ids[1] {
		t.Errorf("it reads %v, want those after %s", got, ids[0])
	}
	ready(t, sub)
	happened(t, sub, "position of partition 0: missing -> ")
}

// TestEmptyStreamLost: nothing was in it, so it is made again.
func TestEmptyStreamLost(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	s, sub := store(ns, "orders"), subscription(ns, "orders", "billing")
	create(t, s, sub)
	ready(t, s)
	ready(t, sub)
	c := admin(t, world.redis)
	if err := c.Del(t.Context(), layout.RedisEvents(ns+".orders", 0)).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "stream and group are back", func() (bool, string) { return position(t, c, ns+".orders", "billing") != "", "they are not" })
	ready(t, s)
	ready(t, sub)
}

// TestStreamWithRecordsLost: an empty one in its place would look as if nothing had ever been written, so a person decides.
func TestStreamWithRecordsLost(t *testing.T) {
	t.Parallel()
	ns, s, _, _ := pair(t)
	seen(t, s, 3, 2)
	c := admin(t, world.redis)
	key := layout.RedisEvents(ns+".orders", 0)
	if err := c.Del(t.Context(), key).Err(); err != nil {
		t.Fatal(err)
	}
	token := refused(t, s, v1alpha1.ReasonDataLost, ns+".orders", "is gone from the broker, and held records", "restore them, or confirm with", "to go on without")
	condition(t, s, xpv2.TypeReady, corev1.ConditionFalse, v1alpha1.ReasonDataLost)
	steady(t, driftInterval+time.Second, "the stream is not made again", func() (bool, string) {
		return c.Exists(t.Context(), key).Val() == 0, "it is there"
	})
	allow(t, s, token)
	ready(t, s)
	accepted(t, s)
	if n := events(t, c, ns+".orders"); n != 0 || c.Exists(t.Context(), key).Val() != 1 {
		t.Errorf("the stream has %d records", n)
	}

	// The confirmation, which stays in place, was for that loss alone.
	appendEvents(t, c, ns+".orders", 2)
	seen(t, s, 2, -1)
	if err := c.Del(t.Context(), key).Err(); err != nil {
		t.Fatal(err)
	}
	if again := refused(t, s, v1alpha1.ReasonDataLost); again == token {
		t.Error("the old token covers a new loss")
	}
}

// TestEverythingLost: what a server without persistence has after a restart is nothing, and that is said.
func TestEverythingLost(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	r := ownBroker(t, brokerDefaults)
	configFor(t, ns, r)
	full, empty := use(store(ns, "full"), "ClusterProviderConfig", ns), use(store(ns, "empty"), "ClusterProviderConfig", ns)
	create(t, full, empty)
	ready(t, full)
	ready(t, empty)
	c := admin(t, r)
	appendEvents(t, c, ns+".full", 2)
	seen(t, full, 2, -1)
	if err := c.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	refused(t, full, v1alpha1.ReasonDataLost, ns+".full", "is gone from the broker, and held records")
	eventually(t, "the empty store is back", func() (bool, string) {
		return c.Exists(t.Context(), layout.RedisMarker(ns+".empty"), layout.RedisEvents(ns+".empty", 0)).Val() == 2, "it is not"
	})
	ready(t, empty)
}

// TestMarkerDeleted: without it nobody can tell whose the events are. Somebody else may have restored them there, so even
// their last owner asks a person. Positions are the provider's own, and come back by themselves.
func TestMarkerDeleted(t *testing.T) {
	t.Parallel()
	ns, s, sub, ids := pair(t)
	seen(t, s, 3, 2)
	c := admin(t, world.redis)
	if err := c.Del(t.Context(), layout.RedisMarker(ns+".orders")).Err(); err != nil {
		t.Fatal(err)
	}
	token := refused(t, s, v1alpha1.ReasonUnowned, ns+".orders", "nothing says whose it is", "to adopt it")
	condition(t, sub, xpv2.TypeReady, corev1.ConditionFalse, v1alpha1.ReasonStoreNotReady, ns+".orders")
	allow(t, s, token)
	ready(t, s)
	ready(t, sub)
	if n := events(t, c, ns+".orders"); n != 3 {
		t.Errorf("the store has %d records, want 3", n)
	}

	if err := c.Del(t.Context(), layout.RedisSubscriptionMarker(ns+".orders", "billing")).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the subscription's marker is back", func() (bool, string) {
		return c.HGet(t.Context(), layout.RedisSubscriptionMarker(ns+".orders", "billing"), "owner-name").Val() == "billing", "it is not"
	})
	ready(t, sub)
	if got := position(t, c, ns+".orders", "billing"); got != ids[0] {
		t.Errorf("the subscription is at %s, want %s", got, ids[0])
	}
}

// TestMarkerChanged: settings are put right; another owner is not thrown out.
func TestMarkerChanged(t *testing.T) {
	t.Parallel()
	ns, s, _, _ := pair(t)
	c := admin(t, world.redis)
	marker := layout.RedisMarker(ns + ".orders")
	if err := c.HSet(t.Context(), marker, "snapshots", "true", "max-event-bytes", "77").Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the settings are as before", func() (bool, string) {
		m := c.HGetAll(t.Context(), marker).Val()
		return m["snapshots"] == "false" && m["max-event-bytes"] == "0", m["snapshots"] + " " + m["max-event-bytes"]
	})
	happened(t, s, "maxEventBytes: 77 -> unlimited")
	ready(t, s)

	name := c.HGet(t.Context(), marker, "owner-control-plane").Val()
	if err := c.HSet(t.Context(), marker, "owner-control-plane", "somebody-else").Err(); err != nil {
		t.Fatal(err)
	}
	refused(t, s, v1alpha1.ReasonConflict, ns+".orders", "belongs to EventStore", "of control plane somebody")
	if err := c.HSet(t.Context(), marker, "owner-control-plane", name).Err(); err != nil {
		t.Fatal(err)
	}
	accepted(t, s)

	// Damage is named, and left to a person.
	if err := c.HSet(t.Context(), marker, "partitions", "many").Err(); err != nil {
		t.Fatal(err)
	}
	fails(t, s, ns+".orders", "marker is damaged", `"partitions" is "many"`)
	if err := c.HSet(t.Context(), marker, "partitions", "1").Err(); err != nil {
		t.Fatal(err)
	}
	ready(t, s)
}

// TestSecretDeleted: another is published at once, with a password that works. It is a new one, unless a reconcile that had
// read the Secret before publishes it once more.
func TestSecretDeleted(t *testing.T) {
	t.Parallel()
	ns, s, sub, _ := pair(t)
	for _, name := range []string{"orders", "billing"} {
		deleted := &corev1.Secret{ObjectMeta: objectMeta(ns, name)}
		if err := world.kube.Get(t.Context(), objectKey(deleted), deleted); err != nil {
			t.Fatal(err)
		}
		remove(t, &corev1.Secret{ObjectMeta: objectMeta(ns, name)})
		eventually(t, "the Secret is back, and its user works", func() (bool, string) {
			secret := &corev1.Secret{ObjectMeta: objectMeta(ns, name)}
			if err := world.kube.Get(t.Context(), objectKey(secret), secret); err != nil || len(secret.Data["password"]) == 0 {
				return false, "no Secret"
			}
			if secret.UID == deleted.UID {
				return false, "not deleted yet"
			}
			c := login(t, world.redis, string(secret.Data["username"]), string(secret.Data["password"]))
			return c.Ping(t.Context()).Err() == nil, "it does not let in"
		})
	}
	ready(t, s)
	ready(t, sub)
}
