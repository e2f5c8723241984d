package provider_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	namespacedv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend/kafka"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend/pulsar"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend/redis"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// storeFields says how each field of a store is set to something that is no backend's default.
var storeFields = map[plan.Field]func(p *v1alpha1.EventStoreParameters){
	plan.FieldPartitions: func(p *v1alpha1.EventStoreParameters) { p.Partitions = ptr.To[int32](3) },
	plan.FieldRetentionDuration: func(p *v1alpha1.EventStoreParameters) {
		p.Retention = &v1alpha1.Retention{Duration: duration(2 * time.Second)}
	},
	plan.FieldRetentionBytes: func(p *v1alpha1.EventStoreParameters) {
		p.Retention = &v1alpha1.Retention{Bytes: ptr.To[int64](100_000)}
	},
	plan.FieldSnapshots:     func(p *v1alpha1.EventStoreParameters) { p.Snapshots = &v1alpha1.Snapshots{Enabled: true} },
	plan.FieldMaxEventBytes: func(p *v1alpha1.EventStoreParameters) { p.MaxEventBytes = ptr.To[int64](4096) },
	plan.FieldReplicas: func(p *v1alpha1.EventStoreParameters) {
		p.Durability = &v1alpha1.Durability{Replicas: ptr.To[int32](1)}
	},
	plan.FieldMinInSync: func(p *v1alpha1.EventStoreParameters) {
		p.Durability = &v1alpha1.Durability{Replicas: ptr.To[int32](1), MinInSync: ptr.To[int32](1)}
	},
	plan.FieldTieringDuration: func(p *v1alpha1.EventStoreParameters) {
		p.Tiering = &v1alpha1.Tiering{AfterDuration: duration(time.Hour)}
	},
	plan.FieldTieringBytes: func(p *v1alpha1.EventStoreParameters) {
		p.Tiering = &v1alpha1.Tiering{AfterBytes: ptr.To[int64](1 << 20)}
	},
	plan.FieldMessageTTL: func(p *v1alpha1.EventStoreParameters) { p.MessageTTL = duration(time.Hour) },
	plan.FieldQuotaBytes: func(p *v1alpha1.EventStoreParameters) { p.Quota = &v1alpha1.Quota{Bytes: ptr.To[int64](1 << 20)} },
	plan.FieldQuotaByteRate: func(p *v1alpha1.EventStoreParameters) {
		p.Quota = &v1alpha1.Quota{PublishRate: &v1alpha1.PublishRate{BytesPerSecond: ptr.To[int64](54321)}}
	},
	plan.FieldQuotaAppendRate: func(p *v1alpha1.EventStoreParameters) {
		p.Quota = &v1alpha1.Quota{PublishRate: &v1alpha1.PublishRate{AppendsPerSecond: ptr.To[int64](54)}}
	},
	plan.FieldKafkaConfig: func(p *v1alpha1.EventStoreParameters) {
		p.Kafka = &v1alpha1.EventStoreKafka{Config: map[string]v1alpha1.KafkaConfigValue{"segment.ms": "3600000"}}
	},
	plan.FieldKafkaUnmanaged: func(p *v1alpha1.EventStoreParameters) {
		p.Kafka = &v1alpha1.EventStoreKafka{
			Config: map[string]v1alpha1.KafkaConfigValue{"segment.ms": "3600000"}, Unmanaged: []string{"segment.bytes"},
		}
	},
	plan.FieldPulsarTenant: func(p *v1alpha1.EventStoreParameters) {
		p.Pulsar = &v1alpha1.EventStorePulsar{Tenant: ptr.To(backdoorTenant)}
	},
	plan.FieldPulsarPolicies: func(p *v1alpha1.EventStoreParameters) {
		p.Pulsar = &v1alpha1.EventStorePulsar{Policies: map[string]v1alpha1.PulsarPolicyValue{"deduplicationEnabled": "true"}}
	},
	plan.FieldPulsarSchema: func(p *v1alpha1.EventStoreParameters) {
		p.Pulsar = &v1alpha1.EventStorePulsar{NativeSchema: &v1alpha1.PulsarSchema{
			Type: "Avro", Definition: `{"type":"record","name":"Order","fields":[{"name":"id","type":"string"}]}`, Compatibility: "Forward",
		}}
	},
	plan.FieldRedisPersistence: func(p *v1alpha1.EventStoreParameters) {
		p.Redis = &v1alpha1.EventStoreRedis{RequirePersistence: ptr.To(true)}
	},
}

