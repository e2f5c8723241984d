package record

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// Names of fields of a snapshot, beside [Data], which is the state.
const (
	SnapshotVersion = "version"
	SnapshotSchema  = "schema"
	SnapshotTime    = "time" // RFC 3339
)

// EncodeSnapshot returns the fields of a snapshot. Without a time, it is of now.
func EncodeSnapshot(s eventstore.Snapshot) Fields {
	if s.Time.IsZero() {
		s.Time = time.Now()
	}
	return Fields{
		{SnapshotVersion, strconv.FormatInt(int64(s.Version), 10)},
		{SnapshotSchema, s.Schema},
		{SnapshotTime, s.Time.UTC().Format(time.RFC3339Nano)},
		{Data, string(s.Data)},
	}
}

// DecodeSnapshot is the inverse of EncodeSnapshot.
func DecodeSnapshot(stream eventstore.StreamID, fields Fields) (eventstore.Snapshot, error) {
	version, err1 := strconv.ParseInt(fields.Get(SnapshotVersion), 10, 64)
	at, err2 := time.Parse(time.RFC3339Nano, fields.Get(SnapshotTime))
	if err := cmp.Or(err1, err2); err != nil {
		return eventstore.Snapshot{}, fmt.Errorf("its version %.20q or time %.40q is none", fields.Get(SnapshotVersion), fields.Get(SnapshotTime))
	}
	return eventstore.Snapshot{
		Stream: stream, Version: eventstore.Version(version), Data: []byte(fields.Get(Data)), Schema: fields.Get(SnapshotSchema), Time: at,
	}, nil
}
