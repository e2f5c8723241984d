package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
)

// Health asks the cluster for its version, and what may hurt soon. The round trip is that of the home broker's metadata.
func (b *Backend) Health(ctx context.Context) (backend.Health, error) {
	home, err := b.cluster.homeID(ctx)
	if err != nil {
		return backend.Health{}, b.explain(err)
	}
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{{Topic: &b.config.RegistryTopic}}
	start := time.Now()
	resp, err := req.RequestWith(ctx, b.cluster.anywhere())
	if err != nil {
		return backend.Health{}, b.explain(err)
	}
	h := backend.Health{RoundTrip: time.Since(start)}
	b.cluster.count(len(resp.Brokers))
	for _, n := range resp.Brokers {
		if h.Endpoint == "" || n.NodeID == home {
			h.Endpoint = net.JoinHostPort(n.Host, strconv.Itoa(int(n.Port)))
		}
	}
	for _, t := range resp.Topics {
		h.Warnings = append(h.Warnings, registryWarnings(t, len(resp.Brokers), b.config.RegistryTopic)...)
		if exists := kerr.ErrorForCode(t.ErrorCode); errors.Is(exists, kerr.UnknownTopicOrPartition) {
			continue
		}
		if w := b.guard.watch(ctx, b); w != "" {
			h.Warnings = append(h.Warnings, w)
		}
	}
	if h.Version, err = b.release.ask(ctx, b.cluster.anywhere()); err != nil {
		return backend.Health{}, b.explain(err)
	}
	return h, nil
}

// releaseAge is for how long a cluster is taken to be of the release that it was.
const releaseAge = time.Minute

// A release is which one the cluster is.
type release struct {
	mu      sync.Mutex
	version string
	asked   time.Time
}

// ask returns the release, as it was a moment ago at most.
func (r *release) ask(ctx context.Context, anywhere kmsg.Requestor) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.asked) < releaseAge {
		return r.version, nil
	}
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "provider-eventstore", "1"
	answer, err := req.RequestWith(ctx, anywhere)
	if err != nil {
		return "", err
	}
	r.version, r.asked = version(answer), time.Now()
	return r.version, nil
}

// registryWarnings says what endangers the markers.
func registryWarnings(t kmsg.MetadataResponseTopic, brokers int, name string) (warnings []string) {
	for _, p := range t.Partitions {
		switch {
		case p.Leader < 0:
			warnings = append(warnings, fmt.Sprintf("The registry topic %q has no leader, so nothing can be read or changed: bring its brokers back", name))
		case len(p.Replicas) == 1 && brokers > 1:
			warnings = append(warnings, fmt.Sprintf("The registry topic %q has one copy on a cluster of %d brokers: give it more, or the provider forgets whose the stores are with that broker", name, brokers))
		case len(p.ISR) < len(p.Replicas):
			warnings = append(warnings, fmt.Sprintf("The registry topic %q has %d of its %d copies up to date: look at the brokers that are missing", name, len(p.ISR), len(p.Replicas)))
		}
	}
	return warnings
}

// version names the release that a broker is, as far as it tells: it says which features the cluster uses, and which
// requests it knows.
func version(r *kmsg.ApiVersionsResponse) string {
	for _, f := range r.FinalizedFeatures {
		if v := metadataVersions(f.MaxVersionLevel); f.Name == "metadata.version" && v != "" {
			return v
		}
	}
	return kversion.FromApiVersionsResponse(r).VersionGuess()
}

// metadataVersions returns the first release that has a level of the feature metadata.version; empty if it is newer than this
// table. Source: Kafka, MetadataVersion.java.
func metadataVersions(level int16) string {
	for _, v := range []struct {
		least   int16
		release string
	}{{29, ""}, {28, "4.2"}, {26, "4.1"}, {22, "4.0"}, {20, "3.9"}, {18, "3.8"}, {15, "3.7"}, {12, "3.6"}, {9, "3.5"}, {8, "3.4"}, {4, "3.3"}} {
		if level >= v.least {
			return v.release
		}
	}
	return ""
}
