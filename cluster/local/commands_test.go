package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/stack"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/state"
)

// crashed is a state folder as a crash leaves it: one component runs, one has only a pidfile, and one has none.
func crashed(t *testing.T) (f *state.Folder, etcd *process.Process) {
	t.Helper()
	f, err := state.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"etcd", "crossplane", "stray"} {
		p, err := process.Start(f.Spec(name, "/bin/sh", "-c", "echo "+name+" began; exec sleep 600"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Kill() })
		for deadline := time.Now().Add(time.Minute); process.Tail(f.LogFile(name), 1) == ""; {
			if time.Now().After(deadline) {
				t.Fatalf("%s has not begun after 10s", name)
			}
			<-time.After(5 * time.Millisecond)
		}
		switch name {
		case "etcd":
			etcd = p
		case "crossplane": // Its pidfile stays, though it is gone.
			pid, err := os.ReadFile(f.PIDFile(name))
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Kill(); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(f.PIDFile(name), pid, 0o600); err != nil {
				t.Fatal(err)
			}
		case "stray":
			if err := os.Remove(f.PIDFile(name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return f, etcd
}

func run(t *testing.T, f *state.Folder, c commands, command string) string {
	t.Helper()
	var out strings.Builder
	c.out, c.state, c.lines = &out, f.Path(), 10
	if err := c.run(t.Context(), command); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestStatusOfACrash(t *testing.T) {
	f, _ := crashed(t)
	rows := map[string]string{}
	for line := range strings.Lines(run(t, f, commands{}, "status")) {
		if name, rest, ok := strings.Cut(line, " "); ok {
			rows[name] = rest
		}
	}
	if got := rows["etcd"]; !strings.Contains(got, "running") || strings.Contains(got, "not running") {
		t.Errorf("etcd is %q, want it to run", got)
	}
	if got := rows["crossplane"]; !strings.Contains(got, "not running") {
		t.Errorf("crossplane is %q, want it not to run", got)
	}
}

func TestLogs(t *testing.T) {
	f, _ := crashed(t)
	if got := run(t, f, commands{component: "etcd"}, "logs"); got != "etcd began\n" {
		t.Errorf("logs etcd: %q", got)
	}
	if got, want := run(t, f, commands{}, "logs"), "crossplane\netcd\nstray\n"; got != want {
		t.Errorf("logs: %q, want the components, %q", got, want)
	}
}

func TestDownAfterACrash(t *testing.T) {
	f, etcd := crashed(t)
	bystander, err := process.Start(process.Spec{Path: "/bin/sleep", Args: []string{"600"}, Mark: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bystander.Kill() })

	run(t, f, commands{keep: true}, "down")
	if etcd.Running() {
		t.Error("etcd still runs")
	}
	left, err := process.Leftovers(f.Path())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range left {
		t.Errorf("%s still runs", p.Name())
	}
	if !bystander.Running() {
		t.Error("a process that is not ours was stopped")
	}
	if missing, err := stack.Missing(f, []string{stack.Redis}); err != nil || len(missing) == 0 {
		t.Errorf("Missing: %v (%v), want everything", missing, err)
	}
	if _, err := os.Stat(f.Path("logs")); err != nil {
		t.Errorf("down --keep: %v", err)
	}
	run(t, f, commands{}, "down")
	if _, err := os.Stat(filepath.Dir(f.LogFile("x"))); !os.IsNotExist(err) {
		t.Errorf("down: the state folder is still there (%v)", err)
	}
}

func TestUpAddsBrokers(t *testing.T) {
	cases := map[string]struct {
		reason, running, asked, want string
	}{
		"Fresh":   {reason: "What is asked for is started.", asked: "redis,pulsar", want: "redis,pulsar"},
		"Another": {reason: "One more does not end another.", running: "kafka", asked: "redis", want: "kafka,redis"},
		"Same":    {reason: "No broker is started twice.", running: "redis,kafka", asked: "redis", want: "redis,kafka"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f, err := state.Open(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(f.Path("brokers"), []byte(tc.running), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := (&commands{brokers: tc.asked}).wanted(f)
			if err != nil || strings.Join(got, ",") != tc.want {
				t.Errorf("%s\nwanted: %v (%v), want %s", tc.reason, got, err, tc.want)
			}
		})
	}
}
