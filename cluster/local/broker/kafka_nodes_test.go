package broker

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/IBM/sarama"
)

// nodes returns which nodes a client is told of, by address.
func (k *Kafka) nodes(t *testing.T) []string {
	t.Helper()
	brokers, _, err := mustAdmin(t, k).DescribeCluster()
	if err != nil {
		t.Fatal(err)
	}
	addrs := make([]string, len(brokers))
	for i, b := range brokers {
		addrs[i] = b.Addr()
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
		eventually(t, fmt.Sprintf("a topic without node %d", n.ID), func() error { return k.createTopic(n.ID) })
		if err := n.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "three replicas in sync", func() error { return k.inSync(t, "without-1") })

	if err := proxies[2].Set(Refuse); err != nil {
		t.Fatal(err)
	}
	eventually(t, "an answer from one of the other nodes", func() error { // A client asks any of them.
		a, err := sarama.NewClusterAdmin(strings.Split(k.Addr, ","), k.superUser().config())
		if err != nil {
			return err
		}
		defer a.Close()
		_, err = a.ListTopics()
		return err
	})
	if err := k.Nodes[1].Ping(); err != nil {
		t.Errorf("a node behind a proxy that refuses: %v, want it to answer", err)
	}
}

func (k *Kafka) createTopic(without int) error {
	c := k.superUser().config()
	a, err := sarama.NewClusterAdmin(strings.Split(k.Addr, ","), c)
	if err != nil {
		return err
	}
	defer a.Close()
	return a.CreateTopic(fmt.Sprintf("without-%d", without), &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 2}, false)
}

func (k *Kafka) inSync(t *testing.T, topic string) error {
	topics, err := mustAdmin(t, k).DescribeTopics([]string{topic})
	if err != nil {
		return err
	}
	for _, p := range topics[0].Partitions {
		if len(p.Isr) != len(p.Replicas) {
			return fmt.Errorf("partition %d: %d of %d replicas are in sync", p.ID, len(p.Isr), len(p.Replicas))
		}
	}
	return nil
}

func TestKafkaTieredStorage(t *testing.T) {
	t.Parallel()
	k := startKafka(t, KafkaOptions{TieredStorage: true, Config: map[string]string{"remote.log.manager.task.interval.ms": "500"}})
	on, small, now := "true", "1048576", "1"
	err := mustAdmin(t, k).CreateTopic("tiered", &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1, ConfigEntries: map[string]*string{
		"remote.storage.enable": &on, "segment.bytes": &small, "local.retention.ms": &now,
	}}, false)
	if err != nil {
		t.Fatal(err)
	}
	c := k.superUser().config()
	c.Producer.Return.Successes = true
	out, err := sarama.NewSyncProducer(strings.Split(k.Addr, ","), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = out.Close() })
	for range 30 { // Two segments, and one that is open.
		if _, _, err := out.SendMessage(&sarama.ProducerMessage{Topic: "tiered", Value: sarama.ByteEncoder(make([]byte, 100<<10))}); err != nil {
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
