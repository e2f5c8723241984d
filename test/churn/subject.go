package churn

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	kerrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/internal/placement"
)

// subscriptions are the names that a claim may list.
var subscriptions = []string{"audit", "billing", "search"}

// A subject is a claim, and what it should be.
type subject struct {
	*churn

	name string
	rng  *rand.Rand

	exists bool
	places map[int]bool   // By the index of the location.
	listed map[string]int // Subscriptions, and how often they deliver.
}

func newSubject(c *churn, i int) *subject {
	s := &subject{churn: c, name: fmt.Sprintf("claim-%03d", i), rng: rand.New(rand.NewPCG(c.Seed, uint64(i+1))), listed: map[string]int{}, places: map[int]bool{}}
	for l := range c.Locations {
		s.places[l] = true
	}
	return s
}

// live edits the claim until the time is over.
func (s *subject) live(ctx, alive context.Context) error {
	for {
		if err := s.edit(ctx); err != nil {
			return fmt.Errorf("cannot edit %s: %w", s.name, err)
		}
		if !pause(alive, time.Duration(s.rng.Int64N(int64(s.Pause)))) {
			return nil
		}
	}
}

// edit makes one change, as its author would: it also confirms what is left behind.
func (s *subject) edit(ctx context.Context) error {
	if !s.exists {
		return s.create(ctx)
	}
	if err := s.confirm(ctx); err != nil {
		return err
	}
	switch n := s.rng.IntN(20); {
	case n < 2:
		return s.remove(ctx)
	case n < 8:
		l := s.rng.IntN(len(s.Locations))
		s.places[l] = !s.places[l]
		if !slices.Contains(slices.Collect(maps.Values(s.places)), true) {
			s.places[l] = true
		}
	case n < 15:
		name := subscriptions[s.rng.IntN(len(subscriptions))]
		if _, ok := s.listed[name]; ok {
			delete(s.listed, name)
		} else {
			s.listed[name] = 3
		}
	default:
		for name := range s.listed {
			s.listed[name] = 1 + s.rng.IntN(9)
		}
	}
	s.edits.Add(1)
	return s.update(ctx, func(u *unstructured.Unstructured) { u.Object["spec"] = s.spec(u) })
}

// create makes the claim, unless the one before is not gone yet.
func (s *subject) create(ctx context.Context) error {
	u := s.claim()
	u.Object["spec"] = s.spec(u)
	err := s.Kube.Create(ctx, u)
	if kerrors.IsAlreadyExists(err) {
		return nil
	}
	if err == nil {
		s.exists = true
		s.edits.Add(1)
	}
	return err
}

func (s *subject) remove(ctx context.Context) error {
	if !s.exists {
		return nil
	}
	s.exists = false
	s.edits.Add(1)
	foreground := client.PropagationPolicy(metav1.DeletePropagationForeground)
	return client.IgnoreNotFound(s.Kube.Delete(ctx, s.claim(), foreground))
}

func (s *subject) claim() *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{}}
	u.SetGroupVersionKind(schema.GroupVersionKind{Group: "platform.eventstore.crossplane.io", Version: "v1alpha1", Kind: "EventStoreClaim"})
	u.SetNamespace(s.Namespace)
	u.SetName(s.name)
	return u
}

// spec is what the claim should say, beside what Crossplane has written there.
func (s *subject) spec(u *unstructured.Unstructured) map[string]any {
	spec, _, _ := unstructured.NestedMap(u.Object, "spec")
	if spec == nil {
		spec = map[string]any{}
	}
	var places, listed []any
	for l, at := range s.Locations {
		if s.places[l] {
			places = append(places, map[string]any{"cloud": at.Cloud, "region": at.Region})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.listed)) {
		listed = append(listed, map[string]any{"name": name, "retry": map[string]any{"maxDeliveries": int64(s.listed[name])}})
	}
	spec["class"], spec["partitions"], spec["locations"], spec["subscriptions"] = s.Class, int64(1), places, listed
	return spec
}

