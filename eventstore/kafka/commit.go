package kafka

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/deliver"
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

// commit commits the positions of partitions that have moved. What cannot be committed is delivered again.
func (c *consumer) commit(partitions []*partition) {
	offsets := map[int32]kgo.EpochOffset{}
	for _, p := range partitions {
		if at, ok := p.uncommitted(); ok {
			offsets[p.number] = kgo.EpochOffset{Epoch: -1, Offset: at}
		}
	}
	if len(offsets) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
	defer cancel()
	refused := map[int32]error{}
	var failed error
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
	for _, p := range partitions {
		at, ok := offsets[p.number]
		switch err := refused[p.number]; {
		case !ok:
		case failed == nil && err == nil:
			p.commitIs(at.Offset)
		case errors.Is(err, kerr.GroupAuthorizationFailed), errors.Is(err, kerr.TopicAuthorizationFailed):
			c.fail(err)
		default:
			deliver.Signal(c.toCommit)
		}
	}
}

func (p *partition) uncommitted() (offset int64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.next, p.next > p.committed
}

func (p *partition) commitIs(offset int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.committed = offset
}
