package main

import "github.com/prometheus/client_golang/prometheus"

var brokerRequests = prometheus.NewCounterVec(prometheus.CounterOpts{
	Name: "eventstore_broker_requests_total",
	Help: "How many requests were sent to brokers, by backend and kind.",
}, []string{"backend", "kind"})

// countRequests returns what a backend tells of its requests.
func countRequests(backend string) func(kind string, requests int) {
	return func(kind string, requests int) {
		brokerRequests.WithLabelValues(backend, kind).Add(float64(requests))
	}
}
