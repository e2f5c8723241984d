package kafka

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/kafkatest"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

var order42 = eventstore.StreamID{Type: "order", ID: "42"}

// partition42 is order42's.
var partition42 = int32(layout.Partition(order42.String(), kafkatest.Partitions))

func placed(id string) eventstore.EventData { return eventstore.EventData{ID: id, Type: "OrderPlaced"} }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// deleteRecords deletes what is before an offset of order42's partition.
func deleteRecords(t *testing.T, server *kafkatest.Server, store string, before int64) {
	t.Helper()
	one := kmsg.NewDeleteRecordsRequestTopicPartition()
	one.Partition, one.Offset = partition42, before
	of := kmsg.NewDeleteRecordsRequestTopic()
	of.Topic, of.Partitions = layout.KafkaEvents(store), append(of.Partitions, one)
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.Topics, req.TimeoutMillis = append(req.Topics, of), 10_000
	resp, err := req.RequestWith(t.Context(), server.Admin(t))
	must(t, err)
	must(t, kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode))
}

// configure sets a configuration of the topic of events.
func configure(t *testing.T, server *kafkatest.Server, store, key, value string) {
	t.Helper()
	c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	c.Name, c.Value = key, &value
	of := kmsg.NewIncrementalAlterConfigsRequestResource()
	of.ResourceType, of.ResourceName, of.Configs = kmsg.ConfigResourceTypeTopic, layout.KafkaEvents(store), append(of.Configs, c)
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.Resources = append(req.Resources, of)
	resp, err := req.RequestWith(t.Context(), server.Admin(t))
	must(t, err)
	must(t, kerr.ErrorForCode(resp.Resources[0].ErrorCode))
}

func TestOpen(t *testing.T) {
	server := kafkatest.Start(t)
	cases := map[string]struct {
		reason  string
		extra   map[string]string
		damage  func(t *testing.T, store string)
		wantIs  error
		wantErr string
	}{
		"Good": {reason: "Nothing is wrong."},
		"Password": {
			reason: "The password is not in the message.", extra: map[string]string{layout.SecretPassword: "hunter2"},
			wantErr: "is the Secret the newest one?",
		},
		"Partitions": {
			reason: "Another number of partitions would put streams elsewhere.", extra: map[string]string{layout.SecretPartitions: "3"},
			wantErr: "was begun with layout 1, 4 partitions",
		},
		"TooFew": {
			reason: "A topic cannot have fewer partitions than its store.", extra: map[string]string{layout.SecretPartitions: "5"},
			wantErr: "has 4 partitions, the Secret says 5",
		},
		"Topic": {
			reason: "Without the right to see it, a topic cannot be told from one that is not there.", extra: map[string]string{layout.SecretStore: "shop.other"},
			wantErr: "has no right to do this",
		},
		"Deleted": {
			reason: "Records that were deleted by hand are missed.", wantIs: eventstore.ErrHistoryLost,
			damage: func(t *testing.T, store string) { deleteRecords(t, server, store, 1) },
		},
		"Retention": {
			reason:  "A sourcing store must not begin to forget.",
			damage:  func(t *testing.T, store string) { configure(t, server, store, keyRetention, "1000000") },
			wantErr: "so it forgets events",
		},
		"Server": {
			reason: "Servers that are not there are named.", extra: map[string]string{layout.SecretBootstrap: "127.0.0.1:1"},
			wantErr: "cannot reach the brokers at 127.0.0.1:1",
		},
		"Mechanism": {
			reason: "The AWS SDK is not here.", extra: map[string]string{layout.SecretSASLMechanism: "AWS_MSK_IAM"},
			wantErr: `import _ "github.com/crossplane-contrib/provider-eventstore/eventstore/kafka/awsiam"`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			secret := server.Store(t, layout.Sourcing, nil)
			_, err := openSecret(t, secret).Append(t.Context(), order42, 0, placed("a"))
			must(t, err)
			if tc.damage != nil {
				tc.damage(t, secret.Get(layout.SecretStore))
			}
			for k, v := range tc.extra {
				secret[k] = []byte(v)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			store, err := eventstore.OpenSecret(ctx, secret)
			if err == nil {
				must(t, store.Close())
			}
			ok := tc.wantIs == nil && tc.wantErr == ""
			if (err == nil) != ok || tc.wantIs != nil && !errors.Is(err, tc.wantIs) || err != nil && !strings.Contains(err.Error(), tc.wantErr) {
				t.Errorf("%s\nOpen: %v, want %v %s", tc.reason, err, tc.wantIs, tc.wantErr)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("Open: %v names the password", err)
			}
		})
	}
	t.Run("TLS", func(t *testing.T) {
		secret := server.TLS(t, server.Store(t, layout.Sourcing, nil))
		_, err := openSecret(t, secret).Append(t.Context(), order42, 0, placed("a"))
		must(t, err)
		wrong := maps.Clone(secret)
		delete(wrong, layout.SecretCA)
		if _, err := eventstore.OpenSecret(t.Context(), wrong); err == nil || !strings.Contains(err.Error(), "unknown authority") {
			t.Errorf("Open without the CA: %v, want it to name the unknown authority", err)
		}
	})
}

