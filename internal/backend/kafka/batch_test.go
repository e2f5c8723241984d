package kafka

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestEncodeBatch(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_123).UTC()
	b := encodeBatch([]message{
		{key: []byte("k"), value: []byte("v"), headers: []kmsg.Header{{Key: "h", Value: []byte("x")}}},
		{key: []byte("deleted")},
	}, now)
	p, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{}, &kmsg.FetchResponseTopicPartition{RecordBatches: b}, kgo.DefaultDecompressor(), nil)
	if p.Err != nil || next != 2 || len(p.Records) != 2 {
		t.Fatalf("a batch of two: %d records, next offset %d, %v", len(p.Records), next, p.Err)
	}
	first, second := p.Records[0], p.Records[1]
	got := []string{string(first.Key), string(first.Value), first.Headers[0].Key, string(first.Headers[0].Value), string(second.Key)}
	if diff := cmp.Diff([]string{"k", "v", "h", "x", "deleted"}, got); diff != "" {
		t.Errorf("records: -want, +got:\n%s", diff)
	}
	if second.Value != nil {
		t.Error("a record without a value has one")
	}
	if at, ok := batchTime(b); !ok || !at.Equal(now) {
		t.Errorf("time: %v, %t", at, ok)
	}
	if at, ok := batchTime(b[:batchHeader]); !ok || !at.Equal(now) {
		t.Errorf("time of the header alone: %v, %t", at, ok)
	}
	if _, ok := batchTime(b[:batchHeader-1]); ok {
		t.Error("less than a header has a time")
	}
}
