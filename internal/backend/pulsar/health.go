package pulsar

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
)

// Health asks a broker for its version, and what may hurt soon. The round trip is that of the request. That the provider may
// use its tenant is part of it.
func (b *Backend) Health(ctx context.Context) (backend.Health, error) {
	start := time.Now()
	version, err := b.version(ctx)
	trip := time.Since(start)
	if err != nil {
		return backend.Health{}, b.explain(err)
	}
	err = b.get(ctx, "health", "namespaces/"+b.config.Tenant, nil)
	if b.config.CreateTenant {
		err = unlessAbsent(err)
	}
	if err != nil {
		return backend.Health{}, b.explain(err)
	}
	return backend.Health{Version: version, Endpoint: b.brokers()[0], RoundTrip: trip, Warnings: b.warnings(ctx)}, nil
}

// version is the one answer that is no JSON.
func (b *Backend) version(ctx context.Context) (string, error) {
	b.observe("health", 1)
	resp, err := b.admin.MakeRequestWithContext(ctx, http.MethodGet, api+"brokers/version")
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	_ = resp.Body.Close()
	return strings.Trim(strings.TrimSpace(string(text)), `"`), err
}

// A brokerConfig is what the brokers are configured with. nil means that it is not known: only a super user may look.
type brokerConfig map[string]string

// A configCache remembers a brokerConfig.
type configCache struct {
	busy   chan struct{} // Holds one: whoever reads, or looks.
	read   time.Time
	config brokerConfig

	noTopicPolicies atomic.Bool // Topics cannot have policies of their own.
}

// configAge is after how long the configuration is read again. It hardly ever changes while brokers run.
const configAge = 5 * time.Minute

// brokerConfig returns the configuration as it was at most [configAge] ago.
func (b *Backend) brokerConfig(ctx context.Context) brokerConfig {
	select {
	case b.configured.busy <- struct{}{}:
		defer func() { <-b.configured.busy }()
	case <-ctx.Done():
		return nil
	}
	if time.Since(b.configured.read) < configAge {
		return b.configured.config
	}
	var raw map[string]any
	if err := b.get(ctx, "health", "brokers/configuration/runtime", &raw); err != nil && !hasCode(err, http.StatusUnauthorized) && !hasCode(err, http.StatusForbidden) {
		return b.configured.config // It is tried again.
	}
	var c brokerConfig
	if raw != nil {
		c = brokerConfig{}
	}
	for k, v := range raw {
		c[k] = fmt.Sprint(v)
	}
	b.configured.config, b.configured.read = c, time.Now()
	b.configured.noTopicPolicies.Store(c["topicLevelPoliciesEnabled"] == "false" || c["systemTopicEnabled"] == "false")
	return c
}

func (c brokerConfig) number(name string) int64 {
	n, err := strconv.ParseInt(c[name], 10, 64)
	if err != nil {
		return 0 // Not all versions have all names.
	}
	return n
}

// warnings are what may hurt soon. What endangers events is not among it: stores have policies of their own against that.
func (b *Backend) warnings(ctx context.Context) (w []string) {
	c := b.brokerConfig(ctx)
	if c == nil {
		return nil
	}
	if ms := c.number("managedLedgerNewEntriesCheckDelayInMillis"); ms > 0 {
		w = append(w, "Every append with an expected version waits about "+strconv.FormatInt(ms, 10)+" ms longer than it must, because the brokers tell readers of new records late: set managedLedgerNewEntriesCheckDelayInMillis=0 on the brokers")
	}
	if c["authorizationEnabled"] == "false" {
		w = append(w, "The brokers do not check permissions, so every principal may do everything: set authorizationEnabled=true on the brokers")
	}
	return w
}
