package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/controlplane"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/image"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
)

const (
	ourFunction = "crossplane-contrib-function-eventstore"
	shared      = "explain"         // The Composition of those who need none of their own.
	offered     = "explain-offered" // The EnvironmentConfig.
)

// A plot is one fault.
type plot struct {
	namespace  string
	named      string // The Composition.
	namespaced bool   // The claim is a namespaced composite resource.
}

// setStage makes what the faults are planted in: a Placement of its own, with a broker that works and some that do not.
func setStage(t *testing.T) {
	t.Helper()
	ports, err := process.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range strings.Split(fmt.Sprintf(brokenConfigs, process.Loopback(ports[0]), world.Redis.Addr, world.Redis.AdminUser), "---\n") {
		manifest(t, m)
	}
	(&plot{named: shared}).composition(t, ourFunction, placementStep(offered))
}

// esctl runs the real one.
func esctl(ctx context.Context, args ...string) (out string, code int) {
	cmd := exec.CommandContext(ctx, world.esctl, append(args, "--kubeconfig", world.Kubeconfig())...)
	b, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
	case errors.As(err, &exit):
		code = exit.ExitCode()
	default:
		return err.Error(), -1
	}
	return string(b), code
}

// manifest creates what YAML says, and deletes it when the test ends.
func manifest(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &u.Object); err != nil {
		t.Fatalf("cannot read manifest: %v\n%s", err, text)
	}
	create(t, u)
	t.Cleanup(func() { _ = world.kube.Delete(context.WithoutCancel(t.Context()), u) })
	return u
}

// composition makes the plot one of its own.
func (p *plot) composition(t *testing.T, function, step string) {
	t.Helper()
	if p.namespace != "" {
		p.named = "explain-" + p.namespace
	}
	kind := "XEventStore"
	if p.namespaced {
		kind = "AppEventStore"
	}
	manifest(t, fmt.Sprintf(`
apiVersion: apiextensions.crossplane.io/v1
kind: Composition
metadata: {name: %s}
spec:
  compositeTypeRef: {apiVersion: platform.eventstore.crossplane.io/v1alpha1, kind: %s}
  mode: Pipeline
  pipeline:
    - {step: place, functionRef: {name: %s}, %s}
`, p.named, kind, function, step))
}

func placementStep(environment string) string {
	return fmt.Sprintf("input: {apiVersion: eventstore.fn.crossplane.io/v1alpha1, kind: Placement, environmentConfig: %s}", environment)
}

// claim is what the application team asks for.
func (p *plot) claim(t *testing.T, class, region string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	kind, composition := "EventStoreClaim", fmt.Sprintf("compositionRef: {name: %s}", p.named)
	if p.namespaced {
		kind, composition = "AppEventStore", fmt.Sprintf("crossplane: {%s}", composition)
	}
	text := fmt.Sprintf(`
apiVersion: platform.eventstore.crossplane.io/v1alpha1
kind: %s
metadata: {namespace: %s, name: orders}
spec:
  class: %s
  locations: [{cloud: local, region: %s}]
  %s
`, kind, p.namespace, class, region, composition)
	if err := yaml.Unmarshal([]byte(text), &u.Object); err != nil {
		t.Fatal(err)
	}
	return u
}

// holding makes a claim whose store on Redis holds a record.
func (p *plot) holding(t *testing.T, change func(*unstructured.Unstructured)) *unstructured.Unstructured {
	t.Helper()
	c := p.claim(t, "fast", "good")
	if change != nil {
		change(c)
	}
	create(t, c)
	ready(t, c)
	redisBroker{}.write(t, p.namespace+".orders")
	token(t, c) // The provider has seen it.
	return c
}

