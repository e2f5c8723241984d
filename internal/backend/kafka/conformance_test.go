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
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
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
func (f *fixture) overTLS(t *testing.T, addr string, mutual bool) connect.Kafka {
	t.Helper()
	c := f.config(t)
	c.BootstrapServers, c.TLS = strings.Split(addr, ","), &connect.TLS{CA: file(t, f.CAFile)}
	if mutual {
		c.Mechanism, c.Username, c.Password = "", "", ""
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
	c := connect.Kafka{BootstrapServers: strings.Split(f.Addr, ","), Mechanism: connect.KafkaScramSHA512, Username: user, Password: password}
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

// alter changes a topic's configuration as administrator, and waits until that is seen.
func (f *fixture) alter(t *testing.T, topic, key, value string) {
	t.Helper()
	errs := make([]error, 1)
	a := []alteration{{0, topic, map[string]string{key: value}}}
	f.backend.alterTopics(t.Context(), a, errs)
	f.backend.awaitConfigs(t.Context(), a, errs)
	if errs[0] != nil {
		t.Fatal(errs[0])
	}
}

func (f *fixture) deleteTopic(t *testing.T, topic string) {
	t.Helper()
	errs := make([]error, 1)
	f.backend.deleteTopics(t.Context(), []deadTopic{{0, topic}}, errs)
	if errs[0] != nil {
		t.Fatal(errs[0])
	}
}

// rights adds an entry to the list of rights, or takes it out, and waits until that is seen.
func (f *fixture) rights(t *testing.T, e acl, there bool) {
	t.Helper()
	errs := make([]error, 1)
	if there {
		f.backend.addRights(t.Context(), []aclChange{{e, 0}}, errs)
	} else {
		f.backend.removeRights(t.Context(), []aclChange{{e, 0}}, errs)
	}
	if errs[0] != nil {
		t.Fatal(errs[0])
	}
	user := strings.TrimPrefix(e.principal, "User:")
	eventually(t, "the right to be seen", func() bool {
		a, err := f.backend.access(t.Context(), interest{users: []string{user}})
		if err != nil {
			t.Fatal(err)
		}
		return a.rights.has(e) == there
	})
}

// scram sets a credential of a user, or deletes it if there are no iterations, and waits until that is seen.
func (f *fixture) scram(t *testing.T, user string, mechanism int8, n int32) {
	t.Helper()
	req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	if n == 0 {
		req.Deletions = []kmsg.AlterUserSCRAMCredentialsRequestDeletion{{Name: user, Mechanism: mechanism}}
	} else {
		size := map[int8]int{scramSHA256: 32, scramSHA512: 64}[mechanism]
		req.Upsertions = []kmsg.AlterUserSCRAMCredentialsRequestUpsertion{{
			Name: user, Mechanism: mechanism, Iterations: n, Salt: []byte("0123456789abcdef"), SaltedPassword: make([]byte, size),
		}}
	}
	resp, err := req.RequestWith(t.Context(), f.admin())
	for _, r := range must(t, resp, err).Results {
		if err := answer(r.ErrorCode, r.ErrorMessage); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the credential to be seen", func() bool {
		a, err := f.backend.access(t.Context(), interest{users: []string{user}})
		if err != nil {
			t.Fatal(err)
		}
		return a.users[user][mechanism] == n
	})
}

func (f *fixture) quota(t *testing.T, user, value string) {
	t.Helper()
	errs := make([]error, 1)
	q := []quotaChange{{0, user, value}}
	f.backend.setQuotas(t.Context(), q, errs)
	f.backend.awaitQuotas(t.Context(), q, errs)
	if errs[0] != nil {
		t.Fatal(errs[0])
	}
}

func (f *fixture) storeDrifts() []backendtest.Drift[string] {
	var drifts []backendtest.Drift[string]
	add := func(name string, want plan.Field, make func(t *testing.T, store string)) {
		drifts = append(drifts, backendtest.Drift[string]{Name: name, Want: want, Make: make})
	}
	topic := func(name string, want plan.Field, key, value string) {
		add(name, want, func(t *testing.T, s string) { f.alter(t, layout.KafkaEvents(s), key, value) })
	}
	topic("RetentionShrunk", plan.FieldRetentionDuration, keyRetention, "60000")
	topic("RetentionGrown", plan.FieldRetentionDuration, keyRetention, "-1")
	topic("RetentionRemoved", plan.FieldRetentionDuration, keyRetention, "")
	topic("BytesAdded", plan.FieldRetentionBytes, keyRetainedBytes, "5000000")
	topic("MaxEventBytesChanged", plan.FieldMaxEventBytes, keyMaxMessage, "500000")
	topic("MaxEventBytesRemoved", plan.FieldMaxEventBytes, keyMaxMessage, "")
	topic("CleanupChanged", plan.FieldSetting, keyCleanup, "compact")
	topic("CleanupRemoved", plan.FieldSetting, keyCleanup, "")
	topic("TimestampChanged", plan.FieldSetting, keyTimestamp, "CreateTime")
	topic("TimestampRemoved", plan.FieldSetting, keyTimestamp, "")
	topic("UncleanElection", plan.FieldSetting, keyUnclean, "true")
	topic("UncleanElectionRemoved", plan.FieldSetting, keyUnclean, "")
	topic("MinInSyncAdded", plan.FieldSetting, keyMinInSync, "1")
	topic("LocalRetentionAdded", plan.FieldSetting, keyLocalRetention, "1000")
	add("SnapshotsCleanupChanged", plan.FieldSetting, func(t *testing.T, s string) { f.alter(t, layout.KafkaSnapshots(s), keyCleanup, "delete") })
	add("SnapshotsMinInSyncAdded", plan.FieldSetting, func(t *testing.T, s string) { f.alter(t, layout.KafkaSnapshots(s), keyMinInSync, "1") })
	add("SnapshotsDeleted", "snapshots, setting", func(t *testing.T, s string) { f.deleteTopic(t, layout.KafkaSnapshots(s)) })
	add("SnapshotsOff", plan.FieldSnapshots, func(t *testing.T, s string) {
		f.editStore(t, s, func(m map[string]any) { m["snapshots"] = false })
	})
	add("EventsDeleted", "setting, events", func(t *testing.T, s string) { f.deleteTopic(t, layout.KafkaEvents(s)) })
	add("EventsMadeAnewWithFewerPartitions", "retention.duration, maxEventBytes, setting, events", func(t *testing.T, s string) {
		f.deleteTopic(t, layout.KafkaEvents(s))
		errs := make([]error, 1)
		f.backend.createTopics(t.Context(), []newTopic{{0, layout.KafkaEvents(s), 1, 1, nil}}, errs)
		if errs[0] != nil {
			t.Fatal(errs[0])
		}
		eventually(t, "the topic", func() bool {
			topics, err := f.backend.cluster.metadata(t.Context(), []string{layout.KafkaEvents(s)})
			return err == nil && len(topics) == 1
		})
	})
	add("QuotaAdded", plan.FieldSetting, func(t *testing.T, s string) { f.quota(t, layout.StorePrincipal(s), "12345") })
	add("OwnerChanged", plan.FieldOwner, func(t *testing.T, s string) {
		f.editStore(t, s, func(m map[string]any) { m["owner"].(map[string]any)["uid"] = "another" })
	})
	add("PasswordForgotten", plan.FieldPrincipal, func(t *testing.T, s string) {
		f.editStore(t, s, func(m map[string]any) { delete(m["grant"].(map[string]any), "password") })
	})
	for name, drift := range f.userDrifts() {
		add(name, plan.FieldPrincipal, func(t *testing.T, s string) {
			drift(t, layout.StorePrincipal(s), layout.KafkaStoreACL(s)[1])
		})
	}
	return drifts
}

// userDrifts are changes of a user and its rights; of the rights one is given.
func (f *fixture) userDrifts() map[string]func(t *testing.T, user string, one layout.KafkaACL) {
	drifts := map[string]func(*testing.T, string, layout.KafkaACL){
		"UserDeleted":         func(t *testing.T, u string, _ layout.KafkaACL) { f.scram(t, u, scramSHA512, 0) },
		"UserPasswordChanged": func(t *testing.T, u string, _ layout.KafkaACL) { f.scram(t, u, scramSHA512, 4096) },
		"UserMechanismAdded":  func(t *testing.T, u string, _ layout.KafkaACL) { f.scram(t, u, scramSHA256, 4096) },
		"RightRemoved":        func(t *testing.T, u string, one layout.KafkaACL) { f.rights(t, right(u, one), false) },
	}
	for name, edit := range map[string]func(e *acl){
		"RightToAll":          func(e *acl) { e.operation = "ALL" },
		"RightToDelete":       func(e *acl) { e.operation = "DELETE" },
		"RightWithPrefix":     func(e *acl) { e.pattern = "PREFIXED" },
		"RightToEveryTopic":   func(e *acl) { e.typ, e.name = "TOPIC", "*" },
		"RightToTheCluster":   func(e *acl) { e.typ, e.name, e.operation = "CLUSTER", "kafka-cluster", "ALTER" },
		"RightToTransactions": func(e *acl) { e.typ, e.name, e.operation = "TRANSACTIONAL_ID", "*", "WRITE" },
		"RightFromOneHost":    func(e *acl) { e.host = "10.0.0.1" },
		"RightDenied":         func(e *acl) { e.permission = "DENY" },
	} {
		drifts[name] = func(t *testing.T, u string, one layout.KafkaACL) {
			e := right(u, one)
			edit(&e)
			f.rights(t, e, true)
		}
	}
	return drifts
}

func (f *fixture) subscriptionDrifts() []backendtest.Drift[backend.SubscriptionID] {
	var drifts []backendtest.Drift[backend.SubscriptionID]
	add := func(name string, want plan.Field, make func(t *testing.T, id backend.SubscriptionID)) {
		drifts = append(drifts, backendtest.Drift[backend.SubscriptionID]{Name: name, Want: want, Make: make})
	}
	topic := func(name string, want plan.Field, key, value string) {
		add(name, want, func(t *testing.T, id backend.SubscriptionID) {
			f.alter(t, layout.KafkaDeadLetters(id.Store, id.Name), key, value)
		})
	}
	marker := func(name string, want plan.Field, edit func(m map[string]any)) {
		add(name, want, func(t *testing.T, id backend.SubscriptionID) {
			f.edit(t, layout.KafkaSubscriptionKey(id.Store, id.Name), edit)
		})
	}
	topic("DeadLetterRetentionShrunk", plan.FieldDeadLetterRetention, keyRetention, "1000")
	topic("DeadLetterRetentionRemoved", plan.FieldDeadLetterRetention, keyRetention, "")
	topic("DeadLetterCleanupChanged", plan.FieldSetting, keyCleanup, "compact")
	topic("DeadLetterSizeRemoved", plan.FieldSetting, keyMaxMessage, "")
	add("DeadLettersDeleted", plan.FieldSetting, func(t *testing.T, id backend.SubscriptionID) {
		f.deleteTopic(t, layout.KafkaDeadLetters(id.Store, id.Name))
	})
	marker("OwnerChanged", plan.FieldOwner, func(m map[string]any) { m["owner"].(map[string]any)["uid"] = "another" })
	marker("PositionedForgotten", plan.FieldPositioned, func(m map[string]any) { delete(m, "positioned") })
	for name, drift := range f.userDrifts() {
		add(name, plan.FieldPrincipal, func(t *testing.T, id backend.SubscriptionID) {
			drift(t, layout.SubscriptionPrincipal(id.Store, id.Name), layout.KafkaSubscriptionACL(id.Store, id.Name)[1])
		})
	}
	return drifts
}

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
	a.try("ProduceIdempotently", true, func(ctx context.Context) error {
		resp, err := kmsg.NewPtrInitProducerIDRequest().RequestWith(ctx, a.user)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(resp.ErrorCode)
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
