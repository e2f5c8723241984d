package backdoor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/kafkaclient"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// registryTopic is where the provider keeps its markers, unless its ProviderConfig says otherwise.
const registryTopic = "eventstore.registry"

// groupPatience is how long a group may have members after its consumers were stopped.
const groupPatience = 60 * time.Second

type kafkaBroker struct {
	config kafkaclient.Config
	admin  *kgo.Client
}

// Kafka returns a Kafka that runs here.
func Kafka(k *broker.Kafka) (Broker, error) {
	return KafkaBy(kafkaclient.Config{
		BootstrapServers: strings.Split(k.Addr, ","), Mechanism: kafkaclient.ScramSHA512,
		Username: k.AdminUser, Password: k.AdminPassword,
	})
}

// KafkaBy returns the Kafka that c leads to, as a user with all rights: past the proxies that clients go through, for
// example.
func KafkaBy(c kafkaclient.Config) (Broker, error) {
	opts, err := c.Options(nil)
	if err != nil {
		return nil, err
	}
	admin, err := kgo.NewClient(opts...)
	return &kafkaBroker{config: c, admin: admin}, err
}

func (b *kafkaBroker) Close() error {
	b.admin.Close()
	return nil
}

// Commands is not known: Kafka counts its requests for JMX alone.
func (b *kafkaBroker) Commands(context.Context) (n float64, ok bool, err error) { return 0, false, nil }

func (b *kafkaBroker) Changes() []Change {
	events := func(t Target) string { return layout.KafkaEvents(t.Store) }
	dead := func(t Target) string { return layout.KafkaDeadLetters(t.Store, t.Subscription) }
	changes := []Change{
		b.setting("retention of the topic changed", false, events, "retention.ms", ptr("604800000")),
		b.setting("kind of timestamps of the topic changed", false, events, "message.timestamp.type", ptr("CreateTime")),
		b.setting("unclean elections of the topic allowed", false, events, "unclean.leader.election.enable", ptr("true")),
		b.setting("configuration of the dead letters removed", true, dead, "max.message.bytes", nil),
		{Name: "empty topic deleted", Destroys: true, Make: b.deleteTopic, See: b.seeTopic},
		{Name: "group deleted", Subscription: true, Idle: true, Make: b.deleteGroup, See: b.seeGroup},
	}
	for _, sub := range []bool{false, true} {
		changes = append(changes,
			Change{Name: "right added", Subscription: sub, Make: b.addRight, See: b.seeRights},
			Change{Name: "right removed", Subscription: sub, Make: b.removeRight, See: b.seeRights},
			Change{Name: "user deleted", Subscription: sub, Make: b.deleteUser, See: b.seeUser},
			Change{Name: "password changed", Subscription: sub, Make: b.changePassword, See: b.seeUser},
		)
	}
	return changes
}

func ptr[T any](v T) *T { return &v }

// setting changes one key of a topic's configuration, or removes it.
func (b *kafkaBroker) setting(name string, subscription bool, topic func(Target) string, key string, value *string) Change {
	return Change{
		Name: name, Subscription: subscription,
		Make: func(ctx context.Context, t Target) error {
			req := kmsg.NewPtrIncrementalAlterConfigsRequest()
			r := kmsg.NewIncrementalAlterConfigsRequestResource()
			r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, topic(t)
			c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
			c.Name, c.Value, c.Op = key, value, kmsg.IncrementalAlterConfigOpSet
			if value == nil {
				c.Op = kmsg.IncrementalAlterConfigOpDelete
			}
			r.Configs = append(r.Configs, c)
			req.Resources = append(req.Resources, r)
			resp, err := req.RequestWith(ctx, b.admin)
			if err != nil {
				return err
			}
			return kerr.ErrorForCode(resp.Resources[0].ErrorCode)
		},
		See: func(ctx context.Context, t Target) (string, error) { return b.seeConfig(ctx, topic(t), key) },
	}
}

func (b *kafkaBroker) seeConfig(ctx context.Context, topic, key string) (string, error) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	r := kmsg.NewDescribeConfigsRequestResource()
	r.ResourceType, r.ResourceName, r.ConfigNames = kmsg.ConfigResourceTypeTopic, topic, []string{key}
	req.Resources = append(req.Resources, r)
	resp, err := req.RequestWith(ctx, b.admin)
	if err != nil {
		return "", err
	}
	if err := kerr.ErrorForCode(resp.Resources[0].ErrorCode); err != nil {
		return "", err
	}
	for _, c := range resp.Resources[0].Configs {
		// Where it comes from too: a value that is set is another than a default that says the same.
		return fmt.Sprintf("%s (%s)", deref(c.Value), c.Source), nil
	}
	return "none", nil
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func (b *kafkaBroker) deleteTopic(ctx context.Context, t Target) error {
	req, name := kmsg.NewPtrDeleteTopicsRequest(), layout.KafkaEvents(t.Store)
	topic := kmsg.NewDeleteTopicsRequestTopic()
	topic.Topic = &name
	req.TopicNames, req.Topics = []string{name}, []kmsg.DeleteTopicsRequestTopic{topic}
	resp, err := req.RequestWith(ctx, b.admin)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.Topics[0].ErrorCode)
}

