package kafka

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// commits commits what is done, until ctx ends.
func (c *consumer) commits(ctx context.Context) {
	for {
		select {
		case <-c.toCommit:
		case <-ctx.Done():
			return
		}
		c.mu.Lock()
		held := make([]*partition, 0, len(c.held))
		for _, p := range c.held {
			held = append(held, p)
		}
		c.mu.Unlock()
		c.commit(held)
		select {
		case <-time.After(commitPause):
		case <-ctx.Done():
			return
		}
	}
}

// commit commits the positions of partitions that have made progress. What cannot be committed is delivered again.
func (c *consumer) commit(partitions []*partition) {
	offsets, notes := map[int32]kgo.EpochOffset{}, map[int32]string{}
	for _, p := range partitions {
		if at, text, ok := p.uncommitted(); ok {
			offsets[p.number], notes[p.number] = kgo.EpochOffset{Epoch: -1, Offset: at}, text
		}
	}
	if len(offsets) == 0 {
		return
	}
	refused, failed := c.send(offsets, notes)
	for _, p := range partitions {
		err := refused[p.number]
		if _, sent := offsets[p.number]; !sent || failed == nil && err == nil {
			continue
		}
		if errors.Is(err, kerr.GroupAuthorizationFailed) || errors.Is(err, kerr.TopicAuthorizationFailed) {
			c.fail(err)
		}
		p.commitSoon()
	}
}

// send sends positions to the broker, each with a note. It returns what was refused, or why nothing is known.
func (c *consumer) send(offsets map[int32]kgo.EpochOffset, notes map[int32]string) (refused map[int32]error, failed error) {
	ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
	defer cancel()
	ctx = kgo.PreCommitFnContext(ctx, func(r *kmsg.OffsetCommitRequest) error {
		for t := range r.Topics {
			for i := range r.Topics[t].Partitions {
				p := &r.Topics[t].Partitions[i]
				p.Metadata = new(notes[p.Partition])
			}
		}
		return nil
	})
	refused = map[int32]error{}
	c.client.CommitOffsetsSync(ctx, map[string]map[int32]kgo.EpochOffset{c.store.events.name: offsets},
		func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
			if failed = err; err != nil {
				return
			}
			for _, t := range resp.Topics {
				for _, p := range t.Partitions {
					refused[p.Partition] = kerr.ErrorForCode(p.ErrorCode)
				}
			}
		})
	return refused, failed
}

// uncommitted returns the position, if there is something new to commit.
func (p *partition) uncommitted() (offset int64, text string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ok, p.changed = p.changed, false; !ok {
		return 0, "", false
	}
	return p.done.next, note{p.done.spans(), p.Known()}.encode(p.done.next), true
}
