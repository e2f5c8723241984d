package e2e_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossplane-contrib/provider-eventstore/internal/connect/kafkaclient"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// kafkaBroker is the class "durable".
type kafkaBroker struct{}

// client returns a client. The caller closes it.
func (kafkaBroker) client(k kafkaclient.Config, opts ...kgo.Opt) (*kgo.Client, error) {
	all, err := k.Options(nil)
	if err != nil {
		return nil, err
	}
	return kgo.NewClient(append(all, opts...)...)
}

// root returns a client with all rights. The caller closes it.
func (k kafkaBroker) root() (*kgo.Client, error) {
	return k.client(kafkaclient.Config{
		BootstrapServers: strings.Split(world.Kafka.Addr, ","),
		Mechanism:        kafkaclient.ScramSHA512, Username: world.Kafka.AdminUser, Password: world.Kafka.AdminPassword,
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
