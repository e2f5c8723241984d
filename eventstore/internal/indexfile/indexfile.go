// Package indexfile keeps the index of a store's log in a file, for the next process. The file holds nothing that the log does not
// say: it may be deleted at any time while nobody uses it.
package indexfile

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/arbiter"
)

// format is that of the file. Files of another are begun anew.
const format = "1"

// lockTimeout is how long a process waits for another that has the file, and may be about to end.
const lockTimeout = 2 * time.Second

// Buckets and keys. Below partitions there is a bucket for each, with streams and chunks in buckets of their own.
var (
	metaBucket   = []byte("meta")
	formatKey    = []byte("format")
	secretKey    = []byte("key")
	nextKey      = []byte("next")
	markKey      = []byte("mark")
	streamBucket = []byte("streams")
	chunkBucket  = []byte("chunks")
)

// file is [arbiter.Disk].
type file struct {
	db  *bbolt.DB
	key []byte
}

// Open opens the index of a store, and begins one if there is none that can be read. It is nil if the store is to have none. One
// open store at a time can have it.
func Open(b eventstore.Binding) (arbiter.Disk, error) {
	if b.Index == "" || b.Streaming {
		return nil, nil //nolint:nilnil // None is no error.
	}
	name := b.Store
	if b.Subscription != "" { // Both may be open in one process.
		name += "." + b.Subscription
	}
	f, err := open(b.Index, name)
	if err != nil {
		return nil, fmt.Errorf("cannot use folder %q for the index: %w", b.Index, err)
	}
	return f, nil
}

func open(folder, name string) (*file, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(folder, name+".index")
	f, err := openFile(path)
	if errors.Is(err, errAnew) {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
		f, err = openFile(path)
	}
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fmt.Errorf("an open store has the file %q already: give each process a folder of its own, and open the store once", path)
	}
	return f, err
}

// errAnew means that a file cannot be read, or is of another version.
var errAnew = errors.New("it cannot be read")

func openFile(path string) (*file, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout, FreelistType: bbolt.FreelistMapType})
	switch {
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		return nil, errAnew
	case err != nil:
		return nil, err
	}
	f := &file{db: db}
	if err := db.Update(f.begin); err != nil {
		_ = db.Close()
		return nil, err
	}
	return f, nil
}

func (f *file) begin(tx *bbolt.Tx) error {
	meta := tx.Bucket(metaBucket)
	if meta == nil {
		var err error
		if meta, err = tx.CreateBucket(metaBucket); err != nil {
			return err
		}
		key := make([]byte, 16)
		_, _ = rand.Read(key) // Never fails.
		if err := errors.Join(meta.Put(formatKey, []byte(format)), meta.Put(secretKey, key)); err != nil {
			return err
		}
	}
	if string(meta.Get(formatKey)) != format {
		return errAnew
	}
	f.key = bytes.Clone(meta.Get(secretKey))
	return nil
}

// Close writes what there is, and gives the file back.
func (f *file) Close() error { return f.db.Close() }

// Key implements [arbiter.Disk].
func (f *file) Key() []byte { return f.key }

func bucketOf(partition int) []byte { return []byte("partition " + strconv.Itoa(partition)) }

// Load implements [arbiter.Disk].
func (f *file) Load(partition int) (k arbiter.Kept, err error) {
	err = f.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketOf(partition))
		if b == nil {
			return nil
		}
		if k.Next, err = decodePosition(b.Get(nextKey)); err != nil {
			return err
		}
		mark := b.Get(markKey)
		if len(mark) < len(k.Mark.Hash) {
			return errAnew
		}
		copy(k.Mark.Hash[:], mark)
		if k.Mark.At, err = decodePosition(mark[len(k.Mark.Hash):]); err != nil {
			return err
		}
		streams := b.Bucket(streamBucket)
		k.Streams = map[string]arbiter.Stream{}
		// What the file has is its memory: it goes with the transaction.
		err := streams.ForEach(func(name, head []byte) error {
			k.Streams[string(name)] = arbiter.Stream{Head: bytes.Clone(head)}
			return nil
		})
		if err != nil {
			return err
		}
		return b.Bucket(chunkBucket).ForEach(func(name, chunk []byte) error { // In their order.
			stream := string(name[:len(name)-4])
			of := k.Streams[stream]
			of.Full = append(of.Full, bytes.Clone(chunk))
			k.Streams[stream] = of
			return nil
		})
	})
	return k, err
}

// Keep implements [arbiter.Disk].
func (f *file) Keep(partition int, k arbiter.Kept) error {
	return f.db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(bucketOf(partition))
		if err != nil {
			return err
		}
		streams, err1 := b.CreateBucketIfNotExists(streamBucket)
		chunks, err2 := b.CreateBucketIfNotExists(chunkBucket)
		mark := append(k.Mark.Hash[:len(k.Mark.Hash):len(k.Mark.Hash)], encodePosition(k.Mark.At)...)
		if err := errors.Join(err1, err2, b.Put(nextKey, encodePosition(k.Next)), b.Put(markKey, mark)); err != nil {
			return err
		}
		for name, stream := range k.Streams {
			if err := streams.Put([]byte(name), stream.Head); err != nil {
				return err
			}
			for i, chunk := range stream.Full {
				key := binary.BigEndian.AppendUint32([]byte(name), uint32(stream.First+i))
				if err := chunks.Put(key, chunk); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// Forget implements [arbiter.Disk].
func (f *file) Forget(partition int) error {
	return f.db.Update(func(tx *bbolt.Tx) error {
		err := tx.DeleteBucket(bucketOf(partition))
		if errors.Is(err, berrors.ErrBucketNotFound) {
			return nil
		}
		return err
	})
}

func encodePosition(p arbiter.Position) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(p.Segment)), uint64(p.Offset))
}

func decodePosition(b []byte) (p arbiter.Position, err error) {
	if len(b) != 16 {
		return p, errAnew
	}
	return arbiter.Position{Segment: int64(binary.BigEndian.Uint64(b)), Offset: int64(binary.BigEndian.Uint64(b[8:]))}, nil
}
