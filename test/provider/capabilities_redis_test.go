package provider_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"k8s.io/utils/ptr"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// redisEffects are what fields do on Redis.
var redisEffects = map[plan.Field]effect{
	plan.FieldPartitions: func(t *testing.T, s specimen) {
		c := admin(t, s.redis)
		shows(t, "the number of streams", func() (string, error) {
			keys, err := c.Keys(t.Context(), "es:{"+s.store+":*}:events").Result()
			return fmt.Sprint(len(keys)), err
		}, "3")
	},
	plan.FieldRetentionDuration: func(t *testing.T, s specimen) {
		s.trims(t, layout.RedisEvents(s.store, 0), 250, 0)
	},
	plan.FieldRetentionBytes: func(t *testing.T, s specimen) {
		s.trims(t, layout.RedisEvents(s.store, 0), 300, 100) // As many as fit, and whole blocks of about 100.
	},
	plan.FieldSnapshots: func(t *testing.T, s specimen) {
		s.says(t, map[string]string{layout.SecretSnapshots: "true"})
		id := eventstore.StreamID{Type: "order", ID: "1"}
		if err := s.open(t).SaveSnapshot(t.Context(), eventstore.Snapshot{Stream: id, Version: 1, Data: []byte("{}")}); err != nil {
			t.Error(err)
		}
		if n := admin(t, s.redis).Exists(t.Context(), layout.RedisSnapshot(s.store, 0, "order/1")).Val(); n != 1 {
			t.Error("the snapshot is not there")
		}
	},
	plan.FieldMaxEventBytes: func(t *testing.T, s specimen) {
		s.says(t, map[string]string{layout.SecretMaxEventBytes: "4096"})
		shows(t, "max-event-bytes of the marker", s.marker(t, "max-event-bytes"), "4096")
		large := eventstore.EventData{ID: "large", Type: "Tested", Data: []byte(`"` + strings.Repeat("x", 4096) + `"`)}
		if _, err := s.open(t).Append(t.Context(), eventstore.StreamID{Type: "order", ID: "1"}, eventstore.Any, large); err == nil {
			t.Error("an event that is too large is taken")
		}
	},
	plan.FieldRedisPersistence: func(t *testing.T, s specimen) {
		// This server writes a file. One that does not gets no such store.
		ns := namespace(t)
		configFor(t, ns, ownBroker(t, broker.RedisOptions{}))
		other := use(store(ns, "orders"), "ClusterProviderConfig", ns)
		other.Spec.ForProvider.Redis = &v1alpha1.EventStoreRedis{RequirePersistence: ptr.To(true)}
		create(t, other)
		refused(t, other, v1alpha1.ReasonNotPersistent)
	},

	plan.FieldStartFrom: func(t *testing.T, s specimen) { s.atEndOfStream(t) },
	plan.FieldReplay:    func(t *testing.T, s specimen) { s.atEndOfStream(t) },
	plan.FieldType:      saysType,
	plan.FieldRetry:     saysRetry,
	plan.FieldFilter:    saysFilter,
	plan.FieldDeadLetter: func(t *testing.T, s specimen) {
		s.says(t, map[string]string{layout.SecretDeadLetter: "true"})
		err := asApplication(t, s.redis, s.ns, s.secret).XAdd(t.Context(), &goredis.XAddArgs{Stream: layout.RedisDeadLetters(s.store, 0, s.sub), Values: []string{"dl_reason", "test"}}).Err()
		if err != nil {
			t.Errorf("the subscription cannot write a dead letter: %v", err)
		}
	},
	plan.FieldDeadLetterRetention: func(t *testing.T, s specimen) {
		s.trims(t, layout.RedisDeadLetters(s.store, 0, s.sub), 250, 0)
	},
}

// What the SDK does is in the Secret, on every backend.

func saysType(t *testing.T, s specimen) {
	s.says(t, map[string]string{layout.SecretSubscriptionType: "Failover"})
}

func saysRetry(t *testing.T, s specimen) {
	s.says(t, map[string]string{layout.SecretMaxDeliveries: "3", layout.SecretInitialBackoff: "2s", layout.SecretMaxBackoff: "7s"})
}

func saysFilter(t *testing.T, s specimen) {
	s.says(t, map[string]string{layout.SecretEventTypes: "Tested,Proven"})
}

// open opens the store with the SDK.
func (s specimen) open(t *testing.T) eventstore.Store {
	t.Helper()
	o, err := eventstore.OpenSecret(t.Context(), eventstore.Secret(connection(t, s.ns, s.secret)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = o.Close() })
	return o
}

func (s specimen) marker(t *testing.T, field string) func() (string, error) {
	t.Helper()
	c := admin(t, s.redis)
	return func() (string, error) { return c.HGet(t.Context(), layout.RedisMarker(s.store), field).Result() }
}

// trims adds n entries of a kilobyte to a Redis stream, and waits until at least a hundred of them are gone. At least so many
// must stay.
func (s specimen) trims(t *testing.T, key string, n, stay int64) {
	t.Helper()
	c := admin(t, s.redis)
	p := c.Pipeline()
	for range n {
		p.XAdd(t.Context(), &goredis.XAddArgs{Stream: key, Values: []string{"data", strings.Repeat("x", 996)}})
	}
	if _, err := p.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	length := func() (bool, string) {
		got, err := c.XLen(t.Context(), key).Result()
		return err == nil && got <= n-100 && got >= stay, fmt.Sprintf("%d entries (%v)", got, err)
	}
	eventually(t, fmt.Sprintf("%s is trimmed, and has at least %d entries", key, stay), length)
	steady(t, driftInterval+time.Second, "what is to stay does", length)
}

// atEndOfStream waits until the group has nothing to read.
func (s specimen) atEndOfStream(t *testing.T) {
	t.Helper()
	c := admin(t, s.redis)
	last, err := c.XRevRangeN(t.Context(), layout.RedisEvents(s.store, 0), "+", "-", 1).Result()
	if err != nil || len(last) != 1 {
		t.Fatalf("cannot read the last entry: %v", err)
	}
	shows(t, "the position", func() (string, error) { return position(t, c, s.store, s.sub), nil }, last[0].ID)
}
