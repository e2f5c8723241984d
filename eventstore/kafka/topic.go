package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/pause"
)

// topic knows who leads the partitions of a topic, and asks them. It says to a leader which epoch it takes it for, so that
// one which does not know yet that it was deposed does not answer.
type topic struct {
	name   string
	client *kgo.Client

	mu     sync.Mutex
	known  []leader // by partition
	looks  int      // how often they were looked up
	asking *question
}

// leader is who leads a partition, since when.
type leader struct {
	broker, epoch int32
	err           error
}

// question is a request for metadata that several wait for.
type question struct {
	done chan struct{}
	err  error
}

func newTopic(client *kgo.Client, name string) *topic { return &topic{name: name, client: client} }

// errNoTopic says that there is no such topic or partition.
var errNoTopic = errors.New("it does not exist")

// leaders returns those of all partitions, and which look at them it was: they are looked up if they were not since stale.
func (t *topic) leaders(ctx context.Context, stale int) ([]leader, int, error) {
	t.mu.Lock()
	if t.looks > stale {
		defer t.mu.Unlock()
		return t.known, t.looks, nil
	}
	q := t.asking
	if q == nil {
		q = &question{done: make(chan struct{})}
		t.asking = q
		go t.look(q) //nolint:gosec // Others may wait for the answer too: it is bounded by itself.
	}
	t.mu.Unlock()
	select {
	case <-q.done:
	case <-ctx.Done():
		return nil, stale, context.Cause(ctx)
	}
	if q.err != nil {
		return nil, stale, q.err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.known, t.looks, nil
}

// metadataTimeout is for one look at the leaders.
const metadataTimeout = 10 * time.Second

func (t *topic) look(q *question) {
	ctx, cancel := context.WithTimeout(context.Background(), metadataTimeout)
	defer cancel()
	found, err := t.metadata(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.known = leadersOf(found)
		t.looks++
	}
	q.err, t.asking = err, nil
	close(q.done)
}

// metadata asks any broker about the topic.
func (t *topic) metadata(ctx context.Context) (found kmsg.MetadataResponseTopic, err error) {
	req := kmsg.NewPtrMetadataRequest()
	one := kmsg.NewMetadataRequestTopic()
	one.Topic = &t.name
	req.Topics = append(req.Topics, one)
	resp, err := req.RequestWith(ctx, t.client)
	if err != nil {
		return found, err
	}
	if len(resp.Topics) != 1 {
		return found, fmt.Errorf("topic %q: %w", t.name, errNoTopic)
	}
	switch err := kerr.ErrorForCode(resp.Topics[0].ErrorCode); {
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return found, fmt.Errorf("topic %q: %w", t.name, errNoTopic)
	case err != nil:
		return found, fmt.Errorf("topic %q: %w", t.name, err)
	}
	return resp.Topics[0], nil
}

func leadersOf(found kmsg.MetadataResponseTopic) []leader {
	known := make([]leader, len(found.Partitions))
	for _, p := range found.Partitions {
		if int(p.Partition) < len(known) {
			known[p.Partition] = leader{broker: p.Leader, epoch: p.LeaderEpoch, err: kerr.ErrorForCode(p.ErrorCode)}
		}
	}
	return known
}

// ask calls f with the leader of a partition until it answers: leaders move, and brokers restart.
func (t *topic) ask(ctx context.Context, partition int32, f func(l leader) error) error {
	looked := 0
	for n := 0; ; n++ {
		known, looks, err := t.leaders(ctx, looked)
		if err == nil {
			if err = t.askOne(known, partition, f); err == nil {
				return nil
			}
			looked = looks
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !passes(err) {
			return err
		}
		if err := pause.Before(ctx, n); err != nil {
			return err
		}
	}
}

func (t *topic) askOne(known []leader, partition int32, f func(l leader) error) error {
	if int(partition) >= len(known) {
		return fmt.Errorf("partition %d of topic %q: %w", partition, t.name, errNoTopic)
	}
	if l := known[partition]; l.err == nil {
		return f(l)
	}
	return known[partition].err
}

// passes reports whether asking again may help: a broker is gone, or no longer the leader.
func passes(err error) bool {
	var answer *kerr.Error
	if errors.As(err, &answer) {
		return answer.Retriable
	}
	return !errors.Is(err, errNoTopic) && !errors.Is(err, eventstore.ErrHistoryLost) && !errors.Is(err, eventstore.ErrRestart) &&
		!errors.Is(err, kgo.ErrClientClosed)
}

// Offsets to ask for, beside a time in milliseconds.
const (
	endOffset   int64 = -1 // the one that the next record gets
	startOffset int64 = -2
)

// offset returns that of the first record at a time, or what the constants say. A time that is later than all records
// gives -1.
func (t *topic) offset(ctx context.Context, partition int32, at int64) (offset int64, err error) {
	err = t.ask(ctx, partition, func(l leader) error {
		one := kmsg.NewListOffsetsRequestTopicPartition()
		one.Partition, one.Timestamp, one.CurrentLeaderEpoch = partition, at, l.epoch
		of := kmsg.NewListOffsetsRequestTopic()
		of.Topic, of.Partitions = t.name, append(of.Partitions, one)
		req := kmsg.NewPtrListOffsetsRequest()
		req.ReplicaID, req.Topics = -1, append(req.Topics, of)
		resp, err := req.RequestWith(ctx, t.client.Broker(int(l.broker)))
		if err != nil {
			return err
		}
		if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
			return kerr.UnknownServerError
		}
		p := resp.Topics[0].Partitions[0]
		offset = p.Offset
		return kerr.ErrorForCode(p.ErrorCode)
	})
	return offset, err
}

// deleteTimeout is how long brokers may take to delete records.
const deleteTimeout = 10 * time.Second

// errAnother says that a topic is not the one that it was.
var errAnother = errors.New("its topic was deleted and made again meanwhile")

// deleteTo deletes the records before an offset for good, of the topic with that id: brokers ask for the name alone, and
// another topic of that name has other records there.
func (t *topic) deleteTo(ctx context.Context, id [16]byte, partition int32, before int64) error {
	found, err := t.metadata(ctx)
	if err != nil {
		return err
	}
	if found.TopicID != id {
		return errAnother
	}
	return t.ask(ctx, partition, func(l leader) error {
		one := kmsg.NewDeleteRecordsRequestTopicPartition()
		one.Partition, one.Offset = partition, before
		of := kmsg.NewDeleteRecordsRequestTopic()
		of.Topic, of.Partitions = t.name, append(of.Partitions, one)
		req := kmsg.NewPtrDeleteRecordsRequest()
		req.TimeoutMillis, req.Topics = int32(deleteTimeout.Milliseconds()), append(req.Topics, of)
		resp, err := req.RequestWith(ctx, t.client.Broker(int(l.broker)))
		if err != nil {
			return err
		}
		if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
			return kerr.UnknownServerError
		}
		return kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
	})
}

