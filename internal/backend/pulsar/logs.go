package pulsar

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// A ledgerStats is what Pulsar says of the storage of one topic or partition. Entries are records, as long as producers do
// not batch: those of the SDK never do.
type ledgerStats struct {
	Entries       int64  `json:"numberOfEntries"`
	Size          int64  `json:"totalSize"`
	LastConfirmed string `json:"lastConfirmedEntry"`
	Ledgers       []struct {
		ID      int64 `json:"ledgerId"`
		Entries int64 `json:"entries"` // 0 for the last one, which is open.
	} `json:"ledgers"`
	CurrentEntries int64             `json:"currentLedgerEntries"`
	Cursors        map[string]cursor `json:"cursors"`
}

// A cursor is where a subscription is.
type cursor struct {
	MarkDelete string `json:"markDeletePosition"` // Of the last record before the first that is not acknowledged.
}

// A topicStats is what Pulsar says of the use of one partition. It costs the brokers a tenth of what a ledgerStats does, for
// all partitions at once.
type topicStats struct {
	Created       int64                        `json:"topicCreationTimeStamp"`
	Owner         string                       `json:"ownerBroker"`
	MessagesIn    int64                        `json:"msgInCounter"` // Since the topic was loaded.
	BytesIn       int64                        `json:"bytesInCounter"`
	StorageSize   int64                        `json:"storageSize"`
	LastPublished int64                        `json:"lastPublishTimeStamp"`
	Subscriptions map[string]subscriptionStats `json:"subscriptions"`
}

type subscriptionStats struct {
	Backlog   int64 `json:"msgBacklog"`                         // Records that are not acknowledged.
	Earliest  int64 `json:"earliestMsgPublishTimeInBacklog"`    // Of the first of them, in ms since 1970.
	Moved     int64 `json:"lastMarkDeleteAdvancedTimestamp"`    // When, in ms since 1970.
	Holes     int64 `json:"nonContiguousDeletedMessagesRanges"` // Between records that are acknowledged.
	Expired   int64 `json:"totalMsgExpired"`
	Consumers []struct {
		Name string `json:"consumerName"`
	} `json:"consumers"`
}

// fingerprint changes whenever something changes that a ledgerStats has.
func (s topicStats) fingerprint() string {
	var b strings.Builder
	fmt.Fprint(&b, s.Created, s.Owner, s.MessagesIn, s.BytesIn, s.StorageSize, s.LastPublished)
	for _, name := range slices.Sorted(maps.Keys(s.Subscriptions)) {
		sub := s.Subscriptions[name]
		fmt.Fprint(&b, " ", name, sub.Backlog, sub.Moved, sub.Holes, sub.Expired)
	}
	return b.String()
}

// expired is how many records all subscriptions have skipped, since the topic was loaded.
func (s topicStats) expired() (n int64) {
	for _, sub := range s.Subscriptions {
		n += sub.Expired
	}
	return n
}

// A partitionStats is what Pulsar says of one partition.
type partitionStats struct {
	topicStats
	ledgerStats
}

// A topicReading is what Pulsar has of the topic of a store's events. The zero value means that there is none.
type topicReading struct {
	partitions int                    // As many as the topic has, whether they answer or not.
	logs       map[int]partitionStats // Those that answer.
}

