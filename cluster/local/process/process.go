package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// MarkVariable is the environment variable that every started process carries, so that leftovers can be told from
// other people's processes. Its value is [Spec.Mark].
const MarkVariable = "EVENTSTORE_LOCAL_STATE"

// DefaultGrace is how long Stop waits between asking a process to end and killing it.
const DefaultGrace = 10 * time.Second

// Spec says which program to run and what to leave behind.
type Spec struct {
	// Name is the component's name, used in messages. Default: the program's file name.
	Name string

	// Path of the program. Required.
	Path string

	Args []string

	// Env is added to the parent's environment, and wins over it.
	Env []string

	// CleanEnv gives the process Env only, and nothing of the parent's environment: what a container would see.
	CleanEnv bool

	// Dir is the working directory. Default: the parent's.
	Dir string

	// LogFile gets standard output and standard error, appended. Default: discarded.
	LogFile string

	// PIDFile, if set, is written after the start and removed by Stop.
	PIDFile string

	// Mark is what MarkVariable is set to: the state folder, as an absolute path. Default: the parent's, else Dir.
	Mark string

	// Detached processes outlive the one that started them. The others are killed with it, even if it gets SIGKILL.
	Detached bool
}

func (s Spec) name() string {
	if s.Name != "" {
		return s.Name
	}
	return filepath.Base(s.Path)
}

// A Process is a program that was started, by us or (see Attach) by an earlier run. Its methods may be called concurrently.
type Process struct {
	spec  Spec
	id    identity
	done  chan struct{}
	state string // How it ended. Written before done is closed.
	ok    bool   // It ended with exit status 0. The same.
	once  sync.Once
}

// Start starts the program and returns once it runs. It does not wait until the program is ready.
func Start(spec Spec) (*Process, error) {
	cmd := exec.Command(spec.Path, spec.Args...)
	cmd.Dir = spec.Dir
	if !spec.CleanEnv {
		cmd.Env = os.Environ()
	}
	cmd.Env = slices.Concat(cmd.Env, spec.Env, []string{MarkVariable + "=" + mark(spec)})
	if spec.Detached {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // A closed terminal must not take it along.
	} else {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	}

	log, err := openLog(spec.LogFile)
	if err != nil {
		return nil, err
	}
	if log != nil {
		defer log.Close()
		cmd.Stdout, cmd.Stderr = log, log
	}
	if err := spawn(cmd.Start); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", spec.name(), err)
	}
	p := &Process{spec: spec, done: make(chan struct{})}
	// The child cannot be reaped before wait below, so its id is still its own here.
	p.id, err = identify(cmd.Process.Pid)
	go p.wait(cmd)
	if err == nil && spec.PIDFile != "" {
		err = writePIDFile(spec.PIDFile, p.id)
	}
	if err != nil {
		_ = p.Kill()
		return nil, fmt.Errorf("cannot start %s: %w", spec.name(), err)
	}
	return p, nil
}

func mark(s Spec) string {
	if s.Mark != "" {
		return s.Mark
	}
	if m := os.Getenv(MarkVariable); m != "" {
		return m
	}
	return s.Dir
}

func openLog(path string) (*os.File, error) {
	if path == "" {
		return nil, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("cannot create log folder: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot open log: %w", err)
	}
	return f, nil
}

// wait reaps the child, so that it never stays behind as a zombie.
func (p *Process) wait(cmd *exec.Cmd) {
	_ = cmd.Wait()
	p.state, p.ok = cmd.ProcessState.String(), cmd.ProcessState.Success()
	close(p.done)
}

// Attach returns the process that the pidfile of spec names. The error wraps os.ErrNotExist if it does not run any
// more, or if its id now belongs to another process.
func Attach(spec Spec) (*Process, error) {
	id, err := readPIDFile(spec.PIDFile)
	if err != nil {
		return nil, err
	}
	if !id.alive() {
		return nil, fmt.Errorf("%s does not run: %w", spec.name(), os.ErrNotExist)
	}
	p := &Process{spec: spec, id: id, done: make(chan struct{})}
	go p.watch()
	return p, nil
}

// watch stands in for wait(2), which only works for children.
func (p *Process) watch() {
	for p.id.alive() {
		<-time.After(20 * time.Millisecond)
	}
	p.state = "ended"
	close(p.done)
}

// Name returns the component's name.
func (p *Process) Name() string { return p.spec.name() }

// PID returns the process id.
func (p *Process) PID() int { return p.id.pid }

// LogFile returns the path of the log, or "".
func (p *Process) LogFile() string { return p.spec.LogFile }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Running reports whether the process has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// State says how the process ended, such as "exit status 1". It is "running" until then.
func (p *Process) State() string {
	if p.Running() {
		return "running"
	}
	return p.state
}

// Succeeded reports whether the process has ended with exit status 0. It cannot be known of a process from Attach.
func (p *Process) Succeeded() bool { return !p.Running() && p.ok }

// Err returns nil while the process runs, then an error that says how it ended and ends with the log's last lines.
func (p *Process) Err() error {
	if p.Running() {
		return nil
	}
	if tail := Tail(p.spec.LogFile, 8); tail != "" {
		return fmt.Errorf("%s ended (%s), its log %s ends with:\n%s", p.Name(), p.state, p.spec.LogFile, tail)
	}
	return fmt.Errorf("%s ended (%s)", p.Name(), p.state)
}

// Signal sends a signal to the process alone, not to its group.
func (p *Process) Signal(sig syscall.Signal) error {
	if !p.Running() || !p.id.alive() {
		return nil
	}
	if err := syscall.Kill(p.id.pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("cannot signal %s: %w", p.Name(), err)
	}
	return nil
}

// Stop asks the process to end, kills its whole group after grace, and waits until it is gone. A grace of zero means
// DefaultGrace. It is idempotent.
func (p *Process) Stop(grace time.Duration) error {
	if grace == 0 {
		grace = DefaultGrace
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.done:
		p.forget()
		return nil
	case <-time.After(grace):
		return p.Kill()
	}
}

// Kill sends SIGKILL to the process and its group, and waits until the process is gone. It is idempotent.
func (p *Process) Kill() error {
	if p.Running() && p.id.alive() {
		// The group exists as long as its leader is not reaped: the id cannot be another's.
		if err := syscall.Kill(-p.id.pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("cannot kill %s: %w", p.Name(), err)
		}
	}
	select {
	case <-p.done:
		p.forget()
		return nil
	case <-time.After(DefaultGrace):
		return fmt.Errorf("cannot kill %s: process %d is still there after %s", p.Name(), p.id.pid, DefaultGrace)
	}
}

func (p *Process) forget() {
	p.once.Do(func() {
		if p.spec.PIDFile != "" {
			_ = os.Remove(p.spec.PIDFile)
		}
	})
}

// WaitReady calls ready every few milliseconds until it returns nil. It gives up, saying what ready said last, when ctx
// ends, and at once when the process ends.
func (p *Process) WaitReady(ctx context.Context, ready func(context.Context) error) error {
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return p.Err()
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w: %w", p.Name(), context.Cause(ctx), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Tail returns the last n lines of a file, or "" if it cannot be read.
func Tail(path string, n int) string {
	const window = 64 << 10 // Enough for n long lines, whatever the size of the file.
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return ""
	}
	buf := make([]byte, min(st.Size(), window))
	if _, err := f.ReadAt(buf, st.Size()-int64(len(buf))); err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimRight(string(buf), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
