package kafka

import (
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// pool lends a client the memory for large batches, and has it back when all their records were recycled. It implements
// [kgo.PoolRecords] and [kgo.PoolDecompressBytes]. Small batches are not worth it.
type pool struct {
	records sync.Pool // of *[]kgo.Record
	bytes   sync.Pool // of *[]byte
}

const (
	manyRecords = 8
	manyBytes   = 2 << 10

	// compressible is how many times larger a batch may become. A buffer is cleared as a whole each time, so one that is much
	// too large costs more than it saves.
	compressible = 64
)

// GetRecords implements [kgo.PoolRecords].
func (p *pool) GetRecords(n int) []kgo.Record {
	if n < manyRecords {
		return nil
	}
	if kept, ok := p.records.Get().(*[]kgo.Record); ok {
		return *kept
	}
	return nil
}

// PutRecords implements [kgo.PoolRecords].
func (p *pool) PutRecords(records []kgo.Record) {
	if cap(records) >= manyRecords {
		p.records.Put(&records)
	}
}

// GetDecompressBytes implements [kgo.PoolDecompressBytes].
func (p *pool) GetDecompressBytes(compressed []byte, _ kgo.CompressionCodecType) []byte {
	kept, ok := p.bytes.Get().(*[]byte)
	if !ok {
		return nil
	}
	if cap(*kept) > compressible*len(compressed) {
		p.bytes.Put(kept)
		return nil
	}
	return *kept
}

// PutDecompressBytes implements [kgo.PoolDecompressBytes].
func (p *pool) PutDecompressBytes(b []byte) {
	if cap(b) >= manyBytes {
		p.bytes.Put(&b)
	}
}
