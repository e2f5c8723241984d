// Package managed sets up the runtime's managed reconciler for the kinds of both scopes, and holds what their external
// clients need.
package managed

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/crossplane/crossplane-runtime/v2/pkg/controller"
	"github.com/crossplane/crossplane-runtime/v2/pkg/errors"
	runtimeevent "github.com/crossplane/crossplane-runtime/v2/pkg/event"
	"github.com/crossplane/crossplane-runtime/v2/pkg/feature"
	"github.com/crossplane/crossplane-runtime/v2/pkg/ratelimiter"
	runtimemanaged "github.com/crossplane/crossplane-runtime/v2/pkg/reconciler/managed"
	"github.com/crossplane/crossplane-runtime/v2/pkg/resource"
	"github.com/crossplane/crossplane-runtime/v2/pkg/statemetrics"
	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/crossplane-contrib/provider-eventstore/internal/controller/fresh"
	"github.com/crossplane-contrib/provider-eventstore/internal/controller/owner"
	"github.com/crossplane-contrib/provider-eventstore/internal/controller/providerconfig"
	"github.com/crossplane-contrib/provider-eventstore/internal/controller/trigger"
)

// Options are what every kind needs beside the runtime's own options.
type Options struct {
	controller.Options
	PollJitter time.Duration
	Resolver   *providerconfig.Resolver
	Owners     *owner.Registry
	Metrics    *Metrics
}

// Object is a resource of a kind of ours, of either scope.
type Object interface {
	resource.Managed
	DefaultExternalName() string
}

// A Kind is what distinguishes one kind's reconciler from another's.
type Kind[T Object] struct {
	GVK       schema.GroupVersionKind
	New       func() T
	NewList   func() resource.ManagedList
	Connector runtimemanaged.TypedExternalConnector[T]
	Watch     func(*builder.Builder) *builder.Builder // What else to watch. Default: nothing.
}

// Shell is what a connector shares with all connectors.
type Shell struct {
	Client   client.Client // Cached, but for Secrets: see package fresh.
	Tracker  *providerconfig.Tracker
	Trigger  *trigger.Trigger
	Recorder runtimeevent.Recorder
	Options
}

// NewShell returns the shell for the connector of a kind.
func NewShell(mgr ctrl.Manager, o Options, gvk schema.GroupVersionKind) Shell {
	name := runtimemanaged.ControllerName(gvk.GroupKind().String())
	return Shell{
		Client:   mgr.GetClient(),
		Tracker:  providerconfig.NewTracker(mgr.GetClient()),
		Trigger:  &trigger.Trigger{},
		Recorder: runtimeevent.NewAPIRecorder(mgr.GetEventRecorderFor(name), o.EventFilterFunctions...), //nolint:staticcheck // The provider's role has no rights on events.k8s.io.
		Options:  o,
	}
}

// LongestPoll is how many poll intervals a resource may ask for with the annotation crossplane.io/poll-interval. What nobody
// asks for in a longer time is not watched for drift any more.
const LongestPoll = 2

// poll spreads the polls of resources, and has none wait too long.
func (s Shell) poll(_ resource.Managed, interval time.Duration) time.Duration {
	interval = min(interval, LongestPoll*s.PollInterval)
	return interval + time.Duration((rand.Float64()-0.5)*2*float64(s.PollJitter)) //nolint:gosec // Not a secret.
}

