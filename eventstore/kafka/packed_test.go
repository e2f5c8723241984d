package kafka

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/arbiter"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
)

// What a packed record carries is what the client would have unpacked: records of all sizes, of ours and of others.
func TestPacked(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	text := func(most int) string { return strings.Repeat("x", random.IntN(most)) }
	records := []*kgo.Record{
		{},
		{Key: []byte{}, Value: []byte{}},
		{Value: []byte("payload"), Headers: []kgo.RecordHeader{{Key: record.Data, Value: []byte("another")}}},
		{Headers: []kgo.RecordHeader{{Key: record.ID}, {Value: []byte{}}, {Key: record.ID, Value: []byte("last")}}},
		{Value: []byte(strings.Repeat("x", 1<<20))},
	}
	for n := range 200 {
		records = append(records, message(text(300), record.Fields{
			{Name: record.SpecVersion, Value: "1.0"},
			{Name: record.ID, Value: fmt.Sprint(n)},
			{Name: record.Source, Value: text(20)},
			{Name: record.Subject, Value: text(300)},
			{Name: record.Version, Value: fmt.Sprint(random.IntN(10))},
			{Name: "ce_" + text(50), Value: text(10)},
			{Name: record.Data, Value: text(20_000)},
		}))
	}
	cases := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	for name, codec := range cases {
		t.Run(name, func(t *testing.T) {
			sent := compressed(t, records, codec)
			plain, err := received(sent, kgo.DefaultDecompressor())
			if err != nil || len(plain) != len(records) {
				t.Fatalf("%d plain records, %v; want %d", len(plain), err, len(records))
			}
			lent, unpacking := &pool{}, decoder{packed: true}
			for range 3 { // With memory that is used again.
				packed, err := received(sent, newPacker(lent), lent)
				if err != nil || len(packed) != len(records) {
					t.Fatalf("%d packed records, %v; want %d", len(packed), err, len(records))
				}
				for i, r := range packed {
					want, got := (&decoder{}).envelope(plain[i]), unpacking.envelope(r)
					if !reflect.DeepEqual(want, got) {
						t.Fatalf("record %d (-want, +got):\n%s", i, cmp.Diff(want, got, cmp.AllowUnexported(record.Envelope{})))
					}
					if r.Offset != plain[i].Offset || !r.Timestamp.Equal(plain[i].Timestamp) || r.LeaderEpoch != plain[i].LeaderEpoch {
						t.Fatalf("record %d is at %d, %s, %d; want %d, %s, %d", i,
							r.Offset, r.Timestamp, r.LeaderEpoch, plain[i].Offset, plain[i].Timestamp, plain[i].LeaderEpoch)
					}
					r.Recycle()
				}
			}
		})
	}
}

// A tail gives records back when it has taken all that it needs of them, and what it folded stays.
func TestTailGivesBack(t *testing.T) {
	var records []*kgo.Record
	for n := range 2 * batch {
		records = append(records, message("", record.Fields{
			{Name: record.ID, Value: fmt.Sprint(n)}, {Name: record.Subject, Value: fmt.Sprintf("order:%d", n)}, {Name: record.Attempt, Value: fmt.Sprint(-n)},
		}))
	}
	sent := compressed(t, records, kgo.SnappyCompression())
	plain, err := received(sent, kgo.DefaultDecompressor())
	if err != nil {
		t.Fatal(err)
	}
	var want, got []arbiter.Entry
	for _, r := range plain {
		want = append(want, (&decoder{}).entry(r))
	}
	fold := func(entries []arbiter.Entry, next arbiter.Position) arbiter.Position {
		got = append(got, entries...)
		return arbiter.Position{}
	}
	tails := newTails(nil, "t", newLogins())
	lent := &pool{}
	for range 3 { // With memory that is used again.
		tails.open[0] = &tail{next: plain[0].Offset, fold: fold, decoder: decoder{packed: true}, ended: make(chan error, 1)}
		packed, err := received(sent, newPacker(lent), lent)
		if err != nil {
			t.Fatal(err)
		}
		tails.hand(kgo.FetchPartition{Records: packed})
		if epoch := tails.epochs[0]; epoch != plain[0].LeaderEpoch {
			t.Errorf("the tail has reached epoch %d, want %d", epoch, plain[0].LeaderEpoch)
		}
		for i, r := range packed {
			if r.Value != nil {
				t.Fatalf("record %d was not given back", i)
			}
		}
	}
	if want = slices.Concat(want, want, want); !reflect.DeepEqual(want, got) {
		t.Errorf("%d entries were folded, want %d of the same texts", len(got), len(want))
	}
}

