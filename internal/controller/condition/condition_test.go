package condition

import (
	"testing"

	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// said is a condition as a user reads it.
type said struct {
	Status  corev1.ConditionStatus
	Reason  xpv2.ConditionReason
	Message string
}

func read(conditions []xpv2.Condition) map[xpv2.ConditionType]said {
	m := map[xpv2.ConditionType]said{}
	for _, c := range conditions {
		m[c.Type] = said{c.Status, c.Reason, c.Message}
	}
	return m
}

func TestOf(t *testing.T) {
	yes, no := corev1.ConditionTrue, corev1.ConditionFalse
	refusal := func(r plan.Reason, m string, blocks bool) plan.Refusal {
		return plan.Refusal{Reason: r, Message: m, Blocks: blocks}
	}
	cases := map[string]struct {
		reason          string
		plan            plan.Plan
		exists          bool
		deletion        []plan.Refusal
		ready, accepted said
	}{
		"UpToDate": {
			reason: "What is as it should be is available.",
			exists: true,
			ready:  said{yes, xpv2.ReasonAvailable, ""}, accepted: said{yes, v1alpha1.ReasonAccepted, ""},
		},
		"Protected": {
			reason:   "The token for a deletion is said beforehand.",
			exists:   true,
			deletion: []plan.Refusal{refusal(plan.ReasonNotEmpty, "m", true)},
			ready:    said{yes, xpv2.ReasonAvailable, ""}, accepted: said{yes, v1alpha1.ReasonAccepted, "Protected from deletion: m"},
		},
		"Absent": {
			reason: "What the broker does not have yet is being created.",
			plan:   plan.Plan{Changes: []plan.Change{{Field: plan.FieldOwner, To: "x"}}},
			ready:  said{no, xpv2.ReasonCreating, ""}, accepted: said{yes, v1alpha1.ReasonAccepted, ""},
		},
		"SettingDiffers": {
			reason: "Applications work while a setting is changed.",
			plan:   plan.Plan{Changes: []plan.Change{{Field: plan.FieldMaxEventBytes, From: "1", To: "2"}}},
			exists: true,
			ready:  said{yes, xpv2.ReasonAvailable, ""}, accepted: said{yes, v1alpha1.ReasonAccepted, ""},
		},
		"PartMissing": {
			reason: "Applications fail without their user, and the message says what is done about it.",
			plan:   plan.Plan{Changes: []plan.Change{{Field: plan.FieldPrincipal, To: "create es:a"}}},
			exists: true,
			ready:  said{no, xpv2.ReasonReconcileSuccess, "Being repaired: principal: create es:a"}, accepted: said{yes, v1alpha1.ReasonAccepted, ""},
		},
		"RefusedBefore": {
			reason: "Of what is refused before anything exists, nothing is created, and both conditions say why.",
			plan:   plan.Plan{Refusals: []plan.Refusal{refusal(plan.ReasonUnsupported, "m", true)}},
			ready:  said{no, v1alpha1.ReasonRefused, "m"}, accepted: said{no, v1alpha1.ReasonUnsupported, "m"},
		},
		"RefusedAfterwards": {
			reason: "A change that is refused does not make a working store unready.",
			plan:   plan.Plan{Refusals: []plan.Refusal{refusal(plan.ReasonRetentionShrink, "m", false)}},
			exists: true,
			ready:  said{yes, xpv2.ReasonAvailable, ""}, accepted: said{no, v1alpha1.ReasonRetentionShrink, "m"},
		},
		"Several": {
			reason: "The first refusal gives the reason, and all are said.",
			plan:   plan.Plan{Refusals: []plan.Refusal{refusal(plan.ReasonUnsupported, "one", false), refusal(plan.ReasonRetentionShrink, "two", false)}},
			exists: true,
			ready:  said{yes, xpv2.ReasonAvailable, ""}, accepted: said{no, v1alpha1.ReasonUnsupported, "one; two"},
		},
		"DataLost": {
			reason: "A loss is the reason of Ready too: alerts match on it.",
			plan:   plan.Plan{Refusals: []plan.Refusal{refusal(plan.ReasonDataLost, "m", true)}},
			exists: true,
			ready:  said{no, v1alpha1.ReasonDataLost, "m"}, accepted: said{no, v1alpha1.ReasonDataLost, "m"},
		},
		"WaitsForStore": {
			reason: "A subscription that waits for its store asks nothing of the user, so nothing is refused.",
			plan:   plan.Plan{Refusals: []plan.Refusal{refusal(plan.ReasonStoreNotFound, "m", true)}},
			ready:  said{no, v1alpha1.ReasonStoreNotReady, "m"}, accepted: said{yes, v1alpha1.ReasonAccepted, ""},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := read(Of(tc.plan, tc.exists, tc.deletion))
			want := map[xpv2.ConditionType]said{xpv2.TypeReady: tc.ready, v1alpha1.TypeAccepted: tc.accepted}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s\nOf(...): -want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestDeleting(t *testing.T) {
	got := read(Deleting([]plan.Refusal{{Reason: plan.ReasonNotEmpty, Message: "m"}}))
	want := map[xpv2.ConditionType]said{
		xpv2.TypeReady:        {corev1.ConditionFalse, xpv2.ReasonDeleting, "m"},
		v1alpha1.TypeAccepted: {corev1.ConditionFalse, v1alpha1.ReasonNotEmpty, "m"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Deleting(...): -want, +got:\n%s", diff)
	}
	if err := Error(nil); err != nil {
		t.Errorf("Error(nil): %v", err)
	}
}
