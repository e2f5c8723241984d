package history

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// process is a worker, as the process that started it sees it. Its methods may be called concurrently.
type process struct {
	cmd     *exec.Cmd
	stderr  *bytes.Buffer // To be read when gone is closed.
	gone    chan struct{} // Closed when the worker has ended.
	close   func() error
	deliver func(*process, response) // Hears of deliveries, one after another.

	mu      sync.Mutex
	out     *json.Encoder
	last    int
	waiting map[int]chan response
}

// startProcess starts this program again as a worker, and returns when that has opened the store.
func startProcess(ctx context.Context, secret eventstore.Secret, deliver func(*process, response)) (*process, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("cannot start a worker: %w", err)
	}
	// A test binary without TestMain runs no test then, instead of all.
	cmd := exec.CommandContext(ctx, program, "-test.run=^$")
	p := &process{cmd: cmd, stderr: &bytes.Buffer{}, gone: make(chan struct{}), waiting: map[int]chan response{}, deliver: deliver}
	cmd.Env, cmd.Stderr = append(os.Environ(), workerVariable+"=1"), p.stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("cannot start a worker: %w", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("cannot start a worker: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start a worker: %w", err)
	}
	p.out, p.close = json.NewEncoder(stdin), stdin.Close
	opened := make(chan response, 1)
	p.waiting[0] = opened
	go p.listen(json.NewDecoder(stdout))
	p.mu.Lock()
	err = p.out.Encode(secret)
	p.mu.Unlock()
	if err == nil && (<-opened).Outcome == "" {
		return p, nil
	}
	p.kill()
	return nil, fmt.Errorf("cannot start a worker: does main, or TestMain, call Work? %w: %s", errors.Join(err, errEnded), p.stderr)
}

var errEnded = errors.New("it has ended")

// listen hands responses to those who wait for them, until the worker ends.
func (p *process) listen(in *json.Decoder) {
	for {
		var r response
		if err := in.Decode(&r); err != nil {
			break
		}
		if r.Delivery != 0 {
			p.deliver(p, r)
			continue
		}
		p.mu.Lock()
		waiting := p.waiting[r.ID]
		delete(p.waiting, r.ID)
		p.mu.Unlock()
		if waiting != nil {
			waiting <- r
		}
	}
	_ = p.cmd.Wait() // How it ended is not told apart: it may have been killed.
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, waiting := range p.waiting {
		waiting <- response{Outcome: Unknown, Error: "the process has ended"}
	}
	p.waiting = nil
	close(p.gone)
}

// do makes a call. If the worker ends before it answers, the outcome is unknown.
func (p *process) do(r request) response {
	answer := make(chan response, 1)
	p.mu.Lock()
	if p.waiting == nil {
		p.mu.Unlock()
		return response{Outcome: Failed, Error: "the process has ended"}
	}
	p.last++
	r.ID = p.last
	p.waiting[r.ID] = answer
	_ = p.out.Encode(r) // If it does not arrive, the worker has ended.
	p.mu.Unlock()
	return <-answer
}

// send sends a request that has no response.
func (p *process) send(r request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.out.Encode(r) // If it does not arrive, the worker has ended.
}

// kill ends the worker in the middle of whatever it does.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.gone
}

// stop lets the worker finish.
func (p *process) stop() {
	_ = p.close()
	select {
	case <-p.gone:
	case <-time.After(2 * callTimeout):
		p.kill()
	}
}
