package main

import (
	"time"

	"github.com/alecthomas/kingpin/v2"
)

// options are the flags. Each can also be set by an environment variable, such as PROVIDER_POLL.
type options struct {
	debug              bool
	leaderElection     bool
	sync               time.Duration
	poll               time.Duration
	pollJitterPercent  uint
	pollStateMetric    time.Duration
	driftInterval      time.Duration
	maxReconcileRate   int
	managementPolicies bool
	changeLogs         bool
	changeLogsSocket   string
	metricsAddress     string
	healthAddress      string
}

func (o *options) bind(app *kingpin.Application) {
	app.Flag("debug", "Log every reconcile.").Short('d').BoolVar(&o.debug)
	app.Flag("leader-election", "Elect a leader among several replicas of the provider.").Short('l').BoolVar(&o.leaderElection)
	app.Flag("sync", "How often the caches of the API server's objects are listed anew.").Short('s').Default("1h").DurationVar(&o.sync)
	app.Flag("poll", "How often each resource is reconciled although nothing seems to have changed, and counts enter its status.").Default("10m").DurationVar(&o.poll)
	app.Flag("poll-jitter-percentage", "By how much polls are spread, as a percentage of --poll.").Default("10").UintVar(&o.pollJitterPercent)
	app.Flag("poll-state-metric", "How often the metrics of resources' states are computed.").Default("5s").DurationVar(&o.pollStateMetric)
	app.Flag("drift-interval", "How often everything on each broker is compared with what was known. Drift is repaired within about this time.").Default("10s").DurationVar(&o.driftInterval)
	app.Flag("max-reconcile-rate", "How many reconciles may begin per second, over all kinds, and run at once for each kind.").Default("300").IntVar(&o.maxReconcileRate)
	app.Flag("enable-management-policies", "Honour spec.managementPolicies.").Default("true").BoolVar(&o.managementPolicies)
	app.Flag("enable-changelogs", "Send what is changed on brokers to the change log sidecar.").Default("false").BoolVar(&o.changeLogs)
	app.Flag("changelogs-socket-path", "The socket of the change log sidecar.").Default("/var/run/changelogs/changelogs.sock").StringVar(&o.changeLogsSocket)
	app.Flag("metrics-bind-address", "Where Prometheus metrics are served; 0 serves none.").Default(":8080").StringVar(&o.metricsAddress)
	app.Flag("health-probe-bind-address", "Where /healthz and /readyz are served; 0 serves none.").Default(":8081").StringVar(&o.healthAddress)
}
