package pulsar

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend/backendtest"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// errDenied is what the broker answers to those who may not.
var errDenied = errors.New("denied")

// An application is somebody with a principal's token.
type application struct {
	*fixture

	client pulsar.Client
	token  string
}

func (f *fixture) application(t *testing.T, token string) application {
	t.Helper()
	return application{fixture: f, client: f.as(t, token), token: token}
}

// try makes an attempt. An error that is not a matter of rights fails the test: the attempt itself is wrong.
func (a application) try(t *testing.T, name string, allowed bool, do func(ctx context.Context) error) backendtest.Attempt {
	t.Helper()
	return backendtest.Attempt{Name: name, Allowed: allowed, Try: func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		err := do(ctx)
		if err != nil && !errors.Is(err, errDenied) {
			t.Errorf("%s: %v", name, err)
		}
		return err
	}}
}

// denied recognizes how the client tells that something is not allowed.
func denied(err error) error {
	var p *pulsar.Error
	if errors.As(err, &p) && p.Result() == pulsar.AuthorizationError || err != nil && strings.Contains(err.Error(), "Authorization") {
		return fmt.Errorf("%w: %w", errDenied, err)
	}
	return err
}

func (a application) produce(store, local string) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		return denied(produceTo(ctx, a.client, a.backend.fullName(store, local), 1))
	}
}

func (a application) readFrom(store, local string) func(ctx context.Context) error {
	return func(context.Context) error {
		r, err := a.client.CreateReader(pulsar.ReaderOptions{Topic: a.backend.fullName(store, local), StartMessageID: pulsar.EarliestMessageID()})
		if err != nil {
			return denied(err)
		}
		r.Close()
		return nil
	}
}

func (a application) subscribeTo(store, local, subscription string) func(ctx context.Context) error {
	return func(context.Context) error {
		c, err := a.client.Subscribe(pulsar.ConsumerOptions{Topic: a.backend.fullName(store, local), SubscriptionName: subscription, Type: pulsar.KeyShared})
		// What does not exist, and may not be created, is as good as denied.
		if err != nil && strings.Contains(err.Error(), "SubscriptionNotFound") {
			return fmt.Errorf("%w: %w", errDenied, err)
		}
		if err != nil {
			return denied(err)
		}
		c.Close()
		return nil
	}
}

// admin makes a request to the admin API.
func (a application) admin(method, path, body string) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		r, err := http.NewRequestWithContext(ctx, method, a.AdminURL+api+path, strings.NewReader(body))
		if err != nil {
			return err
		}
		r.Header.Set("Authorization", "Bearer "+a.token)
		r.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		switch {
		case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
			return fmt.Errorf("%w: %s", errDenied, text)
		case resp.StatusCode >= http.StatusBadRequest:
			return fmt.Errorf("%s: %s", resp.Status, text)
		}
		return nil
	}
}

// forbidden are requests to the admin API that no principal may make.
func (a application) forbidden(t *testing.T, store, subscription string) []backendtest.Attempt {
	t.Helper()
	ns, events := a.backend.namespace(store), a.backend.topic(store, layout.PulsarEvents)
	p0 := a.backend.topic(store, layout.PulsarPartition(layout.PulsarEvents, 0))
	requests := []struct{ name, method, path, body string }{
		{"ReadMarker", http.MethodGet, ns + "/properties", ""},
		{"ReadPolicies", http.MethodGet, ns, ""},
		{"WriteMarker", http.MethodPut, ns + "/properties", `{"es.store.9":"{}"}`},
		{"DeleteMarker", http.MethodDelete, ns + "/properties", ""},
		{"SetRetention", http.MethodPost, ns + "/retention", `{"retentionTimeInMinutes":0,"retentionSizeInMB":0}`},
		{"SetTTL", http.MethodPost, ns + "/messageTTL", "1"},
		{"GrantItself", http.MethodPost, ns + "/permissions/es:" + store, `["produce","consume","functions"]`},
		{"GrantTopic", http.MethodPost, events + "/permissions/es:" + store, `["produce","consume"]`},
		{"OpenSubscription", http.MethodPost, ns + "/permissions/subscription/reader", `["intruder"]`},
		{"CreateTopic", http.MethodPut, a.backend.topic(store, "mine"), "{}"},
		{"CreatePartitions", http.MethodPost, events + "/partitions", "9"},
		{"DeleteTopic", http.MethodDelete, events + "/partitions?force=true", ""},
		{"DeletePartition", http.MethodDelete, p0 + "?force=true", ""},
		{"Truncate", http.MethodDelete, p0 + "/truncate", ""},
		{"Trim", http.MethodPost, p0 + "/trim", ""},
		{"Terminate", http.MethodPost, p0 + "/terminate", ""},
		{"Unload", http.MethodPut, events + "/unload", ""},
		{"Compact", http.MethodPut, p0 + "/compaction", ""},
		{"SetTopicPolicy", http.MethodPost, events + "/retention", `{"retentionTimeInMinutes":1,"retentionSizeInMB":1}`},
		{"ClearBacklogOfAll", http.MethodPost, ns + "/clearBacklog", ""},
		{"ClearBacklogOfOne", http.MethodPost, ns + "/clearBacklog/reader", ""},
		{"UnsubscribeAll", http.MethodPost, ns + "/unsubscribe/reader", ""},
		{"DeleteNamespace", http.MethodDelete, ns + "?force=true", ""},
		{"CreateNamespace", http.MethodPut, a.backend.namespace("mine"), "{}"},
		{"ListNamespaces", http.MethodGet, "namespaces/" + a.tenant, ""},
		{"ListTenants", http.MethodGet, "tenants", ""},
		{"ReadConfiguration", http.MethodGet, "brokers/configuration/runtime", ""},
		{"OthersSkip", http.MethodPost, p0 + "/subscription/" + subscription + "/skip_all", ""},
		{"OthersReset", http.MethodPost, p0 + "/subscription/" + subscription + "/resetcursor/0", ""},
		{"OthersExpire", http.MethodPost, p0 + "/subscription/" + subscription + "/expireMessages/1", ""},
		{"OthersPeek", http.MethodGet, p0 + "/subscription/" + subscription + "/position/1", ""},
		{"OthersDelete", http.MethodDelete, events + "/subscription/" + subscription + "?force=true", ""},
	}
	attempts := make([]backendtest.Attempt, 0, len(requests)+1)
	for _, r := range requests {
		attempts = append(attempts, a.try(t, "Admin/"+r.name, false, a.admin(r.method, r.path, r.body)))
	}
	// What Pulsar lets everybody do who may consume: the capabilities page says so.
	return append(attempts, a.try(t, "Admin/ExpireForAll", true, a.admin(http.MethodPost, p0+"/all_subscription/expireMessages/100000", "")))
}

