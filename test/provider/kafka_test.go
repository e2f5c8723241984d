package provider_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	namespacedv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/kafkaclient"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// TestKafka tries on one cluster what differs from Redis to a user.
func TestKafka(t *testing.T) {
	t.Parallel()
	k, proxy := startKafka(t)
	t.Run("Lifecycle", func(t *testing.T) { testKafkaLifecycle(t, k) })
	t.Run("Drift", func(t *testing.T) { testKafkaDrift(t, k) })
	t.Run("Refusals", func(t *testing.T) { testKafkaRefusals(t, k) })
	t.Run("Replay", func(t *testing.T) { testKafkaReplay(t, k) })
	t.Run("Certificates", func(t *testing.T) { testKafkaCertificates(t, k) })
	t.Run("WrongPassword", func(t *testing.T) { testKafkaWrongPassword(t, k) })
	t.Run("Outage", func(t *testing.T) { testKafkaOutage(t, k, proxy) })
}

// startKafka starts a cluster that is reached through a proxy, but by TLS.
func startKafka(t *testing.T) (*broker.Kafka, *broker.Proxy) {
	t.Helper()
	var proxy *broker.Proxy
	k, err := broker.StartKafka(t.Context(), broker.KafkaOptions{Dir: t.TempDir(), Advertise: func(_ int, addr string) (string, error) {
		var err error
		if proxy, err = broker.NewProxy(addr); err != nil {
			return "", err
		}
		t.Cleanup(func() { _ = proxy.Close() })
		return proxy.Addr, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Kill() })
	audit.secret(k.AdminPassword)
	audit.secret(k.PlainPassword)
	return k, proxy
}

// kafkaConfig returns a ClusterProviderConfig, and creates the Secret with the password.
func kafkaConfig(t *testing.T, ns string, k *broker.Kafka) *namespacedv1alpha1.ClusterProviderConfig {
	t.Helper()
	create(t, passwordSecret(ns, "kafka", k.AdminPassword))
	pc := sharedConfig(ns, "", ns, "kafka")
	pc.Spec.BrokerSpec = v1alpha1.BrokerSpec{Kafka: &v1alpha1.KafkaSettings{
		BootstrapServers: strings.Split(k.Addr, ","),
		Authentication:   &v1alpha1.KafkaAuthentication{Mechanism: v1alpha1.KafkaScramSHA512, Username: k.AdminUser},
	}}
	return pc
}

// kafkaPair returns a store and a subscription that use the ProviderConfig of that name.
func kafkaPair(ns string) (*namespacedv1alpha1.EventStore, *namespacedv1alpha1.Subscription) {
	return use(store(ns, "orders"), "ClusterProviderConfig", ns), use(subscription(ns, "orders", "billing"), "ClusterProviderConfig", ns)
}

// kafkaClient returns a client of a user.
func kafkaClient(t *testing.T, c kafkaclient.Config, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	base, err := c.Options(nil)
	if err != nil {
		t.Fatal(err)
	}
	cl, err := kgo.NewClient(append(base, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func kafkaAdmin(t *testing.T, k *broker.Kafka) *kadm.Client {
	t.Helper()
	return kadm.NewClient(kafkaClient(t, kafkaclient.Config{BootstrapServers: strings.Split(k.Addr, ","), Mechanism: kafkaclient.Plain, Username: k.PlainUser, Password: k.PlainPassword}))
}

// kafkaApp returns how an application connects, from its Secret alone.
func kafkaApp(secret map[string][]byte) kafkaclient.Config {
	c := kafkaclient.Config{
		BootstrapServers: strings.Split(string(secret[layout.SecretBootstrap]), ","), Mechanism: string(secret[layout.SecretSASLMechanism]),
		Username: string(secret[layout.SecretUsername]), Password: string(secret[layout.SecretPassword]),
	}
	if strings.HasSuffix(string(secret[layout.SecretSecurityProtocol]), "SSL") {
		c.TLS = &connect.TLS{CA: secret[layout.SecretCA], Certificate: secret[layout.SecretCertificate], PrivateKey: secret[layout.SecretPrivateKey]}
	}
	return c
}

// kafkaSend appends records to a store as its application.
func kafkaSend(t *testing.T, secret map[string][]byte, n int) error {
	t.Helper()
	cl := kafkaClient(t, kafkaApp(secret), kgo.RecordRetries(3), kgo.UnknownTopicRetries(1))
	defer cl.Close()
	topic := layout.KafkaEvents(string(secret[layout.SecretStore]))
	for range n {
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Key: []byte("order/1"), Value: []byte("{}")}).FirstErr(); err != nil {
			return err
		}
	}
	return nil
}

// kafkaConsume joins a subscription's group, reads and acknowledges n records, and leaves when the test calls the function.
func kafkaConsume(t *testing.T, secret map[string][]byte, n int) (leave func()) {
	t.Helper()
	store, sub := string(secret[layout.SecretStore]), string(secret[layout.SecretSubscription])
	cl := kafkaClient(t, kafkaApp(secret), kgo.ClientID("consumer-1"), kgo.ConsumerGroup(layout.KafkaGroup(store, sub)), kgo.ConsumeTopics(layout.KafkaEvents(store)),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()), kgo.DisableAutoCommit())
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for n > 0 {
		fetches := cl.PollRecords(ctx, n)
		if err := fetches.Err0(); err != nil {
			t.Fatal(err)
		}
		n -= fetches.NumRecords()
		if err := cl.CommitRecords(ctx, fetches.Records()...); err != nil {
			t.Fatal(err)
		}
	}
	return cl.Close
}

// kafkaLeft lists what a cluster has of names that contain part.
func kafkaLeft(t *testing.T, a *kadm.Client, part string) (left []string) {
	t.Helper()
	topics, err := a.ListTopics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	groups, err := a.ListGroups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	users, err := a.DescribeUserSCRAMs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	acls, err := a.DescribeACLs(t.Context(), kadm.NewACLs().AnyResource().Allow().AllowHosts().Deny().DenyHosts().Operations().ResourcePatternType(kadm.ACLPatternAny))
	if err != nil {
		t.Fatal(err)
	}
	names := slices.Concat(topics.Names(), groups.Groups(), slices.Collect(maps.Keys(users)))
	for _, f := range acls {
		for _, d := range f.Described {
			names = append(names, d.Principal+" on "+d.Name)
		}
	}
	return slices.DeleteFunc(names, func(n string) bool { return !strings.Contains(n, part) })
}

func testKafkaLifecycle(t *testing.T, k *broker.Kafka) {
	ns := namespace(t)
	a := kafkaAdmin(t, k)
	pc := kafkaConfig(t, ns, k)
	s, sub := kafkaPair(ns)
	s.Spec.ForProvider.Snapshots = &v1alpha1.Snapshots{Enabled: true}
	create(t, pc, s, sub)
	ready(t, s)
	ready(t, sub)
	condition(t, pc, v1alpha1.TypeHealthy, corev1.ConditionTrue, v1alpha1.ReasonHealthy)
	if b := pc.Status.Broker; b == nil || b.Backend != v1alpha1.BackendKafka || !strings.Contains(b.Version, "4.") {
		t.Errorf("status.broker: %+v", b)
	}

	secret, reader := connection(t, ns, "orders"), connection(t, ns, "billing")
	secretHas(t, secret, map[string]string{
		layout.SecretProvider: "kafka", layout.SecretBootstrap: k.Addr, layout.SecretSecurityProtocol: "SASL_PLAINTEXT", layout.SecretSASLMechanism: "SCRAM-SHA-512",
		layout.SecretStore: ns + ".orders", layout.SecretUsername: layout.StorePrincipal(ns + ".orders"), layout.SecretSnapshots: "true",
	})
	if err := kafkaSend(t, secret, 3); err != nil {
		t.Fatal(err)
	}
	if err := kafkaSend(t, reader, 1); !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("a subscription appends: %v", err)
	}
	kafkaConsume(t, reader, 2)()
	counted(t, s, sub)

	remove(t, sub)
	allow(t, sub, tokenIn(condition(t, sub, v1alpha1.TypeAccepted, corev1.ConditionFalse, v1alpha1.ReasonSubscriptionLags)))
	gone(t, sub)
	remove(t, s)
	token := tokenIn(condition(t, s, v1alpha1.TypeAccepted, corev1.ConditionFalse, v1alpha1.ReasonNotEmpty))
	eventually(t, "a store that is not deleted has its writers back", func() (bool, string) {
		err := kafkaSend(t, secret, 1)
		return err == nil, fmt.Sprint(err)
	})
	allow(t, s, token)
	gone(t, s)
	if left := kafkaLeft(t, a, ns); len(left) > 0 {
		t.Errorf("after everything was deleted there is left: %q", left)
	}
	if err := kafkaSend(t, secret, 1); err == nil {
		t.Error("an application appends to a store that was deleted")
	}
}