// readEvents reads all partitions of a store's events. The storage of a partition is only read if its use shows that something
// has changed since it was read last, or if fresh says so.
func (b *Backend) readEvents(ctx context.Context, kind, store string, fresh bool) (topicReading, error) {
	var answer struct {
		Metadata struct {
			Partitions int `json:"partitions"`
		} `json:"metadata"`
		Partitions map[string]topicStats `json:"partitions"`
	}
	err := b.get(ctx, kind, b.topic(store, layout.PulsarEvents)+"/partitioned-stats", &answer,
		"perPartition", "true", "getPreciseBacklog", "true", "getEarliestTimeInBacklog", "true")
	if err != nil {
		return topicReading{}, unlessAbsent(err)
	}
	logs := map[int]partitionStats{}
	var stale []int
	for p, stats := range byPartition(b.fullName(store, layout.PulsarEvents), answer.Partitions) {
		local := layout.PulsarPartition(layout.PulsarEvents, p)
		ledger, ok := b.ledgers.get(b.topic(store, local), stats.fingerprint())
		if fresh || !ok {
			stale = append(stale, p)
		}
		logs[p] = partitionStats{stats, ledger}
	}
	var mu sync.Mutex
	errs := make([]error, len(stale))
	parallel(len(stale), func(i int) {
		p := stale[i]
		local := layout.PulsarPartition(layout.PulsarEvents, p)
		ledger, ok, err := b.readLedger(ctx, kind, store, local)
		mu.Lock()
		defer mu.Unlock()
		if errs[i] = err; !ok {
			delete(logs, p)
			return
		}
		stats := logs[p].topicStats
		logs[p] = partitionStats{stats, ledger}
		b.ledgers.put(b.topic(store, local), stats.fingerprint(), ledger)
	})
	return topicReading{partitions: answer.Metadata.Partitions, logs: logs}, first(errs...)
}

// readLogs reads the partitions that answer, by their numbers, in the way of readEvents.
func (b *Backend) readLogs(ctx context.Context, kind, store string, fresh bool) (map[int]partitionStats, error) {
	r, err := b.readEvents(ctx, kind, store, fresh)
	return r.logs, err
}

// byPartition turns the names of a topic's partitions into numbers.
func byPartition[V any](topic string, named map[string]V) map[int]V {
	numbered := make(map[int]V, len(named))
	for p := range maxPartitions {
		if len(numbered) == len(named) {
			break
		}
		if v, ok := named[layout.PulsarPartition(topic, p)]; ok {
			numbered[p] = v
		}
	}
	return numbered
}

// A ledgerCache remembers the storage of partitions, by what shows that it has changed.
type ledgerCache struct {
	mu    sync.Mutex
	known map[string]knownLedger
}

type knownLedger struct {
	fingerprint string
	stats       ledgerStats
	read        time.Time
}

// ledgerAge is after how long the storage of a partition is read again, though nothing shows that it has changed.
const ledgerAge = 5 * time.Minute

func (c *ledgerCache) get(topic, fingerprint string) (ledgerStats, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, ok := c.known[topic]
	return k.stats, ok && k.fingerprint == fingerprint && time.Since(k.read) < ledgerAge
}

func (c *ledgerCache) put(topic, fingerprint string, s ledgerStats) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || len(c.known) >= maxEntries {
		c.known = map[string]knownLedger{}
	}
	c.known[topic] = knownLedger{fingerprint: fingerprint, stats: s, read: time.Now()}
}

// readLedger reads the storage of a topic that is not partitioned. ok is false if there is none.
func (b *Backend) readLedger(ctx context.Context, kind, store, local string) (s ledgerStats, ok bool, err error) {
	err = b.get(ctx, kind, b.topic(store, local)+"/internalStats", &s)
	if isAbsent(err) {
		return s, false, nil
	}
	return s, err == nil, err
}

// bounds returns where the first and the last record are; ok is false if there are none.
func (s ledgerStats) bounds() (begin, end position, ok bool) {
	if s.Entries == 0 {
		return begin, end, false
	}
	end, err := parsePosition(s.LastConfirmed)
	if err != nil || end.entry < 0 {
		return begin, end, false
	}
	for _, l := range s.Ledgers {
		if l.Entries > 0 || l.ID == end.ledger {
			return position{l.ID, 0}, end, true
		}
	}
	return begin, end, false
}

// genesisOf returns where the genesis record of a partition is; nil if its first record is another, or there is none. In a
// streaming store it may be gone, and a record that the brokers cannot tell of is another.
func (b *Backend) genesisOf(ctx context.Context, kind, store string, of layout.Kind, partition int, s ledgerStats) (*position, error) {
	begin, _, ok := s.bounds()
	if !ok {
		return nil, nil //nolint:nilnil // None is a value here.
	}
	head, err := b.entry(ctx, kind, store, layout.PulsarPartition(layout.PulsarEvents, partition), begin)
	switch {
	case err != nil:
		return nil, err
	case head.untold && of != layout.Streaming:
		return nil, dataError{fmt.Errorf("the brokers do not tell whether record %s of partition %d is the genesis record: look for what is wrong with it in their logs", begin, partition)}
	case !head.genesis:
		return nil, nil //nolint:nilnil // None is a value here.
	}
	return &begin, nil
}

