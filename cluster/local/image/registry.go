package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// annotation marks the layer of a package that holds its manifests. A tarball cannot carry annotations, so crank leaves
// them as labels of the configuration, to be put back before a push.
// Source: crossplane-runtime, pkg/xpkg/layers.go (not imported: it brings the SDKs of three clouds).
const annotation = "io.crossplane.xpkg"

// Push uploads a package file, as crank xpkg push does, and returns its digest.
func Push(ctx context.Context, file, ref string) (digest string, err error) {
	r, err := name.ParseReference(ref, name.StrictValidation)
	if err != nil {
		return "", fmt.Errorf("cannot push package: %w", err)
	}
	img, err := tarball.ImageFromPath(file, nil)
	if err != nil {
		return "", fmt.Errorf("cannot read package %s: %w", file, err)
	}
	if img, err = annotate(img); err != nil {
		return "", fmt.Errorf("cannot annotate package %s: %w", file, err)
	}
	if err := remote.Write(r, img, remote.WithContext(ctx)); err != nil {
		return "", fmt.Errorf("cannot push package %s: %w", ref, err)
	}
	h, err := img.Digest()
	return h.String(), err
}

func annotate(img v1.Image) (v1.Image, error) {
	cf, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	layers, err := img.Layers()
	if err != nil {
		return nil, err
	}
	out := empty.Image
	for _, l := range layers {
		d, err := l.Digest()
		if err != nil {
			return nil, err
		}
		add := mutate.Addendum{Layer: l}
		if a, ok := cf.Config.Labels[annotation+":"+d.String()]; ok {
			add.Annotations = map[string]string{annotation: a}
		}
		if out, err = mutate.Append(out, add); err != nil {
			return nil, err
		}
	}
	return mutate.ConfigFile(out, cf)
}

// An Extracted image is one on the disk.
type Extracted struct {
	Root   string // The image's root folder.
	Config v1.Config
}

// Extract pulls an image and unpacks it below dir, unless that was done before. The folder is named after the digest.
func Extract(ctx context.Context, ref, dir string) (Extracted, error) {
	r, err := name.ParseReference(ref)
	if err != nil {
		return Extracted{}, fmt.Errorf("cannot pull image: %w", err)
	}
	img, err := remote.Image(r, remote.WithContext(ctx))
	if err != nil {
		return Extracted{}, fmt.Errorf("cannot pull image %s: %w", ref, err)
	}
	d, err := img.Digest()
	if err != nil {
		return Extracted{}, fmt.Errorf("cannot pull image %s: %w", ref, err)
	}
	cf, err := img.ConfigFile()
	if err != nil {
		return Extracted{}, fmt.Errorf("cannot read configuration of image %s: %w", ref, err)
	}
	root := filepath.Join(dir, d.Hex)
	if _, err := os.Stat(root); errors.Is(err, os.ErrNotExist) {
		if err := unpack(img, root); err != nil {
			return Extracted{}, fmt.Errorf("cannot unpack image %s: %w", ref, err)
		}
	}
	return Extracted{Root: root, Config: cf.Config}, nil
}

// unpack makes root appear in one piece.
func unpack(img v1.Image, root string) error {
	if err := os.MkdirAll(filepath.Dir(root), 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(root), "unpacking-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	rc := mutate.Extract(img)
	defer rc.Close()
	if err := untar(rc, tmp); err != nil {
		return err
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	return os.Rename(tmp, root)
}

func untar(r io.Reader, dir string) error {
	root, err := os.OpenRoot(dir) // An image cannot write outside of it, whatever its names and links are.
	if err != nil {
		return err
	}
	defer root.Close()
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := untarOne(root, h, tr); err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
	}
}

func untarOne(root *os.Root, h *tar.Header, content io.Reader) error {
	name := filepath.Clean(strings.TrimPrefix(h.Name, "/"))
	switch h.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(name, 0o755)
	case tar.TypeReg:
		if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		f, err := root.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, os.FileMode(h.Mode)&0o777|0o400)
		if err != nil {
			return err
		}
		if _, err := io.Copy(f, content); err != nil {
			_ = f.Close()
			return err
		}
		return f.Close()
	default:
		return nil // Links and devices: our images have none, and nothing that we run needs one.
	}
}
