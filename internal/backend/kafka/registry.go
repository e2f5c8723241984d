package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

const (
	// registryFetch is how much of the registry one request reads at most: some ten thousand markers.
	registryFetch = 16 << 20

	// registryBatch is how much one record batch has at most. A broker takes 1 MiB by default.
	registryBatch = 512 << 10

	// compactionLag is for how long compaction leaves records alone, in milliseconds: for as long there is time to write
	// once more what a lost claim hides.
	compactionLag = "86400000"
)

// A registry is the topic that has the markers of all stores and subscriptions of a cluster, as far as it was read.
// Providers may share it.
type registry struct {
	c     *cluster
	topic string

	created func(ctx context.Context) // Called when the topic was made, before anything is in it.

	turn chan struct{} // Holds a token while somebody reads or writes: unlike a mutex, it can be waited for with a context.

	fold   *fold
	id     [16]byte // Of the topic that was read. Zero: it did not exist.
	leader int32
	found  bool // The leader is known.
}

func newRegistry(c *cluster, topic string) *registry {
	return &registry{c: c, topic: topic, turn: make(chan struct{}, 1), fold: newFold()}
}

func (r *registry) lock(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case r.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *registry) unlock() { <-r.turn }

// view calls f with what the registry says now: with everything that was acknowledged before view was called.
func (r *registry) view(ctx context.Context, f func(*fold)) error {
	if err := r.lock(ctx); err != nil {
		return err
	}
	defer r.unlock()
	if err := r.catchUp(ctx); err != nil {
		return err
	}
	f(r.fold)
	return nil
}

// known calls f with what the registry said when it was read last.
func (r *registry) known(ctx context.Context, f func(*fold)) error {
	if err := r.lock(ctx); err != nil {
		return err
	}
	defer r.unlock()
	f(r.fold)
	return nil
}

// A write sets a key; to nothing, if there is no value.
type write struct {
	key   string
	value []byte
}

// update lets decide choose what to write, by what the registry says now, and writes it. won tells of each write whether it
// counts: it does not if somebody else changed the key meanwhile.
func (r *registry) update(ctx context.Context, decide func(*fold) []write) (won []bool, err error) {
	if err := r.lock(ctx); err != nil {
		return nil, err
	}
	defer r.unlock()
	if err := r.catchUp(ctx); err != nil {
		return nil, err
	}
	writes := decide(r.fold)
	if len(writes) == 0 {
		return nil, nil
	}
	if won, err = r.write(ctx, writes); err != nil {
		return nil, err
	}
	return won, r.heal(ctx)
}

// heal writes once more what lost claims hide: ours, and those of providers that could not do so any more. The caller has
// the lock.
func (r *registry) heal(ctx context.Context) error {
	for turn := 0; ; turn++ {
		keys := r.fold.unhealed()
		if len(keys) == 0 {
			return nil
		}
		if turn > 0 {
			if err := pause(ctx, turn); err != nil {
				return err
			}
		}
		var writes []write
		for _, k := range keys {
			writes = append(writes, write{key: k, value: r.fold.value(k)})
		}
		if _, err := r.write(ctx, writes); err != nil {
			return err
		}
	}
}

// mend reads the registry and heals it.
func (r *registry) mend(ctx context.Context) error {
	_, err := r.update(ctx, func(f *fold) []write {
		var writes []write
		for _, k := range f.unhealed() {
			writes = append(writes, write{key: k, value: f.value(k)})
		}
		return writes
	})
	return err
}