// update changes the claim as it is now.
func (s *subject) update(ctx context.Context, change func(*unstructured.Unstructured)) error {
	for {
		u := s.claim()
		if err := s.Kube.Get(ctx, client.ObjectKeyFromObject(u), u); err != nil {
			return client.IgnoreNotFound(err)
		}
		change(u)
		if err := s.Kube.Update(ctx, u); !kerrors.IsConflict(err) {
			return client.IgnoreNotFound(err)
		}
	}
}

// confirm lets go what the claim has left behind.
func (s *subject) confirm(ctx context.Context) error {
	u := s.claim()
	if err := s.Kube.Get(ctx, client.ObjectKeyFromObject(u), u); err != nil {
		return client.IgnoreNotFound(err)
	}
	var tokens []string
	left, _, _ := unstructured.NestedSlice(u.Object, "status", "leftBehind")
	for _, l := range left {
		if token, ok := l.(map[string]any)["confirm"].(string); ok { //nolint:forcetypeassert // By its schema.
			tokens = append(tokens, token)
		}
	}
	slices.Sort(tokens)
	if confirmation := strings.Join(tokens, ","); confirmation != "" && confirmation != u.GetAnnotations()[v1alpha1.AnnotationConfirm] {
		return s.update(ctx, func(u *unstructured.Unstructured) {
			a := u.GetAnnotations()
			if a == nil {
				a = map[string]string{}
			}
			a[v1alpha1.AnnotationConfirm] = confirmation
			u.SetAnnotations(a)
		})
	}
	return nil
}

// compare returns how many locations are what the claim says, on the API server and on the broker, and what is not.
func (s *subject) compare(ctx context.Context) (equal int, different []string, err error) {
	store := s.Namespace + "." + s.name
	for l, at := range s.Locations {
		want := map[string]int{}
		if s.exists && s.places[l] {
			want = maps.Clone(s.listed)
			want[""] = 0 // The store.
		}
		got, err := s.observed(ctx, at)
		if err != nil {
			return equal, different, err
		}
		traces, err := at.Traces(ctx, store)
		switch {
		case err != nil:
			return equal, different, err
		case !maps.Equal(want, got):
			different = append(different, fmt.Sprintf("%s in %s/%s has %v, want %v", store, at.Cloud, at.Region, got, want))
		case (len(traces) > 0) != (len(want) > 0):
			different = append(different, fmt.Sprintf("%s in %s/%s has %v on the broker, want %v", store, at.Cloud, at.Region, traces[:min(3, len(traces))], want))
		default:
			equal++
		}
	}
	return equal, different, nil
}

// observed are the resources of the claim in a location: subscriptions by name with how often they deliver, the store without
// one. What is not Ready, or about to go, is -1.
func (s *subject) observed(ctx context.Context, at Location) (map[string]int, error) {
	all := map[string]int{}
	for _, kind := range []string{placement.KindEventStore, placement.KindSubscription} {
		l := &unstructured.UnstructuredList{}
		l.SetGroupVersionKind(schema.GroupVersionKind{Group: "eventstore.crossplane.io", Version: "v1alpha1", Kind: kind + "List"})
		err := s.Kube.List(ctx, l, client.MatchingLabels{
			placement.LabelCloud: at.Cloud, placement.LabelRegion: at.Region, "crossplane.io/claim-namespace": s.Namespace, "crossplane.io/claim-name": s.name,
		})
		if err != nil {
			return nil, err
		}
		for _, u := range l.Items {
			name, n := "", int64(0)
			if kind == placement.KindSubscription {
				name = u.GetAnnotations()["crossplane.io/external-name"]
				n, _, _ = unstructured.NestedInt64(u.Object, "spec", "forProvider", "retry", "maxDeliveries")
			}
			if u.GetDeletionTimestamp() != nil || !ready(&u) {
				n = -1
			}
			all[name] = int(n)
		}
	}
	return all, nil
}

func ready(u *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	fine := map[any]bool{}
	for _, c := range conditions {
		if m, ok := c.(map[string]any); ok && m["status"] == "True" {
			fine[m["type"]] = true
		}
	}
	return fine["Ready"] && fine["Synced"] && fine["Accepted"]
}
