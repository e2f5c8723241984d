package broker

import (
	"cmp"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// nodes returns which nodes a client is told of, by address.
func (k *Kafka) nodes(t *testing.T) []string {
	t.Helper()
	m, err := k.admin(t).BrokerMetadata(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	addrs := make([]string, len(m.Brokers))
	for i, b := range m.Brokers {
		addrs[i] = net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port)))
	}
	return slices.Sorted(slices.Values(addrs))
}

func TestKafkaNodes(t *testing.T) {
	t.Parallel()
	proxies := map[int]*Proxy{}
	k := startKafka(t, KafkaOptions{Nodes: 3, Advertise: func(node int, addr string) (string, error) {
		p, err := NewProxy(addr)
		if err != nil {
			return "", err
		}
		proxies[node] = p
		t.Cleanup(func() { _ = p.Close() })
		return p.Addr, nil
	}})
	want := slices.Sorted(slices.Values([]string{proxies[1].Addr, proxies[2].Addr, proxies[3].Addr}))
	if got := k.nodes(t); !slices.Equal(got, want) {
		t.Fatalf("nodes are at %v, want their proxies, %v", got, want)
	}

	// Whichever of them is the controller: it moves at least once.
	for _, n := range k.Nodes {
		if err := n.Kill(); err != nil {
			t.Fatal(err)
		}
		eventually(t, fmt.Sprintf("a topic without node %d", n.ID), func() error { return k.createCopies(t, n.ID) })
		if err := n.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "three replicas in sync", func() error { return k.inSync(t, "without-1") })

	if err := proxies[2].Set(Refuse); err != nil {
		t.Fatal(err)
	}
	eventually(t, "an answer from one of the other nodes", func() error { // A client asks any of them.
		_, err := k.admin(t).ListTopics(t.Context())
		return err
	})
	if err := k.Nodes[1].Ping(); err != nil {
		t.Errorf("a node behind a proxy that refuses: %v, want it to answer", err)
	}
}

// createCopies creates a topic of two copies, while a node is gone.
func (k *Kafka) createCopies(t *testing.T, without int) error {
	t.Helper()
	_, err := k.admin(t).CreateTopic(t.Context(), 1, 2, nil, fmt.Sprintf("without-%d", without))
	return err
}

func (k *Kafka) inSync(t *testing.T, topic string) error {
	t.Helper()
	topics, err := k.admin(t).ListTopics(t.Context(), topic)
	if err = cmp.Or(err, topics[topic].Err); err != nil {
		return err
	}
	for _, p := range topics[topic].Partitions {
		if len(p.ISR) != len(p.Replicas) {
			return fmt.Errorf("partition %d: %d of %d replicas are in sync", p.Partition, len(p.ISR), len(p.Replicas))
		}
	}
	return nil
}

func TestKafkaTieredStorage(t *testing.T) {
	t.Parallel()
	k := startKafka(t, KafkaOptions{TieredStorage: true, Config: map[string]string{"remote.log.manager.task.interval.ms": "500"}})
	on, small, now := "true", "1048576", "1"
	k.createTopic(t, "tiered", map[string]*string{
		"remote.storage.enable": &on, "segment.bytes": &small, "local.retention.ms": &now,
	})
	out, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(k.Addr, ",")...), kgo.SASL(k.superUser().mechanism), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(out.Close)
	for range 30 { // Two segments, and one that is open.
		if err := out.ProduceSync(t.Context(), &kgo.Record{Topic: "tiered", Value: make([]byte, 100<<10)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "a segment in the remote storage", func() error {
		files, err := filepath.Glob(filepath.Join(k.Dir, "remote", "*", "*", "*.log"))
		if err != nil || len(files) == 0 {
			return fmt.Errorf("there is none (%w)", err)
		}
		return nil
	})
}
