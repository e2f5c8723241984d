package e2e_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// kafkaBroker is the class "durable".
type kafkaBroker struct{}

// client returns a client. The caller closes it.
func (kafkaBroker) client(k connect.Kafka, opts ...kgo.Opt) (*kgo.Client, error) {
	all, err := k.Options(nil)
	if err != nil {
		return nil, err
	}
	return kgo.NewClient(append(all, opts...)...)
}

// root returns a client with all rights. The caller closes it.
func (k kafkaBroker) root() (*kgo.Client, error) {
	return k.client(connect.Kafka{
		BootstrapServers: strings.Split(world.Kafka.Addr, ","),
		Mechanism:        connect.KafkaScramSHA512, Username: world.Kafka.AdminUser, Password: world.Kafka.AdminPassword,
	})
}

// admin returns what administers with all rights. The caller closes it.
func (k kafkaBroker) admin() (*kadm.Client, error) {
	c, err := k.root()
	if err != nil {
		return nil, err
	}
	return kadm.NewClient(c), nil
}

// mounted returns a client with what a mounted Secret says, by the names of Kafka's own clients. It ends with the test.
func (k kafkaBroker) mounted(t *testing.T, dir string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	if p := file(t, dir, layout.SecretSecurityProtocol); p != "SASL_PLAINTEXT" {
		t.Fatalf("the Secret says %s", p)
	}
	c, err := k.client(connect.Kafka{
		BootstrapServers: strings.Split(file(t, dir, layout.SecretBootstrap), ","),
		Mechanism:        file(t, dir, layout.SecretSASLMechanism),
		Username:         file(t, dir, layout.SecretUsername), Password: file(t, dir, layout.SecretPassword),
	}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func (k kafkaBroker) use(t *testing.T, store, subscription string) {
	t.Helper()
	const n = 5
	name, topic := file(t, store, layout.SecretStore), layout.KafkaEvents(file(t, store, layout.SecretStore))
	writer := k.mounted(t, store)
	for i := range n {
		r := &kgo.Record{Topic: topic, Key: fmt.Appendf(nil, "order/%d", i), Value: []byte("placed")}
		if err := writer.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatalf("cannot write with the store's Secret: %v", err)
		}
	}
	reader := k.mounted(t, subscription, kgo.ConsumerGroup(layout.KafkaGroup(name, file(t, subscription, layout.SecretSubscription))), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit())
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for read := 0; read < n; {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("cannot read with the subscription's Secret: %v", err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if string(r.Value) == "placed" {
				read++
			}
		})
	}
	if err := reader.CommitUncommittedOffsets(ctx); err != nil {
		t.Fatal(err)
	}
	if err := reader.LeaveGroupContext(ctx); err != nil {
		t.Fatal(err)
	}
}

func (k kafkaBroker) write(t *testing.T, store string) {
	t.Helper()
	c, err := k.root()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := &kgo.Record{Topic: layout.KafkaEvents(store), Value: []byte("x")}
	if err := c.ProduceSync(t.Context(), r).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func (k kafkaBroker) position(ctx context.Context, store, subscription string) string {
	a, err := k.admin()
	if err != nil {
		return err.Error()
	}
	defer a.Close()
	offsets, err := a.FetchOffsets(ctx, layout.KafkaGroup(store, subscription))
	if err != nil {
		return err.Error()
	}
	var positions []string
	for p := range int32(layout.DefaultPartitions) {
		o, ok := offsets.Lookup(layout.KafkaEvents(store), p)
		if !ok || o.Err != nil {
			return fmt.Sprintf("none in partition %d", p)
		}
		positions = append(positions, fmt.Sprint(o.At))
	}
	return strings.Join(positions, " ")
}

func (k kafkaBroker) lose(t *testing.T, store, subscription string) {
	t.Helper()
	a, err := k.admin()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	eventually(t, "the group is deleted", func(ctx context.Context) (bool, string) { // Its last member may not have left yet.
		_, err := a.DeleteGroup(ctx, layout.KafkaGroup(store, subscription))
		return err == nil, fmt.Sprint(err)
	})
}

func (k kafkaBroker) traces(ctx context.Context, store string) ([]string, error) {
	a, err := k.admin()
	if err != nil {
		return nil, err
	}
	defer a.Close()
	topics, err := a.ListTopics(ctx)
	if err != nil {
		return nil, err
	}
	groups, err := a.ListGroups(ctx)
	if err != nil {
		return nil, err
	}
	users, err := a.DescribeUserSCRAMs(ctx)
	if err != nil {
		return nil, err
	}
	acls, err := a.DescribeACLs(ctx, kadm.NewACLs().AnyResource().Allow().AllowHosts().Operations().ResourcePatternType(kadm.ACLPatternAny))
	if err != nil {
		return nil, err
	}
	var found []string
	note := func(kind, name string) {
		if strings.Contains(name, store) {
			found = append(found, kind+" "+name)
		}
	}
	for _, name := range topics.Names() {
		note("topic", name)
	}
	for _, name := range groups.Groups() {
		note("group", name)
	}
	for name := range users {
		note("user", name)
	}
	for _, r := range acls {
		for _, a := range r.Described {
			note("ACL", a.Principal+" on "+a.Name)
		}
	}
	return found, nil
}