// subscriptionFields is the same for subscriptions.
var subscriptionFields = map[plan.Field]func(p *v1alpha1.SubscriptionParameters){
	plan.FieldStartFrom: func(p *v1alpha1.SubscriptionParameters) {
		p.StartFrom = &v1alpha1.Start{Position: v1alpha1.StartLatest}
	},
	plan.FieldType: func(p *v1alpha1.SubscriptionParameters) { p.Type = v1alpha1.SubscriptionFailover },
	plan.FieldRetry: func(p *v1alpha1.SubscriptionParameters) {
		p.Retry = &v1alpha1.Retry{MaxDeliveries: 3, InitialBackoff: duration(2 * time.Second), MaxBackoff: duration(7 * time.Second)}
	},
	plan.FieldDeadLetter: func(p *v1alpha1.SubscriptionParameters) { p.DeadLetter = &v1alpha1.DeadLetter{Enabled: ptr.To(true)} },
	plan.FieldDeadLetterRetention: func(p *v1alpha1.SubscriptionParameters) {
		p.DeadLetter = &v1alpha1.DeadLetter{Retention: duration(2 * time.Second)}
	},
	plan.FieldReplay: func(p *v1alpha1.SubscriptionParameters) {
		p.Replay = &v1alpha1.Replay{ID: "again", From: v1alpha1.Start{Position: v1alpha1.StartLatest}}
	},
	plan.FieldFilter: func(p *v1alpha1.SubscriptionParameters) {
		p.Filter = &v1alpha1.Filter{EventTypes: []string{"Tested", "Proven"}}
	},
}

// A specimen is a store or subscription whose spec sets one field.
type specimen struct {
	*anyBroker

	ns, secret string // Where its connection Secret is.
	store      string // External name.
	sub        string // Empty: the store.
	resource   *namespacedv1alpha1.EventStore
}

// An effect looks for what a field does: on the broker with the broker's own tools, or, where the SDK does it, in the
// Secret.
type effect func(t *testing.T, s specimen)

// effects has one for each field that the table of a backend says yes to.
var effects = map[v1alpha1.Backend]map[plan.Field]effect{
	v1alpha1.BackendRedis: redisEffects, v1alpha1.BackendKafka: kafkaEffects, v1alpha1.BackendPulsar: pulsarEffects,
}

// tables are what the backends say that they can do.
func tables() map[v1alpha1.Backend]plan.Capabilities {
	return map[v1alpha1.Backend]plan.Capabilities{
		v1alpha1.BackendRedis: redis.Capabilities(), v1alpha1.BackendKafka: kafka.Capabilities(), v1alpha1.BackendPulsar: pulsar.Capabilities(),
	}
}

// TestEveryFieldIsTried: a field that is new in plan is in every table, and in this test.
func TestEveryFieldIsTried(t *testing.T) {
	stores, subscriptions := fieldsOfPlan(t)
	if diff := cmp.Diff(stores, slices.Sorted(maps.Keys(storeFields))); diff != "" {
		t.Errorf("fields of stores: -plan, +test:\n%s", diff)
	}
	if diff := cmp.Diff(subscriptions, slices.Sorted(maps.Keys(subscriptionFields))); diff != "" {
		t.Errorf("fields of subscriptions: -plan, +test:\n%s", diff)
	}
	all := slices.Sorted(slices.Values(slices.Concat(stores, subscriptions)))
	for backend, table := range tables() {
		if diff := cmp.Diff(all, slices.Sorted(maps.Keys(table.Fields))); diff != "" {
			t.Errorf("the table of %s: -plan, +table:\n%s", backend, diff)
		}
		for field, support := range table.Fields {
			if _, ok := effects[backend][field]; ok != support.Supported {
				t.Errorf("%s on %s: the table says %t, and the test knows an effect: %t", field, backend, support.Supported, ok)
			}
		}
	}
}

// fieldsOfPlan reads the constants of package plan that are fields of a spec.
func fieldsOfPlan(t *testing.T) (stores, subscriptions []plan.Field) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../internal/plan/plan.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string][]plan.Field{} // By the comment of their block.
	for _, d := range file.Decls {
		block, ok := d.(*ast.GenDecl)
		if !ok || block.Tok != token.CONST {
			continue
		}
		for _, spec := range block.Specs {
			for _, v := range spec.(*ast.ValueSpec).Values { //nolint:forcetypeassert // A block of constants has nothing else.
				if text, err := strconv.Unquote(v.(*ast.BasicLit).Value); err == nil { //nolint:forcetypeassert // They are literals.
					fields[strings.TrimSpace(block.Doc.Text())] = append(fields[strings.TrimSpace(block.Doc.Text())], plan.Field(text))
				}
			}
		}
	}
	stores, subscriptions = fields["Fields of an EventStore's spec.forProvider."], fields["Fields of a Subscription's spec.forProvider."]
	if len(stores) == 0 || len(subscriptions) == 0 {
		t.Fatalf("plan.go has no fields under the comments that this test looks for: %v", slices.Collect(maps.Keys(fields)))
	}
	slices.Sort(stores)
	slices.Sort(subscriptions)
	return stores, subscriptions
}

