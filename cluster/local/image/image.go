// Package image assembles OCI images without a container engine: runtime images ([Runtime]), Crossplane packages that
// embed them ([Package.Build]), and their way to a registry ([Push]) and back onto the disk ([Extract]).
package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// user is nobody in particular, and not root.
const user = "65532:65532"

// caBundle is where Go looks for the authorities that it trusts.
const caBundle = "/etc/ssl/certs/ca-certificates.crt"

// Runtime returns an image that holds one static program and nothing else but the authorities that this machine trusts.
// The same program gives the same image.
func Runtime(program string) (v1.Image, error) {
	entrypoint := "/usr/local/bin/" + filepath.Base(program)
	files := []file{{name: entrypoint, source: program, mode: 0o755}}
	if _, err := os.Stat(caBundle); err == nil {
		files = append(files, file{name: caBundle, source: caBundle, mode: 0o644})
	}
	layer, err := layer(files)
	if err != nil {
		return nil, fmt.Errorf("cannot make layer of %s: %w", filepath.Base(program), err)
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, fmt.Errorf("cannot make image of %s: %w", filepath.Base(program), err)
	}
	cf, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("cannot make image of %s: %w", filepath.Base(program), err)
	}
	cf.OS, cf.Architecture = "linux", runtime.GOARCH
	cf.Config.Entrypoint, cf.Config.User = []string{entrypoint}, user
	return mutate.ConfigFile(img, cf)
}

type file struct {
	name, source string
	mode         int64
}

func layer(files []file) (v1.Layer, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	made := map[string]bool{}
	for _, f := range files {
		if err := addParents(w, path.Dir(f.name), made); err != nil {
			return nil, err
		}
		content, err := os.ReadFile(f.source)
		if err != nil {
			return nil, err
		}
		h := &tar.Header{Name: f.name[1:], Mode: f.mode, Size: int64(len(content)), ModTime: time.Unix(0, 0), Typeflag: tar.TypeReg}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(buf.Bytes())), nil }
	// It travels over loopback only: time counts, size does not.
	return tarball.LayerFromOpener(open, tarball.WithCompressionLevel(gzip.BestSpeed))
}

func addParents(w *tar.Writer, dir string, made map[string]bool) error {
	if dir == "/" || made[dir] {
		return nil
	}
	if err := addParents(w, path.Dir(dir), made); err != nil {
		return err
	}
	made[dir] = true
	return w.WriteHeader(&tar.Header{Name: dir[1:] + "/", Mode: 0o755, ModTime: time.Unix(0, 0), Typeflag: tar.TypeDir})
}

// GoBuild compiles a package of this repository to a static program, without anything that differs between machines.
func GoBuild(ctx context.Context, root, pkg, out, ldflags string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w "+ldflags, "-o", out, pkg)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if b, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build %s: %w\n%s", pkg, err, b)
	}
	return nil
}

// Package says what goes into a Crossplane package.
type Package struct {
	// Root is the folder with crossplane.yaml and the objects of the package.
	Root string

	// Examples is a folder of manifests to show. Optional.
	Examples string

	// Program is embedded as the package's runtime. Configurations have none.
	Program string
}

// Build writes the package to out, using Crossplane's own CLI. The same inputs give the same package.
func (p Package) Build(ctx context.Context, crank, out string) error {
	tmp, err := os.MkdirTemp("", "xpkg-")
	if err != nil {
		return fmt.Errorf("cannot build package: %w", err)
	}
	defer os.RemoveAll(tmp)
	// Without --examples-root crank would take whatever ./examples there is.
	args := []string{"xpkg", "build", "--package-root=" + p.Root, "--package-file=" + out, "--examples-root=" + filepath.Join(tmp, "none")}
	if p.Examples != "" {
		args[len(args)-1] = "--examples-root=" + p.Examples
	}
	if p.Program != "" {
		file, err := runtimeTarball(p.Program, tmp)
		if err != nil {
			return err
		}
		args = append(args, "--embed-runtime-image-tarball="+file)
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return fmt.Errorf("cannot build package: %w", err)
	}
	cmd := exec.CommandContext(ctx, crank, args...)
	cmd.Dir = tmp
	if b, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build package of %s: %w\n%s", p.Root, err, b)
	}
	return nil
}

func runtimeTarball(program, dir string) (string, error) {
	img, err := Runtime(program)
	if err != nil {
		return "", err
	}
	tag, err := name.NewTag("runtime.invalid/" + filepath.Base(program) + ":build")
	if err != nil {
		return "", fmt.Errorf("cannot name image: %w", err)
	}
	out := filepath.Join(dir, "runtime.tar")
	if err := tarball.WriteToFile(out, tag, img); err != nil {
		return "", fmt.Errorf("cannot write image: %w", err)
	}
	return out, nil
}
