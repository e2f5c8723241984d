package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/arbiter"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
)

// longPoll is how long a broker waits for new records. A partition that is used for the first time waits for the poll that
// is under way.
const longPoll = 200 * time.Millisecond

// tails reads the partitions of the events topic that are in use, all by one client: what the brokers have of them comes in
// few answers, and is folded where it is received, by one goroutine.
type tails struct {
	options []kgo.Opt
	topic   string
	logins  *logins

	mu     sync.Mutex
	client *kgo.Client // nil until there is something to read
	open   map[int32]*tail
	epochs map[int32]int32 // of the last record that was read: with it the brokers know whether it is still theirs
	wg     sync.WaitGroup
}

// tail is one partition.
type tail struct {
	next    int64
	fold    arbiter.Fold
	decoder decoder
	entries []arbiter.Entry // kept for the next time
	ended   chan error      // Has room for one.
}

func newTails(options []kgo.Opt, topic string, logins *logins) *tails {
	return &tails{options: options, topic: topic, logins: logins, open: map[int32]*tail{}, epochs: map[int32]int32{}}
}

// read calls fold with the records of a partition from an offset on, until ctx ends.
func (t *tails) read(ctx context.Context, partition int32, from int64, fold arbiter.Fold) error {
	one := &tail{next: from, fold: fold, decoder: decoder{packed: true}, ended: make(chan error, 1)}
	if err := t.add(partition, one); err != nil {
		return err
	}
	defer t.remove(partition)
	select {
	case err := <-one.ended:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (t *tails) add(partition int32, one *tail) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open[partition] = one
	from := kgo.NoResetOffset().At(one.next) // An offset that is not there is a loss.
	if epoch, ok := t.epochs[partition]; ok {
		from = from.WithEpoch(epoch)
	}
	place := map[string]map[int32]kgo.Offset{t.topic: {partition: from}}
	if t.client != nil {
		t.client.AddConsumePartitions(place)
		return nil
	}
	var err error
	t.client, err = kgo.NewClient(append(append(t.options, packing()...),
		kgo.ConsumePartitions(place),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchMinBytes(1),
		kgo.FetchMaxWait(longPoll),
		kgo.KeepControlRecords(), // A partition may end in one.
	)...)
	if err != nil {
		delete(t.open, partition)
		return err
	}
	t.wg.Go(t.poll)
	return nil
}

// reached notes the epoch of a record that somebody else has read, who goes on where a tail would.
func (t *tails) reached(partition, epoch int32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.epochs[partition] = max(epoch, t.epochs[partition])
}

func (t *tails) remove(partition int32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, partition)
	t.client.RemoveConsumePartitions(map[string][]int32{t.topic: {partition}})
}

// close waits for the client, if there was one. Nobody reads any more.
func (t *tails) close() {
	t.mu.Lock()
	client := t.client
	t.mu.Unlock()
	if client != nil {
		client.Close()
		t.wg.Wait()
	}
}

// poll hands out what comes, until the client is closed.
func (t *tails) poll() {
	for {
		fetches := t.client.PollFetches(context.Background())
		if fetches.IsClientClosed() {
			return
		}
		t.mu.Lock()
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			if p.Topic == "" { // The client cannot do anything at all.
				if t.isFinal(p.Err) {
					for _, one := range t.open {
						one.end(p.Err)
					}
				}
				return
			}
			t.hand(p.FetchPartition)
		})
		t.mu.Unlock()
	}
}

// hand has the tail of a partition take what has come, if there still is one. The caller holds the lock.
func (t *tails) hand(p kgo.FetchPartition) {
	if one := t.open[p.Partition]; one != nil {
		one.take(p)
	}
	if n := len(p.Records); n > 0 {
		t.epochs[p.Partition] = p.Records[n-1].LeaderEpoch
	}
	for _, r := range p.Records {
		r.Recycle() // Nobody has anything of it but copies. Now it is empty.
	}
}

// isFinal reports whether an error does not pass by itself.
func (t *tails) isFinal(err error) bool {
	var answer *kerr.Error
	return errors.As(err, &answer) && !answer.Retriable && !t.logins.passes(err) ||
		errors.Is(err, connect.ErrTokenRefused) || errors.Is(err, eventstore.ErrRestart)
}

func (o *tail) end(err error) {
	select {
	case o.ended <- err:
	default:
	}
}

// take folds records.
func (o *tail) take(p kgo.FetchPartition) {
	if p.Err != nil {
		o.end(lost(p.Err))
		return
	}
	if p.LogStartOffset > 0 {
		o.end(fmt.Errorf("it begins at offset %d: records were deleted: %w", p.LogStartOffset, eventstore.ErrHistoryLost))
		return
	}
	next, known := o.next, o.fold(nil, at(o.next))
	for _, r := range p.Records {
		if r.Offset < next { // Of an earlier time that the partition was read.
			continue
		}
		if r.Offset > next {
			o.end(fmt.Errorf("offset %d follows %d", r.Offset, next-1))
			return
		}
		if next++; !r.Attrs.IsControl() && !at(r.Offset).Before(known) {
			o.entries = append(o.entries, o.decoder.entry(r))
		}
		if len(o.entries) == batch {
			o.folded(next)
		}
	}
	if next > o.next {
		o.folded(next)
	}
}

// folded folds what was gathered.
func (o *tail) folded(next int64) {
	o.next = next
	o.fold(o.entries, at(next))
	clear(o.entries) // Else they keep the texts of all.
	o.entries = o.entries[:0]
}

// begins says that a partition has forgotten records.
func begins(partition int32, offset int64) error {
	return fmt.Errorf("partition %d begins at offset %d: records were deleted: %w", partition, offset, eventstore.ErrHistoryLost)
}

// lost makes errors that say that records are gone match [eventstore.ErrHistoryLost].
func lost(err error) error {
	var loss *kgo.ErrDataLoss
	if errors.As(err, &loss) || errors.Is(err, kerr.OffsetOutOfRange) {
		return fmt.Errorf("%w: %w", eventstore.ErrHistoryLost, err)
	}
	return err
}

func at(offset int64) arbiter.Position { return arbiter.Position{Offset: offset} }