// page is what one request for records gave.
type page struct {
	records []*kgo.Record // from the offset that was asked for; control records too
	next    int64         // after the last one
	start   int64         // the first offset that the partition still has
	end     int64         // the one that the next record gets
}

// errOutOfRange says that an offset is not there: too old, or beyond the end.
var errOutOfRange = kerr.OffsetOutOfRange

// fetch returns the records from an offset on: about as many bytes as asked for, and at least one record if there is one.
func (t *topic) fetch(ctx context.Context, partition int32, from int64, bytes int32) (pg page, err error) {
	err = t.ask(ctx, partition, func(l leader) error {
		pg, err = t.fetchFrom(ctx, l, partition, from, bytes)
		return err
	})
	return pg, err
}

func (t *topic) fetchFrom(ctx context.Context, l leader, partition int32, from int64, bytes int32) (page, error) {
	one := kmsg.NewFetchRequestTopicPartition()
	one.Partition, one.FetchOffset, one.PartitionMaxBytes, one.CurrentLeaderEpoch = partition, from, bytes, l.epoch
	of := kmsg.NewFetchRequestTopic()
	of.Topic, of.Partitions = t.name, append(of.Partitions, one)
	req := kmsg.NewPtrFetchRequest()
	req.MaxBytes, req.SessionEpoch, req.Topics = bytes, -1, append(req.Topics, of) // No session: this is no tail.
	resp, err := req.RequestWith(ctx, t.client.Broker(int(l.broker)))
	if err != nil {
		return page{}, err
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return page{}, err
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return page{}, kerr.UnknownServerError
	}
	raw := &resp.Topics[0].Partitions[0]
	if err := kerr.ErrorForCode(raw.ErrorCode); err != nil {
		return page{}, err
	}
	opts := kgo.ProcessFetchPartitionOpts{KeepControlRecords: true, Offset: from, Topic: t.name, Partition: partition}
	fetched, next := kgo.ProcessFetchPartition(opts, raw, decompressor, nil)
	if fetched.Err != nil {
		return page{}, fetched.Err
	}
	return page{fetched.Records, max(next, from), raw.LogStartOffset, raw.HighWatermark}, nil
}

var decompressor = kgo.DefaultDecompressor()
