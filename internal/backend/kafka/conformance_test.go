package kafka

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend/backendtest"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/kafkaclient"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

func TestConformance(t *testing.T) {
	f := start(t)
	backendtest.Run(t, backendtest.Harness{
		Backend: f.backend,
		Append:  f.append, Read: f.read, Occupy: f.occupy, DeadLetter: f.deadLetter,
		LoseMarker: func(t *testing.T, s string) { f.byHand(t, layout.KafkaStoreKey(s), nil) },
		LoseSubscriptionMarker: func(t *testing.T, id backend.SubscriptionID) {
			f.byHand(t, layout.KafkaSubscriptionKey(id.Store, id.Name), nil)
		},
		LosePosition:         f.losePosition,
		StoreDrifts:          f.storeDrifts(),
		SubscriptionDrifts:   f.subscriptionDrifts(),
		Login:                f.login,
		StoreAttempts:        f.storeAttempts,
		SubscriptionAttempts: f.subscriptionAttempts,
		Others: map[string]backend.Backend{
			"SASLOverTLS": f.open(t, f.overTLS(t, f.TLSAddr, false)),
			"MutualTLS":   f.open(t, f.overTLS(t, f.MTLSAddr, true)),
		},
	})
}

// overTLS is the administrator's configuration for a port with TLS: by SCRAM, or by certificate.
func (f *fixture) overTLS(t *testing.T, addr string, mutual bool) kafkaclient.Config {
	t.Helper()
	c := f.config(t)
	c.BootstrapServers, c.TLS = strings.Split(addr, ","), &connect.TLS{CA: file(t, f.CAFile)}
	if mutual {
		c.Mechanism, c.Username, c.Password, c.Provided = "", "", "", true
		c.TLS.Certificate, c.TLS.PrivateKey = file(t, f.ClientCertFile), file(t, f.ClientKeyFile)
	}
	return c
}

func file(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// byHand writes a registry record as an administrator does: without saying what was read before.
func (f *fixture) byHand(t *testing.T, key string, value []byte) {
	t.Helper()
	f.produce(t, place{f.backend.config.RegistryTopic, 0}, message{key: []byte(key), value: value})
}

// editStore changes a field of a store's marker by hand.
func (f *fixture) editStore(t *testing.T, store string, edit func(m map[string]any)) {
	t.Helper()
	f.edit(t, layout.KafkaStoreKey(store), edit)
}

func (f *fixture) edit(t *testing.T, key string, edit func(m map[string]any)) {
	t.Helper()
	var m map[string]any
	if err := f.backend.registry.view(t.Context(), func(f *fold) {
		if err := json.Unmarshal(f.value(key), &m); err != nil {
			t.Fatal(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	edit(m)
	f.byHand(t, key, encode(m))
}

func (f *fixture) read(t *testing.T, id backend.SubscriptionID, partition, records int, ack bool) (positions []string) {
	t.Helper()
	p := place{layout.KafkaEvents(id.Store), int32(partition)}
	name := layout.KafkaGroup(id.Store, id.Name)
	g := f.backend.readOffsets(t.Context(), writePatience, map[string]group{name: {name, p.topic, partition + 1}})[name]
	if g.err != nil {
		t.Fatal(g.err)
	}
	at, ok := g.offsets[p.partition]
	if !ok {
		t.Fatalf("%s has no position in partition %d", name, partition)
	}
	for _, r := range f.fetch(t, p, at) {
		if len(positions) < records && r.Offset >= at {
			positions = append(positions, offset(r.Offset))
			at = r.Offset + 1
		}
	}
	if ack && len(positions) > 0 {
		errs := make([]error, 1)
		f.backend.commit(t.Context(), []commitment{{0, name, p.topic, map[int32]int64{p.partition: at}}}, errs)
		if errs[0] != nil {
			t.Fatal(errs[0])
		}
	}
	return positions
}

// fetch returns the records of a place from an offset on.
func (f *fixture) fetch(t *testing.T, p place, from int64) []*kgo.Record {
	t.Helper()
	topics, err := f.backend.cluster.metadata(t.Context(), []string{p.topic})
	if err != nil {
		t.Fatal(err)
	}
	req := kmsg.NewPtrFetchRequest()
	req.MaxBytes = 1 << 24
	topic, one := kmsg.NewFetchRequestTopic(), kmsg.NewFetchRequestTopicPartition()
	topic.Topic, one.Partition, one.FetchOffset, one.PartitionMaxBytes = p.topic, p.partition, from, 1<<24
	topic.Partitions = append(topic.Partitions, one)
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(t.Context(), f.backend.cluster.at(leaders(topics, []place{p})[p]))
	must(t, resp, err)
	records, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Offset: from}, &resp.Topics[0].Partitions[0], kgo.DefaultDecompressor(), nil)
	if records.Err != nil {
		t.Fatal(records.Err)
	}
	return records.Records
}

// occupy joins the group with a real consumer.
func (f *fixture) occupy(t *testing.T, id backend.SubscriptionID, _ int, name string) func() {
	t.Helper()
	c := f.config(t)
	opts, err := c.Options(nil)
	if err != nil {
		t.Fatal(err)
	}
	group := layout.KafkaGroup(id.Store, id.Name)
	cl, err := kgo.NewClient(append(opts, kgo.ClientID(name), kgo.ConsumerGroup(group), kgo.ConsumeTopics(layout.KafkaEvents(id.Store)), kgo.DisableAutoCommit())...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	eventually(t, "the consumer to join", func() bool {
		found := map[string]*committed{group: {}}
		f.backend.readMembers(t.Context(), found)
		return slices.Contains(found[group].members, name)
	})
	return cl.Close
}

func (f *fixture) deadLetter(t *testing.T, id backend.SubscriptionID, _, records int) {
	t.Helper()
	for range records {
		f.produce(t, place{layout.KafkaDeadLetters(id.Store, id.Name), 0}, event(1))
	}
}

func (f *fixture) losePosition(t *testing.T, id backend.SubscriptionID, partition int) {
	t.Helper()
	req := kmsg.NewPtrOffsetDeleteRequest()
	req.Group = layout.KafkaGroup(id.Store, id.Name)
	topic := kmsg.NewOffsetDeleteRequestTopic()
	topic.Topic, topic.Partitions = layout.KafkaEvents(id.Store), []kmsg.OffsetDeleteRequestTopicPartition{{Partition: int32(partition)}}
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(t.Context(), f.admin())
	if err := first(err, kerr.ErrorForCode(must(t, resp, err).ErrorCode)); err != nil {
		t.Fatal(err)
	}
}

// login connects as the user of a store, and does what the store's right to write is good for: Kafka checks that first, and
// then finds that there is no such partition.
func (f *fixture) login(ctx context.Context, user, password string) error {
	c := kafkaclient.Config{BootstrapServers: strings.Split(f.Addr, ","), Mechanism: kafkaclient.ScramSHA512, Username: user, Password: password}
	opts, err := c.Options(nil)
	if err != nil {
		return err
	}
	cl, err := kgo.NewClient(append(opts, kgo.RequestRetries(0))...)
	if err != nil {
		return err
	}
	defer cl.Close()
	store, _, _ := strings.Cut(strings.TrimPrefix(user, "es:"), ":")
	p := place{layout.KafkaEvents(store), 100_000}
	results, err := produce(ctx, cl, []batch{{p, []message{event(1)}}})
	if err := first(err, results[p].err); !errors.Is(err, kerr.UnknownTopicOrPartition) {
		return err
	}
	return nil
}
