package provider_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"
	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	namespacedv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/pulsarclient"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// pulsarTenant is one of its own for these tests; the provider creates it.
const pulsarTenant = "shop"

// TestPulsar tries on one broker what differs from Redis to a user.
func TestPulsar(t *testing.T) {
	t.Parallel()
	p, err := broker.StartPulsar(t.Context(), broker.PulsarOptions{Dir: t.TempDir(), Config: map[string]string{"managedLedgerNewEntriesCheckDelayInMillis": "0"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop() })
	audit.secret(p.AdminToken)
	audit.secret(string(p.SecretKey))
	t.Run("Lifecycle", func(t *testing.T) { testPulsarLifecycle(t, p) })
	t.Run("Refusals", func(t *testing.T) { testPulsarRefusals(t, p) })
	t.Run("NoSigningKey", func(t *testing.T) { testPulsarNoSigningKey(t, p) })
	t.Run("Outage", func(t *testing.T) { testPulsarOutage(t, p) })
}

// pulsarConfig returns a ClusterProviderConfig, and creates the Secret with the token and the signing key.
func pulsarConfig(t *testing.T, ns string, p *broker.Pulsar) *namespacedv1alpha1.ClusterProviderConfig {
	t.Helper()
	create(t, &corev1.Secret{ObjectMeta: objectMeta(ns, "pulsar"), Data: map[string][]byte{"password": []byte(p.AdminToken + "\n"), "key": p.SecretKey}})
	pc := sharedConfig(ns, "", ns, "pulsar")
	pc.Spec.BrokerSpec = v1alpha1.BrokerSpec{Pulsar: &v1alpha1.PulsarSettings{
		ServiceURL: p.ServiceURL, AdminURL: p.AdminURL, Tenant: pulsarTenant, CreateTenant: true,
		Authentication: &v1alpha1.PulsarAuthentication{Method: v1alpha1.PulsarToken},
	}}
	pc.Spec.TokenSigningKey = credentials(ns, "pulsar")
	pc.Spec.TokenSigningKey.SecretRef.Key = "key"
	return pc
}

// pulsarPair returns a store and a subscription that use the ProviderConfig of that name.
func pulsarPair(ns string) (*namespacedv1alpha1.EventStore, *namespacedv1alpha1.Subscription) {
	return use(store(ns, "orders"), "ClusterProviderConfig", ns), use(subscription(ns, "orders", "billing"), "ClusterProviderConfig", ns)
}

// pulsarApp returns a client as an application makes it, from its Secret.
func pulsarApp(t *testing.T, secret map[string][]byte) pulsar.Client {
	t.Helper()
	c, err := pulsarclient.Config{ServiceURL: string(secret[layout.SecretURI]), Token: string(secret[layout.SecretPassword])}.Client()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// pulsarSend appends records to a store as its application.
func pulsarSend(t *testing.T, secret map[string][]byte, n int) error {
	t.Helper()
	topic := layout.PulsarTopic(string(secret[layout.SecretTenant]), string(secret[layout.SecretStore]), layout.PulsarEvents)
	producer, err := pulsarApp(t, secret).CreateProducer(pulsar.ProducerOptions{Topic: topic, DisableBatching: true})
	if err != nil {
		return err
	}
	defer producer.Close()
	for range n {
		if _, err := producer.Send(t.Context(), &pulsar.ProducerMessage{Key: "order/1", Payload: []byte("{}")}); err != nil {
			return err
		}
	}
	return nil
}

// pulsarAdmin makes a request to the admin API as administrator, and returns the answer.
func pulsarAdmin(ctx context.Context, p *broker.Pulsar, method, path, body string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, method, p.AdminURL+"/admin/v2/"+path, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Authorization", "Bearer "+p.AdminToken)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= http.StatusBadRequest {
		err = fmt.Errorf("%s: %s", resp.Status, text)
	}
	return string(text), err
}

func testPulsarLifecycle(t *testing.T, p *broker.Pulsar) {
	ns := namespace(t)
	pc := pulsarConfig(t, ns, p)
	s, sub := pulsarPair(ns)
	s.Spec.ForProvider.Snapshots = &v1alpha1.Snapshots{Enabled: true}
	create(t, pc, s, sub)
	ready(t, s)
	ready(t, sub)
	condition(t, pc, v1alpha1.TypeHealthy, corev1.ConditionTrue, v1alpha1.ReasonHealthy)
	if b := pc.Status.Broker; b == nil || b.Backend != v1alpha1.BackendPulsar || b.Version == "" {
		t.Errorf("status.broker: %+v", b)
	}

	secret, reader := connection(t, ns, "orders"), connection(t, ns, "billing")
	secretHas(t, secret, map[string]string{
		layout.SecretProvider: "pulsar", layout.SecretURI: p.ServiceURL, layout.SecretAdminURL: p.AdminURL, layout.SecretTenant: pulsarTenant,
		layout.SecretStore: ns + ".orders", layout.SecretUsername: layout.StorePrincipal(ns + ".orders"), layout.SecretSnapshots: "true",
	})
	if err := pulsarSend(t, secret, 3); err != nil {
		t.Fatal(err)
	}
	if err := pulsarSend(t, reader, 1); err == nil {
		t.Error("a subscription appends")
	}
	pulsarConsume(t, reader, 2)
	counted(t, s, sub)

	namespacePath := "namespaces/" + pulsarTenant + "/" + ns + ".orders"
	if _, err := pulsarAdmin(t.Context(), p, http.MethodPost, namespacePath+"/retention", `{"retentionTimeInMinutes":1,"retentionSizeInMB":-1}`); err != nil {
		t.Fatal(err)
	}
	happened(t, s, "retention.duration: 1m0s -> unlimited")
	if _, err := pulsarAdmin(t.Context(), p, http.MethodDelete, namespacePath+"/permissions/billing/"+layout.SubscriptionPrincipal(ns+".orders", "billing"), ""); err != nil {
		t.Fatal(err)
	}
	happened(t, sub, "principal: other rights")

	remove(t, sub)
	allow(t, sub, tokenIn(condition(t, sub, v1alpha1.TypeAccepted, corev1.ConditionFalse, v1alpha1.ReasonSubscriptionLags)))
	gone(t, sub)
	remove(t, s)
	allow(t, s, tokenIn(condition(t, s, v1alpha1.TypeAccepted, corev1.ConditionFalse, v1alpha1.ReasonNotEmpty)))
	gone(t, s)
	text, err := pulsarAdmin(t.Context(), p, http.MethodGet, "namespaces/"+pulsarTenant, "")
	if err != nil || strings.Contains(text, ns) {
		t.Errorf("namespaces after everything was deleted: %s, %v", text, err)
	}
	if err := pulsarSend(t, secret, 1); err == nil {
		t.Error("an application appends to a store that was deleted")
	}
}

// pulsarConsume reads and acknowledges records as a subscription, and the genesis record before them.
func pulsarConsume(t *testing.T, secret map[string][]byte, n int) {
	t.Helper()
	topic := layout.PulsarTopic(string(secret[layout.SecretTenant]), string(secret[layout.SecretStore]), layout.PulsarEvents)
	c, err := pulsarApp(t, secret).Subscribe(pulsar.ConsumerOptions{Topic: topic, SubscriptionName: string(secret[layout.SecretSubscription]), Type: pulsar.KeyShared, AckWithResponse: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range n + 1 {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		m, err := c.Receive(ctx)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.AckID(m.ID()); err != nil {
			t.Fatal(err)
		}
	}
}

func testPulsarRefusals(t *testing.T, p *broker.Pulsar) {
	ns := namespace(t)
	pc := pulsarConfig(t, ns, p)
	s, _ := pulsarPair(ns)
	s.Spec.ForProvider.Pulsar = &v1alpha1.EventStorePulsar{Tenant: ptr.To("another")}
	create(t, pc, s)
	refused(t, s, v1alpha1.ReasonUnsupported, "pulsar.tenant", "choose a ProviderConfig for that tenant")

	typo := use(store(ns, "typo"), "ClusterProviderConfig", ns)
	typo.Spec.ForProvider.Pulsar = &v1alpha1.EventStorePulsar{Policies: map[string]v1alpha1.PulsarPolicyValue{"max_producers_per_topic": `"many"`}}
	create(t, typo)
	refused(t, typo, v1alpha1.ReasonUnsupported, "max_producers_per_topic")
	change(t, typo, func(s *namespacedv1alpha1.EventStore) {
		s.Spec.ForProvider.Pulsar.Policies["max_producers_per_topic"] = "7"
	})
	ready(t, typo)
	change(t, typo, func(s *namespacedv1alpha1.EventStore) { s.Spec.ForProvider.Pulsar = nil })
	happened(t, typo, "max_producers_per_topic: 7 -> the broker's default")
	text, err := pulsarAdmin(t.Context(), p, http.MethodGet, "namespaces/"+pulsarTenant+"/"+ns+".typo", "")
	var policies map[string]any
	if err == nil {
		err = json.Unmarshal([]byte(text), &policies)
	}
	if err != nil || policies["max_producers_per_topic"] != nil {
		t.Errorf("the policy after it has left the spec: %v, %v", policies["max_producers_per_topic"], err)
	}
}

// testPulsarNoSigningKey says what to write into the ProviderConfig, and takes a role that somebody else has made.
func testPulsarNoSigningKey(t *testing.T, p *broker.Pulsar) {
	ns := namespace(t)
	pc := pulsarConfig(t, ns, p)
	pc.Spec.TokenSigningKey = nil
	s, _ := pulsarPair(ns)
	create(t, pc, s)
	fails(t, s, "tokenSigningKey", "principals to Provided")

	token, err := p.Token("team-" + ns)
	if err != nil {
		t.Fatal(err)
	}
	audit.secret(token)
	create(t, &corev1.Secret{ObjectMeta: objectMeta(ns, "team"), Data: map[string][]byte{"username": []byte("team-" + ns), "password": []byte(token)}})
	change(t, pc, func(pc *namespacedv1alpha1.ClusterProviderConfig) { pc.Spec.Principals = v1alpha1.PrincipalsProvided })
	change(t, s, func(s *namespacedv1alpha1.EventStore) {
		s.Spec.ForProvider.PrincipalSecretRef = &xpv2.LocalSecretReference{Name: "team"}
	})
	ready(t, s)
	eventually(t, "the role can append", func() (bool, string) {
		err := pulsarSend(t, connection(t, ns, "orders"), 1)
		return err == nil, fmt.Sprint(err)
	})
}

// testPulsarOutage has the network refuse, hang and slow: conditions say so, and everything goes on when it is back, without
// anybody restarting the provider.
func testPulsarOutage(t *testing.T, p *broker.Pulsar) {
	ns := namespace(t)
	proxy, err := broker.NewProxy(strings.TrimPrefix(p.AdminURL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = proxy.Close() })
	pc := pulsarConfig(t, ns, p)
	pc.Spec.Pulsar.AdminURL = "http://" + proxy.Addr
	s, sub := pulsarPair(ns)
	create(t, pc, s, sub)
	ready(t, s)
	ready(t, sub)
	t.Cleanup(func() { _ = proxy.Set(broker.Pass) }) // Before everything is deleted.
	for _, outage := range []struct {
		mode broker.ProxyMode
		says string
	}{{broker.Refuse, "connection is refused"}, {broker.Hang, "does not answer in time"}} {
		if err := proxy.Set(outage.mode); err != nil {
			t.Fatal(err)
		}
		condition(t, pc, v1alpha1.TypeHealthy, corev1.ConditionFalse, v1alpha1.ReasonUnreachable, outage.says)
		if _, err := pulsarAdmin(t.Context(), p, http.MethodPost, "namespaces/"+pulsarTenant+"/"+ns+".orders/messageTTL", "77"); err != nil {
			t.Fatal(err)
		}
		if err := proxy.Set(broker.Pass); err != nil {
			t.Fatal(err)
		}
		condition(t, pc, v1alpha1.TypeHealthy, corev1.ConditionTrue, v1alpha1.ReasonHealthy)
		eventually(t, "what has changed meanwhile is repaired", func() (bool, string) {
			ttl, err := pulsarAdmin(t.Context(), p, http.MethodGet, "namespaces/"+pulsarTenant+"/"+ns+".orders/messageTTL", "")
			return err == nil && ttl == "0", fmt.Sprint(ttl, err)
		})
		ready(t, s)
		ready(t, sub)
	}
	proxy.Slow(20 * time.Millisecond)
	condition(t, pc, v1alpha1.TypeHealthy, corev1.ConditionTrue, v1alpha1.ReasonHealthy)
	if err := p.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	proxy.Slow(0)
	condition(t, pc, v1alpha1.TypeHealthy, corev1.ConditionTrue, v1alpha1.ReasonHealthy)
	another := use(store(ns, "another"), "ClusterProviderConfig", ns)
	create(t, another)
	ready(t, another)
	ready(t, s)
	ready(t, sub)
}
