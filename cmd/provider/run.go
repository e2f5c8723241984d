package main

import (
	"context"
	"time"

	changelogsv1alpha1 "github.com/crossplane/crossplane-runtime/v2/apis/changelogs/proto/v1alpha1"
	"github.com/crossplane/crossplane-runtime/v2/pkg/controller"
	"github.com/crossplane/crossplane-runtime/v2/pkg/errors"
	"github.com/crossplane/crossplane-runtime/v2/pkg/feature"
	"github.com/crossplane/crossplane-runtime/v2/pkg/logging"
	"github.com/crossplane/crossplane-runtime/v2/pkg/ratelimiter"
	"github.com/crossplane/crossplane-runtime/v2/pkg/reconciler/customresourcesgate"
	runtimemanaged "github.com/crossplane/crossplane-runtime/v2/pkg/reconciler/managed"
	"github.com/crossplane/crossplane-runtime/v2/pkg/statemetrics"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/crossplane-contrib/provider-eventstore/apis"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend/kafka"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend/pulsar"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend/redis"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/awsiam"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/redisclient"
	"github.com/crossplane-contrib/provider-eventstore/internal/controller/fresh"
	"github.com/crossplane-contrib/provider-eventstore/internal/controller/managed"
	"github.com/crossplane-contrib/provider-eventstore/internal/controller/owner"
	"github.com/crossplane-contrib/provider-eventstore/internal/controller/providerconfig"
	"github.com/crossplane-contrib/provider-eventstore/internal/mirror"
	"github.com/crossplane-contrib/provider-eventstore/internal/version"
)

// run is the provider, until ctx ends.
func run(ctx context.Context, o options) error {
	zl := zap.New(zap.UseDevMode(o.debug))
	ctrl.SetLogger(zl)
	connect.SetLogger(func(message string) { zl.V(1).Info(message) })
	redisclient.SetLogger(func(message string) { zl.V(1).Info(message) })
	log := logging.NewLogrLogger(zl.WithName("provider-eventstore"))
	log.Info("Starting", "version", version.Version, "poll", o.poll.String(), "drift-interval", o.driftInterval.String(), "max-reconcile-rate", o.maxReconcileRate)

	mgr, err := newManager(o)
	if err != nil {
		return err
	}
	metrics.Registry.MustRegister(brokerRequests)
	pool := mirror.NewPool(open, mirror.Options{
		Interval: o.driftInterval,
		Idle:     (managed.LongestPoll+1)*o.poll + 5*time.Minute, // Whatever is still used is asked for once per poll.
		Metrics:  mirror.NewMetrics(metrics.Registry),
	})
	metrics.Registry.MustRegister(pool)
	if err := mgr.Add(pool); err != nil {
		return errors.Wrap(err, "cannot add the pool of broker connections")
	}
	owners, err := owner.NewRegistry(ctx, mgr.GetAPIReader(), mgr.GetScheme())
	if err != nil {
		return err
	}
	runtimeOptions, err := o.runtime(log)
	if err != nil {
		return err
	}
	metrics.Registry.MustRegister(runtimeOptions.MetricOptions.MRStateMetrics)
	err = setupControllers(ctx, mgr, log, managed.Options{
		Options:    runtimeOptions,
		PollJitter: o.poll * time.Duration(o.pollJitterPercent) / 100, //nolint:gosec // A percentage.
		Resolver:   providerconfig.NewResolver(mgr.GetClient(), mgr.GetAPIReader(), pool, log),
		Owners:     owners,
		Metrics:    managed.NewMetrics(metrics.Registry),
	})
	if err != nil {
		return err
	}
	return errors.Wrap(mgr.Start(ctx), "cannot run the controllers")
}