// What is no batch is refused, and what is no record has no envelope: nothing may be read beyond what was received.
func TestPackedBroken(t *testing.T) {
	var batch []byte
	for _, r := range plain([]*kgo.Record{message("order:1", record.Fields{{Name: record.ID, Value: "e1"}, {Name: record.Data, Value: "payload"}})}) {
		batch = r.AppendTo(batch)
	}
	if _, err := pack(nil, batch); err != nil {
		t.Fatal(err)
	}
	for n := 1; n < len(batch); n++ {
		if packed, err := pack(nil, batch[:n]); !errors.Is(err, errBatch) {
			t.Errorf("%d of %d bytes of a batch gave %d bytes, %v; want %v", n, len(batch), len(packed), err, errBatch)
		}
	}
	const place = 4 // Bytes of its length, attributes, time and offset.
	carried, d := batch[place:], decoder{packed: true}
	if v := d.unpack(carried); v.ID != "e1" || string(v.Data) != "payload" {
		t.Fatalf("the record has the envelope %+v, want that of e1", v)
	}
	for n := range carried {
		if v := d.unpack(carried[:n]); v.ID != "" || v.Data != nil {
			t.Errorf("%d bytes gave the envelope %+v, want none", n, v)
		}
	}
}

// received returns the records of a batch as a client hands them out.
func received(batch []byte, decompressor kgo.Decompressor, pools ...kgo.Pool) ([]*kgo.Record, error) {
	raw := &kmsg.FetchResponseTopicPartition{RecordBatches: batch}
	p, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{DisableCRCValidation: true, Pools: pools}, raw, decompressor, nil)
	return p.Records, p.Err
}

// compressed returns records as one batch.
func compressed(t *testing.T, records []*kgo.Record, codec kgo.CompressionCodec) []byte {
	t.Helper()
	b := kmsg.RecordBatch{
		Magic: 2, FirstOffset: 1 << 40, FirstTimestamp: 1 << 40, PartitionLeaderEpoch: 7,
		LastOffsetDelta: int32(len(records) - 1), NumRecords: int32(len(records)),
	}
	for _, r := range plain(records) {
		b.Records = r.AppendTo(b.Records)
	}
	if c, err := kgo.DefaultCompressor(codec); err != nil {
		t.Fatal(err)
	} else if c != nil {
		var used kgo.CompressionCodecType
		b.Records, used = c.Compress(new(bytes.Buffer), b.Records)
		b.Attributes = int16(used)
	}
	const counted = 49 // Bytes of a batch that its length covers, beside the records.
	b.Length = int32(counted + len(b.Records))
	return b.AppendTo(nil)
}

// plain returns records as they are in a batch.
func plain(records []*kgo.Record) (all []kmsg.Record) {
	for i, r := range records {
		one := kmsg.Record{OffsetDelta: int32(i), TimestampDelta64: int64(1000 * i), Key: r.Key, Value: r.Value}
		for _, h := range r.Headers {
			one.Headers = append(one.Headers, kmsg.Header{Key: h.Key, Value: h.Value})
		}
		one.Length = int32(len(one.AppendTo(nil)) - 1) // Without the length itself, which is yet one byte.
		all = append(all, one)
	}
	return all
}