// seeTopic tells how many partitions a topic has, and whether all have a leader.
func (b *kafkaBroker) seeTopic(ctx context.Context, t Target) (string, error) {
	req, topic := kmsg.NewPtrMetadataRequest(), kmsg.NewMetadataRequestTopic()
	topic.Topic = ptr(layout.KafkaEvents(t.Store))
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(ctx, b.admin)
	if err != nil {
		return "", err
	}
	led := 0
	for _, p := range resp.Topics[0].Partitions {
		if p.ErrorCode == 0 && p.Leader >= 0 {
			led++
		}
	}
	err = kerr.ErrorForCode(resp.Topics[0].ErrorCode)
	return fmt.Sprintf("%d partitions, %d with a leader, %v", len(resp.Topics[0].Partitions), led, err), nil
}

// deleteGroup deletes the group of a subscription once it is empty: a member that could not say goodbye, because the broker
// was down, counts until its session ends.
func (b *kafkaBroker) deleteGroup(ctx context.Context, t Target) error {
	ctx, cancel := context.WithTimeout(ctx, groupPatience)
	defer cancel()
	req := kmsg.NewPtrDeleteGroupsRequest()
	req.Groups = []string{layout.KafkaGroup(t.Store, t.Subscription)}
	for {
		resp, err := req.RequestWith(ctx, b.admin)
		if err != nil {
			return err
		}
		err = kerr.ErrorForCode(resp.Groups[0].ErrorCode)
		if !errors.Is(err, kerr.NonEmptyGroup) {
			return err
		}
		if perr := pause(ctx, 200*time.Millisecond); perr != nil {
			return fmt.Errorf("%w after %s", err, groupPatience)
		}
	}
}

// seeGroup tells which partitions have a position, and not which: consumers move it.
func (b *kafkaBroker) seeGroup(ctx context.Context, t Target) (string, error) {
	req, g := kmsg.NewPtrOffsetFetchRequest(), kmsg.NewOffsetFetchRequestGroup()
	g.Group = layout.KafkaGroup(t.Store, t.Subscription)
	req.Groups = append(req.Groups, g)
	resp, err := req.RequestWith(ctx, b.admin)
	if err != nil {
		return "", err
	}
	var positioned []string
	for _, g := range resp.Groups {
		if err := kerr.ErrorForCode(g.ErrorCode); err != nil {
			return "", err
		}
		for _, topic := range g.Topics {
			for _, p := range topic.Partitions {
				if p.Offset >= 0 {
					positioned = append(positioned, fmt.Sprintf("%s/%d", topic.Topic, p.Partition))
				}
			}
		}
	}
	slices.Sort(positioned)
	return strings.Join(positioned, " "), nil
}

// Traces names topics, groups, users, rights and registry records.
func (b *kafkaBroker) Traces(ctx context.Context, prefix string) ([]string, error) {
	meta, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, b.admin) // No topics: all.
	if err != nil {
		return nil, err
	}
	var found []string
	note := func(what, name string) {
		if strings.HasPrefix(name, prefix) {
			found = append(found, what+" "+name)
		}
	}
	for _, t := range meta.Topics {
		note("topic", deref(t.Topic))
	}
	groups, err := kmsg.NewPtrListGroupsRequest().RequestWith(ctx, b.admin)
	if err != nil {
		return nil, err
	}
	for _, g := range groups.Groups {
		note("group", g.Group)
	}
	rights, err := b.rights(ctx, nil)
	if err != nil {
		return nil, err
	}
	principals := "User:" + layout.StorePrincipal(prefix)
	for _, r := range rights {
		if strings.HasPrefix(r.principal, principals) || strings.HasPrefix(r.name, prefix) {
			found = append(found, "right "+r.String())
		}
	}
	users, err := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest().RequestWith(ctx, b.admin) // No users: all.
	if err != nil {
		return nil, err
	}
	for _, u := range users.Results {
		if strings.HasPrefix(u.User, layout.StorePrincipal(prefix)) {
			found = append(found, "user "+u.User)
		}
	}
	markers, err := b.registered(ctx)
	for key := range markers {
		if _, name, _ := strings.Cut(key, "/"); strings.HasPrefix(name, prefix) {
			found = append(found, "registry record "+key)
		}
	}
	return found, err
}

// registered returns the keys in the registry topic whose last record has a value.
func (b *kafkaBroker) registered(ctx context.Context) (map[string]bool, error) {
	keys := map[string]bool{}
	err := readAll(ctx, b.config, registryTopic, 1, func(r *kgo.Record) {
		if delete(keys, string(r.Key)); r.Value != nil {
			keys[string(r.Key)] = true
		}
	})
	return keys, err
}
