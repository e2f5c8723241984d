// Package rotationtest checks that an open store follows its Secret: as the kubelet mounts it, while it is used.
package rotationtest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// A Mount is a folder with a Secret, as the kubelet keeps it: the files of each generation are in a folder of their own, to
// which the link ..data leads, and the files that users see are links through that one.
type Mount struct {
	dir        string
	generation int
}

// NewMount mounts a Secret until the test ends.
func NewMount(t testing.TB, s eventstore.Secret) *Mount {
	t.Helper()
	m := &Mount{dir: t.TempDir()}
	m.Set(t, s)
	return m
}

// Dir is where it is mounted.
func (m *Mount) Dir() string { return m.dir }

// FS is what applications open.
func (m *Mount) FS() fs.FS { return os.DirFS(m.dir) }

// Set replaces the Secret, all keys at once.
func (m *Mount) Set(t testing.TB, s eventstore.Secret) {
	t.Helper()
	if err := m.set(s); err != nil {
		t.Fatal(err)
	}
}

func (m *Mount) set(s eventstore.Secret) error {
	former := fmt.Sprintf("..%d", m.generation)
	m.generation++
	next := fmt.Sprintf("..%d", m.generation)
	if err := os.Mkdir(filepath.Join(m.dir, next), 0o700); err != nil {
		return err
	}
	for k, v := range s {
		if err := os.WriteFile(filepath.Join(m.dir, next, k), v, 0o600); err != nil {
			return err
		}
	}
	temporary, data := filepath.Join(m.dir, "..data_tmp"), filepath.Join(m.dir, "..data")
	if err := os.Symlink(next, temporary); err != nil {
		return err
	}
	if err := os.Rename(temporary, data); err != nil {
		return err
	}
	if err := m.link(s); err != nil {
		return err
	}
	return os.RemoveAll(filepath.Join(m.dir, former))
}

// link has the visible files follow, some time after the swap.
func (m *Mount) link(s eventstore.Secret) error {
	for k := range s {
		if err := os.Symlink(filepath.Join("..data", k), filepath.Join(m.dir, k)); err != nil && !os.IsExist(err) {
			return err
		}
	}
	entries, err := os.ReadDir(m.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if _, ok := s[e.Name()]; ok || e.Name()[0] == '.' {
			continue
		}
		if err := os.Remove(filepath.Join(m.dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}
