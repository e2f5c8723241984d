package kafka

import (
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A message is a record to be produced.
type message struct {
	key, value []byte
	headers    []kmsg.Header
}

// Where fields of a record batch are. Source: Kafka documentation, "Record Batch".
const (
	batchMagic      = 16
	batchCRC        = 17
	batchAttributes = 21
	batchBaseTime   = 27
	batchMaxTime    = 35
	batchHeader     = 61

	// logAppendTime is the attribute that says that the broker set the time.
	logAppendTime = 0x08
)

// encodeBatch returns messages as one record batch: all of it is in the log, or nothing.
func encodeBatch(messages []message, now time.Time) []byte {
	var records []byte
	for i, m := range messages {
		r := kmsg.Record{OffsetDelta: int32(i), Key: m.key, Value: m.value, Headers: m.headers}
		body := r.AppendTo(nil)[1:] // Without the length, which is 0 in one byte.
		records = append(kbin.AppendVarint(records, int32(len(body))), body...)
	}
	b := kmsg.RecordBatch{
		Length: int32(batchHeader - 12 + len(records)), PartitionLeaderEpoch: -1, Magic: 2,
		LastOffsetDelta: int32(len(messages) - 1), FirstTimestamp: now.UnixMilli(), MaxTimestamp: now.UnixMilli(),
		ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1,
		NumRecords: int32(len(messages)), Records: records,
	}
	out := b.AppendTo(nil)
	crc := crc32.Checksum(out[batchAttributes:], crc32.MakeTable(crc32.Castagnoli))
	binary.BigEndian.PutUint32(out[batchCRC:], crc)
	return out
}

// batchTime returns when the records of a batch were appended, from the beginning of the batch alone. ok is false if there
// is too little of it.
func batchTime(b []byte) (t time.Time, ok bool) {
	if len(b) < batchHeader || b[batchMagic] != 2 {
		return time.Time{}, false
	}
	at := batchBaseTime // The producer's time of the first record.
	if binary.BigEndian.Uint16(b[batchAttributes:])&logAppendTime != 0 {
		at = batchMaxTime
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64(b[at:]))).UTC(), true
}
