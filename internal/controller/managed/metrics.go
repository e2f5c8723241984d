package managed

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// Metrics count what was done to brokers. A nil *Metrics counts nothing.
type Metrics struct{ repaired *prometheus.CounterVec }

// NewMetrics registers the metrics of external clients.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{repaired: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "eventstore_changes_applied_total",
		Help: "How many attributes of existing stores and subscriptions were changed on a broker, by kind and field: repaired drift and changed specs.",
	}, []string{"kind", "field"})}
	r.MustRegister(m.repaired)
	return m
}

// Applied counts changes of a resource.
func (m *Metrics) Applied(kind string, changes []plan.Change) {
	if m == nil {
		return
	}
	for _, c := range changes {
		m.repaired.WithLabelValues(kind, string(c.Field)).Inc()
	}
}
