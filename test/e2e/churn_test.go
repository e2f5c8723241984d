package e2e_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/stack"
	"github.com/crossplane-contrib/provider-eventstore/test/bench/backdoor"
	"github.com/crossplane-contrib/provider-eventstore/test/churn"
)

// TestChurn is a short slice of what make soak does with claims: they change while the provider and the function are killed,
// and end up equal to what their brokers have. It is not parallel: others would wait for the provider.
func TestChurn(t *testing.T) {
	doors, err := backdoor.Open(world.Stack, []string{stack.Kafka, stack.Pulsar, stack.Redis})
	if err != nil {
		t.Fatal(err)
	}
	places := [][2]string{{"aws", "us-east-1"}, {"azure", "eastus"}, {"alibaba", "cn-hangzhou"}}
	var locations []churn.Location
	for i, door := range doors {
		t.Cleanup(func() { _ = door.Close() })
		locations = append(locations, churn.Location{Cloud: places[i][0], Region: places[i][1], Traces: door.Traces})
	}
	kill := map[string]func() error{}
	for _, name := range []string{"provider-eventstore", "function-eventstore"} {
		kill[name] = func() error {
			p, err := world.Process(name)
			if err != nil {
				return err
			}
			return p.Kill()
		}
	}
	o := churn.Options{
		Kube: world.kube, Namespace: namespace(t), Class: "global", Locations: locations, Kill: kill, Progress: t.Output(),
		Claims: 4, Duration: 20 * time.Second, Pause: 4 * time.Second, Seed: rand.Uint64(),
	}
	r, err := churn.Run(t.Context(), o)
	t.Log(r)
	if err != nil {
		t.Fatal(err)
	}
	if r.Equal < r.Locations || r.Edits == 0 || r.Kills == 0 {
		t.Errorf("seed %d: %s; not equal: %q", o.Seed, r, r.Different)
	}
}
