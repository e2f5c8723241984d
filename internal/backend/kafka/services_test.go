package kafka

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
)

// Services that cannot be had here are real brokers whose connections are changed on the way.

// through returns a backend whose connections are wrapped.
func (f *fixture) through(t *testing.T, c connect.Kafka, wrap func(net.Conn) net.Conn) *Backend {
	t.Helper()
	b := f.open(t, c)
	opts, err := c.Options(nil)
	if err != nil {
		t.Fatal(err)
	}
	b.cluster.client.Close()
	b.cluster.client, err = kgo.NewClient(append(opts, kgo.Dialer(func(ctx context.Context, network, host string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, host)
		if err != nil {
			return nil, err
		}
		return wrap(conn), nil
	}))...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A forgetful broker does not know requests about SCRAM users, as Redpanda before 25.2 and Confluent Cloud: they are not in
// its first answer, which says what it knows.
type forgetful struct {
	net.Conn

	first io.Reader
}

func (c *forgetful) Read(p []byte) (int, error) {
	if c.first == nil {
		size := make([]byte, 4)
		if _, err := io.ReadFull(c.Conn, size); err != nil {
			return 0, err
		}
		answer := make([]byte, binary.BigEndian.Uint32(size))
		if _, err := io.ReadFull(c.Conn, answer); err != nil {
			return 0, err
		}
		for _, key := range []byte{50, 51} { // Each by its number, the versions 0 to 0, and no tags.
			answer = bytes.Replace(answer, []byte{0, key, 0, 0, 0, 0, 0}, []byte{0x7f, key, 0, 0, 0, 0, 0}, 1)
		}
		c.first = io.MultiReader(bytes.NewReader(size), bytes.NewReader(answer), c.Conn)
	}
	return c.first.Read(p)
}
