package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/crossplane/crossplane-runtime/v2/pkg/logging"
	"github.com/crossplane/crossplane-runtime/v2/pkg/meta"
	"github.com/spf13/cobra"
	kerrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crossplane-contrib/provider-eventstore/apis"
	clusterv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/cluster/v1alpha1"
	namespacedv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend/kafka"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend/pulsar"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend/redis"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/awsiam"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/controller/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/controller/managed"
	"github.com/crossplane-contrib/provider-eventstore/internal/controller/owner"
	"github.com/crossplane-contrib/provider-eventstore/internal/controller/providerconfig"
	"github.com/crossplane-contrib/provider-eventstore/internal/controller/subscription"
	"github.com/crossplane-contrib/provider-eventstore/internal/explain"
	"github.com/crossplane-contrib/provider-eventstore/internal/mirror"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// diffTimeout is how long the broker may take to answer.
const diffTimeout = 30 * time.Second

func diffCommand(k kubeconfig) *cobra.Command {
	return &cobra.Command{
		Use:   "diff KIND/NAME | KIND NAME",
		Short: "Show what the provider would change on the broker for an EventStore or Subscription, and what it refuses",
		Long: `Show what the provider would change on the broker for an EventStore or Subscription, and what it refuses, with the token that
confirms it. Nothing is changed. The broker is asked from here, with the credentials of the ProviderConfig: you need the right to
read its Secret and the connection Secret.

Exit codes: 0 nothing would change, 1 something would or is refused, 2 esctl itself failed.`,
		Example: `  esctl diff eventstore.eventstore.m.crossplane.io/orders -n shop`,
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			config, namespace, err := k.load()
			if err != nil {
				return err
			}
			target, err := parseTarget(namespace, args)
			if err != nil {
				return err
			}
			s := runtime.NewScheme()
			for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, apis.AddToScheme} {
				if err := add(s); err != nil {
					return err
				}
			}
			c, err := client.New(config, client.Options{Scheme: s})
			if err != nil {
				return fmt.Errorf("cannot reach the API server: %w", err)
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), diffTimeout)
			defer cancel()
			p, mg, err := diff(ctx, c, s, target)
			if err != nil {
				return err
			}
			return printPlan(cmd.OutOrStdout(), mg, p)
		},
	}
}

// diff plans as the provider does. Whatever goes wrong is no answer.
func diff(ctx context.Context, c client.Client, s *runtime.Scheme, target explain.Target) (plan.Plan, managed.Object, error) {
	mg, err := read(ctx, c, target)
	if err != nil {
		return plan.Plan{}, nil, err
	}
	if meta.GetExternalName(mg) == "" {
		meta.SetExternalName(mg, mg.DefaultExternalName())
	}
	owners, err := owner.NewRegistry(ctx, c, s)
	if err != nil {
		return plan.Plan{}, nil, err
	}
	pool := mirror.NewPool(open, mirror.Options{Interval: 24 * time.Hour}) // Read once, and never in the background.
	defer func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		_ = pool.Start(ended) // Closes everything.
	}()
	shell := managed.Shell{Client: c, Options: managed.Options{Resolver: providerconfig.NewResolver(c, c, pool, logging.NewNopLogger()), Owners: owners}}
	var p plan.Plan
	switch mg := mg.(type) {
	case *clusterv1alpha1.EventStore:
		p, err = eventstore.Diff(ctx, shell, mg)
	case *namespacedv1alpha1.EventStore:
		p, err = eventstore.Diff(ctx, shell, mg)
	case *clusterv1alpha1.Subscription:
		p, err = subscription.Diff(ctx, shell, mg)
	case *namespacedv1alpha1.Subscription:
		p, err = subscription.Diff(ctx, shell, mg)
	}
	if kerrors.IsForbidden(err) {
		err = fmt.Errorf("you may not read what it takes to ask the broker: have somebody who may read the Secrets do it, or ask the provider by esctl explain: %w", err)
	}
	return p, mg, err
}

// read reads the first of the kinds that there is, and that is on a broker itself.
func read(ctx context.Context, c client.Reader, target explain.Target) (managed.Object, error) {
	objects := map[schema.GroupVersionKind]managed.Object{
		namespacedv1alpha1.EventStoreGroupVersionKind:   &namespacedv1alpha1.EventStore{},
		clusterv1alpha1.EventStoreGroupVersionKind:      &clusterv1alpha1.EventStore{},
		namespacedv1alpha1.SubscriptionGroupVersionKind: &namespacedv1alpha1.Subscription{},
		clusterv1alpha1.SubscriptionGroupVersionKind:    &clusterv1alpha1.Subscription{},
	}
	for _, k := range target.Kinds {
		mg, ok := objects[k.GroupVersionKind]
		if !ok {
			continue
		}
		key := client.ObjectKey{Name: target.Name}
		if k.Namespaced {
			key.Namespace = target.Namespace
		}
		switch err := c.Get(ctx, key, mg); {
		case err == nil:
			return mg, nil
		case !kerrors.IsNotFound(err):
			return nil, fmt.Errorf("cannot read %s %q: %w", k.Kind, target.Name, err)
		}
	}
	return nil, fmt.Errorf("cannot find an EventStore or Subscription %q, in namespace %q or cluster-scoped: of a claim, esctl explain shows those that it has", target.Name, target.Namespace)
}

// open returns what administers a broker.
func open(c broker.Config) (backend.Backend, error) {
	switch {
	case c.Redis != nil:
		return redis.New(*c.Redis)
	case c.Pulsar != nil:
		return pulsar.New(*c.Pulsar)
	default:
		return kafka.New(*c.Kafka, kafka.WithAWS(awsiam.Tokens))
	}
}

// printPlan writes what would change, and what is refused.
func printPlan(w io.Writer, mg managed.Object, p plan.Plan) error {
	name := mg.GetName()
	if mg.GetNamespace() != "" {
		name = mg.GetNamespace() + "/" + name
	}
	if meta.WasDeleted(mg) {
		fmt.Fprintf(w, "%s is being deleted.\n", name)
	}
	if p.Unavailable != "" {
		fmt.Fprintf(w, "The broker does not serve all of it, so nothing is changed: %s\n", p.Unavailable)
	}
	for _, c := range p.Changes {
		fmt.Fprintf(w, "~ %s\n", c)
	}
	for _, r := range p.Refusals {
		fmt.Fprintf(w, "✗ refused (%s): %s\n", r.Reason, r.Message)
	}
	if len(p.Changes)+len(p.Refusals) > 0 || p.Unavailable != "" {
		return errFound
	}
	if !meta.WasDeleted(mg) {
		fmt.Fprintf(w, "%s is on the broker as it says.\n", name)
	}
	return nil
}
