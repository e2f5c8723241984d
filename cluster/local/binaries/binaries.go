// Package binaries builds the programs that a local control plane consists of from their Go modules, and keeps them.
//
// Each tool has a module of its own below cluster/local/tools, because their dependencies do not agree with each other
// or with ours. What is built is kept under a digest of that module's go.mod and go.sum: the first [Build] takes minutes,
// the next one none. Two processes may build at once; one waits for the other.
package binaries

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Names of the programs that Build knows.
const (
	Crossplane                = "crossplane"
	KubeAPIServer             = "kube-apiserver"
	KubeControllerManager     = "kube-controller-manager"
	Etcd                      = "etcd"
	Crank                     = "crank"
	FunctionPatchAndTransform = "function-patch-and-transform"
	FunctionAutoReady         = "function-auto-ready"
)

// ToolsDirVariable is the environment variable that says where programs are kept. Default: _output/tools in the repository.
const ToolsDirVariable = "EVENTSTORE_TOOLS_DIR"

// A tool is a program and where it comes from.
type tool struct {
	module   string // Folder below cluster/local/tools.
	pkg      string // Import path of the main package.
	ldflags  string
	expected time.Duration // On two cores, with a cold build cache.

	// data is a folder of the package's module that is kept beside the program: CRDs, package metadata.
	data    string
	dataOf  string // The module's path.
	version string // What DataDir's packages are called.
}

var tools = map[string]tool{
	Crossplane: {
		module: "crossplane", pkg: "github.com/crossplane/crossplane/v2/cmd/crossplane", expected: 9 * time.Minute,
		// The RBAC manager has no flag for its metrics address, whose default is port 8080 of every interface: a second
		// control plane could not start.
		ldflags: "-X github.com/crossplane/crossplane-runtime/v2/pkg/version.version=v2.4.0" +
			" -X sigs.k8s.io/controller-runtime/pkg/metrics/server.DefaultBindAddress=127.0.0.1:0",
		data: "cluster", dataOf: "github.com/crossplane/crossplane/v2",
	},
	KubeAPIServer:         {module: "kubernetes", pkg: "k8s.io/kubernetes/cmd/kube-apiserver", expected: 12 * time.Minute},
	KubeControllerManager: {module: "kubernetes", pkg: "k8s.io/kubernetes/cmd/kube-controller-manager", expected: 2 * time.Minute},
	Etcd:                  {module: "etcd", pkg: "go.etcd.io/etcd/server/v3", expected: time.Minute},
	Crank:                 {module: "crank", pkg: "github.com/crossplane/crossplane/v2/cmd/crank", expected: 9 * time.Minute},
	FunctionPatchAndTransform: {
		module: "function-patch-and-transform", pkg: "github.com/crossplane-contrib/function-patch-and-transform",
		expected: 2 * time.Minute, data: "package", dataOf: "github.com/crossplane-contrib/function-patch-and-transform",
		version: "v0.5.0",
	},
	FunctionAutoReady: {
		module: "function-auto-ready", pkg: "github.com/crossplane/function-auto-ready",
		expected: time.Minute, data: "package", dataOf: "github.com/crossplane/function-auto-ready",
		version: "v0.6.0",
	},
}

// All returns the names of all programs, in the order in which they are best built.
func All() []string {
	return []string{Crossplane, KubeAPIServer, KubeControllerManager, Etcd, FunctionPatchAndTransform, FunctionAutoReady, Crank}
}

// A Program is one that was built.
type Program struct {
	Path string

	// DataDir holds what its module brings along: Crossplane's cluster folder, a function's package folder. May be "".
	DataDir string

	// Version of a function: the tag of its package. May be "".
	Version string
}

// Build returns the named programs, building those that are not there yet. It writes one line to progress for each
// program that it builds, and none for the others. It may be called concurrently, also by several processes.
func Build(ctx context.Context, progress io.Writer, names ...string) (map[string]Program, error) {
	root, err := RepositoryRoot()
	if err != nil {
		return nil, err
	}
	dir := ToolsDir(root)
	programs := make(map[string]Program, len(names))
	for i, name := range names {
		t, ok := tools[name]
		if !ok {
			return nil, fmt.Errorf("cannot build %q: it is none of %v", name, All())
		}
		b := builder{
			name: name, tool: t, src: filepath.Join(root, "cluster", "local", "tools", t.module), dir: dir,
			progress: progress, step: fmt.Sprintf("%d of %d", i+1, len(names)),
		}
		if programs[name], err = b.build(ctx); err != nil {
			return nil, fmt.Errorf("cannot build %s: %w", name, err)
		}
	}
	return programs, nil
}

// ToolsDir returns the folder that programs are kept in.
func ToolsDir(root string) string {
	if dir := os.Getenv(ToolsDirVariable); dir != "" {
		return dir
	}
	return filepath.Join(root, "_output", "tools")
}

// modulePath is how we recognise the repository.
const modulePath = "github.com/crossplane-contrib/provider-eventstore"

// RepositoryRoot finds the repository that the working directory is in, so that tests of any package can call us.
func RepositoryRoot() (string, error) {
	wd, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("cannot find the repository: %w", err)
	}
	for dir := wd; ; dir = filepath.Dir(dir) {
		if declares(filepath.Join(dir, "go.mod"), modulePath) {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("cannot find the repository: no folder above %s is module %s", wd, modulePath)
		}
	}
}

func declares(gomod, module string) bool {
	b, err := os.ReadFile(gomod)
	return err == nil && slices.Contains(lines(string(b)), "module "+module)
}
