// Package arbiter gives a log without conditional writes an append with an expected version, and linearizable streams.
// Kafka and Pulsar share it; what it needs of either is a [Log].
//
// One record is one whole append, and names its base: the version that its stream had before. Every process reads the
// partition in order and counts: a record counts if its base is the version of its stream at that place, and is void
// otherwise, for everybody alike. Nobody decides; the order of the log does. docs/layout.md is normative.
//
// Two rules make that linearizable. Nobody publishes ahead of the version that it has seen, so that a void record stays
// void, whatever is repeated or delayed. And nobody believes an acknowledgement: an append has its verdict when its own
// record was read back, and a read begins by reading up to the end that the partition has now.
package arbiter

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"iter"
	"strconv"
	"sync"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/lifetime"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// A Position is a place in a partition. On Kafka only Offset is used; on Pulsar the two are ledger and entry.
type Position struct{ Segment, Offset int64 }

// Before reports whether p is before q.
func (p Position) Before(q Position) bool {
	return p.Segment < q.Segment || p.Segment == q.Segment && p.Offset < q.Offset
}

// A Log is what a broker must do: partitions to which records are added, and that are read in order. Its methods are
// called concurrently.
type Log interface {
	// Publish adds a record to a partition, and does not wait. The key is the stream. It must not keep the fields. A log that
	// repeats by itself is welcome: copies do no harm.
	Publish(partition int, stream string, fields record.Fields, o Outcome)

	// Tail reads a partition from a position on, and calls fold with what it reads, in order and without holes, until ctx
	// ends. The zero Position is the beginning of the partition. It waits out what passes, such as a broker that is gone.
	// It returns an error that matches [eventstore.ErrHistoryLost] if records are gone that were there, which is final;
	// after any other error it is called again when somebody needs the partition.
	Tail(ctx context.Context, partition int, from Position, fold Fold) error

	// At returns the entry of the record at a position; the zero Entry if there is none.
	At(ctx context.Context, partition int, at Position) (Entry, error)

	// End returns the position after the last record that there is. It asks the broker after it was called.
	End(ctx context.Context, partition int) (Position, error)
}

// An Outcome hears what became of a record that was published, even if nobody waits for it any more.
type Outcome interface {
	// Landed tells where the record is. A log need not tell; if it does, the record is judged at once if it is the next one,
	// and nobody waits until the tail brings it. The log must have it for good: whoever asks for the end from now on is told
	// one that is after it.
	Landed(at Position)

	// Failed tells that the record may be missing. With an error that matches [ErrRefused] it is certain that it is not in the
	// log and never will be; after any other, the arbiter looks, and publishes again.
	Failed(err error)
}

// Fold takes records that follow each other, and the position from which on to read. A log calls it also without
// records, when it moved over a place that has none for us. The slice is not kept. It returns up to where records are known:
// nothing before that need be told.
type Fold func(entries []Entry, next Position) (known Position)

// ErrRefused is matched by errors of records that the log did not take, and will not.
var ErrRefused = errors.New("refused")

// An Arbiter keeps the index of the partitions that are in use, and appends to their streams. It reads a partition from
// its beginning when that is first needed.
type Arbiter struct {
	log        Log
	disk       Disk // May be nil.
	partitions []*partition

	process string // Random; begins the ids of our attempts.

	ctx   context.Context // Ends with Close.
	close context.CancelCauseFunc
	wg    sync.WaitGroup
}

// New returns an arbiter of a log with n partitions. Without a disk, which may be nil, it reads each from its beginning.
func New(log Log, n int, disk Disk) *Arbiter {
	ctx, cancel := context.WithCancelCause(context.Background())
	a := &Arbiter{log: log, disk: disk, process: newProcess(), ctx: ctx, close: cancel, partitions: make([]*partition, n)}
	for i := range a.partitions {
		a.partitions[i] = newPartition(a, i)
	}
	if disk != nil {
		a.wg.Go(func() { a.keepAll(ctx) })
	}
	return a
}

// Close ends all calls, and waits for what it started. An append that was published has then an unknown outcome.
func (a *Arbiter) Close() {
	for _, p := range a.partitions {
		p.shut()
	}
	a.close(lifetime.ErrClosed)
	a.wg.Wait()
	if a.disk != nil {
		_ = a.disk.Close() // What it lacks is read again.
	}
}

// newProcess returns 16 hexadecimal digits: nobody else's attempts begin with them.
func newProcess() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // Never fails.
	return hex.EncodeToString(b[:])
}

// attemptID is the process and the number of the attempt, in hexadecimal.
func (a *Arbiter) attemptID(n uint64) string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	return a.process + hex.EncodeToString(b[:])
}

// ours returns the number of an attempt, if it is one of ours.
func (a *Arbiter) ours(id string) (n uint64, ok bool) {
	if len(id) != len(a.process)+16 || id[:len(a.process)] != a.process {
		return 0, false
	}
	n, err := strconv.ParseUint(id[len(a.process):], 16, 64)
	return n, err == nil
}

func (a *Arbiter) partition(stream string) *partition {
	return a.partitions[layout.Partition(stream, len(a.partitions))]
}

// Locate returns where the records are that have the stream's events after a version, at most limit of them. It says
// what there was when [Arbiter.CatchUp] was called last.
func (a *Arbiter) Locate(stream eventstore.StreamID, after eventstore.Version, limit int) (partition int, at []Position, err error) {
	name := stream.String()
	p := a.partition(name)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.number, p.index.positions(name, int64(after), limit), p.lost
}

// CatchUp returns when everything was read that is in a stream's partition now.
func (a *Arbiter) CatchUp(ctx context.Context, stream eventstore.StreamID) error {
	return a.partition(stream.String()).catchUp(ctx)
}

// Unread returns up to where a partition was read. tailed says that a tail goes on there; else whoever reads the partition
// anyway had better begin there, and tell [Arbiter.Judge].
func (a *Arbiter) Unread(ctx context.Context, partition int) (from Position, tailed bool, err error) {
	p := a.partitions[partition]
	if err := p.load(ctx); err != nil {
		return Position{}, false, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.next, p.reading, nil
}

// Begins tells where the second record of a partition is to be, by whoever has looked at its first, which is no append. Whoever
// reads the partition from its beginning can then tell that nothing is before what it has, even if positions do not begin at 0.
func (a *Arbiter) Begins(partition int, at Position) {
	p := a.partitions[partition]
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == (Position{}) && !p.reading {
		p.next = at
	}
}

// Judge tells of records that follow each other in a partition, without holes, which of them count. Whoever asks has read
// them, to deliver them or to replay them. The arbiter folds them as well if it is just there: so a process that only
// consumes reads nothing twice. Else it waits until it was told as much by the tail.
func (a *Arbiter) Judge(ctx context.Context, partition int, entries []Entry, counts []bool) error {
	p := a.partitions[partition]
	if err := p.load(ctx); err != nil {
		return err
	}
	judged, err := p.judgeRead(entries, counts)
	if judged || err != nil {
		return err
	}
	if err := p.await(ctx, entries[len(entries)-1].Position.after()); err != nil {
		return err
	}
	_, err = p.judgeRead(entries, counts)
	return err
}

// Runs yields from where to before where entries follow each other without holes, as [Arbiter.Judge] wants them.
func Runs(entries []Entry) iter.Seq2[int, int] {
	return func(yield func(from, to int) bool) {
		for from := 0; from < len(entries); {
			to := from + 1
			for to < len(entries) && entries[to].Position == entries[to-1].Position.after() {
				to++
			}
			if !yield(from, to) {
				return
			}
			from = to
		}
	}
}