func newManager(o options) (ctrl.Manager, error) {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, apiextensionsv1.AddToScheme, apis.AddToScheme} {
		if err := add(s); err != nil {
			return nil, errors.Wrap(err, "cannot register the API types")
		}
	}
	cfg, err := ctrl.GetConfig()
	if err != nil {
		return nil, errors.Wrap(err, "cannot find the API server")
	}
	// Each write of a resource would be logged: the API server warns of the name that Crossplane's finalizers have.
	cfg.WarningHandlerWithContext = logf.NewKubeAPIWarningLogger(logf.KubeAPIWarningLoggerOptions{Deduplicate: true})
	renew := 50 * time.Second
	lease := 60 * time.Second
	mgr, err := ctrl.NewManager(ratelimiter.LimitRESTConfig(cfg, o.maxReconcileRate), ctrl.Options{
		Scheme: s,
		Cache: cache.Options{
			SyncPeriod: &o.sync,
			ByObject: map[client.Object]cache.ByObject{
				&apiextensionsv1.CustomResourceDefinition{}: {Transform: customresourcesgate.TransformStripCRDSchema},
			},
		},
		// What Secrets hold is never kept, and always read as it is now.
		Client:                     client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}}}},
		NewClient:                  newClient,
		LeaderElection:             o.leaderElection,
		LeaderElectionID:           "crossplane-leader-election-provider-eventstore",
		LeaderElectionResourceLock: "leases",
		LeaseDuration:              &lease,
		RenewDeadline:              &renew,
		Metrics:                    metricsserver.Options{BindAddress: o.metricsAddress},
		HealthProbeBindAddress:     o.healthAddress,
	})
	if err != nil {
		return nil, errors.Wrap(err, "cannot create the controller manager")
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return nil, errors.Wrap(err, "cannot serve /healthz")
	}
	return mgr, errors.Wrap(mgr.AddReadyzCheck("ping", healthz.Ping), "cannot serve /readyz")
}

// newClient returns the controllers' client: cached, and never behind its own writes.
func newClient(cfg *rest.Config, o client.Options) (client.Client, error) {
	cached, err := client.New(cfg, o)
	if err != nil {
		return nil, err
	}
	return fresh.NewClient(cached), nil
}

// runtime returns the runtime's own options.
func (o options) runtime(log logging.Logger) (controller.Options, error) {
	c := controller.Options{
		Logger:                  log,
		GlobalRateLimiter:       ratelimiter.NewGlobal(o.maxReconcileRate),
		PollInterval:            o.poll,
		MaxConcurrentReconciles: o.maxReconcileRate,
		Features:                &feature.Flags{},
		MetricOptions: &controller.MetricOptions{
			PollStateMetricInterval: o.pollStateMetric,
			MRStateMetrics:          statemetrics.NewMRStateMetrics(),
		},
	}
	if o.managementPolicies {
		c.Features.Enable(feature.EnableBetaManagementPolicies)
	}
	if o.changeLogs {
		c.Features.Enable(feature.EnableAlphaChangeLogs)
		conn, err := grpc.NewClient("unix://"+o.changeLogsSocket, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return c, errors.Wrap(err, "cannot reach the change log sidecar")
		}
		c.ChangeLogOptions = &controller.ChangeLogOptions{ChangeLogger: runtimemanaged.NewGRPCChangeLogger(
			changelogsv1alpha1.NewChangeLogServiceClient(conn),
			runtimemanaged.WithProviderVersion("provider-eventstore:"+version.Version))}
	}
	return c, nil
}

// open is the one place that knows all backends.
func open(c broker.Config) (backend.Backend, error) {
	if c.Redis != nil {
		return redis.New(*c.Redis, redis.WithObserver(countRequests("redis")))
	}
	if c.Pulsar != nil {
		return pulsar.New(*c.Pulsar, pulsar.WithObserver(countRequests("pulsar")))
	}
	if c.Kafka != nil {
		return kafka.New(*c.Kafka, kafka.WithObserver(countRequests("kafka")), kafka.WithAWS(awsiam.Tokens))
	}
	return nil, errors.New("no broker is configured: set kafka, pulsar or redis")
}
