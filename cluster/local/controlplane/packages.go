package controlplane

import (
	"context"
	"crypto/sha256"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	pkgv1 "github.com/crossplane/crossplane/apis/v2/pkg/v1"
	pkgv1beta1 "github.com/crossplane/crossplane/apis/v2/pkg/v1beta1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/image"
)

// PublishedIn is the registry and organisation under which packages are known to the world, and to the dependencies in
// crossplane.yaml. Pulls are redirected to the local registry, by an ImageConfig.
const PublishedIn = "xpkg.crossplane.io/crossplane-contrib"

// Kinds of packages.
const (
	Provider      = "Provider"
	Function      = "Function"
	Configuration = "Configuration"
)

// A Package is what to install.
type Package struct {
	Kind string

	// Name of the package in its registry: provider-eventstore. The object is called as if a Configuration's dependency
	// had brought it: crossplane-contrib-provider-eventstore. (A configuration is called by its name alone.) Under another
	// name, every upgrade would bring a second one: for a moment the package manager's lock lists no revision.
	Name string

	// Version is the tag: v0.1.0.
	Version string

	// File is the package: an .xpkg.
	File string

	// RuntimeConfig names a DeploymentRuntimeConfig. Default: Crossplane's.
	RuntimeConfig string
}

// Source returns what spec.package says.
func (p Package) Source() string { return path.Join(PublishedIn, p.Name) + ":" + p.Version }

// ObjectName returns the name of the Kubernetes object.
func (p Package) ObjectName() string {
	if p.Kind == Configuration {
		return p.Name
	}
	return path.Base(PublishedIn) + "-" + p.Name
}

// Install pushes packages to the local registry and installs them, all at once, then waits until they are installed and
// healthy. A package that is installed already is upgraded to the file's content.
func (cp *ControlPlane) Install(ctx context.Context, packages ...Package) error {
	if err := cp.redirectPulls(ctx); err != nil {
		return err
	}
	digests, err := cp.installAll(ctx, packages)
	if err != nil {
		return err
	}
	for _, p := range packages {
		start := time.Now()
		if err := cp.waitHealthy(ctx, p, digests[p.Name]); err != nil {
			return err
		}
		cp.say("%s %s is installed and healthy (waited %s)", p.Kind, p.Name, time.Since(start).Round(10*time.Millisecond))
	}
	return nil
}

// installAll installs configurations last: Crossplane installs a dependency that it does not know yet under a name of its
// own, and two packages with one source block each other for ever. It returns the digest of each package, by name.
func (cp *ControlPlane) installAll(ctx context.Context, packages []Package) (digests map[string]string, err error) {
	digests = map[string]string{}
	var configurations, others []Package
	for _, p := range packages {
		if p.Kind == Configuration {
			configurations = append(configurations, p)
		} else {
			others = append(others, p)
		}
	}
	for _, p := range others {
		if digests[p.Name], err = cp.install(ctx, p); err != nil {
			return nil, err
		}
	}
	if len(configurations) > 0 {
		if err := cp.waitKnown(ctx, others); err != nil {
			return nil, err
		}
	}
	for _, p := range configurations {
		if digests[p.Name], err = cp.install(ctx, p); err != nil {
			return nil, err
		}
	}
	return digests, nil
}

// waitKnown waits until the package manager has the packages in its lock.
func (cp *ControlPlane) waitKnown(ctx context.Context, packages []Package) error {
	ctx, cancel := context.WithTimeoutCause(ctx, installDeadline, fmt.Errorf("not in the lock after %s", installDeadline))
	defer cancel()
	for {
		lock := &pkgv1beta1.Lock{}
		if err := client.IgnoreNotFound(cp.client.Get(ctx, client.ObjectKey{Name: "lock"}, lock)); err != nil {
			return fmt.Errorf("cannot get lock of packages: %w", err)
		}
		known := map[string]bool{}
		for _, p := range lock.Packages {
			known[p.Source] = true
		}
		i := slices.IndexFunc(packages, func(p Package) bool { return !known[path.Join(PublishedIn, p.Name)] })
		if i < 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("cannot install %s %q: %w: %s", packages[i].Kind, packages[i].ObjectName(), context.Cause(ctx), cp.health(ctx, packages[i], ""))
		case <-time.After(30 * time.Millisecond):
		}
	}
}

// redirectPulls makes Crossplane pull what is published from the local registry instead. Packages, their names and their
// dependencies are then the same here and in the world.
func (cp *ControlPlane) redirectPulls(ctx context.Context) error {
	ic := &pkgv1beta1.ImageConfig{
		TypeMeta:   metav1.TypeMeta{APIVersion: pkgv1beta1.SchemeGroupVersion.String(), Kind: pkgv1beta1.ImageConfigKind},
		ObjectMeta: metav1.ObjectMeta{Name: "eventstore-local"},
		Spec: pkgv1beta1.ImageConfigSpec{
			MatchImages:  []pkgv1beta1.ImageMatch{{Type: pkgv1beta1.Prefix, Prefix: PublishedIn}},
			RewriteImage: &pkgv1beta1.ImageRewrite{Prefix: cp.RegistryAddr() + "/" + path.Base(PublishedIn)},
		},
	}
	return cp.Apply(ctx, ic)
}

