// Package packages builds the Crossplane packages of this repository: the provider, the composition function and the
// configuration, each with its runtime inside.
package packages

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/yaml"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/binaries"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/controlplane"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/image"
)

// DefaultVersion is a version of which everybody sees that it was not released. It satisfies >=v0.1.0-0.
const DefaultVersion = "v0.1.0-local"

// A source is where a package of this repository comes from.
type source struct {
	kind     string
	root     string // Folder with crossplane.yaml.
	command  string // The package's main package. Configurations have none.
	examples string
}

var sources = []source{
	{kind: controlplane.Provider, root: "package/provider", command: "./cmd/provider", examples: "examples"},
	{kind: controlplane.Function, root: "package/function", command: "./cmd/function"},
	{kind: controlplane.Configuration, root: "package/configuration"},
}

// Options of Build.
type Options struct {
	// Out is the folder for the .xpkg files. Default: _output/xpkg in the repository.
	Out string

	// Version is the tag of the packages, and what the programs say that they are. Default: DefaultVersion.
	Version string

	Progress io.Writer
}

// Build builds the packages that there are sources for. The same sources give the same packages, byte for byte.
func Build(ctx context.Context, o Options) ([]controlplane.Package, error) {
	root, err := binaries.RepositoryRoot()
	if err != nil {
		return nil, err
	}
	if o.Out == "" {
		o.Out = filepath.Join(root, "_output", "xpkg")
	}
	if o.Version == "" {
		o.Version = DefaultVersion
	}
	programs, err := binaries.Build(ctx, o.Progress, binaries.Crank)
	if err != nil {
		return nil, err
	}
	b := builder{Options: o, repository: root, crank: programs[binaries.Crank].Path}
	built := make([]*controlplane.Package, len(sources))
	g, ctx := errgroup.WithContext(ctx)
	for i, s := range sources {
		g.Go(func() (err error) {
			built[i], err = b.build(ctx, s)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var out []controlplane.Package
	for _, p := range built {
		if p != nil {
			out = append(out, *p)
		}
	}
	return out, nil
}

type builder struct {
	Options

	repository, crank string
}

// build returns nil if the repository has no such package.
func (b builder) build(ctx context.Context, s source) (*controlplane.Package, error) {
	name, err := packageName(filepath.Join(b.repository, s.root, "crossplane.yaml"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	start := time.Now()
	defer binaries.Still(b.Progress, "building "+name+".xpkg")()
	p := image.Package{Root: filepath.Join(b.repository, s.root)}
	if s.command != "" {
		p.Program = filepath.Join(b.Out, "bin", name)
		ldflags := "-X github.com/crossplane-contrib/provider-eventstore/internal/version.Version=" + b.Version
		if err := image.GoBuild(ctx, b.repository, s.command, p.Program, ldflags); err != nil {
			return nil, err
		}
	}
	if examples := filepath.Join(b.repository, s.examples); s.examples != "" && exists(examples) {
		p.Examples = examples
	}
	file := filepath.Join(b.Out, name+".xpkg")
	if err := p.Build(ctx, b.crank, file); err != nil {
		return nil, err
	}
	fmt.Fprintf(b.Progress, "built %s.xpkg in %s\n", name, time.Since(start).Round(100*time.Millisecond))
	return &controlplane.Package{Kind: s.kind, Name: name, Version: b.Version, File: file}, nil
}

func packageName(file string) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("cannot read package: %w", err)
	}
	var meta struct {
		Metadata struct {
			Name string `json:"name"`
		} `json:"metadata"`
	}
	if err := yaml.Unmarshal(b, &meta); err != nil {
		return "", fmt.Errorf("cannot read package %s: %w", file, err)
	}
	if meta.Metadata.Name == "" {
		return "", fmt.Errorf("cannot read package %s: it has no name", file)
	}
	return meta.Metadata.Name, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
