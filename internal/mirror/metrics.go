package mirror

import "github.com/prometheus/client_golang/prometheus"

// Metrics are what a mirror tells operators. A nil *Metrics keeps none.
type Metrics struct {
	batches *prometheus.HistogramVec
	age     prometheus.Gauge
	drift   prometheus.Counter
}

// NewMetrics registers a mirror's metrics.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		batches: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "eventstore_broker_batch_size",
			Help:    "How many resources one batch of reads or writes carried, by operation.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 8),
		}, []string{"operation"}),
		age: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "eventstore_mirror_refreshed_timestamp_seconds",
			Help: "When a background refresh of what a broker holds last ended.",
		}),
		drift: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "eventstore_drift_found_total",
			Help: "How many times a background refresh found that something had changed on a broker.",
		}),
	}
	r.MustRegister(m.batches, m.age, m.drift)
	return m
}

func (m *Metrics) batch(operation string, size int) {
	if m != nil {
		m.batches.WithLabelValues(operation).Observe(float64(size))
	}
}

func (m *Metrics) refreshed(changed int) {
	if m != nil {
		m.age.SetToCurrentTime()
		m.drift.Add(float64(changed))
	}
}