// neighbour makes another store with a record, and a subscription of the same name.
func (f *fixture) neighbour(t *testing.T, store string) string {
	t.Helper()
	d, c := f.store(t, store+"0")
	f.applyStore(t, d, c)
	f.append(t, d.Name, 0, 1)
	return d.Name
}

// makeSubscription makes a subscription with a dead letter.
func (f *fixture) makeSubscription(t *testing.T, store, name string) backend.SubscriptionID {
	t.Helper()
	d, c := f.subscription(t, store, name)
	f.applySubscription(t, d, c)
	id := backend.SubscriptionID{Store: store, Name: name}
	f.deadLetter(t, id, 0, 1)
	return id
}

func (f *fixture) storeAttempts(t *testing.T, store, _, password string) []backendtest.Attempt {
	t.Helper()
	other := f.neighbour(t, store)
	reader := f.makeSubscription(t, store, "reader")
	a := f.application(t, password)
	events, dead := layout.PulsarPartition(layout.PulsarEvents, 0), layout.PulsarDeadLetters("reader")
	return append([]backendtest.Attempt{
		a.try(t, "Append", true, a.produce(store, events)),
		a.try(t, "Read", true, a.readFrom(store, events)),
		a.try(t, "ReadWhole", true, a.readFrom(store, layout.PulsarEvents)),

		a.try(t, "Subscribe", false, a.subscribeTo(store, events, "mine")),
		a.try(t, "UseSubscription", false, a.subscribeTo(store, events, reader.Name)),
		a.try(t, "ReadDeadLetters", false, a.readFrom(store, dead)),
		a.try(t, "WriteDeadLetters", false, a.produce(store, dead)),
		a.try(t, "AppendToOtherStore", false, a.produce(other, events)),
		a.try(t, "ReadOtherStore", false, a.readFrom(other, events)),
	}, a.forbidden(t, store, reader.Name)...)
}

func (f *fixture) subscriptionAttempts(t *testing.T, id backend.SubscriptionID, _, password string) []backendtest.Attempt {
	t.Helper()
	other := f.neighbour(t, id.Store)
	sibling := f.makeSubscription(t, id.Store, "sibling")
	a := f.application(t, password)
	events, dead := layout.PulsarPartition(layout.PulsarEvents, 0), layout.PulsarDeadLetters(id.Name)
	return append([]backendtest.Attempt{
		a.try(t, "Consume", true, a.subscribeTo(id.Store, events, id.Name)),
		a.try(t, "ConsumeWhole", true, a.subscribeTo(id.Store, layout.PulsarEvents, id.Name)),
		a.try(t, "Read", true, a.readFrom(id.Store, events)),
		a.try(t, "WriteDeadLetters", true, a.produce(id.Store, dead)),
		a.try(t, "ReadDeadLetters", true, a.readFrom(id.Store, dead)),

		a.try(t, "Append", false, a.produce(id.Store, events)),
		a.try(t, "Subscribe", false, a.subscribeTo(id.Store, events, "mine")),
		a.try(t, "UseSibling", false, a.subscribeTo(id.Store, events, sibling.Name)),
		a.try(t, "ReadSiblingsDeadLetters", false, a.readFrom(id.Store, layout.PulsarDeadLetters(sibling.Name))),
		a.try(t, "WriteSiblingsDeadLetters", false, a.produce(id.Store, layout.PulsarDeadLetters(sibling.Name))),
		a.try(t, "AppendToOtherStore", false, a.produce(other, events)),
		a.try(t, "ReadOtherStore", false, a.readFrom(other, events)),
	}, a.forbidden(t, id.Store, sibling.Name)...)
}