// Setup adds the controller of a kind.
func Setup[T Object](mgr ctrl.Manager, s Shell, k Kind[T]) error {
	name := runtimemanaged.ControllerName(k.GVK.GroupKind().String())
	options := []runtimemanaged.ReconcilerOption{
		runtimemanaged.WithTypedExternalConnector(k.Connector),
		runtimemanaged.WithInitializers(newMetadata(mgr.GetClient())),
		runtimemanaged.WithReferenceResolver(newMetadata(mgr.GetClient())),
		runtimemanaged.WithFinalizer(newMetadata(mgr.GetClient())),
		runtimemanaged.WithLogger(s.Logger.WithValues("controller", name)),
		runtimemanaged.WithRecorder(s.Recorder),
		runtimemanaged.WithPollInterval(s.PollInterval),
		runtimemanaged.WithPollIntervalHook(s.poll),
		runtimemanaged.WithDeterministicExternalName(true),
		// What was created is there at once, and reads after a write are fresh: waiting would only delay deletion.
		runtimemanaged.WithCreationGracePeriod(0),
	}
	if s.Features.Enabled(feature.EnableBetaManagementPolicies) {
		options = append(options, runtimemanaged.WithManagementPolicies())
	}
	if s.ChangeLogOptions != nil {
		options = append(options, runtimemanaged.WithChangeLogger(s.ChangeLogOptions.ChangeLogger))
	}
	if s.MetricOptions != nil {
		// Not WithMetricRecorder: it keys by name alone, so kinds and namespaces would be taken for each other.
		recorder := statemetrics.NewMRStateRecorder(mgr.GetClient(), s.Logger, s.MetricOptions.MRStateMetrics, k.NewList(), s.MetricOptions.PollStateMetricInterval)
		if err := mgr.Add(tolerant{recorder}); err != nil {
			return errors.Wrapf(err, "cannot record the state of %s", k.GVK.Kind)
		}
	}
	if err := indexProviderConfig(mgr, s, k); err != nil {
		return err
	}
	r := runtimemanaged.NewReconciler(briefly{mgr}, resource.ManagedKind(k.GVK), options...)

	o := s.ForControllerRuntime()
	// The runtime asks for another reconcile after each step. Beginning at its default of one second, a resource would
	// wait for seconds on its way to Ready.
	o.RateLimiter = workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](20*time.Millisecond, time.Minute)
	b := ctrl.NewControllerManagedBy(mgr).
		Named(name).
		WithOptions(o).
		For(k.New(), builder.WithPredicates(desiredStateChanged(mgr.GetClient()))).
		WatchesMetadata(&corev1.Secret{}, ownerOf(mgr, k.New()), builder.WithPredicates(deleted)).
		WatchesRawSource(s.Trigger.Source())
	if k.Watch != nil {
		b = k.Watch(b)
	}
	err := b.Complete(ratelimiter.NewReconciler(name, fresh.Once(passing(r)), s.GlobalRateLimiter))
	return errors.Wrapf(err, "cannot set up the controller %s", name)
}

// ownerOf maps a connection Secret to the resource that published it.
func ownerOf(mgr ctrl.Manager, owner client.Object) handler.EventHandler {
	return handler.EnqueueRequestForOwner(mgr.GetScheme(), mgr.GetRESTMapper(), owner, handler.OnlyControllerOwner())
}

// deleted lets through what is gone: without its Secret an application cannot start, so another one does not wait for the
// next poll.
var deleted = predicate.Funcs{
	CreateFunc:  func(event.CreateEvent) bool { return false },
	UpdateFunc:  func(event.UpdateEvent) bool { return false },
	GenericFunc: func(event.GenericEvent) bool { return false },
}

// byProviderConfig is the index of resources by the ProviderConfig that they use.
const byProviderConfig = "providerConfig"

// indexProviderConfig has the resources of a kind reconciled when their connection has become another.
func indexProviderConfig[T Object](mgr ctrl.Manager, s Shell, k Kind[T]) error {
	err := mgr.GetFieldIndexer().IndexField(context.Background(), k.New(), byProviderConfig, func(o client.Object) []string {
		key, err := providerconfig.KeyOf(o.(resource.Managed)) //nolint:forcetypeassert // The index is of managed resources.
		if err != nil {
			return nil
		}
		return []string{key.String()}
	})
	if err != nil {
		return errors.Wrapf(err, "cannot index %s by ProviderConfig", k.GVK.Kind)
	}
	users := func(key providerconfig.Key) []resource.Managed {
		if key.Kind.Group != k.GVK.Group {
			return nil
		}
		l := k.NewList()
		if err := s.Client.List(context.Background(), l, client.MatchingFields{byProviderConfig: key.String()}); err != nil {
			s.Logger.Info("Cannot list the users of a ProviderConfig", "providerConfig", key.String(), "error", err)
			return nil
		}
		return l.GetItems()
	}
	s.Resolver.OnChange(func(key providerconfig.Key) {
		for _, mg := range users(key) {
			s.Trigger.Enqueue(client.ObjectKeyFromObject(mg))
		}
	})
	s.Resolver.UsedBy(func(key providerconfig.Key) bool { return len(users(key)) > 0 })
	return nil
}

// Mapped watches objects of another kind, and reconciles what fn maps them to.
func Mapped(o client.Object, fn handler.MapFunc, opts ...builder.WatchesOption) func(*builder.Builder) *builder.Builder {
	return func(b *builder.Builder) *builder.Builder {
		return b.Watches(o, handler.EnqueueRequestsFromMapFunc(fn), opts...)
	}
}

// ObserveOnly reports whether a resource may change nothing on the broker.
func ObserveOnly(mg resource.Managed) bool {
	p := mg.GetManagementPolicies()
	return len(p) > 0 && !slices.ContainsFunc(p, func(a xpv2.ManagementAction) bool {
		return a != xpv2.ManagementActionObserve && a != xpv2.ManagementActionLateInitialize
	})
}

// tolerant keeps the manager running when a state recorder ends with the error of its context.
type tolerant struct{ *statemetrics.MRStateRecorder }

func (t tolerant) Start(ctx context.Context) error {
	if err := t.MRStateRecorder.Start(ctx); ctx.Err() == nil {
		return err
	}
	return nil
}
