package kafka

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// produceTimeout is how long a leader waits for the replicas that must confirm.
const produceTimeout = 4 * time.Second

// A batch is what is to be appended to one place.
type batch struct {
	place

	messages []message
}

// A produced is the outcome for one place.
type produced struct {
	base int64 // Offset of the first record.
	err  error
}

// produce appends batches, and returns when all replicas in sync have them.
func produce(ctx context.Context, leader kmsg.Requestor, batches []batch) (map[place]produced, error) {
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, int32(produceTimeout/time.Millisecond)
	now := time.Now()
	at := map[string]int{}
	for _, b := range batches {
		i, ok := at[b.topic]
		if !ok {
			t := kmsg.NewProduceRequestTopic()
			t.Topic = b.topic
			i, at[b.topic] = len(req.Topics), len(req.Topics)
			req.Topics = append(req.Topics, t)
		}
		p := kmsg.NewProduceRequestTopicPartition()
		p.Partition, p.Records = b.partition, encodeBatch(b.messages, now)
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, p)
	}
	resp, err := req.RequestWith(ctx, leader)
	if err != nil {
		return nil, err
	}
	results := make(map[place]produced, len(batches))
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			results[place{t.Topic, p.Partition}] = produced{base: p.BaseOffset, err: kerr.ErrorForCode(p.ErrorCode)}
		}
	}
	return results, nil
}
