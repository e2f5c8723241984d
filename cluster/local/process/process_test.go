package process

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// parentVariable turns the test binary into a parent that starts a child, prints its id, and waits to be killed.
const parentVariable = "PROCESS_TEST_PARENT"

func TestMain(m *testing.M) {
	if os.Getenv(parentVariable) != "" {
		p, err := Start(Spec{Path: "/bin/sleep", Args: []string{"600"}})
		if err != nil {
			os.Exit(1)
		}
		os.Stdout.WriteString(strconv.Itoa(p.PID()) + "\n")
		select {}
	}
	os.Exit(m.Run())
}

func start(t *testing.T, script string, s Spec) *Process {
	t.Helper()
	s.Path, s.Args = "/bin/sh", []string{"-c", script}
	p, err := Start(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Kill() })
	return p
}

func TestStopAsksFirst(t *testing.T) {
	dir := t.TempDir()
	log, pidfile := filepath.Join(dir, "log"), filepath.Join(dir, "pid")
	p := start(t, `trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.01; done`, Spec{LogFile: log, PIDFile: pidfile})
	waitFor(t, func() bool { return strings.Contains(Tail(log, 1), "ready") })
	if err := p.Stop(time.Second); err != nil {
		t.Fatal(err)
	}
	if got := Tail(log, 1); got != "bye" {
		t.Errorf("Stop: the log ends with %q, want %q", got, "bye")
	}
	if _, err := os.Stat(pidfile); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Stop: the pidfile is still there (%v)", err)
	}
}

func TestStopKillsTheWholeGroup(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	p := start(t, `trap '' TERM; sleep 600 & echo $!; while :; do sleep 0.01; done`, Spec{LogFile: log})
	var child int
	waitFor(t, func() bool { child, _ = strconv.Atoi(Tail(log, 1)); return child > 0 })
	if err := p.Stop(50 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return gone(child) })
}

func TestErrShowsTheLog(t *testing.T) {
	p := start(t, `echo cannot bind; exit 3`, Spec{Name: "thing", LogFile: filepath.Join(t.TempDir(), "log")})
	err := p.WaitReady(t.Context(), func(context.Context) error { return errors.New("not yet") })
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "cannot bind") {
		t.Errorf("WaitReady: %v, want the exit status and the log's last line", err)
	}
}

func TestAttach(t *testing.T) {
	pidfile := filepath.Join(t.TempDir(), "pid")
	p := start(t, `exec sleep 600`, Spec{PIDFile: pidfile, Detached: true})
	again, err := Attach(Spec{Name: "sleep", PIDFile: pidfile})
	if err != nil {
		t.Fatal(err)
	}
	if again.PID() != p.PID() || !again.Running() {
		t.Errorf("Attach: process %d, running %t, want %d, running", again.PID(), again.Running(), p.PID())
	}
	if err := again.Stop(time.Second); err != nil {
		t.Fatal(err)
	}
	if _, err := Attach(Spec{PIDFile: pidfile}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Attach after Stop: %v, want os.ErrNotExist", err)
	}
}

func TestAttachRefusesAReusedID(t *testing.T) {
	pidfile := filepath.Join(t.TempDir(), "pid")
	self, err := identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	self.start-- // The id of a living process, but of another one.
	if err := writePIDFile(pidfile, self); err != nil {
		t.Fatal(err)
	}
	if _, err := Attach(Spec{PIDFile: pidfile}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Attach: %v, want os.ErrNotExist", err)
	}
}

func TestLeftovers(t *testing.T) {
	mark := t.TempDir()
	mine := start(t, `exec sleep 600`, Spec{Mark: mark})
	start(t, `exec sleep 600`, Spec{Mark: mark + "-of-another"})
	var got []int
	waitFor(t, func() bool { // The environment is that of the test until exec is through.
		found, err := Leftovers(mark)
		if err != nil {
			t.Fatal(err)
		}
		got = nil
		for _, p := range found {
			got = append(got, p.PID())
		}
		return len(got) > 0
	})
	if diff := cmp.Diff([]int{mine.PID()}, got); diff != "" {
		t.Errorf("Leftovers: -want, +got:\n%s", diff)
	}
}

func TestChildDiesWithAKilledParent(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(exe)
	parent.Env = append(os.Environ(), parentVariable+"=1")
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	child, _ := strconv.Atoi(strings.TrimSpace(line))
	if child <= 0 || gone(child) {
		t.Fatalf("the parent printed %q, want the id of a running process", line)
	}
	if err := parent.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	waitFor(t, func() bool { return gone(child) })
}

func TestParseStat(t *testing.T) {
	cases := map[string]struct {
		reason string
		in     string
		want   stat
		fails  bool
	}{
		"Plain": {
			reason: "The start time is the 22nd field.",
			in:     "7 (sh) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 0 0",
			want:   stat{state: 'S', start: 4242},
		},
		"HostileName": {
			reason: "A command may contain what looks like the end of the field.",
			in:     "7 (a) Z 9) R 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 0 0",
			want:   stat{state: 'R', start: 4242},
		},
		"Short": {reason: "A torn line is an error.", in: "7 (sh) S 1", fails: true},
		"Empty": {reason: "So is an empty one.", in: "", fails: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := parseStat(tc.in)
			if (err != nil) != tc.fails {
				t.Fatalf("%s\nparseStat: error %v, want one: %t", tc.reason, err, tc.fails)
			}
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(stat{})); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestFreePortsAreDifferent(t *testing.T) {
	ports, err := FreePorts(20)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, p := range ports {
		if p < firstPort || p >= lastPort || seen[p] {
			t.Errorf("FreePorts: %d is out of range or came twice, in %v", p, ports)
		}
		seen[p] = true
	}
}

func gone(pid int) bool {
	st, err := readStat(pid)
	return err != nil || st.state == 'Z'
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); {
		if time.Now().After(deadline) {
			t.Fatal("still waiting after 10s")
		}
		<-time.After(5 * time.Millisecond)
	}
}
