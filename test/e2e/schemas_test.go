package e2e_test

import (
	"math/rand/v2"
	"testing"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/stack"
	"github.com/crossplane-contrib/provider-eventstore/test/bench/backdoor"
	"github.com/crossplane-contrib/provider-eventstore/test/schemas"
)

// TestSchemas is a short slice of what make soak does with schemas: some of the provider's are broken under live stores, and put
// back. It is not parallel: others need them.
func TestSchemas(t *testing.T) {
	doors, err := backdoor.Open(world.Stack, []string{stack.Redis, stack.Kafka})
	if err != nil {
		t.Fatal(err)
	}
	ns := namespace(t)
	var subjects []*schemas.Subject
	for i, kind := range []string{"EventStoreClaim", "AppEventStore"} {
		t.Cleanup(func() { _ = doors[i].Close() })
		s, err := schemas.NewSubject(t.Context(), world.kube, kind, ns, []string{"fast", "durable"}[i], doors[i].Connect)
		if err != nil {
			t.Fatal(err)
		}
		subjects = append(subjects, s)
	}
	o := schemas.Options{Kube: world.kube, Subjects: subjects, Seed: rand.Uint64(), Most: 6, Of: func(c schemas.Change) bool { return !c.XRD }, Progress: t.Output()}
	r, err := schemas.Run(t.Context(), o)
	t.Log(r)
	if err != nil {
		t.Fatal(err)
	}
}
