package image

import (
	"archive/tar"
	"bytes"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

func program(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hello")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho hello\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRuntimeIsReproducible(t *testing.T) {
	digest := func() string {
		img, err := Runtime(program(t))
		if err != nil {
			t.Fatal(err)
		}
		d, err := img.Digest()
		if err != nil {
			t.Fatal(err)
		}
		return d.String()
	}
	if a, b := digest(), digest(); a != b {
		t.Errorf("the same program gave the images %s and %s", a, b)
	}
}

// TestThereAndBack pushes a runtime image to a registry and unpacks it from there.
func TestThereAndBack(t *testing.T) {
	s := httptest.NewServer(registry.New())
	defer s.Close()
	ref := strings.TrimPrefix(s.URL, "http://") + "/org/hello:v1"
	img, err := Runtime(program(t))
	if err != nil {
		t.Fatal(err)
	}
	r, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(r, img); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	got, err := Extract(t.Context(), ref, dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"/usr/local/bin/hello"}, got.Config.Entrypoint); diff != "" {
		t.Errorf("entrypoint: -want, +got:\n%s", diff)
	}
	if got.Config.User != user {
		t.Errorf("user is %q, want %q", got.Config.User, user)
	}
	st, err := os.Stat(filepath.Join(got.Root, got.Config.Entrypoint[0]))
	if err != nil {
		t.Fatal(err)
	}
	if st.Mode().Perm()&0o111 == 0 {
		t.Errorf("mode is %s, want it to be executable", st.Mode())
	}
	again, err := Extract(t.Context(), ref, dir)
	if err != nil || again.Root != got.Root {
		t.Errorf("Extract again: %q (%v), want the same folder %q", again.Root, err, got.Root)
	}
}

func TestUntarStaysInside(t *testing.T) {
	for _, name := range []string{"../outside", "/../../outside", "a/../../outside"} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			w := tar.NewWriter(&b)
			if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: 1, Typeflag: tar.TypeReg}); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			parent := t.TempDir()
			dir := filepath.Join(parent, "root")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			err := untar(&b, dir)
			if _, statErr := os.Stat(filepath.Join(parent, "outside")); statErr == nil {
				t.Errorf("a file was written outside of the root (%v)", err)
			}
		})
	}
}