// testKafkaDrift changes things with Kafka's own means, of which the provider says what it has repaired.
func testKafkaDrift(t *testing.T, k *broker.Kafka) {
	ns := namespace(t)
	a := kafkaAdmin(t, k)
	s, sub := kafkaPair(ns)
	create(t, kafkaConfig(t, ns, k), s, sub)
	ready(t, s)
	ready(t, sub)
	topic := layout.KafkaEvents(ns + ".orders")
	_, err := a.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{
		{Op: kadm.SetConfig, Name: "retention.ms", Value: ptr.To("60000")}, {Op: kadm.SetConfig, Name: "message.timestamp.type", Value: ptr.To("CreateTime")},
	}, topic)
	if err != nil {
		t.Fatal(err)
	}
	happened(t, s, "retention.duration: 1m0s -> unlimited", "message.timestamp.type: CreateTime -> LogAppendTime")
	rights := kadm.NewACLs().Topics(topic).Allow("User:" + layout.SubscriptionPrincipal(ns+".orders", "billing")).AllowHosts().Operations(kadm.OpRead).ResourcePatternType(kadm.ACLPatternLiteral)
	if _, err := a.DeleteACLs(t.Context(), rights); err != nil {
		t.Fatal(err)
	}
	happened(t, sub, "principal: other rights")
	if _, err := a.DeleteGroups(t.Context(), layout.KafkaGroup(ns+".orders", "billing")); err != nil {
		t.Fatal(err)
	}
	happened(t, sub, "position of partition 0: missing -> 1")
	if _, err := a.DeleteTopics(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
	happened(t, s, "events of partition 0: missing -> create")
	ready(t, s)
	ready(t, sub)
	if err := kafkaSend(t, connection(t, ns, "orders"), 1); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the provider knows of the record", func() (bool, string) {
		err := world.kube.Get(t.Context(), objectKey(s), s)
		return ptr.Deref(s.Status.AtProvider.Records, 0) == 1, fmt.Sprint(err)
	})
	if _, err := a.DeleteTopics(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
	allow(t, s, refused(t, s, v1alpha1.ReasonDataLost, "held records"))
	ready(t, s)
	if _, err := a.UpdatePartitions(t.Context(), 3, topic); err != nil {
		t.Fatal(err)
	}
	refused(t, s, v1alpha1.ReasonPartitionsGrown, "added 2 partitions", "create a new store")
	ready(t, s)
}

