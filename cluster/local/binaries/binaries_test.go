package binaries

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// hello is a tool module without dependencies: it builds in a second.
func hello(t *testing.T) builder {
	t.Helper()
	src := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":  "module example.org/hello\n\ngo 1.26\n",
		"go.sum":  "",
		"main.go": "package main\n\nfunc main() { println(\"hello\") }\n",
	} {
		if err := os.WriteFile(filepath.Join(src, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return builder{name: "hello", tool: tool{pkg: "example.org/hello"}, src: src, dir: t.TempDir()}
}

func TestBuildOnce(t *testing.T) {
	b := hello(t)
	var wg sync.WaitGroup
	logs := make([]strings.Builder, 3)
	for i := range logs {
		wg.Go(func() {
			b := b
			b.progress = &logs[i]
			if _, err := b.build(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	built := 0
	for i := range logs {
		built += strings.Count(logs[i].String(), "built hello")
	}
	if built != 1 {
		t.Errorf("three builds at once: %d of them compiled, want 1", built)
	}
	entries, err := os.ReadDir(b.dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 2 { // The program's folder and the lock.
		t.Errorf("the cache holds %v, want a folder and a lock", entries)
	}
}

func TestBuildAgainWhenTheModuleChanges(t *testing.T) {
	b := hello(t)
	b.progress = &strings.Builder{}
	first, err := b.build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.src, "go.mod"), []byte("module example.org/hello\n\ngo 1.26.0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	second, err := b.build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if first.Path == second.Path {
		t.Errorf("another go.mod gave the same program %s", first.Path)
	}
}

func TestBuildSaysWhatTheCompilerSaid(t *testing.T) {
	b := hello(t)
	b.progress = &strings.Builder{}
	if err := os.WriteFile(filepath.Join(b.src, "main.go"), []byte("package main\n\nfunc main() { broken }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := b.build(t.Context()); err == nil || !strings.Contains(err.Error(), "undefined: broken") {
		t.Errorf("build: %v, want the compiler's message", err)
	}
}

func TestLockGivesUpWithItsContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lock(t.Context(), path, func() { t.Error("the first one waited") })
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	waited := false
	if _, err := lock(ctx, path, func() { waited = true }); !errors.Is(err, context.DeadlineExceeded) || !waited {
		t.Errorf("lock: %v, waited %t, want the deadline, after waiting", err, waited)
	}
}

func TestEveryToolHasAModule(t *testing.T) {
	root, err := RepositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	if len(All()) != len(tools) {
		t.Errorf("All names %d tools of %d", len(All()), len(tools))
	}
	for _, name := range All() {
		b := builder{name: name, tool: tools[name], src: filepath.Join(root, "cluster", "local", "tools", tools[name].module)}
		if _, err := b.digest(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
