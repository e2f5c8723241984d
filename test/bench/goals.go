package main

// Names of measures that have goals.
const (
	readyP50    = "EventStore of 6 partitions, create to Ready, p50"
	claimP50    = "EventStoreClaim, create to Ready, p50"
	placesP50   = "EventStoreClaim in three locations, create to Ready, p50"
	allReady    = "all Ready"
	driftP99    = "drift, p99"
	driftMissed = "drift, not repaired"
	driftOthers = "drift, resources beside them written to"
	steadyReqs  = "steady state, broker requests of the provider with one ProviderConfig"
	steadyCPU   = "steady state, provider CPU"
	steadyLost  = "steady state, records written and never consumed"
)

// goals say what each measure should be, by backend. They hold at the default sizes.
var goals = map[string]map[string]string{
	readyP50:    {"redis": "<= 200", "kafka": "<= 300", "pulsar": "<= 600"},
	claimP50:    {"redis": "<= 1000"},
	placesP50:   {"all": "<= 2000"},
	allReady:    {"redis": "<= 15", "kafka": "<= 22"},
	driftP99:    {"redis": "<= 15", "kafka": "<= 15", "pulsar": "<= 30"},
	driftMissed: {"redis": "0", "kafka": "0", "pulsar": "0"},
	driftOthers: {"redis": "0", "kafka": "0", "pulsar": "0"},
	steadyReqs:  {"kafka": "<= 100"},
	steadyCPU:   {"kafka": "<= 10"},
	steadyLost:  {"redis": "0", "kafka": "0", "pulsar": "0"},
}
