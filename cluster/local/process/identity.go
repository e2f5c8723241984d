package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// An identity names a process for good: process ids are used again, a pair of id and start time is not.
type identity struct {
	pid   int
	start uint64 // Clock ticks between boot and the start of the process.
}

// identify reads the identity of a running process. The error wraps os.ErrNotExist if there is none, or only a zombie.
func identify(pid int) (identity, error) {
	st, err := readStat(pid)
	if err != nil {
		return identity{}, err
	}
	return identity{pid: pid, start: st.start}, nil
}

func (i identity) alive() bool {
	st, err := readStat(i.pid)
	return err == nil && st.start == i.start && st.state != 'Z' && st.state != 'X'
}

type stat struct {
	state byte
	start uint64
}

func readStat(pid int) (stat, error) {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if errors.Is(err, syscall.ESRCH) {
		err = os.ErrNotExist // The process ended between open and read.
	}
	if err != nil {
		return stat{}, fmt.Errorf("cannot read state of process %d: %w", pid, err)
	}
	return parseStat(string(b))
}

// parseStat reads /proc/<pid>/stat. The second field, the command, may itself hold spaces and parentheses.
// Source: proc_pid_stat(5).
func parseStat(s string) (stat, error) {
	_, rest, ok := cutLast(s, ") ")
	fields := strings.Fields(rest)
	const state, start = 0, 19 // Fields 3 and 22 of the whole line.
	if !ok || len(fields) <= start {
		return stat{}, fmt.Errorf("cannot parse process state %q", s)
	}
	ticks, err := strconv.ParseUint(fields[start], 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("cannot parse process start time: %w", err)
	}
	return stat{state: fields[state][0], start: ticks}, nil
}

func cutLast(s, sep string) (before, after string, ok bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

func writePIDFile(path string, id identity) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("cannot create pidfile: %w", err)
	}
	tmp := path + ".new"
	if err := os.WriteFile(tmp, fmt.Appendf(nil, "%d %d\n", id.pid, id.start), 0o600); err != nil {
		return fmt.Errorf("cannot create pidfile: %w", err)
	}
	return os.Rename(tmp, path) // A reader never sees half of it.
}

func readPIDFile(path string) (identity, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return identity{}, fmt.Errorf("cannot read pidfile: %w", err)
	}
	var id identity
	if _, err := fmt.Sscan(string(b), &id.pid, &id.start); err != nil || id.pid <= 1 {
		return identity{}, fmt.Errorf("cannot parse pidfile %s: %w", path, os.ErrNotExist)
	}
	return id, nil
}

// Leftovers returns the processes that carry mark in their environment, except the calling one: what an earlier run
// started and never stopped. Processes of other users cannot be read, and are not ours.
func Leftovers(mark string) ([]*Process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("cannot list processes: %w", err)
	}
	var found []*Process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() || !hasMark(pid, mark) {
			continue
		}
		id, err := identify(pid)
		if err != nil || !id.alive() {
			continue
		}
		p := &Process{spec: Spec{Name: commandName(pid)}, id: id, done: make(chan struct{})}
		go p.watch()
		found = append(found, p)
	}
	return found, nil
}

func hasMark(pid int, mark string) bool {
	env, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
	if err != nil {
		return false
	}
	want := []byte(MarkVariable + "=" + mark)
	for v := range bytes.SplitSeq(env, []byte{0}) {
		if bytes.Equal(v, want) {
			return true
		}
	}
	return false
}

func commandName(pid int) string {
	b, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "comm"))
	return strings.TrimSpace(string(b))
}

// Memory returns the resident memory of a process. Unit: bytes. It is 0 if the process is gone.
func (p *Process) Memory() int64 {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.id.pid), "statm"))
	if err != nil {
		return 0
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(b), &size, &resident); err != nil {
		return 0
	}
	return resident * int64(os.Getpagesize())
}