// write appends records whose writer has seen everything that was read, and reads on to them.
func (r *registry) write(ctx context.Context, writes []write) (won []bool, err error) {
	seen := []byte(strconv.FormatInt(r.fold.next, 10)) // Before anything more is read, on which nothing was decided.
	if !r.found {
		if err := r.create(ctx); err != nil {
			return nil, err
		}
	}
	for len(writes) > 0 {
		var messages []message
		for size := 0; len(writes) > 0 && (size == 0 || size+len(writes[0].value) < registryBatch); writes = writes[1:] {
			w := writes[0]
			size += len(w.key) + len(w.value) + 100
			messages = append(messages, message{key: []byte(w.key), value: w.value, headers: []kmsg.Header{{Key: layout.KafkaSeen, Value: seen}}})
		}
		base, err := r.append(ctx, messages)
		if err != nil {
			return nil, err
		}
		counts := make([]bool, len(messages))
		err = r.readTo(ctx, base+int64(len(messages)), func(rec record, counted bool) {
			if i := rec.offset - base; i >= 0 && i < int64(len(counts)) {
				counts[i] = counted
			}
		})
		if err != nil {
			return nil, err
		}
		won = append(won, counts...)
	}
	return won, nil
}

// append produces one record batch, and returns the offset of its first record. It is tried once more if the connection had
// been closed: what was written may then be there twice, and the second does not count.
func (r *registry) append(ctx context.Context, messages []message) (base int64, err error) {
	for turn := 0; ; turn++ {
		results, err := produce(ctx, r.c.at(r.leader), []batch{{place{r.topic, 0}, messages}})
		if err != nil && turn == 0 && ctx.Err() == nil && kgo.IsRetryableBrokerErr(err) {
			continue
		}
		if err != nil {
			r.found = false
			return 0, r.leaderError(err)
		}
		result := results[place{r.topic, 0}]
		if errors.Is(result.err, kerr.TopicAuthorizationFailed) {
			return 0, &closedError{r.topic, result.err}
		}
		if !movedLeader(result.err) {
			return result.base, result.err
		}
		if err := pause(ctx, turn); err != nil {
			return 0, fmt.Errorf("the registry topic %q has no leader (%w)", r.topic, err)
		}
		if err := r.find(ctx); err != nil {
			return 0, err
		}
	}
}

// leaderError says which broker it is that does not answer, if there are others that might.
func (r *registry) leaderError(err error) error {
	if errors.Is(err, kerr.TopicAuthorizationFailed) {
		return &closedError{r.topic, err}
	}
	if r.c.most() < 2 {
		return err
	}
	return &partError{fmt.Sprintf("the broker that leads the registry topic %q", r.topic), err}
}

// catchUp reads everything that there is.
func (r *registry) catchUp(ctx context.Context) error {
	return r.readTo(ctx, -1, func(record, bool) {})
}

// readTo reads up to an offset, exclusive, and at least to the end; see each record.
func (r *registry) readTo(ctx context.Context, end int64, see func(rec record, counted bool)) error {
	for turn := 0; ; {
		if !r.found {
			if err := r.find(ctx); err != nil {
				return err
			}
			if !r.found {
				return nil // There is no registry, so there are no markers.
			}
		}
		high, err := r.fetch(ctx, see)
		switch {
		case err == nil && r.fold.next >= max(high, end):
			return nil
		case err == nil && r.fold.next < high: // There is more.
			continue
		case err == nil: // The broker has not got as far yet as it has acknowledged: it became the leader a moment ago.
		case errors.Is(err, kerr.OffsetOutOfRange):
			r.fold = newFold()
			if r.fold.next, err = r.start(ctx); err != nil {
				return err
			}
		case movedLeader(err):
			r.found = false
		default:
			r.found = false
			return r.leaderError(err)
		}
		if err := pause(ctx, turn); err != nil {
			return fmt.Errorf("the registry topic %q cannot be read to its end (%w)", r.topic, err)
		}
		turn++
	}
}

