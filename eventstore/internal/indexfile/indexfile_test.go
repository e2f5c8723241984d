package indexfile

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/arbiter"
)

func opened(t *testing.T, folder string) arbiter.Disk {
	t.Helper()
	d, err := Open(eventstore.Binding{Store: "shop.orders", Index: folder})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func kept(t *testing.T, d arbiter.Disk, partition int) arbiter.Kept {
	t.Helper()
	k, err := d.Load(partition)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// What is kept is there after the file was closed and opened, and chunks come together in their order.
func TestKeep(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "not", "there", "yet")
	d := opened(t, folder)
	if diff := cmp.Diff(arbiter.Kept{}, kept(t, d, 0)); diff != "" {
		t.Errorf("of what was never kept -want, +got:\n%s", diff)
	}
	key := string(d.Key())
	mark := arbiter.Mark{At: arbiter.Position{Segment: 3, Offset: 8}, Hash: [16]byte{1, 2}}
	for n := range 300 { // More chunks than one byte counts.
		k := arbiter.Kept{Next: arbiter.Position{Segment: 3, Offset: int64(n)}, Mark: mark, Streams: map[string]arbiter.Stream{
			"order/1":  {Head: fmt.Append(nil, "head", n), First: n, Full: [][]byte{fmt.Append(nil, "full", n)}},
			"order/10": {Head: []byte("other")},
		}}
		if err := d.Keep(2, k); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = opened(t, folder)
	defer d.Close()
	if string(d.Key()) != key || len(key) != 16 {
		t.Error("the key is another one")
	}
	want := arbiter.Kept{Next: arbiter.Position{Segment: 3, Offset: 299}, Mark: mark, Streams: map[string]arbiter.Stream{
		"order/1": {Head: []byte("head299")}, "order/10": {Head: []byte("other")},
	}}
	s := want.Streams["order/1"]
	for n := range 300 {
		s.Full = append(s.Full, fmt.Append(nil, "full", n))
	}
	want.Streams["order/1"] = s
	if diff := cmp.Diff(want, kept(t, d, 2)); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
	for range 2 {
		if err := d.Forget(2); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(arbiter.Kept{}, kept(t, d, 2)); diff != "" {
		t.Errorf("of what was forgotten -want, +got:\n%s", diff)
	}
}

// A file that is none of ours, or torn, is begun anew: it holds nothing that the log does not have.
func TestAnew(t *testing.T) {
	for name, content := range map[string]string{"Garbage": strings.Repeat("garbage ", 4000), "Empty": "", "Short": "x"} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			if err := os.WriteFile(filepath.Join(folder, "shop.orders.index"), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			d := opened(t, folder)
			defer d.Close()
			if err := d.Keep(0, arbiter.Kept{}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	folder := t.TempDir()
	d := opened(t, folder)
	defer d.Close()
	_, err := Open(eventstore.Binding{Store: "shop.orders", Index: folder})
	if err == nil || !strings.Contains(err.Error(), "give each process a folder of its own") {
		t.Errorf("a second Open: %v, want what to do", err)
	}
	other, err := Open(eventstore.Binding{Store: "shop.orders", Subscription: "billing", Index: folder})
	if err != nil {
		t.Fatalf("the store's subscription: %v, want a file of its own", err)
	}
	_ = other.Close()
	if d, err := Open(eventstore.Binding{Store: "shop.orders"}); d != nil || err != nil {
		t.Errorf("without a folder: %v, %v, want none", d, err)
	}
}