func testKafkaRefusals(t *testing.T, k *broker.Kafka) {
	ns := namespace(t)
	create(t, kafkaConfig(t, ns, k))
	many := use(store(ns, "many"), "ClusterProviderConfig", ns)
	many.Spec.ForProvider.Durability = &v1alpha1.Durability{Replicas: ptr.To(int32(3))}
	create(t, many)
	refused(t, many, v1alpha1.ReasonBrokerLimit, "durability.replicas is 3, and the cluster has 1 brokers")
	tiered := use(store(ns, "tiered"), "ClusterProviderConfig", ns)
	tiered.Spec.ForProvider.Tiering = &v1alpha1.Tiering{AfterDuration: duration(1e12)}
	create(t, tiered)
	refused(t, tiered, v1alpha1.ReasonBrokerLimit, "remote storage")
	limited := use(store(ns, "limited"), "ClusterProviderConfig", ns)
	limited.Spec.ForProvider.MessageTTL = duration(1e12)
	create(t, limited)
	refused(t, limited, v1alpha1.ReasonUnsupported, "messageTTL is not supported on kafka", "set retention.duration")

	typo := use(store(ns, "typo"), "ClusterProviderConfig", ns)
	typo.Spec.ForProvider.Kafka = &v1alpha1.EventStoreKafka{Config: map[string]v1alpha1.KafkaConfigValue{"segment.ms": "soon", "index.interval.bytes": "8192"}}
	create(t, typo)
	fails(t, typo, "INVALID_CONFIG", "segment.ms")
	change(t, typo, func(s *namespacedv1alpha1.EventStore) {
		s.Spec.ForProvider.Kafka.Config["segment.ms"] = "600000"
	})
	ready(t, typo)
	change(t, typo, func(s *namespacedv1alpha1.EventStore) { s.Spec.ForProvider.Kafka = nil })
	happened(t, typo, "segment.ms: 600000 -> the broker's default", "index.interval.bytes: 8192 -> the broker's default")
}

