package api_test

import (
	"testing"

	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cluster "github.com/crossplane-contrib/provider-eventstore/apis/cluster/v1alpha1"
	namespaced "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
)

// TestResolveClusterReferences resolves references of the cluster-scoped kinds against stores that no controller has seen.
func TestResolveClusterReferences(t *testing.T) {
	keep(t, &cluster.EventStore{ObjectMeta: metav1.ObjectMeta{Name: "ref-plain", Labels: map[string]string{"ref": "plain"}}})
	keep(t, &cluster.EventStore{ObjectMeta: metav1.ObjectMeta{Name: "ref-named", Annotations: map[string]string{"crossplane.io/external-name": "elsewhere"}}})
	cases := map[string]struct {
		reason  string
		params  cluster.SubscriptionParameters
		want    string
		wantRef string
		wantErr bool
	}{
		"Default":  {reason: "Without an annotation, the external name is the name.", params: cluster.SubscriptionParameters{EventStoreRef: &xpv2.Reference{Name: "ref-plain"}}, want: "ref-plain", wantRef: "ref-plain"},
		"Named":    {reason: "The annotation wins.", params: cluster.SubscriptionParameters{EventStoreRef: &xpv2.Reference{Name: "ref-named"}}, want: "elsewhere", wantRef: "ref-named"},
		"Selected": {reason: "A selector writes the reference, too.", params: cluster.SubscriptionParameters{EventStoreSelector: &xpv2.Selector{MatchLabels: map[string]string{"ref": "plain"}}}, want: "ref-plain", wantRef: "ref-plain"},
		"Given":    {reason: "A given external name needs no object.", params: cluster.SubscriptionParameters{EventStore: "given"}, want: "given"},
		"Missing":  {reason: "A reference must lead somewhere.", params: cluster.SubscriptionParameters{EventStoreRef: &xpv2.Reference{Name: "ref-missing"}}, wantErr: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := &cluster.Subscription{Spec: cluster.SubscriptionSpec{ForProvider: tc.params}}
			err := s.ResolveReferences(t.Context(), kube)
			if (err != nil) != tc.wantErr {
				t.Fatalf("%s\nResolveReferences: %v", tc.reason, err)
			}
			if tc.wantErr {
				return
			}
			if got := s.EventStore(); got != tc.want {
				t.Errorf("%s\nstore is %q, want %q", tc.reason, got, tc.want)
			}
			if ref := s.Spec.ForProvider.EventStoreRef; tc.wantRef != "" && (ref == nil || ref.Name != tc.wantRef) {
				t.Errorf("%s\nreference is %v, want %q", tc.reason, ref, tc.wantRef)
			}
		})
	}
}

// TestResolveNamespacedReferences resolves references of the namespaced kinds, which stay in their namespace.
func TestResolveNamespacedReferences(t *testing.T) {
	keep(t, &namespaced.EventStore{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "ref", Labels: map[string]string{"ref": "plain"}}})
	keep(t, &namespaced.EventStore{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "ref-shop", Labels: map[string]string{"ref": "shop"}}})
	cases := map[string]struct {
		reason  string
		params  namespaced.SubscriptionParameters
		want    string
		wantErr bool
	}{
		"Default":         {reason: "Without an annotation, the external name begins with the namespace.", params: namespaced.SubscriptionParameters{EventStoreRef: &xpv2.NamespacedReference{Name: "ref"}}, want: "team-a.ref"},
		"Selected":        {reason: "A selector looks in its own namespace.", params: namespaced.SubscriptionParameters{EventStoreSelector: &xpv2.NamespacedSelector{MatchLabels: map[string]string{"ref": "plain"}}}, want: "team-a.ref"},
		"OtherNamespace":  {reason: "The API server refuses it, and so does the provider.", params: namespaced.SubscriptionParameters{EventStoreRef: &xpv2.NamespacedReference{Name: "ref-shop", Namespace: "shop"}}, wantErr: true},
		"SelectsOutside":  {reason: "The API server refuses it, and so does the provider.", params: namespaced.SubscriptionParameters{EventStoreSelector: &xpv2.NamespacedSelector{MatchLabels: map[string]string{"ref": "shop"}, Namespace: "shop"}}, wantErr: true},
		"OutsideUnlisted": {reason: "A store of another namespace is not there.", params: namespaced.SubscriptionParameters{EventStoreSelector: &xpv2.NamespacedSelector{MatchLabels: map[string]string{"ref": "shop"}}}, wantErr: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := &namespaced.Subscription{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "resolve"},
				Spec:       namespaced.SubscriptionSpec{ForProvider: tc.params},
			}
			err := s.ResolveReferences(t.Context(), kube)
			if (err != nil) != tc.wantErr {
				t.Fatalf("%s\nResolveReferences: %v", tc.reason, err)
			}
			if tc.wantErr {
				return
			}
			if got := s.EventStore(); got != tc.want {
				t.Errorf("%s\nstore is %q, want %q", tc.reason, got, tc.want)
			}
			// What was resolved is written back, so the API server must take it.
			if err := kube.Create(t.Context(), s, client.DryRunAll); err != nil {
				t.Errorf("%s\nthe resolved subscription is refused: %v", tc.reason, err)
			}
		})
	}
}

// TestRoundTrip makes sure that an object which Go writes back is the one that the API server gave out: what an update
// adds or drops by accident would be taken for the user's wish.
func TestRoundTrip(t *testing.T) {
	s := &cluster.Subscription{}
	u := scopes["Cluster"].params(t, "Subscription", "round-trip", store+"deadLetter: {enabled: false}\nretry: {initialBackoff: 10s}")
	keep(t, u)
	if err := kube.Get(t.Context(), client.ObjectKey{Name: "round-trip"}, s); err != nil {
		t.Fatal(err)
	}
	before := s.DeepCopy()
	if err := kube.Update(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before.Spec, s.Spec); diff != "" {
		t.Errorf("spec: -before, +after:\n%s", diff)
	}
	if s.GetGeneration() != before.GetGeneration() {
		t.Errorf("an update that changes nothing made generation %d of %d", s.GetGeneration(), before.GetGeneration())
	}
}
