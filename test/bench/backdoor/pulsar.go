package backdoor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/pulsarclient"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// pulsarTenant is the one that the local control plane's ProviderConfigs have.
const pulsarTenant = "events"

type pulsarBroker struct {
	url   string
	admin *http.Client
}

// Pulsar returns a Pulsar that runs here.
func Pulsar(p *broker.Pulsar) (Broker, error) {
	t, err := pulsarclient.Config{AdminURL: p.AdminURL, Token: p.AdminToken}.Transport()
	if err != nil {
		return nil, err
	}
	return &pulsarBroker{url: p.AdminURL + "/admin/v2/", admin: &http.Client{Transport: t, Timeout: 30 * time.Second}}, nil
}

func (b *pulsarBroker) Close() error {
	b.admin.CloseIdleConnections()
	return nil
}

// Commands is not known.
func (b *pulsarBroker) Commands(context.Context) (n float64, ok bool, err error) {
	return 0, false, nil
}

// errPulsarAbsent means that Pulsar answered 404.
var errPulsarAbsent = errors.New("not found")

// call makes one request of the admin API. in is its body, unless it is nil; out gets the answer, unless it is nil.
func (b *pulsarBroker) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		j, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(j)
	}
	req, err := http.NewRequestWithContext(ctx, method, b.url+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := b.admin.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return err
	case res.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%w: %s", errPulsarAbsent, text)
	case res.StatusCode >= http.StatusMultipleChoices:
		return fmt.Errorf("%s %s: %s: %.200s", method, path, res.Status, text)
	case out == nil:
		return nil
	}
	return json.Unmarshal(text, out)
}

func pulsarNamespace(t Target) string {
	return "namespaces/" + layout.PulsarNamespace(pulsarTenant, t.Store)
}

func pulsarEvents(t Target) string {
	return "persistent/" + layout.PulsarNamespace(pulsarTenant, t.Store) + "/" + layout.PulsarEvents
}

func (b *pulsarBroker) Changes() []Change {
	never := -1
	changes := []Change{
		b.policy("retention changed", "retention", "retention_policies", map[string]int{"retentionTimeInMinutes": 10080, "retentionSizeInMB": never}),
		b.policy("time to live set", "messageTTL", "message_ttl_in_seconds", 604800),
		b.policy("creation of topics allowed", "autoTopicCreation", "autoTopicCreationOverride", map[string]any{"allowAutoTopicCreation": true, "topicType": "non-partitioned"}),
		b.policy("creation of subscriptions allowed", "autoSubscriptionCreation", "autoSubscriptionCreationOverride", map[string]any{"allowAutoSubscriptionCreation": true}),
		b.policy("quota that evicts set", "backlogQuota?backlogQuotaType=destination_storage", "backlog_quota_map", map[string]any{"limitSize": 1 << 30, "limitTime": never, "policy": "consumer_backlog_eviction"}),
		{Name: "empty topic deleted", Destroys: true, Make: b.deleteTopic, See: b.seeTopic},
		{Name: "subscription deleted", Subscription: true, Idle: true, Make: b.deleteSubscription, See: b.seeSubscription},
		{Name: "subscription opened to somebody else", Subscription: true, Make: b.openSubscription, See: b.seeRights},
	}
	for _, sub := range []bool{false, true} {
		changes = append(changes,
			Change{Name: "permission added", Subscription: sub, Make: b.addRight, See: b.seeRights},
			Change{Name: "permission revoked", Subscription: sub, Make: b.revokeRight, See: b.seeRights},
		)
	}
	return changes
}

// policies returns the policies of a store's namespace.
func (b *pulsarBroker) policies(ctx context.Context, t Target) (map[string]json.RawMessage, error) {
	var p map[string]json.RawMessage
	err := b.call(ctx, http.MethodGet, pulsarNamespace(t), nil, &p)
	return p, err
}

// policy sets a policy, which has one name where it is set and another where it is shown.
func (b *pulsarBroker) policy(name, path, shown string, value any) Change {
	return Change{
		Name: name,
		Make: func(ctx context.Context, t Target) error {
			return b.call(ctx, http.MethodPost, pulsarNamespace(t)+"/"+path, value, nil)
		},
		See: func(ctx context.Context, t Target) (string, error) {
			p, err := b.policies(ctx, t)
			return words(p[shown]), err
		},
	}
}

// words makes texts comparable whose parts come in any order.
func words(text []byte) string {
	w := strings.FieldsFunc(string(text), func(r rune) bool { return strings.ContainsRune(`{}[],"`, r) })
	slices.Sort(w)
	return strings.Join(w, " ")
}

