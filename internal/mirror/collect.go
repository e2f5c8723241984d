package mirror

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// What moves by itself, as it was seen last: a status has it rounded, and once per poll.
var (
	storeLabels        = []string{"backend", "endpoint", "store"}
	subscriptionLabels = append(storeLabels, "subscription")

	storeRecords = prometheus.NewDesc("eventstore_store_records", "How many records a store holds.", storeLabels, nil)
	storeExpired = prometheus.NewDesc("eventstore_store_expired_events", "How many events subscriptions of a store have skipped because of messageTTL, since the broker began to count.", storeLabels, nil)
	storeBytes   = prometheus.NewDesc("eventstore_store_bytes", "How many bytes a store holds, copies not counted, where the broker tells.", storeLabels, nil)

	lagRecords  = prometheus.NewDesc("eventstore_subscription_lag_records", "How many records a subscription has not acknowledged.", subscriptionLabels, nil)
	lagSeconds  = prometheus.NewDesc("eventstore_subscription_lag_seconds", "How long ago the oldest record that a subscription has not acknowledged was appended, where the broker tells.", subscriptionLabels, nil)
	deadLetters = prometheus.NewDesc("eventstore_subscription_dead_letters", "How many dead letters of a subscription wait.", subscriptionLabels, nil)
	consumers   = prometheus.NewDesc("eventstore_subscription_consumers", "How many consumers read a subscription now.", subscriptionLabels, nil)
)

// Describe implements [prometheus.Collector].
func (p *Pool) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{storeRecords, storeBytes, storeExpired, lagRecords, lagSeconds, deadLetters, consumers} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector]. It asks no broker.
func (p *Pool) Collect(ch chan<- prometheus.Metric) {
	p.mu.Lock()
	mirrors := make([]*Mirror, 0, len(p.mirrors))
	for _, m := range p.mirrors {
		mirrors = append(mirrors, m.mirror)
	}
	p.mu.Unlock()
	told := map[backend.SubscriptionID]map[string]bool{} // One broker may be reached in several ways.
	for _, m := range mirrors {
		m.collect(ch, func(endpoint string, id backend.SubscriptionID) bool {
			if told[id] == nil {
				told[id] = map[string]bool{}
			}
			defer func() { told[id][endpoint] = true }()
			return !told[id][endpoint]
		})
	}
}

// collect tells the figures of whatever is new.
func (m *Mirror) collect(ch chan<- prometheus.Metric, isNew func(endpoint string, id backend.SubscriptionID) bool) {
	kind, endpoint := m.Capabilities().Backend, string(m.Connection()[layout.SecretEndpoints])
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, append([]string{kind, endpoint}, labels...)...)
	}
	m.stores.each(func(name string, o plan.ObservedStore) {
		if o.Marked && isNew(endpoint, backend.SubscriptionID{Store: name}) {
			gauge(storeRecords, float64(o.Records()), name)
			gauge(storeBytes, float64(o.Bytes()), name)
			if o.MessageTTL != 0 || o.Expired != 0 {
				gauge(storeExpired, float64(o.Expired), name)
			}
		}
	})
	m.subscriptions.each(func(id backend.SubscriptionID, o plan.ObservedSubscription) {
		if !o.Marked || !isNew(endpoint, id) {
			return
		}
		gauge(lagRecords, float64(o.Lag()), id.Store, id.Name)
		gauge(lagSeconds, oldest(o), id.Store, id.Name)
		gauge(deadLetters, float64(o.DeadLetters), id.Store, id.Name)
		gauge(consumers, float64(len(o.Consumers)), id.Store, id.Name)
	})
}

// oldest is how many seconds ago the oldest unread record was appended.
func oldest(o plan.ObservedSubscription) (seconds float64) {
	for _, g := range o.Groups {
		if !g.OldestUnread.IsZero() {
			seconds = max(seconds, time.Since(g.OldestUnread).Seconds())
		}
	}
	return seconds
}
