package pulsar

import (
	"context"
	"maps"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// A topic may have policies of its own, which count more than the namespace's. The topic of a store's events must have none that
// lose events. Reading them takes a request each, so that is done seldom.

// overridesAge is how old what is known of them may be.
const overridesAge = 5 * time.Minute

// An overrideCache remembers the policies of the topics of events, by store.
type overrideCache struct {
	mu    sync.Mutex
	known map[string]overrides
}

type overrides struct {
	settings plan.Settings
	due      time.Time // To be read again.
}

// get returns what is known; ok is false if it is to be read. Of a store that is new here it is to be read at some time within
// [overridesAge], so that those of many stores are not read at once.
func (c *overrideCache) get(store string) (settings plan.Settings, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o, ok := c.known[store]
	if !ok {
		if c.known == nil || len(c.known) >= maxEntries {
			c.known = map[string]overrides{}
		}
		c.known[store] = overrides{due: time.Now().Add(rand.N(overridesAge))}
		return nil, true
	}
	return o.settings, time.Now().Before(o.due)
}

func (c *overrideCache) put(store string, settings plan.Settings, due time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil {
		c.known = map[string]overrides{}
	}
	c.known[store] = overrides{settings: settings, due: due}
}

// observeOverrides adds the policies that the topic of a store's events has for itself.
func (b *Backend) observeOverrides(ctx context.Context, store string, s plan.Settings) error {
	const kind = "ReadStores"
	known, ok := b.overrides.get(store)
	if !ok && !b.configured.noTopicPolicies.Load() {
		var kept *retention
		var ttl *int64
		err := readAll(
			func() (err error) { kept, err = b.topicRetention(ctx, kind, store, layout.PulsarEvents); return err },
			func() error {
				return unlessNoPolicies(b.get(ctx, kind, b.topic(store, layout.PulsarEvents)+"/messageTTL", &ttl))
			},
		)
		if err != nil {
			return err
		}
		known = plan.Settings{}
		if kept != nil {
			known[settingKept] = encode(*kept)
		}
		if ttl != nil {
			known[settingTTL] = strconv.FormatInt(*ttl, 10)
		}
		b.overrides.put(store, known, time.Now().Add(overridesAge))
	}
	maps.Copy(s, known)
	return nil
}

// dropOverride removes a policy of the topic of a store's events. The others are read again soon.
func (b *Backend) dropOverride(ctx context.Context, store, policy string) error {
	err := unlessNoPolicies(b.delete(ctx, "ApplyStores", b.topic(store, layout.PulsarEvents)+"/"+policy))
	b.overrides.put(store, nil, time.Now())
	return err
}