// seeRights tells of the principal's own rights, wherever they are, and of who may use its subscription.
func (b *pulsarBroker) seeRights(ctx context.Context, t Target) (string, error) {
	var p struct {
		Auth struct {
			Namespace     map[string][]string            `json:"namespace_auth"`
			Topics        map[string]map[string][]string `json:"destination_auth"`
			Subscriptions map[string][]string            `json:"subscription_auth_roles"`
		} `json:"auth_policies"`
	}
	err := b.call(ctx, http.MethodGet, pulsarNamespace(t), nil, &p)
	rights := map[string][]string{"namespace": p.Auth.Namespace[principal(t)]}
	for topic, roles := range p.Auth.Topics {
		if actions, ok := roles[principal(t)]; ok {
			rights[topic] = actions
		}
	}
	if t.Subscription != "" {
		rights["subscription"] = p.Auth.Subscriptions[t.Subscription]
	}
	for _, actions := range rights {
		slices.Sort(actions)
	}
	return fmt.Sprint(rights), err
}

// addRight lets the principal do everything in the namespace.
func (b *pulsarBroker) addRight(ctx context.Context, t Target) error {
	return b.call(ctx, http.MethodPost, pulsarNamespace(t)+"/permissions/"+url.PathEscape(principal(t)), []string{"produce", "consume"}, nil)
}

func (b *pulsarBroker) revokeRight(ctx context.Context, t Target) error {
	return b.call(ctx, http.MethodDelete, pulsarEvents(t)+"/permissions/"+url.PathEscape(principal(t)), nil, nil)
}

func (b *pulsarBroker) openSubscription(ctx context.Context, t Target) error {
	return b.call(ctx, http.MethodPost, pulsarNamespace(t)+"/permissions/subscription/"+t.Subscription, []string{principal(t), "somebody-else"}, nil)
}

func (b *pulsarBroker) deleteTopic(ctx context.Context, t Target) error {
	return b.call(ctx, http.MethodDelete, pulsarEvents(t)+"/partitions?force=true", nil, nil)
}

// seeTopic tells how many partitions there are, and whether the first one is.
func (b *pulsarBroker) seeTopic(ctx context.Context, t Target) (string, error) {
	var meta struct {
		Partitions int `json:"partitions"`
	}
	err := b.call(ctx, http.MethodGet, pulsarEvents(t)+"/partitions", nil, &meta)
	if errors.Is(err, errPulsarAbsent) {
		return "none", nil
	}
	if err != nil {
		return "", err
	}
	subscriptions, err := b.subscriptions(ctx, t)
	if errors.Is(err, errPulsarAbsent) {
		return "no partition", nil
	}
	return fmt.Sprintf("%d partitions, subscriptions %v", meta.Partitions, subscriptions), err
}

// subscriptions returns those of the first partition.
func (b *pulsarBroker) subscriptions(ctx context.Context, t Target) (names []string, err error) {
	err = b.call(ctx, http.MethodGet, layout.PulsarPartition(pulsarEvents(t), 0)+"/subscriptions", nil, &names)
	// Readers have subscriptions too, which come and go.
	names = slices.DeleteFunc(names, func(n string) bool {
		return layout.ValidateSubscription(n) != nil || strings.HasPrefix(n, "reader-") && len(n) > 12
	})
	slices.Sort(names)
	return names, err
}

func (b *pulsarBroker) deleteSubscription(ctx context.Context, t Target) error {
	return b.call(ctx, http.MethodDelete, layout.PulsarPartition(pulsarEvents(t), 0)+"/subscription/"+t.Subscription+"?force=true", nil, nil)
}

func (b *pulsarBroker) seeSubscription(ctx context.Context, t Target) (string, error) {
	names, err := b.subscriptions(ctx, t)
	if slices.Contains(names, t.Subscription) {
		return "there", err
	}
	return "gone", err
}

// Traces names namespaces. Topics, subscriptions, permissions and markers go with them.
func (b *pulsarBroker) Traces(ctx context.Context, prefix string) ([]string, error) {
	var names []string
	err := b.call(ctx, http.MethodGet, "namespaces/"+pulsarTenant, nil, &names)
	if errors.Is(err, errPulsarAbsent) {
		return nil, nil // Not even the tenant.
	}
	return slices.DeleteFunc(names, func(n string) bool {
		return !strings.HasPrefix(n, layout.PulsarNamespace(pulsarTenant, prefix))
	}), err
}