func (cp *ControlPlane) install(ctx context.Context, p Package) (digest string, err error) {
	ref := cp.RegistryAddr() + "/" + path.Base(PublishedIn) + "/" + p.Name + ":" + p.Version
	if digest, err = image.Push(ctx, p.File, ref); err != nil {
		return "", err
	}
	spec := map[string]any{
		"package": p.Source(),
		// The same tag may come again with other content: that is what developing a package means.
		"packagePullPolicy":    string(corev1.PullAlways),
		"revisionHistoryLimit": int64(1),
	}
	if p.RuntimeConfig != "" {
		spec["runtimeConfigRef"] = map[string]any{"name": p.RuntimeConfig}
	}
	o := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	o.SetAPIVersion(pkgv1.SchemeGroupVersion.String())
	o.SetKind(p.Kind)
	o.SetName(p.ObjectName())
	// Wakes the package manager, which else looks for new content once a minute.
	o.SetAnnotations(map[string]string{"eventstore.crossplane.io/pushed": time.Now().UTC().Format(time.RFC3339Nano)})
	return digest, cp.Apply(ctx, o)
}

// installDeadline is how long a package may take until it is healthy.
const installDeadline = 2 * time.Minute

// WaitHealthy waits until a package is installed and healthy. It gives up after two minutes, or with ctx, and says what
// the package's conditions say then.
func (cp *ControlPlane) WaitHealthy(ctx context.Context, p Package) error {
	return cp.waitHealthy(ctx, p, "")
}

// waitHealthy waits for the revision with that digest, if one is given.
func (cp *ControlPlane) waitHealthy(ctx context.Context, p Package, digest string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, installDeadline, fmt.Errorf("not healthy after %s", installDeadline))
	defer cancel()
	for {
		waiting := cp.health(ctx, p, digest)
		if waiting == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("cannot install %s %q: %w: %s", p.Kind, p.ObjectName(), context.Cause(ctx), waiting)
		case <-time.After(30 * time.Millisecond):
		}
	}
}

// health says what a package lacks to be installed and healthy. It is "" if nothing does.
func (cp *ControlPlane) health(ctx context.Context, p Package, digest string) string {
	ctx = context.WithoutCancel(ctx) // The deadline of who waits may be over, which is when the answer is wanted most.
	o, err := cp.packageObject(ctx, p.Kind, p.ObjectName())
	if err != nil {
		return err.Error()
	}
	if missing := unmet(o, pkgv1.TypeInstalled, pkgv1.TypeHealthy); missing != "" || digest == "" {
		return missing
	}
	// During an upgrade these are the conditions of the revision before, so ask the one that we want.
	current, _, _ := unstructured.NestedString(o.Object, "status", "currentRevision")
	if want := revisionHash(digest, o.GetGeneration()); !strings.HasSuffix(current, "-"+want) {
		return fmt.Sprintf("its revision is %s, not yet that of %s (%s)", current, digest, want)
	}
	types := []xpv2.ConditionType{pkgv1.TypeRevisionHealthy}
	if p.Kind != Configuration {
		types = append(types, pkgv1.TypeRuntimeHealthy)
	}
	if o, err = cp.packageObject(ctx, p.Kind+"Revision", current); err != nil {
		return err.Error()
	}
	return unmet(o, types...)
}

// revisionHash returns how Crossplane ends the name of a package's revision.
// Source: crossplane v2.4.0, internal/controller/pkg/manager/reconciler.go, packageRevisionID.
func revisionHash(digest string, generation int64) string {
	id := fmt.Sprintf("%s|%d", strings.TrimPrefix(digest, "sha256:"), generation)
	return fmt.Sprintf("%x", sha256.Sum256([]byte(id)))[:12]
}

func (cp *ControlPlane) packageObject(ctx context.Context, kind, name string) (*unstructured.Unstructured, error) {
	o := &unstructured.Unstructured{}
	o.SetAPIVersion(pkgv1.SchemeGroupVersion.String())
	o.SetKind(kind)
	return o, cp.client.Get(ctx, client.ObjectKey{Name: name}, o)
}

// unmet says which of these conditions are not true, and what they say. It is "" if all are.
func unmet[T ~string](o *unstructured.Unstructured, types ...T) string {
	conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	found := map[string]map[string]any{}
	for _, c := range conditions {
		if m, ok := c.(map[string]any); ok {
			found[fmt.Sprint(m["type"])] = m
		}
	}
	var out []string
	for _, t := range types {
		switch c, ok := found[string(t)]; {
		case !ok:
			out = append(out, fmt.Sprintf("it has no condition %s yet", t))
		case c["status"] != string(metav1.ConditionTrue):
			out = append(out, fmt.Sprintf("%s is %v (%v): %v", t, c["status"], c["reason"], c["message"]))
		}
	}
	return strings.Join(out, "; ")
}
