package runtime

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/state"
)

func supervise(t *testing.T) (*supervisor, *state.Folder) {
	t.Helper()
	f, err := state.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s := newSupervisor(ctx, f, logr.Discard(), func(string) {})
	t.Cleanup(func() {
		cancel()
		s.wait()
	})
	return s, f
}

func shell(script string) command {
	return command{program: "/bin/sh", args: []string{"-c", script}, prepare: func(context.Context) error { return nil }}
}

func TestSupervisorRestartsWhatWasKilled(t *testing.T) {
	s, f := supervise(t)
	c := shell("exec sleep 600")
	s.ensure("x", c)
	first := attached(t, f, "x", 0)
	if err := first.Kill(); err != nil {
		t.Fatal(err)
	}
	attached(t, f, "x", first.PID())
	waitUntil(t, "it to run again", func() bool { return s.ensure("x", c).running })
}

func TestSupervisorReplacesAChangedCommand(t *testing.T) {
	s, f := supervise(t)
	s.ensure("x", shell("exec sleep 600"))
	first := attached(t, f, "x", 0)
	s.ensure("x", shell("exec sleep 601"))
	waitUntil(t, "the command before to end", func() bool { return !first.Running() })
	attached(t, f, "x", first.PID())
}

func TestSupervisorKeepsAnUnchangedCommand(t *testing.T) {
	s, f := supervise(t)
	s.ensure("x", shell("exec sleep 600"))
	first := attached(t, f, "x", 0)
	s.ensure("x", shell("exec sleep 600"))
	if got := attached(t, f, "x", 0).PID(); got != first.PID() {
		t.Errorf("process %d was replaced by %d, though its command is the same", first.PID(), got)
	}
}

func TestSupervisorSaysWhyItFails(t *testing.T) {
	s, _ := supervise(t)
	crashing := shell("echo 'cannot reach Redis'; exit 4")
	waitUntil(t, "the reason", func() bool {
		m := s.ensure("x", crashing).message
		return strings.Contains(m, "exit status 4") && strings.Contains(m, "cannot reach Redis")
	})
	unprepared := crashing
	unprepared.args = []string{"-c", "true"}
	unprepared.prepare = func(context.Context) error { return errors.New("no such Secret") }
	waitUntil(t, "the reason", func() bool { return s.ensure("y", unprepared).message == "no such Secret" })
}

func TestSupervisorRemoves(t *testing.T) {
	s, f := supervise(t)
	s.ensure("x", shell("exec sleep 600"))
	p := attached(t, f, "x", 0)
	s.remove("x")
	waitUntil(t, "it to end", func() bool { return !p.Running() })
	if _, err := os.Stat(filepath.Dir(f.PIDFile("x"))); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Attach("x"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Attach: %v, want none", err)
	}
	s.remove("x") // Is idempotent.
}

// attached waits for a process under that name that is another one than before.
func attached(t *testing.T, f *state.Folder, name string, before int) *process.Process {
	t.Helper()
	var p *process.Process
	waitUntil(t, name+" to run", func() bool {
		var err error
		p, err = f.Attach(name)
		return err == nil && p.PID() != before
	})
	return p
}

func waitUntil(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("still waiting for %s after 10s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}
