package plane

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"k8s.io/client-go/rest"
)

// Counters are what a process has counted since it started, each by its name and labels.
type Counters map[string]float64

// Since returns by how much the counters have grown.
func (c Counters) Since(before Counters) Counters {
	grown := Counters{}
	for k, v := range c {
		if d := v - before[k]; d != 0 {
			grown[k] = d
		}
	}
	return grown
}

// By adds up the counters of a name by what key makes of their labels; those for which it is empty are left out.
func (c Counters) By(name string, key func(labels map[string]string) string) map[string]float64 {
	sums := map[string]float64{}
	for series, v := range c {
		n, labels := parseSeries(series)
		if n != name {
			continue
		}
		if k := key(labels); k != "" {
			sums[k] += v
		}
	}
	return sums
}

// Sum adds up the counters of a name for which which says so; nil: all.
func (c Counters) Sum(name string, which func(labels map[string]string) bool) float64 {
	return c.By(name, func(l map[string]string) string {
		if which != nil && !which(l) {
			return ""
		}
		return "sum"
	})["sum"]
}

// A series is "name\x00label\x00value\x00…": comparable, and taken apart again by parseSeries.
func series(name string, labels map[string]string) string {
	var b strings.Builder
	b.WriteString(name)
	for _, l := range sortedKeys(labels) {
		b.WriteString("\x00" + l + "\x00" + labels[l])
	}
	return b.String()
}

func parseSeries(s string) (name string, labels map[string]string) {
	parts := strings.Split(s, "\x00")
	labels = map[string]string{}
	for i := 1; i+1 < len(parts); i += 2 {
		labels[parts[i]] = parts[i+1]
	}
	return parts[0], labels
}

// ProviderCounters returns what the provider has counted.
func (p *Plane) ProviderCounters(ctx context.Context) (Counters, error) {
	return scrape(ctx, http.DefaultClient, p.o.Metrics)
}

// APICounters returns what the API server has counted.
func (p *Plane) APICounters(ctx context.Context) (Counters, error) {
	c, err := rest.HTTPClientFor(p.o.Config)
	if err != nil {
		return nil, err
	}
	return scrape(ctx, c, strings.TrimSuffix(p.o.Config.Host, "/")+"/metrics")
}

func scrape(ctx context.Context, c *http.Client, url string) (Counters, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := c.Do(req)
	if err != nil {
		return nil, fmt.Errorf("cannot read metrics: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("cannot read metrics: %s answered %s", url, res.Status)
	}
	return parse(res.Body)
}

func parse(r io.Reader) (Counters, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(r)
	if err != nil {
		return nil, fmt.Errorf("cannot parse metrics: %w", err)
	}
	counters := Counters{}
	for name, f := range families {
		for _, m := range f.GetMetric() {
			if m.GetCounter() == nil {
				continue
			}
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			counters[series(name, labels)] = m.GetCounter().GetValue()
		}
	}
	return counters, nil
}

// Names of counters.
const (
	apiRequests      = "apiserver_request_total"          // Of the API server, from whoever.
	clientRequests   = "rest_client_requests_total"       // Of the provider, to the API server.
	brokerRequests   = "eventstore_broker_requests_total" // Of the provider, to brokers.
	clientReadMethod = http.MethodGet                     // Lists and watches too.
)

// BrokerRequests returns how many requests the provider has sent to brokers of a backend, by what they were for.
func (c Counters) BrokerRequests(backend string) map[string]float64 {
	return c.By(brokerRequests, func(l map[string]string) string {
		if l["backend"] != backend {
			return ""
		}
		return l["kind"]
	})
}

// Writes returns how many requests the provider has sent to the API server that were to change something.
func (c Counters) Writes() float64 {
	return c.Sum(clientRequests, func(l map[string]string) bool { return l["method"] != clientReadMethod })
}

// Requests returns how many requests the provider has sent to the API server, by their HTTP method.
func (c Counters) Requests() map[string]float64 {
	return c.By(clientRequests, func(l map[string]string) string { return l["method"] })
}

// APIRequests returns how many requests the API server has answered, whoever sent them, such as "PATCH eventstores/status".
// Watches are not counted while they last.
func (c Counters) APIRequests() map[string]float64 {
	return c.By(apiRequests, func(l map[string]string) string {
		if l["resource"] == "" {
			return ""
		}
		resource := l["resource"]
		if s := l["subresource"]; s != "" {
			resource += "/" + s
		}
		return l["verb"] + " " + resource
	})
}

// Total adds up what is in a table of counters.
func Total(by map[string]float64) (sum float64) {
	for v := range maps.Values(by) {
		sum += v
	}
	return sum
}
