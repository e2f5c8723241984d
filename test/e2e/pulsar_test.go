package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/apache/pulsar-client-go/pulsar"

	"github.com/crossplane-contrib/provider-eventstore/internal/connect/pulsarclient"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// pulsarBroker is the class "isolated".
type pulsarBroker struct{}

// tenant is that of the local ProviderConfig.
const tenant = "events"

// errAbsent means that the admin API has no such thing.
var errAbsent = errors.New("not found")

// admin calls the admin API with all rights.
func (pulsarBroker) admin(ctx context.Context, method, path string, answer any) error {
	req, err := http.NewRequestWithContext(ctx, method, world.Pulsar.AdminURL+"/admin/v2/"+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+world.Pulsar.AdminToken)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return err
	case res.StatusCode == http.StatusNotFound:
		return errAbsent
	case res.StatusCode >= 300:
		return fmt.Errorf("%s %s: %s: %s", method, path, res.Status, body)
	case answer == nil:
		return nil
	}
	return json.Unmarshal(body, answer)
}

func send(t *testing.T, c pulsar.Client, topic string, n int, payload string) {
	t.Helper()
	p, err := c.CreateProducer(pulsar.ProducerOptions{Topic: topic, DisableBatching: true})
	if err != nil {
		t.Fatalf("cannot write to %s: %v", topic, err)
	}
	defer p.Close()
	for i := range n {
		if _, err := p.Send(t.Context(), &pulsar.ProducerMessage{Key: fmt.Sprintf("order/%d", i), Payload: []byte(payload)}); err != nil {
			t.Fatalf("cannot write to %s: %v", topic, err)
		}
	}
}

func (pulsarBroker) write(t *testing.T, store string) {
	t.Helper()
	c, err := pulsarclient.Config{ServiceURL: world.Pulsar.ServiceURL, Token: world.Pulsar.AdminToken}.Client()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	send(t, c, layout.PulsarTopic(tenant, store, layout.PulsarEvents), 1, "x")
}

func (b pulsarBroker) position(ctx context.Context, store, subscription string) string {
	var positions []string
	for p := range layout.DefaultPartitions {
		var log struct {
			Entries int64 `json:"numberOfEntries"`
		}
		var stats struct {
			Subscriptions map[string]struct {
				Backlog int64 `json:"msgBacklog"`
			} `json:"subscriptions"`
		}
		err := b.admin(ctx, http.MethodGet, b.partition(store, p)+"/stats?getPreciseBacklog=true", &stats)
		if err == nil {
			err = b.admin(ctx, http.MethodGet, b.partition(store, p)+"/internalStats", &log)
		}
		s, ok := stats.Subscriptions[subscription]
		if err != nil || !ok {
			return fmt.Sprintf("none in partition %d, %v", p, err)
		}
		if s.Backlog == log.Entries { // With the genesis record, which nobody misses.
			s.Backlog--
		}
		positions = append(positions, fmt.Sprint(s.Backlog))
	}
	return "a backlog of " + strings.Join(positions, " ")
}

func (b pulsarBroker) lose(t *testing.T, store, subscription string) {
	t.Helper()
	for p := range layout.DefaultPartitions {
		if err := b.admin(t.Context(), http.MethodDelete, b.partition(store, p)+"/subscription/"+subscription+"?force=true", nil); err != nil {
			t.Fatal(err)
		}
	}
}

func (pulsarBroker) partition(store string, partition int) string {
	return "persistent/" + layout.PulsarNamespace(tenant, store) + "/" + layout.PulsarPartition(layout.PulsarEvents, partition)
}

func (b pulsarBroker) traces(ctx context.Context, store string) ([]string, error) {
	var namespaces []string
	if err := b.admin(ctx, http.MethodGet, "namespaces/"+tenant, &namespaces); err != nil {
		return nil, err
	}
	var found []string
	for _, n := range namespaces {
		if strings.Contains(n, store) {
			found = append(found, "namespace "+n)
		}
	}
	return found, nil
}
