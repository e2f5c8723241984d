package kafka

import (
	"context"
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend/backendtest"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// attempts of a user, each one request, and what its answer says.
type attempts struct {
	t    *testing.T
	f    *fixture
	user *kgo.Client
	list []backendtest.Attempt
}

func (a *attempts) try(name string, allowed bool, do func(ctx context.Context) error) {
	a.list = append(a.list, backendtest.Attempt{Name: name, Allowed: allowed, Try: func(ctx context.Context) error {
		err := do(ctx)
		if err != nil && !refusesUser(err) && !errors.Is(err, kerr.TransactionalIDAuthorizationFailed) {
			// Not a matter of rights: the attempt itself is wrong, or it got further than it should.
			a.t.Errorf("%s: %v", name, err)
		}
		return err
	}})
}

// node returns the only broker, as the user reaches it.
func (a *attempts) node() kmsg.Requestor { return a.user }

func (a *attempts) produce(name string, allowed bool, topic string) {
	a.try(name, allowed, func(ctx context.Context) error {
		p := place{topic, 0}
		results, err := produce(ctx, a.node(), []batch{{p, []message{event(1)}}})
		return first(err, results[p].err)
	})
}

func (a *attempts) consume(name string, allowed bool, topic string) {
	a.try(name, allowed, func(ctx context.Context) error {
		req := kmsg.NewPtrFetchRequest()
		t, one := kmsg.NewFetchRequestTopic(), kmsg.NewFetchRequestTopicPartition()
		t.Topic, one.PartitionMaxBytes = topic, 1000
		t.Partitions, req.MaxBytes = append(t.Partitions, one), 1000
		req.Topics = append(req.Topics, t)
		resp, err := req.RequestWith(ctx, a.node())
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
	})
}

func (a *attempts) config(name string, allowed bool, topic string) {
	a.try(name, allowed, func(ctx context.Context) error {
		req := kmsg.NewPtrDescribeConfigsRequest()
		r := kmsg.NewDescribeConfigsRequestResource()
		r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, topic
		req.Resources = append(req.Resources, r)
		resp, err := req.RequestWith(ctx, a.node())
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(resp.Resources[0].ErrorCode)
	})
}

func (a *attempts) commit(name string, allowed bool, group, topic string) {
	a.try(name, allowed, func(ctx context.Context) error {
		req := kmsg.NewPtrOffsetCommitRequest()
		req.Group, req.Generation = group, -1
		t, one := kmsg.NewOffsetCommitRequestTopic(), kmsg.NewOffsetCommitRequestTopicPartition()
		t.Topic, one.Offset = topic, 1
		t.Partitions = append(t.Partitions, one)
		req.Topics = append(req.Topics, t)
		resp, err := req.RequestWith(ctx, a.node())
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
	})
}

func (a *attempts) offsets(name string, allowed bool, group string) {
	a.try(name, allowed, func(ctx context.Context) error {
		req := kmsg.NewPtrOffsetFetchRequest()
		g := kmsg.NewOffsetFetchRequestGroup()
		g.Group = group
		req.Groups = append(req.Groups, g)
		resp, err := req.RequestWith(ctx, a.node())
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(resp.Groups[0].ErrorCode)
	})
}

// nothing tries what nobody but an administrator may do.
func (a *attempts) nothing(topic string) {
	a.config("ReadRegistryConfig", false, a.f.backend.config.RegistryTopic)
	a.consume("ReadRegistry", false, a.f.backend.config.RegistryTopic)
	a.produce("WriteRegistry", false, a.f.backend.config.RegistryTopic)
	a.try("DeleteTopic", false, func(ctx context.Context) error {
		req := kmsg.NewPtrDeleteTopicsRequest()
		req.Topics, req.TopicNames = []kmsg.DeleteTopicsRequestTopic{{Topic: &topic}}, []string{topic}
		resp, err := req.RequestWith(ctx, a.user)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(resp.Topics[0].ErrorCode)
	})
	a.try("DeleteRecords", false, func(ctx context.Context) error {
		req := kmsg.NewPtrDeleteRecordsRequest()
		t := kmsg.NewDeleteRecordsRequestTopic()
		t.Topic, t.Partitions = topic, []kmsg.DeleteRecordsRequestTopicPartition{{Offset: 1}}
		req.Topics = append(req.Topics, t)
		resp, err := req.RequestWith(ctx, a.user)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
	})
	a.try("AlterConfig", false, func(ctx context.Context) error {
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		r, c := kmsg.NewIncrementalAlterConfigsRequestResource(), kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		value := "1"
		r.ResourceType, r.ResourceName, c.Name, c.Value = kmsg.ConfigResourceTypeTopic, topic, keyRetention, &value
		r.Configs = append(r.Configs, c)
		req.Resources = append(req.Resources, r)
		resp, err := req.RequestWith(ctx, a.user)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(resp.Resources[0].ErrorCode)
	})
	a.try("AddPartitions", false, func(ctx context.Context) error {
		req := kmsg.NewPtrCreatePartitionsRequest()
		t := kmsg.NewCreatePartitionsRequestTopic()
		t.Topic, t.Count = topic, 9
		req.Topics = append(req.Topics, t)
		resp, err := req.RequestWith(ctx, a.user)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(resp.Topics[0].ErrorCode)
	})
	a.try("CreateTopic", false, func(ctx context.Context) error {
		req := kmsg.NewPtrCreateTopicsRequest()
		t := kmsg.NewCreateTopicsRequestTopic()
		t.Topic, t.NumPartitions, t.ReplicationFactor = topic+".mine", 1, 1
		req.Topics = append(req.Topics, t)
		resp, err := req.RequestWith(ctx, a.user)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(resp.Topics[0].ErrorCode)
	})
	a.try("ListRights", false, func(ctx context.Context) error {
		resp, err := describeACLs(acl{}).RequestWith(ctx, a.user)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(resp.ErrorCode)
	})
	a.try("ListUsers", false, func(ctx context.Context) error {
		req := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()
		req.Users = []kmsg.DescribeUserSCRAMCredentialsRequestUser{{Name: "admin"}} // For all of them, Kafka 4.3 gives who may not no answer.
		resp, err := req.RequestWith(ctx, a.user)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(resp.ErrorCode)
	})
	a.try("Transaction", false, func(ctx context.Context) error {
		req := kmsg.NewPtrInitProducerIDRequest()
		id := "mine"
		req.TransactionalID, req.TransactionTimeoutMillis = &id, 1000
		resp, err := req.RequestWith(ctx, a.user)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(resp.ErrorCode)
	})
}

func (f *fixture) attemptsOf(t *testing.T, user, password string) *attempts {
	t.Helper()
	return &attempts{t: t, f: f, user: f.as(t, user, password)}
}

// topic makes a topic that belongs to somebody else.
func (f *fixture) topic(t *testing.T, name string) {
	t.Helper()
	errs := make([]error, 1)
	f.backend.createTopics(t.Context(), []newTopic{{0, name, 1, 1, nil}}, errs)
	if errs[0] != nil {
		t.Fatal(errs[0])
	}
}

func (f *fixture) storeAttempts(t *testing.T, store, user, password string) []backendtest.Attempt {
	t.Helper()
	other := store + "0"
	for _, n := range []string{layout.KafkaEvents(other), layout.KafkaSnapshots(store), layout.KafkaDeadLetters(store, "reader")} {
		f.topic(t, n)
	}
	a := f.attemptsOf(t, user, password)
	eventually(t, "the topics", func() bool {
		topics, err := f.backend.cluster.metadata(t.Context(), []string{layout.KafkaDeadLetters(store, "reader")})
		return err == nil && len(topics) == 1
	})
	events := layout.KafkaEvents(store)
	a.produce("Append", true, events)
	a.consume("Read", true, events)
	a.config("ReadConfig", true, events)
	a.produce("SaveSnapshot", true, layout.KafkaSnapshots(store))
	a.consume("LoadSnapshot", true, layout.KafkaSnapshots(store))
	a.try("ProduceIdempotently", true, func(ctx context.Context) (err error) {
		eventually(t, "producer ids", func() bool { // The first one in the life of a cluster takes a while.
			var resp *kmsg.InitProducerIDResponse
			if resp, err = kmsg.NewPtrInitProducerIDRequest().RequestWith(ctx, a.user); err == nil {
				err = kerr.ErrorForCode(resp.ErrorCode)
			}
			return !errors.Is(err, kerr.CoordinatorLoadInProgress)
		})
		return err
	})

	a.consume("ReadOtherStore", false, layout.KafkaEvents(other))
	a.produce("AppendToOtherStore", false, layout.KafkaEvents(other))
	a.config("ReadOtherConfig", false, layout.KafkaEvents(other))
	a.consume("ReadDeadLetters", false, layout.KafkaDeadLetters(store, "reader"))
	a.produce("WriteDeadLetters", false, layout.KafkaDeadLetters(store, "reader"))
	a.commit("MovePosition", false, layout.KafkaGroup(store, "reader"), events)
	a.offsets("SeePosition", false, layout.KafkaGroup(store, "reader"))
	a.nothing(events)
	return a.list
}

func (f *fixture) subscriptionAttempts(t *testing.T, id backend.SubscriptionID, user, password string) []backendtest.Attempt {
	t.Helper()
	other := id.Store + "0"
	for _, n := range []string{layout.KafkaEvents(other), layout.KafkaSnapshots(id.Store), layout.KafkaDeadLetters(id.Store, "sibling")} {
		f.topic(t, n)
	}
	eventually(t, "the topics", func() bool {
		topics, err := f.backend.cluster.metadata(t.Context(), []string{layout.KafkaDeadLetters(id.Store, "sibling")})
		return err == nil && len(topics) == 1
	})
	a := f.attemptsOf(t, user, password)
	events, group := layout.KafkaEvents(id.Store), layout.KafkaGroup(id.Store, id.Name)
	a.consume("Read", true, events)
	a.config("ReadConfig", true, events)
	a.consume("LoadSnapshot", true, layout.KafkaSnapshots(id.Store))
	a.offsets("SeePosition", true, group)
	a.commit("Acknowledge", true, group, events)
	a.produce("WriteDeadLetter", true, layout.KafkaDeadLetters(id.Store, id.Name))
	a.consume("ReadDeadLetters", true, layout.KafkaDeadLetters(id.Store, id.Name))

	a.produce("Append", false, events)
	a.produce("WriteSnapshot", false, layout.KafkaSnapshots(id.Store))
	a.consume("ReadOtherStore", false, layout.KafkaEvents(other))
	a.commit("MoveSiblingsPosition", false, layout.KafkaGroup(id.Store, "sibling"), events)
	a.offsets("SeeSiblingsPosition", false, layout.KafkaGroup(id.Store, "sibling"))
	a.consume("ReadSiblingsDeadLetters", false, layout.KafkaDeadLetters(id.Store, "sibling"))
	a.produce("WriteSiblingsDeadLetters", false, layout.KafkaDeadLetters(id.Store, "sibling"))
	a.try("DeleteGroup", false, func(ctx context.Context) error {
		req := kmsg.NewPtrDeleteGroupsRequest()
		req.Groups = []string{group}
		resp, err := req.RequestWith(ctx, a.user)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(resp.Groups[0].ErrorCode)
	})
	a.nothing(events)
	return a.list
}
