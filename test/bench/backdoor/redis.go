package backdoor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	_ "github.com/crossplane-contrib/provider-eventstore/eventstore/redis" // Its driver.
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

type redisBroker struct{ admin *redis.Client }

// Redis returns a Redis that runs here.
func Redis(r *broker.Redis) Broker {
	return &redisBroker{redis.NewClient(&redis.Options{
		Addr: r.Addr, Username: r.AdminUser, Password: r.AdminPassword, DisableIdentity: true, PoolSize: 20,
	})}
}

func (b *redisBroker) Close() error { return b.admin.Close() }

func (b *redisBroker) Changes() []Change {
	var changes []Change
	for _, sub := range []bool{false, true} {
		changes = append(changes,
			b.user("user deleted", sub, func(user string) []any { return []any{"ACL", "DELUSER", user} }),
			b.user("user switched off", sub, func(user string) []any { return []any{"ACL", "SETUSER", user, "off"} }),
			b.user("password changed", sub, func(user string) []any {
				return []any{"ACL", "SETUSER", user, "resetpass", ">somebody-else's"}
			}),
			b.user("password added", sub, func(user string) []any { return []any{"ACL", "SETUSER", user, ">one-more"} }),
			b.user("rights added", sub, func(user string) []any { return []any{"ACL", "SETUSER", user, "~*", "+@all"} }),
			b.user("right removed", sub, func(user string) []any { return []any{"ACL", "SETUSER", user, "-xrange"} }),
		)
	}
	return append(changes,
		b.marker("setting in the marker changed", false, "max-event-bytes", "77777"),
		b.marker("setting in the marker changed", true, "dead-letter-retention", "77h0m0s"),
		Change{Name: "marker deleted", Subscription: true, Make: b.deleteMarker, See: b.seeOwner},
		Change{Name: "group destroyed", Subscription: true, Make: b.destroyGroup, See: b.seeGroup},
		Change{Name: "empty stream deleted", Destroys: true, Make: b.deleteStream, See: b.seeStream},
	)
}

func principal(t Target) string {
	if t.Subscription == "" {
		return layout.StorePrincipal(t.Store)
	}
	return layout.SubscriptionPrincipal(t.Store, t.Subscription)
}

func markerKey(t Target) string {
	if t.Subscription == "" {
		return layout.RedisMarker(t.Store)
	}
	return layout.RedisSubscriptionMarker(t.Store, t.Subscription)
}

// user changes the user of a store or a subscription by a command.
func (b *redisBroker) user(name string, subscription bool, command func(user string) []any) Change {
	return Change{
		Name: name, Subscription: subscription,
		Make: func(ctx context.Context, t Target) error { return b.admin.Do(ctx, command(principal(t))...).Err() },
		See: func(ctx context.Context, t Target) (string, error) {
			v, err := b.admin.Do(ctx, "ACL", "GETUSER", principal(t)).Result()
			if errors.Is(err, redis.Nil) {
				return "none", nil
			}
			// Redis 7.0 shows the commands in the order of a hash table.
			words := strings.Fields(fmt.Sprint(v))
			slices.Sort(words)
			return strings.Join(words, " "), err
		},
	}
}

// marker changes one field of a marker.
func (b *redisBroker) marker(name string, subscription bool, field, value string) Change {
	return Change{
		Name: name, Subscription: subscription,
		Make: func(ctx context.Context, t Target) error { return b.admin.HSet(ctx, markerKey(t), field, value).Err() },
		See: func(ctx context.Context, t Target) (string, error) {
			v, err := b.admin.HGet(ctx, markerKey(t), field).Result()
			if errors.Is(err, redis.Nil) {
				return "none", nil
			}
			return v, err
		},
	}
}

func (b *redisBroker) deleteMarker(ctx context.Context, t Target) error {
	return b.admin.Del(ctx, markerKey(t)).Err()
}

func (b *redisBroker) seeOwner(ctx context.Context, t Target) (string, error) {
	v, err := b.admin.HMGet(ctx, markerKey(t), "owner-namespace", "owner-name", "owner-uid", "positioned", "principal-rights").Result()
	return fmt.Sprint(v), err
}

func (b *redisBroker) destroyGroup(ctx context.Context, t Target) error {
	return b.admin.XGroupDestroy(ctx, layout.RedisEvents(t.Store, 0), t.Subscription).Err()
}

func (b *redisBroker) seeGroup(ctx context.Context, t Target) (string, error) {
	groups, err := b.admin.XInfoGroups(ctx, layout.RedisEvents(t.Store, 0)).Result()
	if err != nil && redis.HasErrorPrefix(err, "no such key") {
		return "no stream", nil
	}
	for _, g := range groups {
		if g.Name == t.Subscription {
			return "there", nil // Not its position, which a consumer moves.
		}
	}
	return "gone", err
}

func (b *redisBroker) deleteStream(ctx context.Context, t Target) error {
	n, err := b.admin.XLen(ctx, layout.RedisEvents(t.Store, 0)).Result()
	if err != nil || n > 0 {
		return fmt.Errorf("the stream has %d records (%w)", n, err)
	}
	return b.admin.Del(ctx, layout.RedisEvents(t.Store, 0)).Err()
}

func (b *redisBroker) seeStream(ctx context.Context, t Target) (string, error) {
	groups, err := b.admin.XInfoGroups(ctx, layout.RedisEvents(t.Store, 0)).Result()
	if err != nil && redis.HasErrorPrefix(err, "no such key") {
		return "none", nil
	}
	return fmt.Sprintf("a stream with %d groups", len(groups)), err
}

func (b *redisBroker) Traces(ctx context.Context, prefix string) ([]string, error) {
	var found []string
	keys := b.admin.Scan(ctx, 0, "es:{"+prefix+"*", 10_000).Iterator()
	for keys.Next(ctx) {
		found = append(found, keys.Val())
	}
	if err := keys.Err(); err != nil {
		return nil, err
	}
	users, err := b.admin.Do(ctx, "ACL", "USERS").StringSlice()
	for _, u := range users {
		if strings.HasPrefix(u, layout.StorePrincipal(prefix)) {
			found = append(found, "user "+u)
		}
	}
	return found, err
}

func (b *redisBroker) Commands(ctx context.Context) (n float64, ok bool, err error) {
	info, err := b.admin.InfoMap(ctx, "stats").Result()
	if err != nil {
		return 0, false, err
	}
	n, err = strconv.ParseFloat(info["Stats"]["total_commands_processed"], 64)
	return n, true, err
}

func (b *redisBroker) Connect(ctx context.Context, s eventstore.Secret) (Application, error) {
	store, err := eventstore.OpenSecret(ctx, s)
	if err != nil {
		return nil, err
	}
	return &sdkApplication{store}, nil
}
