package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	kerrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/explain"
)

// connectionSecret reads the connection Secret of the first resource that the target can mean.
func connectionSecret(ctx context.Context, c client.Reader, target explain.Target, location string) (eventstore.Secret, error) {
	for _, k := range target.Kinds {
		u := &unstructured.Unstructured{}
		u.SetGroupVersionKind(k.GroupVersionKind)
		key := client.ObjectKey{Name: target.Name}
		if k.Namespaced {
			key.Namespace = target.Namespace
		}
		switch err := c.Get(ctx, key, u); {
		case kerrors.IsNotFound(err), meta.IsNoMatchError(err):
			continue
		case err != nil:
			return nil, fmt.Errorf("cannot read %s %q: %w", k.Kind, target.Name, err)
		}
		at, err := secretOf(u, location)
		if err != nil {
			return nil, err
		}
		s := &corev1.Secret{}
		if err := c.Get(ctx, at, s); err != nil {
			return nil, fmt.Errorf("cannot read the connection Secret %s of %s %q, which the provider writes once it is Ready: %w", at, k.Kind, target.Name, err)
		}
		return s.Data, nil
	}
	return nil, fmt.Errorf("cannot find a claim, a store or a subscription %q, in namespace %q or cluster-scoped", target.Name, target.Namespace)
}

// secretOf returns where the connection Secret of a resource is. A claim with stores in several places has one for each.
func secretOf(u *unstructured.Unstructured, location string) (client.ObjectKey, error) {
	what := fmt.Sprintf("%s %q", u.GetKind(), u.GetName())
	secrets, places := map[string]string{}, []string{}
	all, _, _ := unstructured.NestedSlice(u.Object, "status", "locations")
	for _, one := range all {
		l, _ := one.(map[string]any)
		place := fmt.Sprintf("%v/%v", l["cloud"], l["region"])
		places = append(places, place)
		secrets[place], _ = l["secretName"].(string)
	}
	switch {
	case location != "" && !slices.Contains(places, location):
		return client.ObjectKey{}, fmt.Errorf("%s has no store in %q: it has them in %s", what, location, strings.Join(places, ", "))
	case location == "" && len(places) > 1:
		return client.ObjectKey{}, fmt.Errorf("%s has stores in several places: choose one with --location %s", what, strings.Join(places, " or "))
	case location == "" && len(places) == 1:
		location = places[0]
	}
	if name := secrets[location]; name != "" {
		return client.ObjectKey{Namespace: u.GetNamespace(), Name: name}, nil
	}
	name, _, _ := unstructured.NestedString(u.Object, "spec", "writeConnectionSecretToRef", "name")
	namespace, _, _ := unstructured.NestedString(u.Object, "spec", "writeConnectionSecretToRef", "namespace")
	if name == "" {
		name, _, _ = unstructured.NestedString(u.Object, "status", "binding", "name")
	}
	if name == "" || namespace+u.GetNamespace() == "" {
		return client.ObjectKey{}, fmt.Errorf("%s has no connection Secret yet: esctl explain says why, if it is not Ready; or set its spec.writeConnectionSecretToRef", what)
	}
	if namespace == "" {
		namespace = u.GetNamespace()
	}
	return client.ObjectKey{Namespace: namespace, Name: name}, nil
}
