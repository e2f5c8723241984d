package redis

import (
	"context"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/deliver"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
)

// Done implements [deliver.Log].
func (p *partition) Done(r deliver.Record) {
	failed := p.Forget(r)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = append(p.done, done{r.ID, failed})
	deliver.Signal(p.toAck)
}

// acknowledge tells the server what is done, many entries at a time, until ctx ends; then once more.
func (p *partition) acknowledge(ctx context.Context) {
	for last := false; !last; {
		select {
		case <-p.toAck:
		case <-ctx.Done():
			last = true
		}
		for !p.ack(ctx) {
			select {
			case <-time.After(p.store.timing.tick / 4):
			case <-p.work.Done(): // Whoever has the lease next delivers again what is not acknowledged.
				return
			}
		}
	}
}

// ack reports whether all that is done was acknowledged, or never can be by us.
func (p *partition) ack(ctx context.Context) bool {
	p.acking.Lock()
	defer p.acking.Unlock()
	p.mu.Lock()
	n := min(len(p.done), window)
	acked := p.done[:n]
	args := []any{p.token, p.group, n}
	for _, d := range acked {
		args = append(args, d.id)
	}
	for _, d := range acked {
		for _, event := range d.failed {
			args = append(args, event)
		}
	}
	p.mu.Unlock()
	if n == 0 {
		return true
	}
	answer, cancel := p.store.answer(ctx)
	defer cancel()
	err := ackScript.Run(answer, p.store.client, []string{p.events, p.leased, p.retries}, args...).Err()
	if isStale(err) {
		p.lost()
		return true
	}
	if err != nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = p.done[n:]
	for _, d := range acked {
		delete(p.held, d.id)
	}
	if len(p.done) > 0 {
		deliver.Signal(p.toAck)
	}
	deliver.Signal(p.acked)
	return true
}

// Failed implements [deliver.Log].
func (p *partition) Failed(ctx context.Context, r deliver.Record, i, attempts int) error {
	event := r.Events[i].Position.Offset
	_ = p.Failures.Failed(ctx, r, i, attempts) // Never fails.
	ctx, cancel := p.store.answer(ctx)
	defer cancel()
	return failScript.Run(ctx, p.store.client, []string{p.events, p.leased, p.retries}, p.token, p.group, r.ID, event, attempts).Err()
}

// Dead implements [deliver.Log].
func (p *partition) Dead(ctx context.Context, r deliver.Record, i, attempts int, cause error) error {
	e := r.Events[i]
	fields, err := record.DeadLetter(p.store.Store, e, attempts, cause)
	if err != nil {
		return err
	}
	event := e.Position.Offset
	args := append([]any{p.token, p.group, r.ID, event}, flat(fields)...)
	ctx, cancel := p.store.answer(ctx)
	defer cancel()
	written, err := deadScript.Run(ctx, p.store.client, []string{p.dead, p.leased, p.retries, p.events}, args...).Int()
	if err != nil {
		return err
	}
	if written == 1 { // Else the group was moved back by a replay, and will read the event again.
		p.Buried(r, i)
	}
	return nil
}