// An open store notices that its beginning vanished under it, and so does one that reads what is gone.
func TestHistoryLost(t *testing.T) {
	server := kafkatest.Start(t)
	secret := server.Store(t, layout.Sourcing, nil)
	s := openSecret(t, secret)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := s.Append(ctx, order42, 0, placed("a"))
	must(t, err)
	deleteRecords(t, server, secret.Get(layout.SecretStore), 2)
	var last error
	for _, last = range s.Read(ctx, order42, 0) { //nolint:revive // The last error is what counts.
	}
	if !errors.Is(last, eventstore.ErrHistoryLost) {
		t.Errorf("Read of a record that was deleted: %v, want ErrHistoryLost", last)
	}
	for _, last = range s.Replay(ctx, eventstore.Start{}) { //nolint:revive // The last error is what counts.
	}
	if !errors.Is(last, eventstore.ErrHistoryLost) {
		t.Errorf("Replay of a record that was deleted: %v, want ErrHistoryLost", last)
	}
	for v := eventstore.Version(1); ; v++ { // The tail sees it with the first record that comes.
		if _, err = s.Append(ctx, order42, v, placed("b")); err != nil {
			break
		}
	}
	if !errors.Is(err, eventstore.ErrHistoryLost) {
		t.Errorf("Append to a partition without its beginning: %v, want ErrHistoryLost", err)
	}
}

