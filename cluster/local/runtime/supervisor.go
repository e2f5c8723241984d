package runtime

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/state"
)

const (
	firstBackoff = 200 * time.Millisecond
	maxBackoff   = 10 * time.Second

	// A process that has run for this long was healthy: its next crash is the first one again.
	healthyAfter = 20 * time.Second

	stopGrace = 10 * time.Second
)

// A command is what must be running. Two of them are the same process if all but prepare are equal.
type command struct {
	program   string
	args, env []string
	dir       string

	// prepare writes what the process reads once at its start: certificates, tokens. It runs before each start.
	prepare func(context.Context) error
}

func (c command) same(o command) bool {
	return c.program == o.program && c.dir == o.dir && slices.Equal(c.args, o.args) && slices.Equal(c.env, o.env)
}

// A status is what became of a command.
type status struct {
	running bool
	message string // Why it does not run.
}

// A supervisor keeps commands running, each under a name.
type supervisor struct {
	ctx     context.Context // Ends the workers. They are started by reconciles, whose contexts are too short.
	state   *state.Folder
	log     logr.Logger
	changed func(name string) // Called without locks held.
	wg      sync.WaitGroup

	mu      sync.Mutex
	workers map[string]*worker
}

type worker struct {
	command command
	cancel  context.CancelFunc
	done    chan struct{}

	mu     sync.Mutex
	status status
}

func newSupervisor(ctx context.Context, f *state.Folder, log logr.Logger, changed func(string)) *supervisor {
	return &supervisor{ctx: ctx, state: f, log: log, changed: changed, workers: map[string]*worker{}}
}

// ensure makes sure that the command runs under this name, replacing another one, and returns its status.
func (s *supervisor) ensure(name string, c command) status {
	s.mu.Lock()
	w, ok := s.workers[name]
	s.mu.Unlock()
	if ok && w.command.same(c) {
		return w.current()
	}
	s.remove(name)

	ctx, cancel := context.WithCancel(s.ctx)
	w = &worker{command: c, cancel: cancel, done: make(chan struct{}), status: status{message: "starting"}}
	s.mu.Lock()
	s.workers[name] = w
	s.mu.Unlock()
	s.wg.Go(func() {
		defer close(w.done)
		s.run(ctx, name, w)
	})
	return w.current()
}

// remove stops the command, and returns when its process is gone.
func (s *supervisor) remove(name string) {
	s.mu.Lock()
	w, ok := s.workers[name]
	delete(s.workers, name)
	s.mu.Unlock()
	if ok {
		w.cancel()
		<-w.done
	}
}

// wait returns when all processes are gone. They are told to go by the supervisor's context.
func (s *supervisor) wait() { s.wg.Wait() }

func (s *supervisor) run(ctx context.Context, name string, w *worker) {
	log, backoff := s.log.WithValues("process", name), firstBackoff
	for ctx.Err() == nil {
		began := time.Now()
		err := s.runOnce(ctx, name, w)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > healthyAfter {
			backoff = firstBackoff
		}
		log.Info("Process ended, starting it again", "after", backoff.String(), "cause", err.Error())
		w.set(status{message: err.Error()})
		s.changed(name)
		select {
		case <-ctx.Done():
		case <-time.After(backoff):
			backoff = min(2*backoff, maxBackoff)
		}
	}
}

// runOnce runs the process once. It returns why it ended.
func (s *supervisor) runOnce(ctx context.Context, name string, w *worker) error {
	if err := w.command.prepare(ctx); err != nil {
		return err
	}
	spec := s.state.Spec(name, w.command.program, w.command.args...)
	// The process must not outlive the one that would restart it, even if that one is killed.
	spec.Env, spec.CleanEnv, spec.Dir, spec.Detached = w.command.env, true, w.command.dir, false
	p, err := process.Start(spec)
	if err != nil {
		return err
	}
	s.log.Info("Started process", "process", name, "pid", p.PID(), "program", w.command.program, "args", w.command.args)
	w.set(status{running: true})
	s.changed(name)
	select {
	case <-p.Done():
		// One line, because it ends in a condition; the log has the rest.
		return fmt.Errorf("process ended (%s), its log ends with: %s", p.State(), process.Tail(p.LogFile(), 1))
	case <-ctx.Done():
		if err := p.Stop(stopGrace); err != nil {
			return err
		}
		return fmt.Errorf("stopped: %w", context.Cause(ctx))
	}
}

func (w *worker) set(s status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.status = s
}

func (w *worker) current() status {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status
}
