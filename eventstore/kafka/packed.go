package kafka

import (
	"errors"
	"slices"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
)

// packer has a client hand out the records of compressed batches packed: what a record carries, its key, payload and headers, is
// its value, as it was sent. A client unpacks all that comes of a broker in one goroutine, each header into memory of its own,
// before it asks for more. Packed, records are unpacked by whoever reads a partition, beside others, into what is needed. It
// implements [kgo.Decompressor].
type packer struct {
	pool  *pool
	plain kgo.Decompressor
}

// packing returns the options of a client with a packer, and with memory that it has back when its records are recycled.
func packing() []kgo.Opt {
	lent := &pool{}
	return []kgo.Opt{kgo.WithPools(lent), kgo.WithDecompressor(newPacker(lent))}
}

func newPacker(pool *pool) packer { return packer{pool: pool, plain: kgo.DefaultDecompressor(pool)} }

// Decompress implements [kgo.Decompressor].
func (p packer) Decompress(src []byte, codec kgo.CompressionCodecType) ([]byte, error) {
	batch, err := p.plain.Decompress(src, codec)
	if err != nil || codec == kgo.CodecNone {
		return batch, err
	}
	defer p.pool.PutDecompressBytes(batch)
	return pack(p.pool.GetDecompressBytes(src, codec), batch)
}

// isPacked reports whether a record of a client with a packer is packed. Those that were not compressed pass it by.
func isPacked(r *kgo.Record) bool { return r.Attrs.CompressionType() != uint8(kgo.CodecNone) }

var errBatch = errors.New("a batch of records is not as Kafka writes it")

// pack returns the records of a batch, each as the value of a record without key and headers, in room if there is enough.
// Source: https://kafka.apache.org/41/implementation/message-format/, Record.
func pack(room, batch []byte) ([]byte, error) {
	packed := slices.Grow(room[:0], len(batch)+len(batch)/8) // Each becomes some five bytes longer.
	for len(batch) > 0 {
		length, n := kbin.Varint(batch)
		if n <= 0 || length < 0 || int(length) > len(batch)-n {
			return nil, errBatch
		}
		one := batch[n : n+int(length)]
		batch = batch[n+int(length):]

		r := kbin.Reader{Src: one}
		r.Int8()    // Attributes, of which there are none,
		r.Varlong() // when it was written,
		r.Varint()  // and where: both relative to the batch.
		if !r.Ok() {
			return nil, errBatch
		}
		place, carried := one[:len(one)-len(r.Src)], r.Src
		const noKey, noHeaders = -1, 0
		packed = kbin.AppendVarint(packed, int32(len(place)+kbin.VarintLen(noKey)+kbin.VarintLen(int32(len(carried)))+len(carried)+kbin.VarintLen(noHeaders)))
		packed = append(packed, place...)
		packed = kbin.AppendVarint(packed, noKey)
		packed = kbin.AppendVarintBytes(packed, carried)
		packed = kbin.AppendVarint(packed, noHeaders)
	}
	return packed, nil
}

// unpack returns the envelope of what a packed record carries. Its payload is part of that, and not a copy.
func (d *decoder) unpack(carried []byte) (v record.Envelope) {
	r := kbin.Reader{Src: carried}
	r.VarintBytes() // The key says what a header says too.
	payload := r.VarintBytes()
	for range r.VarintArrayLen() {
		if name, value := r.VarintBytes(), r.VarintBytes(); string(name) != record.Source {
			v.Set(string(name), d.text(value))
		}
	}
	if !r.Ok() { // It is nothing that anybody could have sent.
		return record.Envelope{}
	}
	v.Data = payload // Whatever a header says.
	return v
}
