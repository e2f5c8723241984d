package plane

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const metrics = `# TYPE apiserver_request_total counter
apiserver_request_total{code="200",group="eventstore.m.crossplane.io",resource="eventstores",subresource="status",verb="PUT"} 7
apiserver_request_total{code="409",group="eventstore.m.crossplane.io",resource="eventstores",subresource="status",verb="PUT"} 1
apiserver_request_total{code="200",group="",resource="secrets",subresource="",verb="GET"} 3
apiserver_request_total{code="200",group="",resource="",subresource="",verb="GET"} 100
# TYPE eventstore_broker_requests_total counter
eventstore_broker_requests_total{backend="redis",kind="ReadStores"} 12
eventstore_broker_requests_total{backend="kafka",kind="Metadata"} 5
# TYPE rest_client_requests_total counter
rest_client_requests_total{code="200",host="h",method="GET"} 40
rest_client_requests_total{code="201",host="h",method="POST"} 2
rest_client_requests_total{code="200",host="h",method="PUT"} 3
# TYPE something_else gauge
something_else 9
`

func TestCounters(t *testing.T) {
	c, err := parse(strings.NewReader(metrics))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{"PUT eventstores/status": 8, "GET secrets": 3}
	if diff := cmp.Diff(want, c.APIRequests()); diff != "" {
		t.Errorf("requests of all codes are added up, and those of no resource left out: -want, +got:\n%s", diff)
	}
	if diff := cmp.Diff(map[string]float64{"ReadStores": 12}, c.BrokerRequests("redis")); diff != "" {
		t.Errorf("requests to other brokers are left out: -want, +got:\n%s", diff)
	}
	if got := c.Writes(); got != 5 {
		t.Errorf("Writes() = %v, want 5: everything but GET", got)
	}
	if diff := cmp.Diff(Counters{}, c.Since(c)); diff != "" {
		t.Errorf("nothing has grown since now: -want, +got:\n%s", diff)
	}
}

func TestParseStat(t *testing.T) {
	cases := map[string]struct {
		reason string
		stat   string
		want   time.Duration
		fails  bool
	}{
		"Plain":       {reason: "Fields 14 and 15 are ticks of 10 ms.", stat: "7 (provider) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 9 0 100 1 1", want: 2 * time.Second},
		"Parentheses": {reason: "A program's name can look like the fields that follow it.", stat: "7 (a) S (b) S 1 7 7 0 -1 4194560 1 2 3 4 1 2 0 0 20 0 9 0 100 1 1", want: 30 * time.Millisecond},
		"Short":       {reason: "What is cut off is no zero.", stat: "7 (provider) S 1 7", fails: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := parseStat(tc.stat)
			if (err != nil) != tc.fails || got != tc.want {
				t.Errorf("%s\nparseStat(%q) = %s, %v, want %s, fails: %t", tc.reason, tc.stat, got, err, tc.want, tc.fails)
			}
		})
	}
}