// TestStoreFields: whatever a spec sets, it is done, or it is refused before anything is.
func TestStoreFields(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, backend v1alpha1.Backend) {
		ns, b := namespace(t), shared(t, backend)
		for field, set := range storeFields {
			t.Run(string(field), func(t *testing.T) {
				t.Parallel()
				s := on(b, store(ns, resourceName(field)))
				set(&s.Spec.ForProvider.EventStoreParameters)
				create(t, s)
				one := specimen{anyBroker: b, ns: ns, secret: s.GetName(), store: ns + "." + s.GetName(), resource: s}
				if !one.supports(t, field, s) {
					one.goesOn(t, field, s, set)
					return
				}
				ready(t, s)
				accepted(t, s)
				effects[backend][field](t, one)
			})
		}
	})
}

// goesOn: without the field there is a store, and with it again the store is as good as before.
func (s specimen) goesOn(t *testing.T, field plan.Field, o *namespacedv1alpha1.EventStore, set func(p *v1alpha1.EventStoreParameters)) {
	t.Helper()
	if field == plan.FieldPulsarTenant {
		return // It cannot be changed: the resource is created anew.
	}
	change(t, o, func(o *namespacedv1alpha1.EventStore) {
		o.Spec.ForProvider.EventStoreParameters = store("", "").Spec.ForProvider.EventStoreParameters
	})
	ready(t, o)
	accepted(t, o)
	change(t, o, func(o *namespacedv1alpha1.EventStore) { set(&o.Spec.ForProvider.EventStoreParameters) })
	refused(t, o, v1alpha1.ReasonUnsupported, string(field))
	ready(t, o)
	if l := o.Status.AtProvider.AppliedConfig; len(l) > 0 {
		t.Errorf("the status says that %v was set", l)
	}
}

// TestSubscriptionFields: the same for subscriptions, of a store with three records.
func TestSubscriptionFields(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, backend v1alpha1.Backend) {
		ns, b := namespace(t), shared(t, backend)
		s := on(b, store(ns, "orders"))
		create(t, s)
		ready(t, s)
		write(t, b.application(t, ns, "orders"), "r1", "r2", "r3")
		for field, set := range subscriptionFields {
			t.Run(string(field), func(t *testing.T) {
				t.Parallel()
				sub := on(b, subscription(ns, "orders", resourceName(field)))
				set(&sub.Spec.ForProvider.SubscriptionParameters)
				create(t, sub)
				one := specimen{anyBroker: b, ns: ns, secret: sub.GetName(), store: ns + ".orders", sub: sub.GetName()}
				if !one.supports(t, field, sub) {
					return
				}
				ready(t, sub)
				accepted(t, sub)
				effects[backend][field](t, one)
			})
		}
	})
}

func resourceName(f plan.Field) string {
	return strings.ToLower(strings.ReplaceAll(string(f), ".", "-"))
}

// supports reports what the backend's table says. If it is no, the refusal is there, and nothing else.
func (s specimen) supports(t *testing.T, field plan.Field, o conditioned) bool {
	t.Helper()
	support := tables()[s.backend].Fields[field]
	if support.Supported {
		return true
	}
	refused(t, o, v1alpha1.ReasonUnsupported, fmt.Sprintf("%s is not supported on %s: %s", field, s.backend, support.Note))
	condition(t, o, xpv2.TypeReady, corev1.ConditionFalse, v1alpha1.ReasonRefused, string(field))
	condition(t, o, xpv2.TypeSynced, corev1.ConditionTrue, "")
	for _, trace := range s.traces(t, s.store) {
		if strings.Contains(trace, s.sub) {
			t.Errorf("something was created: %s", trace)
		}
	}
	return false
}

// says waits until the connection Secret has these entries.
func (s specimen) says(t *testing.T, want map[string]string) {
	t.Helper()
	var got map[string]string
	eventually(t, fmt.Sprintf("the Secret %s says %v", s.secret, want), func() (bool, string) {
		got = map[string]string{}
		data := connection(t, s.ns, s.secret)
		for key := range want {
			got[key] = string(data[key])
		}
		return maps.Equal(got, want), fmt.Sprint(got)
	})
}

// shows waits until something that is looked at again and again is as it should.
func shows(t *testing.T, what string, look func() (string, error), want string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s is %s", what, want), func() (bool, string) {
		got, err := look()
		return err == nil && got == want, fmt.Sprintf("%s (%v)", got, err)
	})
}
