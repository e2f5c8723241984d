package fresh

import (
	"context"
	"testing"

	kerrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crossplane-contrib/provider-eventstore/apis/cluster/v1alpha1"
)

// server is the API server, or a cache that lags behind it: whatever version it is set to; none is NotFound.
type server struct {
	client.Client
	version string
	reads   int
}

func (s *server) Get(_ context.Context, name client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	s.reads++
	if s.version == "" {
		return kerrors.NewNotFound(schema.GroupResource{}, name.Name)
	}
	o.SetName(name.Name)
	o.SetResourceVersion(s.version)
	return nil
}

func (s *server) Update(_ context.Context, o client.Object, _ ...client.UpdateOption) error {
	o.SetResourceVersion(s.version)
	return nil
}

// writer writes to the API server and reads from the cache.
type writer struct {
	client.Client
	api *server
}

func (w writer) Update(ctx context.Context, o client.Object, opts ...client.UpdateOption) error {
	return w.api.Update(ctx, o, opts...)
}

func TestGet(t *testing.T) {
	cases := map[string]struct {
		reason        string
		written       string // Version that this client's update made; empty: it made none.
		cached, live  string
		want          string // Version; empty: NotFound.
		wantLiveReads int
		wantRemember  bool
	}{
		"NothingWritten": {reason: "Without a write of its own, the cache will do.", cached: "7", live: "9", want: "7"},
		"CacheLags":      {reason: "The cache has not seen the write yet.", written: "9", cached: "7", live: "9", want: "9", wantLiveReads: 1, wantRemember: true},
		"CacheReached":   {reason: "The cache has seen the write: it need not be remembered.", written: "9", cached: "9", live: "9", want: "9"},
		"CacheBeyond":    {reason: "The cache has seen more than the write.", written: "9", cached: "10", live: "10", want: "10"},
		"GoneLive":       {reason: "The write removed the last finalizer, and the cache does not know.", written: "9", cached: "7", want: "", wantLiveReads: 1},
		"GoneCached":     {reason: "What the cache no longer has needs no memory.", written: "9", want: ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			cache, api := &server{version: tc.cached}, &server{version: tc.written}
			c := NewClient(writer{Client: cache, api: api}, api)
			o := &v1alpha1.EventStore{ObjectMeta: metav1.ObjectMeta{Name: "orders"}}
			if tc.written != "" {
				if err := c.Update(t.Context(), o); err != nil {
					t.Fatal(err)
				}
			}
			api.version = tc.live
			got := &v1alpha1.EventStore{}
			err := c.Get(t.Context(), types.NamespacedName{Name: "orders"}, got)
			if kerrors.IsNotFound(err) != (tc.want == "") || (err == nil && got.GetResourceVersion() != tc.want) {
				t.Errorf("%s\nGet: version %q, %v, want %q", tc.reason, got.GetResourceVersion(), err, tc.want)
			}
			if api.reads != tc.wantLiveReads {
				t.Errorf("%s\nGet read %d times from the API server, want %d", tc.reason, api.reads, tc.wantLiveReads)
			}
			if remembered := len(c.written) > 0; remembered != tc.wantRemember {
				t.Errorf("%s\nthe write is remembered: %t, want %t", tc.reason, remembered, tc.wantRemember)
			}
		})
	}
}