// testKafkaReplay moves a position, which Kafka does not do while somebody reads.
func testKafkaReplay(t *testing.T, k *broker.Kafka) {
	ns := namespace(t)
	s, sub := kafkaPair(ns)
	create(t, kafkaConfig(t, ns, k), s, sub)
	ready(t, s)
	ready(t, sub)
	if err := kafkaSend(t, connection(t, ns, "orders"), 3); err != nil {
		t.Fatal(err)
	}
	reader := connection(t, ns, "billing")
	leave := kafkaConsume(t, reader, 3)
	change(t, sub, func(s *namespacedv1alpha1.Subscription) {
		s.Spec.ForProvider.Replay = &v1alpha1.Replay{ID: "once", From: v1alpha1.Start{Position: v1alpha1.StartEarliest}}
	})
	if token := refused(t, sub, v1alpha1.ReasonReplayBusy, "consumer-1", "stop them"); token != "" {
		t.Errorf("a replay that Kafka would refuse can be confirmed with %s", token)
	}
	leave()
	happened(t, sub, "replay: once from Earliest")
	accepted(t, sub)
	kafkaConsume(t, reader, 3)()
}

// testKafkaCertificates has everybody authenticate by certificate: users are not the provider's, and their rights are.
func testKafkaCertificates(t *testing.T, k *broker.Kafka) {
	ns := namespace(t)
	pc := kafkaConfig(t, ns, k)
	pc.Spec.Kafka.BootstrapServers = strings.Split(k.MTLSAddr, ",")
	pc.Spec.Kafka.Authentication.Mechanism, pc.Spec.Kafka.Authentication.Username = v1alpha1.KafkaMTLS, ""
	pc.Spec.Credentials, pc.Spec.Principals = nil, v1alpha1.PrincipalsProvided
	pc.Spec.TLS = &v1alpha1.TLS{
		CASecretRef:                &xpv2.SecretKeySelector{SecretReference: xpv2.SecretReference{Namespace: ns, Name: "us"}, Key: "ca.crt"},
		ClientCertificateSecretRef: &xpv2.SecretReference{Namespace: ns, Name: "us"},
	}
	us := &corev1.Secret{ObjectMeta: objectMeta(ns, "us"), Type: corev1.SecretTypeTLS, Data: map[string][]byte{
		"ca.crt": read(t, k.CAFile), "tls.crt": read(t, k.ClientCertFile), "tls.key": read(t, k.ClientKeyFile),
	}}
	// The only certificate that this cluster knows is the administrator's; what counts is whom it gives rights to.
	team := &corev1.Secret{ObjectMeta: objectMeta(ns, "team"), Data: map[string][]byte{"username": []byte("team-" + ns), "tls.crt": us.Data["tls.crt"], "tls.key": us.Data["tls.key"]}}
	s, _ := kafkaPair(ns)
	s.Spec.ForProvider.PrincipalSecretRef = &xpv2.LocalSecretReference{Name: "team"}
	create(t, us, team, pc, s)
	ready(t, s)
	condition(t, pc, v1alpha1.TypeHealthy, corev1.ConditionTrue, v1alpha1.ReasonHealthy)
	secret := &corev1.Secret{}
	eventually(t, "the Secret says how to connect", func() (bool, string) {
		err := world.kube.Get(t.Context(), objectKey(s), secret)
		return err == nil && string(secret.Data[layout.SecretSecurityProtocol]) == "SSL" && len(secret.Data[layout.SecretCertificate]) > 0, fmt.Sprint(err)
	})
	if err := kafkaSend(t, secret.Data, 1); err != nil {
		t.Error(err)
	}
	rights := 0
	for _, l := range kafkaLeft(t, kafkaAdmin(t, k), ns) {
		if strings.HasPrefix(l, "User:team-"+ns+" on ") {
			rights++
		}
	}
	if want := len(layout.KafkaStoreACL("x")); rights != want {
		t.Errorf("the user has %d rights, want %d", rights, want)
	}
}

