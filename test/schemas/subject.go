package schemas

import (
	"context"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/test/bench/backdoor"
)

// A Subject is a claim, or a namespaced composite resource, whose stores hold records.
type Subject struct {
	// Manifest is what its author has written.
	Manifest *unstructured.Unstructured

	// Records returns how often each record is there.
	Records func(ctx context.Context) (map[string]int, error)

	uids    map[string]types.UID
	records map[string]int
}

// NewSubject creates a claim (kind EventStoreClaim), or a namespaced composite resource (AppEventStore), with a subscription, and
// writes records as its application.
func NewSubject(ctx context.Context, c client.Client, kind, namespace, class string, connect Connect) (*Subject, error) {
	name := "live-" + class
	u := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"class": class, "partitions": int64(2), "connectionSecretName": name,
		"subscriptions": []any{map[string]any{"name": "audit"}},
	}}}
	u.SetGroupVersionKind(schema.GroupVersionKind{Group: "platform.eventstore.crossplane.io", Version: "v1alpha1", Kind: kind})
	u.SetNamespace(namespace)
	u.SetName(name)
	s := &Subject{Manifest: u}
	o := Options{Kube: c, Subjects: []*Subject{s}, Patience: 5 * time.Minute}
	if _, err := o.await(ctx); err != nil {
		return nil, err
	}
	secret := &corev1.Secret{}
	if err := c.Get(ctx, client.ObjectKeyFromObject(u), secret); err != nil {
		return nil, fmt.Errorf("cannot read the connection Secret: %w", err)
	}
	app, err := connect(ctx, secret.Data)
	if err != nil {
		return nil, err
	}
	s.Records = app.Records
	for i := range records {
		if err := app.Write(ctx, fmt.Sprintf("%s-%d", name, i)); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// records is how many each subject has.
const records = 20

// Connect is an application that has mounted a connection Secret.
type Connect func(ctx context.Context, s eventstore.Secret) (backdoor.Application, error)

// managedKinds are what claims and composite resources become.
var managedKinds = []schema.GroupVersionKind{
	{Group: "eventstore.crossplane.io", Version: "v1alpha1", Kind: "EventStoreList"},
	{Group: "eventstore.crossplane.io", Version: "v1alpha1", Kind: "SubscriptionList"},
	{Group: "eventstore.m.crossplane.io", Version: "v1alpha1", Kind: "EventStoreList"},
	{Group: "eventstore.m.crossplane.io", Version: "v1alpha1", Kind: "SubscriptionList"},
}

// composed returns the managed resources of the subject.
func (s *Subject) composed(ctx context.Context, c client.Client) (all []unstructured.Unstructured, err error) {
	for _, kind := range managedKinds {
		l := &unstructured.UnstructuredList{}
		l.SetGroupVersionKind(kind)
		if err := c.List(ctx, l); err != nil {
			return nil, fmt.Errorf("cannot list %s: %w", kind.GroupKind(), err)
		}
		for _, u := range l.Items {
			labels := u.GetLabels()
			claimed := labels["crossplane.io/claim-name"] == s.Manifest.GetName() && labels["crossplane.io/claim-namespace"] == s.Manifest.GetNamespace()
			if claimed || u.GetNamespace() == s.Manifest.GetNamespace() && labels["crossplane.io/composite"] == s.Manifest.GetName() {
				all = append(all, u)
			}
		}
	}
	return all, nil
}

// note remembers what must come back.
func (s *Subject) note(ctx context.Context, c client.Client) (err error) {
	all, err := s.composed(ctx, c)
	if err != nil {
		return err
	}
	s.uids = map[string]types.UID{}
	for _, u := range all {
		s.uids[key(&u)] = u.GetUID()
	}
	if s.records, err = s.Records(ctx); err == nil && len(s.records) == 0 {
		err = fmt.Errorf("%s has no records that could be lost", s.Manifest.GetName())
	}
	return err
}

// touch has everybody write the subject's objects, as far as that can be done now.
func (s *Subject) touch(ctx context.Context, c client.Client) {
	all, _ := s.composed(ctx, c)
	for _, u := range append(all, *s.Manifest.DeepCopy()) {
		patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"example.org/touched":%q}}}`, time.Now().Format(time.RFC3339Nano))
		_ = c.Patch(ctx, &u, client.RawPatch(types.MergePatchType, patch)) // The change may be that this fails.
	}
}

// well applies the manifest, and reports what is not as it was.
func (s *Subject) well(ctx context.Context, c client.Client) error {
	u := s.Manifest.DeepCopy()
	if err := c.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.FieldOwner("schemas"), client.ForceOwnership); err != nil {
		return err
	}
	if err := c.Get(ctx, client.ObjectKeyFromObject(s.Manifest), u); err != nil {
		return err
	}
	if err := healthy(u); err != nil {
		return err
	}
	all, err := s.composed(ctx, c)
	if err != nil {
		return err
	}
	if s.uids == nil && len(all) == 0 {
		return fmt.Errorf("%s has composed nothing yet", key(u))
	}
	uids := map[string]types.UID{}
	for _, u := range all {
		if err := healthy(&u); err != nil {
			return err
		}
		uids[key(&u)] = u.GetUID()
	}
	if s.uids == nil {
		return nil
	}
	if !maps.Equal(uids, s.uids) {
		return fmt.Errorf("what %s has composed is not what it was: %v, and was %v", key(u), uids, s.uids)
	}
	records, err := s.Records(ctx)
	if err == nil && !maps.Equal(records, s.records) {
		err = fmt.Errorf("%s has %d records, and had %d", key(u), len(records), len(s.records))
	}
	return err
}

func key(u *unstructured.Unstructured) string {
	return u.GetKind() + " " + u.GetNamespace() + "/" + u.GetName()
}

// healthy reports a condition that is not True, and a deletion.
func healthy(u *unstructured.Unstructured) error {
	if u.GetDeletionTimestamp() != nil {
		return fmt.Errorf("%s is being deleted", key(u))
	}
	conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	seen := map[any]bool{}
	for _, one := range conditions {
		m, ok := one.(map[string]any)
		if !ok {
			continue
		}
		if m["status"] != "True" {
			return fmt.Errorf("%s is not %v: %v", key(u), m["type"], m["message"])
		}
		seen[m["type"]] = true
	}
	if !seen["Ready"] || !seen["Synced"] {
		return fmt.Errorf("%s is not Ready yet", key(u))
	}
	return nil
}
