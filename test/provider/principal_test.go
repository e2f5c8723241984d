package provider_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// TestLeastPrivilege: a user can do its job, and nothing to anybody else.
func TestLeastPrivilege(t *testing.T) {
	t.Parallel()
	ns, _, _, _ := pair(t)
	other := store(ns, "payments")
	create(t, other)
	ready(t, other)
	writer, reader := asApplication(t, world.redis, ns, "orders"), asApplication(t, world.redis, ns, "billing")
	mine, others := layout.RedisEvents(ns+".orders", 0), layout.RedisEvents(ns+".payments", 0)

	appendEvents(t, writer, ns+".orders", 1)
	if got := readGroup(t, reader, ns+".orders", "billing", 10); len(got) != 3 {
		t.Errorf("the subscription's user reads %d records, want 3", len(got))
	}
	add := func(c *redis.Client, key string) error {
		return c.XAdd(t.Context(), &redis.XAddArgs{Stream: key, Values: []string{"k", "v"}}).Err()
	}
	for what, err := range map[string]error{
		"the store's user appends to another store":       add(writer, others),
		"the store's user reads another store":            writer.XRange(t.Context(), others, "-", "+").Err(),
		"the store's user deletes an event":               writer.XDel(t.Context(), mine, "0-1").Err(),
		"the store's user deletes its store":              writer.Del(t.Context(), mine).Err(),
		"the store's user trims":                          writer.XTrimMaxLen(t.Context(), mine, 0).Err(),
		"the store's user changes the marker":             writer.HSet(t.Context(), layout.RedisMarker(ns+".orders"), "kind", "x").Err(),
		"the store's user moves a subscription":           writer.XGroupSetID(t.Context(), mine, "billing", "0").Err(),
		"the store's user lists keys":                     writer.Keys(t.Context(), "*").Err(),
		"the store's user lists users":                    writer.Do(t.Context(), "ACL", "LIST").Err(),
		"the subscription's user appends":                 add(reader, mine),
		"the subscription's user reads another store":     reader.XRange(t.Context(), others, "-", "+").Err(),
		"the subscription's user moves its position":      reader.XGroupSetID(t.Context(), mine, "billing", "0").Err(),
		"the subscription's user writes a foreign letter": add(reader, layout.RedisDeadLetters(ns+".orders", 0, "reports")),
		"the subscription's user reads configuration":     reader.ConfigGet(t.Context(), "*").Err(),
	} {
		if !redis.IsPermissionError(err) {
			t.Errorf("%s: %v, want NOPERM", what, err)
		}
	}
}
