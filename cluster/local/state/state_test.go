package state

import (
	"errors"
	"net"
	"os"
	"sync"
	"testing"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
)

func open(t *testing.T, dir string) *Folder {
	t.Helper()
	f, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func port(t *testing.T, f *Folder, component string) int {
	t.Helper()
	p, err := f.Port(component)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPortIsKept(t *testing.T) {
	dir := t.TempDir()
	first := port(t, open(t, dir), "etcd")
	if again := port(t, open(t, dir), "etcd"); again != first {
		t.Errorf("Port: %d, then %d, want the same", first, again)
	}
	if known := open(t, dir).KnownPort("etcd"); known != first {
		t.Errorf("KnownPort: %d, want %d", known, first)
	}
}

func TestPortMovesWhenItIsTaken(t *testing.T) {
	dir := t.TempDir()
	first := port(t, open(t, dir), "etcd")
	l, err := net.Listen("tcp", process.Loopback(first))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if again := port(t, open(t, dir), "etcd"); again == first {
		t.Errorf("Port: %d, which another process listens on", again)
	}
}

// TestPortsOfTwoProcesses: the package runtime chooses ports while up does.
func TestPortsOfTwoProcesses(t *testing.T) {
	dir := t.TempDir()
	a, b := open(t, dir), open(t, dir)
	var wg sync.WaitGroup
	for _, f := range []*Folder{a, b} {
		for _, c := range []string{"one", "two", "three", "four"} {
			wg.Go(func() {
				if _, err := f.Port(c); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	seen := map[int]string{}
	fresh := open(t, dir)
	for _, c := range []string{"one", "two", "three", "four"} {
		p := fresh.KnownPort(c)
		if other, ok := seen[p]; ok || p == 0 {
			t.Errorf("%s and %s have port %d", c, other, p)
		}
		seen[p] = c
	}
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	unlock, err := open(t, dir).Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, dir).Lock(); err == nil {
		t.Error("Lock: taken twice")
	}
	unlock()
	unlock, err = open(t, dir).Lock()
	if err != nil {
		t.Errorf("Lock after unlock: %v", err)
	}
	unlock()
}

func TestFind(t *testing.T) {
	f := open(t, t.TempDir())
	const a, b = "org-provider-a-0123456789ab", "org-provider-b-0123456789ab"
	for _, name := range []string{a, b, "org-provider-b-ba9876543210", "crossplane-rbac"} {
		p, err := process.Start(f.Spec(name, "/bin/sleep", "600"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Kill() })
	}
	for _, name := range []string{"provider-a", "org-provider-a", a} {
		p, err := f.Find(name)
		if err != nil {
			t.Errorf("Find(%q): %v", name, err)
		} else if p.Name() != a {
			t.Errorf("Find(%q): %s, want %s", name, p.Name(), a)
		}
	}
	if _, err := f.Find("provider-b"); err == nil || errors.Is(err, os.ErrNotExist) {
		t.Errorf("Find of two revisions: %v, want an error that says so", err)
	}
	for _, name := range []string{"nothing", "crossplane", "provider"} {
		if _, err := f.Find(name); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("Find(%q): %v, want os.ErrNotExist", name, err)
		}
	}
}
