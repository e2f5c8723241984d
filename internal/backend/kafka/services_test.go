package kafka

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/kafkaclient"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// Services that cannot be had here are real brokers whose connections are changed on the way.

// through returns a backend whose connections are wrapped.
func (f *fixture) through(t *testing.T, c kafkaclient.Config, wrap func(net.Conn) net.Conn) *Backend {
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

// A headstrong broker takes no word about elections: the key is another on the way, which Kafka does not know.
type headstrong struct{ net.Conn }

func (c headstrong) Write(p []byte) (int, error) {
	return c.Conn.Write(bytes.ReplaceAll(p, []byte(keyUnclean), []byte("x"+keyUnclean[1:])))
}

// TestElectionsOfTheService makes everything where the brokers refuse to be told how they elect leaders, and elect safely.
func TestElectionsOfTheService(t *testing.T) {
	f := start(t)
	admin := f.backend
	f.backend = f.through(t, f.config(t), func(c net.Conn) net.Conn { return headstrong{c} })
	d, c := f.store("elections.orders")
	d.Snapshots = true
	f.applyStore(t, d, c)
	s, sc := f.subscription(d.Name, "reader")
	f.applySubscription(t, s, sc)
	topics := []string{f.backend.config.RegistryTopic, layout.KafkaEvents(d.Name), layout.KafkaSnapshots(d.Name), layout.KafkaDeadLetters(d.Name, "reader")}
	configs, _, err := f.backend.configs(t.Context(), topics)
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range topics {
		if v := configs[topic][keyUnclean]; v.own || v.value != safeElection || !configs[topic][keyCleanup].own {
			t.Errorf("configuration of %s: %+v", topic, configs[topic])
		}
	}

	// Where they elect otherwise, that is said, unless somebody says that it is not ours.
	service := f.backend
	f.backend = admin
	f.alter(t, layout.KafkaEvents(d.Name), keyUnclean, "true")
	f.alter(t, layout.KafkaSnapshots(d.Name), keyUnclean, "true")
	f.backend = service
	change, p := f.change(t, d, c)
	if len(p.Changes) != 2 {
		t.Fatalf("plan: %+v", p)
	}
	if err := f.backend.ApplyStores(t.Context(), []backend.StoreChange{change})[0]; err == nil || !strings.Contains(err.Error(), "INVALID_CONFIG") {
		t.Errorf("what cannot be repaired: %v", err)
	}
	d.Unmanaged = []string{keyUnclean}
	if _, p := f.change(t, d, c); len(p.Changes)+len(p.Refusals) > 0 {
		t.Errorf("plan of what is not ours: %+v", p)
	}
}