func testKafkaWrongPassword(t *testing.T, k *broker.Kafka) {
	ns := namespace(t)
	pc := kafkaConfig(t, ns, k)
	secret := passwordSecret(ns, "wrong", "not-the-password")
	pc.Spec.Credentials = credentials(ns, "wrong")
	s, _ := kafkaPair(ns)
	create(t, secret, pc, s)
	condition(t, pc, v1alpha1.TypeHealthy, corev1.ConditionFalse, v1alpha1.ReasonUnauthorized, "the cluster refuses the credentials")
	fails(t, s, ns+".orders", "the cluster refuses the credentials")
	change(t, secret, func(s *corev1.Secret) { s.StringData = map[string]string{"password": k.AdminPassword} })
	ready(t, s)
	condition(t, pc, v1alpha1.TypeHealthy, corev1.ConditionTrue, v1alpha1.ReasonHealthy)
}

// testKafkaOutage has the network refuse and hang, and the broker restart: conditions say so, and everything goes on when it is
// back, without anybody restarting the provider.
func testKafkaOutage(t *testing.T, k *broker.Kafka, proxy *broker.Proxy) {
	ns := namespace(t)
	pc := kafkaConfig(t, ns, k)
	s, sub := kafkaPair(ns)
	create(t, pc, s, sub)
	ready(t, s)
	ready(t, sub)
	topic := layout.KafkaEvents(ns + ".orders")
	outside := kadm.NewClient(kafkaClient(t, kafkaclient.Config{
		BootstrapServers: strings.Split(k.TLSAddr, ","), Mechanism: kafkaclient.Plain, Username: k.PlainUser, Password: k.PlainPassword, TLS: &connect.TLS{CA: read(t, k.CAFile)},
	}))
	t.Cleanup(func() { _ = proxy.Set(broker.Pass) }) // Before everything is deleted.
	for _, outage := range []struct {
		mode broker.ProxyMode
		says string
	}{{broker.Refuse, "connection is refused"}, {broker.Hang, "does not answer in time"}} {
		if err := proxy.Set(outage.mode); err != nil {
			t.Fatal(err)
		}
		condition(t, pc, v1alpha1.TypeHealthy, corev1.ConditionFalse, v1alpha1.ReasonUnreachable, outage.says)
		if _, err := outside.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: ptr.To("77000")}}, topic); err != nil {
			t.Fatal(err)
		}
		if err := proxy.Set(broker.Pass); err != nil {
			t.Fatal(err)
		}
		condition(t, pc, v1alpha1.TypeHealthy, corev1.ConditionTrue, v1alpha1.ReasonHealthy)
		eventually(t, "what has changed meanwhile is repaired", func() (bool, string) {
			configs, err := outside.DescribeTopicConfigs(t.Context(), topic)
			if err != nil {
				return false, err.Error()
			}
			for _, c := range configs[0].Configs {
				if c.Key == "retention.ms" {
					return c.MaybeValue() == "-1", c.MaybeValue()
				}
			}
			return false, "no such key"
		})
		ready(t, s)
		ready(t, sub)
	}
	if err := k.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	condition(t, pc, v1alpha1.TypeHealthy, corev1.ConditionTrue, v1alpha1.ReasonHealthy)
	another := use(store(ns, "another"), "ClusterProviderConfig", ns)
	create(t, another)
	ready(t, another)
	ready(t, s)
	ready(t, sub)
}
