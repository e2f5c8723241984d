package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/stack"
	"github.com/crossplane-contrib/provider-eventstore/test/churn"
)

// outage is how long each broker is down while claims change.
const outage = 30 * time.Second

// places are where the class "global" of the local control plane's Placement is offered, by the broker behind it.
var places = map[string][2]string{
	stack.Kafka: {"aws", "us-east-1"}, stack.Pulsar: {"azure", "eastus"}, stack.Redis: {"alibaba", "cn-hangzhou"},
}

// churnClaims has claims change while brokers, the provider and the function come and go: all must become equal.
func churnClaims(ctx context.Context, s *stack.Stack, brokers []*brokerUnderTest, o options) (string, error) {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "churn-"}}
	if err := s.Client().Create(ctx, ns); err != nil {
		return "", fmt.Errorf("cannot create a namespace: %w", err)
	}
	kill := map[string]func() error{}
	for _, name := range []string{"provider-eventstore", "function-eventstore"} {
		kill[name] = func() error {
			p, err := s.Process(name)
			if err != nil {
				return err
			}
			return p.Kill()
		}
	}
	var locations []churn.Location
	for _, b := range brokers {
		at := places[b.name]
		locations = append(locations, churn.Location{
			Cloud: at[0], Region: at[1], Traces: b.door.Traces,
			Outage: func(ctx context.Context, d time.Duration) error { return b.restart(ctx, false, d) },
		})
	}
	r, err := churn.Run(ctx, churn.Options{
		Kube: s.Client(), Namespace: ns.GetName(), Class: "global", Locations: locations,
		Claims: o.claims, Duration: o.churn, Pause: 10 * time.Second, Seed: o.seed, Outage: outage, Kill: kill, Progress: os.Stderr,
	})
	if err != nil {
		return "", err
	}
	if r.Equal < r.Locations {
		return r.String(), fmt.Errorf("claims: %d of %d locations are not equal to their claims: %s", r.Locations-r.Equal, r.Locations, strings.Join(r.Different, "; "))
	}
	return r.String(), nil
}
