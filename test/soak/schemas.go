package main

import (
	"context"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/stack"
	"github.com/crossplane-contrib/provider-eventstore/test/schemas"
)

// breakSchemas breaks schemas under live stores of both flavours, and puts them back.
func breakSchemas(ctx context.Context, s *stack.Stack, brokers []*brokerUnderTest, o options) (string, error) {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "schemas-"}}
	if err := s.Client().Create(ctx, ns); err != nil {
		return "", fmt.Errorf("cannot create a namespace: %w", err)
	}
	var subjects []*schemas.Subject
	for i, b := range brokers {
		kind := []string{"EventStoreClaim", "AppEventStore"}[i%2]
		subject, err := schemas.NewSubject(ctx, s.Client(), kind, ns.GetName(), stack.Classes[b.name], b.door.Connect)
		if err != nil {
			return "", err
		}
		subjects = append(subjects, subject)
	}
	// Crossplane leaves a composite resource alone for five minutes whose resources change too often.
	r, err := schemas.Run(ctx, schemas.Options{Kube: s.Client(), Subjects: subjects, Seed: o.seed, Most: o.schemas, Patience: 2 * patience, Progress: os.Stderr})
	return r.String(), err
}
