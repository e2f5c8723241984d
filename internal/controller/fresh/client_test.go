package fresh

import (
	"context"
	"testing"
	"time"

	kerrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crossplane-contrib/provider-eventstore/apis/cluster/v1alpha1"
)

// cache is a client whose reads lag behind: it has whatever version it is set to; none is NotFound.
type cache struct {
	client.Client
	version string
	writes  string // Version that a write gets.
	answer  func() // Called before a write is answered.
	deletes bool   // A write removes the last finalizer of what is being deleted.
	reads   int
}

func (c *cache) Get(_ context.Context, name client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	c.reads++
	if c.version == "" {
		return kerrors.NewNotFound(schema.GroupResource{}, name.Name)
	}
	o.SetName(name.Name)
	o.SetResourceVersion(c.version)
	return nil
}

func (c *cache) Update(_ context.Context, o client.Object, _ ...client.UpdateOption) error {
	o.SetResourceVersion(c.writes)
	if c.answer != nil {
		c.answer()
	}
	o.SetLabels(map[string]string{"written": "true"})
	if c.deletes {
		o.SetDeletionTimestamp(&metav1.Time{Time: time.Unix(1, 0)})
	}
	return nil
}

func TestGet(t *testing.T) {
	cases := map[string]struct {
		reason       string
		written      string // Version that this client's update made; empty: it made none.
		deletes      bool
		cached       string
		want         string // Version; empty: NotFound.
		wantRemember bool
	}{
		"NothingWritten": {reason: "Without a write of its own, the cache will do.", cached: "7", want: "7"},
		"CacheLags":      {reason: "The cache has not seen the write yet.", written: "9", cached: "7", want: "9", wantRemember: true},
		"CacheReached":   {reason: "The cache has seen the write: it need not be remembered.", written: "9", cached: "9", want: "9"},
		"CacheBeyond":    {reason: "The cache has seen more than the write.", written: "9", cached: "10", want: "10"},
		"Gone":           {reason: "The write removed the last finalizer, and the cache does not know.", written: "9", deletes: true, cached: "7", want: "", wantRemember: true},
		"GoneCached":     {reason: "What the cache no longer has needs no memory.", written: "9", want: ""},
		"NotComparable":  {reason: "What cannot be compared is not remembered for ever.", written: "nine", cached: "7", want: "7"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := NewClient(&cache{version: tc.cached, writes: tc.written, deletes: tc.deletes})
			o := &v1alpha1.EventStore{ObjectMeta: metav1.ObjectMeta{Name: "orders"}}
			if tc.written != "" {
				if err := c.Update(t.Context(), o); err != nil {
					t.Fatal(err)
				}
			}
			got := &v1alpha1.EventStore{}
			err := c.Get(t.Context(), types.NamespacedName{Name: "orders"}, got)
			if kerrors.IsNotFound(err) != (tc.want == "") || (err == nil && got.GetResourceVersion() != tc.want) {
				t.Errorf("%s\nGet: version %q, %v, want %q", tc.reason, got.GetResourceVersion(), err, tc.want)
			}
			if remembered := len(c.written) > 0; remembered != tc.wantRemember {
				t.Errorf("%s\nthe write is remembered: %t, want %t", tc.reason, remembered, tc.wantRemember)
			}
			if tc.wantRemember && err == nil {
				got.GetLabels()["written"] = "changed"
				again := &v1alpha1.EventStore{}
				if err := c.Get(t.Context(), types.NamespacedName{Name: "orders"}, again); err != nil || again.GetLabels()["written"] != "true" {
					t.Errorf("%s\nwhoever gets it changes what is remembered: %v, %v", tc.reason, again.GetLabels(), err)
				}
			}
		})
	}
}

func storeOf(name, uid, version string) *v1alpha1.EventStore {
	return &v1alpha1.EventStore{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(uid), ResourceVersion: version}}
}

func TestWrote(t *testing.T) {
	c := NewClient(&cache{writes: "9"})
	if err := c.Update(t.Context(), storeOf("orders", "1", "7")); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		reason string
		o      *v1alpha1.EventStore
		want   bool
	}{
		"Written":       {reason: "It is what was written.", o: storeOf("orders", "1", "9"), want: true},
		"Before":        {reason: "Whoever wrote had seen it.", o: storeOf("orders", "1", "8"), want: true},
		"After":         {reason: "Somebody else has written since.", o: storeOf("orders", "1", "10")},
		"Other":         {reason: "Nothing of that name was written.", o: storeOf("payments", "2", "8")},
		"Again":         {reason: "It was deleted and created again.", o: storeOf("orders", "3", "8")},
		"NotComparable": {reason: "What cannot be compared may be news.", o: storeOf("orders", "1", "nine")},
	} {
		if got := c.Wrote(tc.o); got != tc.want {
			t.Errorf("%s: %s\nit was written by the client: %t, want %t", name, tc.reason, got, tc.want)
		}
	}
}

// TestSent has a watch be faster than the answer to an update.
func TestSent(t *testing.T) {
	same, asked, deleted, again := storeOf("orders", "1", "9"), storeOf("orders", "1", "8"), storeOf("orders", "1", "8"), storeOf("orders", "2", "9")
	asked.Spec.ForProvider.Partitions = new(int32(7))
	deleted.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
	inner := &cache{writes: "9"}
	c := NewClient(inner)
	inner.answer = func() {
		for name, tc := range map[string]struct {
			o    *v1alpha1.EventStore
			want bool
		}{"Same": {same, true}, "AskedForMore": {asked, false}, "Deleted": {deleted, false}, "CreatedAgain": {again, false}} {
			if got := c.Wrote(tc.o); got != tc.want {
				t.Errorf("%s: it was written by the client: %t, want %t", name, got, tc.want)
			}
		}
	}
	if err := c.Update(t.Context(), storeOf("orders", "1", "7")); err != nil {
		t.Fatal(err)
	}
	if len(c.sent) > 0 {
		t.Errorf("%d updates are remembered after they were answered", len(c.sent))
	}
}