// install installs a copy of the function under a name of its own, and returns that of the object. It crashes as soon as the
// file crash exists.
func install(t *testing.T, name string) (object, crash string) {
	t.Helper()
	dir := t.TempDir()
	program, file, crash := filepath.Join(dir, name), filepath.Join(dir, name+".xpkg"), filepath.Join(dir, "crash")
	script := fmt.Sprintf("#!/bin/sh\nif [ -e %s ]; then echo 'panic: planted'; exit 2; fi\nexec %s \"$@\"\n", crash, filepath.Join(world.Dir(), "xpkg", "bin", "function-eventstore"))
	if err := os.WriteFile(program, []byte(script), 0o755); err != nil { //nolint:gosec // It is a program.
		t.Fatal(err)
	}
	root, err := filepath.Abs("../../package/function")
	if err != nil {
		t.Fatal(err)
	}
	if err := (image.Package{Root: root, Program: program}).Build(t.Context(), world.Crank(), file); err != nil {
		t.Fatal(err)
	}
	p := controlplane.Package{Kind: controlplane.Function, Name: name, Version: "v0.1.0", File: file}
	if err := world.Install(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		u := &unstructured.Unstructured{}
		u.SetAPIVersion("pkg.crossplane.io/v1")
		u.SetKind("Function")
		u.SetName(p.ObjectName())
		_ = world.kube.Delete(context.WithoutCancel(t.Context()), u)
	})
	return p.ObjectName(), crash
}

// crashing installs a copy that has begun to crash.
func crashing(t *testing.T, name string) string {
	t.Helper()
	object, crash := install(t, name)
	if err := os.WriteFile(crash, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := world.Process(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	return object
}

// brokenConfigs is what the claims of this test may become. The port is one where nobody listens.
const brokenConfigs = `
apiVersion: apiextensions.crossplane.io/v1beta1
kind: EnvironmentConfig
metadata: {name: explain-offered}
data:
  classes:
    - {name: fast, backend: redis}
    - {name: durable, backend: kafka}
  locations:
    - {cloud: local, region: good, providerConfigs: {redis: fast, kafka: durable}}
    - {cloud: local, region: unreachable, providerConfigs: {redis: explain-unreachable}}
    - {cloud: local, region: unauthorized, providerConfigs: {redis: explain-unauthorized}}
    - {cloud: local, region: no-secret, providerConfigs: {redis: explain-no-secret}}
    - {cloud: local, region: no-config, providerConfigs: {redis: explain-no-config}}
---
apiVersion: v1
kind: Secret
metadata: {namespace: crossplane-system, name: explain-wrong}
stringData: {password: wrong}
---
apiVersion: eventstore.crossplane.io/v1alpha1
kind: ProviderConfig
metadata: {name: explain-unreachable}
spec:
  redis: {addresses: ["%[1]s"], username: admin}
  credentials: {source: Secret, secretRef: {namespace: crossplane-system, name: explain-wrong, key: password}}
---
apiVersion: eventstore.crossplane.io/v1alpha1
kind: ProviderConfig
metadata: {name: explain-unauthorized}
spec:
  redis: {addresses: ["%[2]s"], username: %[3]s}
  credentials: {source: Secret, secretRef: {namespace: crossplane-system, name: explain-wrong, key: password}}
---
apiVersion: eventstore.crossplane.io/v1alpha1
kind: ProviderConfig
metadata: {name: explain-no-secret}
spec:
  redis: {addresses: ["%[2]s"], username: %[3]s}
  credentials: {source: Secret, secretRef: {namespace: crossplane-system, name: explain-nowhere, key: password}}
`

// notActivated is a kind as a provider's package brings it.
const notActivated = `
apiVersion: apiextensions.crossplane.io/v1alpha1
kind: ManagedResourceDefinition
metadata: {name: widgets.explain.example.org}
spec:
  group: explain.example.org
  names: {kind: Widget, listKind: WidgetList, plural: widgets, singular: widget}
  scope: Cluster
  state: Inactive
  versions:
    - name: v1alpha1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`

const widgetStep = `input: {apiVersion: pt.fn.crossplane.io/v1beta1, kind: Resources, resources: [{name: widget, base: {apiVersion: explain.example.org/v1alpha1, kind: Widget, metadata: {name: explain-widget}}}]}`
