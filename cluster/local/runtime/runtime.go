// Package runtime runs the providers and functions that Crossplane installs as processes of this machine: it is to a
// local control plane what kubelet is to a cluster. [Run] watches and never returns while its context lives.
//
// # Providers
//
// Crossplane's own package runtime makes the ServiceAccount, the certificates and the Deployment, so that the provider
// gets what it gets in a cluster: its arguments, its environment, its rights (the RBAC manager binds the ServiceAccount
// that the Deployment names), and no process before its first ManagedResourceDefinition is active. We do what comes
// after: pull the image, mount the Secrets, start the process, and tell in the Deployment's status whether it is there.
//
// # Functions
//
// A Deployment's Service has no address without a network, so for functions Crossplane runs with the runtime "External":
// we make the certificates, start the process, and publish its endpoint in the revision's status.
package runtime

import (
	"context"
	"fmt"

	pkgv1 "github.com/crossplane/crossplane/apis/v2/pkg/v1"
	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/state"
)

// Options of Run. All are required.
type Options struct {
	Config    *rest.Config
	State     *state.Folder // Images, certificates and logs of the processes go here.
	Namespace string        // Crossplane's.
	Log       logr.Logger
}

// Run starts and stops processes until ctx ends, then stops them all.
func Run(ctx context.Context, o Options) error {
	ctrl.SetLogger(o.Log)
	mgr, err := ctrl.NewManager(o.Config, ctrl.Options{
		Scheme:                 scheme(),
		Logger:                 o.Log,
		Metrics:                metricsserver.Options{BindAddress: "0"},
		HealthProbeBindAddress: "0",
		Cache:                  cache.Options{DefaultNamespaces: map[string]cache.Config{o.Namespace: {}}},
		// Read what the process gets straight from the server: a cache may still hold yesterday's certificate.
		Client: client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}, &corev1.ServiceAccount{}}}},
		// Tests start several control planes in one process.
		Controller: config.Controller{SkipNameValidation: new(true)},
	})
	if err != nil {
		return fmt.Errorf("cannot start package runtime: %w", err)
	}

	// A process that starts or ends makes us look at its object again.
	deployments, functions := make(chan event.GenericEvent, 64), make(chan event.GenericEvent, 64)
	d := &deploymentReconciler{
		client: mgr.GetClient(), config: o.Config, state: o.State, namespace: o.Namespace,
		processes: newSupervisor(ctx, o.State, o.Log, func(name string) {
			notify(ctx, deployments, &appsv1.Deployment{}, o.Namespace, name)
		}),
	}
	f := &functionReconciler{
		client: mgr.GetClient(), state: o.State, namespace: o.Namespace,
		processes: newSupervisor(ctx, o.State, o.Log, func(name string) {
			notify(ctx, functions, &pkgv1.FunctionRevision{}, "", name)
		}),
	}
	defer f.processes.wait()
	defer d.processes.wait()

	if err := ctrl.NewControllerManagedBy(mgr).Named("deployments").For(&appsv1.Deployment{}).
		WatchesRawSource(source.Channel(deployments, &handler.EnqueueRequestForObject{})).Complete(d); err != nil {
		return fmt.Errorf("cannot start package runtime: %w", err)
	}
	if err := ctrl.NewControllerManagedBy(mgr).Named("functions").For(&pkgv1.FunctionRevision{}).
		WatchesRawSource(source.Channel(functions, &handler.EnqueueRequestForObject{})).Complete(f); err != nil {
		return fmt.Errorf("cannot start package runtime: %w", err)
	}
	return mgr.Start(ctx)
}

func scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(s))
	utilruntime.Must(pkgv1.AddToScheme(s))
	return s
}

func notify(ctx context.Context, to chan<- event.GenericEvent, o client.Object, namespace, name string) {
	o.SetNamespace(namespace)
	o.SetName(name)
	select {
	case to <- event.GenericEvent{Object: o}:
	case <-ctx.Done():
	}
}