// fetch reads what comes next, without waiting for more, and returns the end.
func (r *registry) fetch(ctx context.Context, see func(rec record, counted bool)) (high int64, err error) {
	req := kmsg.NewPtrFetchRequest()
	req.MaxBytes = registryFetch
	topic, partition := kmsg.NewFetchRequestTopic(), kmsg.NewFetchRequestTopicPartition()
	topic.Topic, partition.FetchOffset, partition.PartitionMaxBytes = r.topic, r.fold.next, registryFetch
	topic.Partitions = append(topic.Partitions, partition)
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(ctx, r.c.at(r.leader))
	if err != nil {
		return 0, err
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return 0, err
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return 0, kerr.UnknownTopicOrPartition
	}
	p := &resp.Topics[0].Partitions[0]
	if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
		return 0, err
	}
	records, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Offset: r.fold.next, Topic: r.topic}, p, kgo.DefaultDecompressor(), nil)
	if records.Err != nil {
		return 0, records.Err
	}
	for _, rec := range records.Records {
		one := registryRecord(rec)
		see(one, r.fold.add(one))
	}
	r.fold.next = max(r.fold.next, next)
	return p.HighWatermark, nil
}

func registryRecord(rec *kgo.Record) record {
	out := record{offset: rec.Offset, key: string(rec.Key), value: rec.Value, seen: unconditional}
	for _, h := range rec.Headers {
		if h.Key != layout.KafkaSeen {
			continue
		}
		if n, err := strconv.ParseInt(string(h.Value), 10, 64); err == nil {
			out.seen = n
		}
	}
	return out
}

// find looks for the topic and its leader. A topic that was made anew is read from its beginning.
func (r *registry) find(ctx context.Context) error {
	for turn := 0; ; turn++ {
		topics, err := r.c.metadata(ctx, []string{r.topic})
		if err != nil {
			return err
		}
		t, ok := topics[r.topic]
		switch {
		case !ok:
			r.found, r.id, r.fold = false, [16]byte{}, newFold()
			return nil
		case errors.Is(t.err, kerr.TopicAuthorizationFailed):
			return &closedError{r.topic, t.err}
		case t.err != nil:
			return fmt.Errorf("the registry topic %q: %w", r.topic, t.err)
		case len(t.partitions) != 1:
			return dataError{fmt.Errorf("the registry topic %q has %d partitions, and must have one: name another in registryTopic", r.topic, len(t.partitions))}
		}
		if r.id != t.id {
			r.id, r.fold = t.id, newFold()
		}
		if leader := t.partitions[0].leader; leader >= 0 {
			r.leader, r.found = leader, true
			return nil
		}
		if err := pause(ctx, turn); err != nil {
			return fmt.Errorf("the registry topic %q has no leader (%w)", r.topic, err)
		}
	}
}

// start returns the offset of the first record that is left.
func (r *registry) start(ctx context.Context) (int64, error) {
	p := place{r.topic, 0}
	found := r.c.listOffsets(ctx, map[place]int32{p: r.leader}, func(place) int64 { return earliest })
	return found[p].offset, found[p].err
}

// create makes the topic, and has it closed to others.
func (r *registry) create(ctx context.Context) error {
	config := map[string]string{keyCleanup: "compact", "min.compaction.lag.ms": compactionLag, keyUnclean: safeElection}
	err := r.createTopic(ctx, config)
	if refusesConfig(err) {
		delete(config, keyUnclean)
		err = r.createTopic(ctx, config)
	}
	if err != nil {
		return err
	}
	r.created(ctx)
	for turn := 0; !r.found; turn++ { // The home learns of it a moment later.
		if err := r.catchUp(ctx); err != nil {
			return err
		}
		if err := pause(ctx, turn); err != nil {
			return fmt.Errorf("the registry topic %q does not come up (%w)", r.topic, err)
		}
	}
	return nil
}

func (r *registry) createTopic(ctx context.Context, settings map[string]string) error {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = int32(adminTimeout / time.Millisecond)
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = r.topic, 1, -1
	for k, v := range settings {
		config := kmsg.NewCreateTopicsRequestTopicConfig()
		config.Name, config.Value = k, &v
		t.Configs = append(t.Configs, config)
	}
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, r.c.controller())
	if err != nil {
		return err
	}
	for _, t := range resp.Topics {
		if err := answer(t.ErrorCode, t.ErrorMessage); err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			return fmt.Errorf("cannot create the registry topic %q: %w", r.topic, err)
		}
	}
	return nil
}