// observeLog describes one partition. exists is false if it has nothing at all: not even the genesis record.
func (b *Backend) observeLog(ctx context.Context, kind, store string, of layout.Kind, partition int, s ledgerStats) (l plan.Log, exists bool, err error) {
	l = plan.Log{Partition: partition, Records: s.Entries}
	begin, end, ok := s.bounds()
	if !ok {
		return l, false, nil
	}
	genesis, err := b.genesisOf(ctx, kind, store, of, partition, s)
	if err != nil {
		return l, false, err
	}
	if genesis != nil {
		begin = s.next(*genesis)
		l.Records--
	}
	if l.Records <= 0 {
		return l, true, nil
	}
	l.Bytes, l.First, l.Last = s.Size, begin.String(), end.String()
	local := layout.PulsarPartition(layout.PulsarEvents, partition)
	oldest, err := b.entry(ctx, kind, store, local, begin)
	if err != nil {
		return l, false, err
	}
	newest, err := b.entry(ctx, kind, store, local, end)
	l.Oldest, l.Newest = oldest.published, newest.published
	return l, true, err
}

// next returns the position after p, in the next ledger if p is the last of its own.
func (s ledgerStats) next(p position) position {
	for i, l := range s.Ledgers {
		if l.ID == p.ledger && l.Entries > 0 && p.entry+1 >= l.Entries && i+1 < len(s.Ledgers) {
			return position{s.Ledgers[i+1].ID, 0}
		}
	}
	return position{p.ledger, p.entry + 1}
}

// An entry is what is known of one record, which never changes.
type entry struct {
	genesis   bool
	published time.Time
	untold    bool // The brokers failed to tell, as they do if its properties are larger than the headers of an answer may be.
}

// entryCache remembers records that were looked at.
type entryCache struct {
	mu      sync.Mutex
	entries map[entryKey]entry
}

type entryKey struct {
	topic string
	at    position
}

// maxEntries is how many records are remembered: about 100 bytes each.
const maxEntries = 200_000

func (c *entryCache) get(k entryKey) (entry, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[k]
	return e, ok
}

func (c *entryCache) put(k entryKey, e entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries == nil || len(c.entries) >= maxEntries {
		c.entries = map[entryKey]entry{} // What is still needed comes back.
	}
	c.entries[k] = e
}

// drained is how much of a payload is read, though nobody wants it.
const drained = 64 << 10

// entry looks at one record, and not at its payload. When a record was published that the brokers cannot tell of, is not known.
func (b *Backend) entry(ctx context.Context, kind, store, local string, at position) (entry, error) {
	key := entryKey{topic: b.topic(store, local), at: at}
	if e, ok := b.entries.get(key); ok {
		return e, nil
	}
	b.observe(kind, 1)
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	resp, err := b.admin.MakeRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s%s/ledger/%d/entry/%d", api, key.topic, at.ledger, at.entry))
	if hasCode(err, http.StatusInternalServerError) {
		return entry{untold: true}, nil // Not remembered: it may have been something else.
	}
	if err != nil {
		return entry{}, err
	}
	_, _ = io.CopyN(io.Discard, resp.Body, drained) // So that the connection is kept.
	_ = resp.Body.Close()
	var properties map[string]string
	// What has no properties, or others, is no genesis record.
	_ = json.Unmarshal([]byte(resp.Header.Get("X-Pulsar-PROPERTY")), &properties)
	published, err := time.Parse(time.RFC3339Nano, resp.Header.Get("X-Pulsar-publish-time"))
	if err != nil {
		return entry{}, fmt.Errorf("cannot read when record %s was published: %w", at, err)
	}
	e := entry{genesis: properties[layout.ContentType] == layout.GenesisType, published: published}
	b.entries.put(key, e)
	return e, nil
}
