package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	kerrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/explain"
)

// A choice says which of the Secrets of a claim is meant, if there are several.
type choice struct {
	location     string // As aws/us-east-1.
	subscription string // One that the claim lists; empty: its store.
}

// of says what is chosen of what has a name.
func (c *choice) of(name string) string {
	if c.subscription != "" {
		return "subscription " + c.subscription + " of " + name
	}
	return name
}

func (c *choice) bind(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&c.location, "location", "", "where the claim's store is, as aws/us-east-1, if there are several")
	flags.StringVar(&c.subscription, "subscription", "", "with the Secret of this subscription, which the claim lists, instead of the store's")
}

// connectionSecret reads the connection Secret of the first resource that the target can mean.
func connectionSecret(ctx context.Context, r client.Reader, target explain.Target, which choice) (eventstore.Secret, error) {
	for _, k := range target.Kinds {
		u := &unstructured.Unstructured{}
		u.SetGroupVersionKind(k.GroupVersionKind)
		key := client.ObjectKey{Name: target.Name}
		if k.Namespaced {
			key.Namespace = target.Namespace
		}
		switch err := r.Get(ctx, key, u); {
		case kerrors.IsNotFound(err), meta.IsNoMatchError(err):
			continue
		case err != nil:
			return nil, fmt.Errorf("cannot read %s %q: %w", k.Kind, target.Name, err)
		}
		at, err := which.secretOf(u)
		if err != nil {
			return nil, err
		}
		s := &corev1.Secret{}
		if err := r.Get(ctx, at, s); err != nil {
			return nil, fmt.Errorf("cannot read the connection Secret %s of %s %q, which the provider writes once it is Ready: %w", at, k.Kind, target.Name, err)
		}
		return s.Data, nil
	}
	return nil, fmt.Errorf("cannot find a claim, a store or a subscription %q, in namespace %q or cluster-scoped", target.Name, target.Namespace)
}

// secretOf returns where the connection Secret of a resource is. A claim with stores in several places has one for each.
func (c choice) secretOf(u *unstructured.Unstructured) (client.ObjectKey, error) {
	what, field := fmt.Sprintf("%s %q", u.GetKind(), u.GetName()), "locations"
	if c.subscription != "" {
		what, field = fmt.Sprintf("Subscription %q of %s", c.subscription, what), "subscriptions"
	}
	secrets, places := map[string]string{}, []string{}
	all, _, _ := unstructured.NestedSlice(u.Object, "status", field)
	for _, one := range all {
		l, _ := one.(map[string]any)
		if name, _ := l["name"].(string); name != c.subscription {
			continue
		}
		place := fmt.Sprintf("%v/%v", l["cloud"], l["region"])
		places = append(places, place)
		secrets[place], _ = l["secretName"].(string)
	}
	location := c.location
	switch {
	case c.subscription != "" && len(places) == 0:
		return client.ObjectKey{}, fmt.Errorf("%s %q lists no subscription %q", u.GetKind(), u.GetName(), c.subscription)
	case location != "" && !slices.Contains(places, location):
		return client.ObjectKey{}, fmt.Errorf("%s is not in %q: it is in %s", what, location, strings.Join(places, ", "))
	case location == "" && len(places) > 1:
		return client.ObjectKey{}, fmt.Errorf("%s is in several places: choose one with --location %s", what, strings.Join(places, " or "))
	case location == "" && len(places) == 1:
		location = places[0]
	}
	if name := secrets[location]; name != "" {
		return client.ObjectKey{Namespace: u.GetNamespace(), Name: name}, nil
	}
	name, namespace := "", ""
	if c.subscription == "" {
		name, _, _ = unstructured.NestedString(u.Object, "spec", "writeConnectionSecretToRef", "name")
		namespace, _, _ = unstructured.NestedString(u.Object, "spec", "writeConnectionSecretToRef", "namespace")
		if name == "" {
			name, _, _ = unstructured.NestedString(u.Object, "status", "binding", "name")
		}
	}
	if namespace = cmp.Or(namespace, u.GetNamespace()); name == "" || namespace == "" {
		return client.ObjectKey{}, fmt.Errorf("%s has no connection Secret yet: esctl explain says why, if it is not Ready; or set its spec.writeConnectionSecretToRef", what)
	}
	return client.ObjectKey{Namespace: namespace, Name: name}, nil
}