// A partition can end in the marker of a transaction, which is no record.
func TestTransactionMarker(t *testing.T) {
	server := kafkatest.Start(t)
	secret := server.Store(t, layout.Sourcing, nil)
	s, sub := openSecret(t, secret), openSecret(t, server.Subscription(t, secret, "billing"))
	_, err := s.Append(t.Context(), order42, 0, placed("a"))
	must(t, err)
	client := server.Admin(t, kgo.TransactionalID("other"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	must(t, client.BeginTransaction())
	foreign := &kgo.Record{Topic: layout.KafkaEvents(secret.Get(layout.SecretStore)), Partition: partition42, Value: []byte("no event")}
	must(t, client.ProduceSync(t.Context(), foreign).FirstErr())
	must(t, client.EndTransaction(t.Context(), kgo.TryCommit))

	for _, store := range []eventstore.Store{s, openSecret(t, secret)} {
		if got := ids(t, store, eventstore.Start{}); got != "a" {
			t.Errorf("Replay: %s, want a", got)
		}
		for e, err := range store.Read(t.Context(), order42, 0) {
			if err != nil || e.ID != "a" {
				t.Errorf("Read: %s, %v; want a", e.ID, err)
			}
		}
	}
	_, err = s.Append(t.Context(), order42, 1, placed("b"))
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	must(t, sub.Subscribe(ctx, func(_ context.Context, e eventstore.Event) error {
		if e.ID == "b" {
			cancel()
		}
		return nil
	}))
}

func ids(t *testing.T, s eventstore.Store, from eventstore.Start) string {
	t.Helper()
	var all []string
	for e, err := range s.Replay(t.Context(), from) {
		must(t, err)
		all = append(all, e.ID)
	}
	return strings.Join(all, " ")
}

// Void records are for nobody: not for Read, nor Replay, nor subscriptions.
func TestVoidRecords(t *testing.T) {
	server := kafkatest.Start(t)
	secret := server.Store(t, layout.Sourcing, nil)
	s := openSecret(t, secret)
	_, err := s.Append(t.Context(), order42, 0, placed("a"))
	must(t, err)
	client := server.Admin(t, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for _, version := range []string{"1", "3", "2"} { // Lost, ahead, and one that counts.
		must(t, client.ProduceSync(t.Context(), foreignRecord(secret, version)).FirstErr())
	}
	_, err = s.Append(t.Context(), order42, 2, placed("b"))
	must(t, err)
	if got := ids(t, s, eventstore.Start{}); got != "a foreign-2 b" {
		t.Errorf("Replay: %s, want a foreign-2 b", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []string
	must(t, openSecret(t, server.Subscription(t, secret, "billing")).Subscribe(ctx, func(_ context.Context, e eventstore.Event) error {
		if got = append(got, e.ID); e.ID == "b" {
			cancel()
		}
		return nil
	}))
	if strings.Join(got, " ") != "a foreign-2 b" {
		t.Errorf("Subscribe: %v, want a foreign-2 b", got)
	}
}

// foreignRecord is one of a client in another language.
func foreignRecord(s eventstore.Secret, version string) *kgo.Record {
	r := &kgo.Record{
		Topic: layout.KafkaEvents(s.Get(layout.SecretStore)), Partition: partition42, Key: []byte(order42.String()), Value: []byte(`{}`),
	}
	for k, v := range map[string]string{
		"ce_specversion": "1.0", "ce_id": "foreign-" + version, "ce_source": "/elsewhere", "ce_type": "OrderPlaced",
		"ce_subject": order42.String(), "ce_version": version,
	} {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: k, Value: []byte(v)})
	}
	return r
}

// A streaming store forgets, and whoever was too slow is told, or goes on with what is left.
func TestStreamingForgets(t *testing.T) {
	server := kafkatest.Start(t)
	secret := server.Store(t, layout.Streaming, nil)
	s := openSecret(t, secret)
	for _, events := range [][]eventstore.EventData{{placed("a"), placed("b")}, {placed("c")}} {
		_, err := s.Append(t.Context(), order42, eventstore.Any, events...)
		must(t, err)
	}
	first := eventstore.Position{Partition: int(partition42), Offset: "1"} // Genesis is 0.
	from := eventstore.Start{After: []eventstore.Position{first}}
	deleteRecords(t, server, secret.Get(layout.SecretStore), 2)
	for _, err := range s.Replay(t.Context(), from) {
		if !errors.Is(err, eventstore.ErrHistoryLost) {
			t.Errorf("Replay after a position that the store forgot: %v, want ErrHistoryLost", err)
		}
	}
	if got := ids(t, openSecret(t, secret), eventstore.Start{}); got != "c" {
		t.Errorf("Replay of what is left: %s, want c", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	must(t, openSecret(t, server.Subscription(t, secret, "billing")).Subscribe(ctx, func(_ context.Context, e eventstore.Event) error {
		if e.ID == "c" {
			cancel()
		}
		return nil
	}))
}

// A subscription's rights are its own.
func TestForeignSubscription(t *testing.T) {
	server := kafkatest.Start(t)
	secret := server.Store(t, layout.Sourcing, nil)
	server.Subscription(t, secret, "billing")
	secret[layout.SecretSubscription] = []byte("nobodys")
	err := openSecret(t, secret).Subscribe(t.Context(), func(context.Context, eventstore.Event) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "has no right to do this") {
		t.Errorf("Subscribe as a subscription of somebody else: %v, want it to say that there is no right", err)
	}
}

func FuzzParseCursor(f *testing.F) {
	for _, s := range []string{"17", "1.2", "0.0", "1.-2", "01", "-1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if c, err := parseCursor(s); err == nil && c.String() != s {
			t.Errorf("parseCursor(%q) prints as %q", s, c)
		}
	})
}
