// Package condition turns a plan into the conditions that a user reads.
package condition

import (
	"strings"

	"github.com/crossplane/crossplane-runtime/v2/pkg/errors"
	"github.com/crossplane/crossplane-runtime/v2/pkg/reconciler/managed"
	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// Of returns the conditions Ready and Accepted of a resource that is to have p, and of which the broker has something if
// exists. What would refuse its deletion is said beforehand: once a claim is being deleted, Crossplane composes no more,
// so neither the reason would reach the claim, nor a confirmation the resource.
func Of(p plan.Plan, exists bool, deletion []plan.Refusal) []xpv2.Condition {
	accepted := v1alpha1.Accepted()
	if _, message := refusal(deletion); exists && message != "" {
		accepted = accepted.WithMessage("Protected from deletion: " + message)
	}
	if reason, message := refusal(p.Refusals); reason != "" {
		accepted = v1alpha1.Refused(reason, message)
	}
	switch {
	case p.Unavailable != "":
		return []xpv2.Condition{v1alpha1.NotReady(v1alpha1.ReasonUnavailable, "The broker does not serve all of it: "+p.Unavailable), accepted}
	case waitsForStore(p):
		return []xpv2.Condition{v1alpha1.NotReady(v1alpha1.ReasonStoreNotReady, p.Refusals[0].Message), v1alpha1.Accepted()}
	case p.Has(plan.ReasonDataLost):
		return []xpv2.Condition{v1alpha1.NotReady(v1alpha1.ReasonDataLost, accepted.Message), accepted}
	case p.Blocked():
		return []xpv2.Condition{v1alpha1.NotReady(v1alpha1.ReasonRefused, accepted.Message), accepted}
	case p.Has(plan.ReasonPositionUnknown): // Consumers of that partition would find no position.
		return []xpv2.Condition{v1alpha1.NotReady(v1alpha1.ReasonPositionUnknown, accepted.Message), accepted}
	case !exists:
		return []xpv2.Condition{xpv2.Creating(), accepted}
	case repairs(p):
		return []xpv2.Condition{v1alpha1.NotReady(xpv2.ReasonReconcileSuccess, "Being repaired: "+Changes(p.Changes)), accepted}
	default:
		return []xpv2.Condition{xpv2.Available(), accepted}
	}
}

// Deleting returns the conditions of a resource that is being deleted, and may be refused that.
func Deleting(refusals []plan.Refusal) []xpv2.Condition {
	if reason, message := refusal(refusals); reason != "" {
		return []xpv2.Condition{xpv2.Deleting().WithMessage(message), v1alpha1.Refused(reason, message)}
	}
	return []xpv2.Condition{xpv2.Deleting(), v1alpha1.Accepted()}
}

// refusal returns the reason of the first refusal that the user has to act on, and the messages of all.
func refusal(refusals []plan.Refusal) (reason xpv2.ConditionReason, message string) {
	messages := make([]string, 0, len(refusals))
	for _, r := range refusals {
		if reason == "" {
			reason = xpv2.ConditionReason(r.Reason)
		}
		messages = append(messages, r.Message)
	}
	return reason, strings.Join(messages, "; ")
}

// waitsForStore reports whether all that is wrong is that the subscription's store is not there yet. That is no refusal:
// the user has nothing to change.
func waitsForStore(p plan.Plan) bool {
	return len(p.Refusals) == 1 && p.Has(plan.ReasonStoreNotFound)
}

// repairs reports whether a part is missing without which applications fail.
func repairs(p plan.Plan) bool {
	for _, c := range p.Changes {
		switch c.Field {
		case plan.FieldEvents, plan.FieldGroup, plan.FieldPrincipal:
			return true
		}
	}
	return false
}

// Changes lists changes in one line.
func Changes(changes []plan.Change) string {
	texts := make([]string, len(changes))
	for i, c := range changes {
		texts[i] = c.String()
	}
	return strings.Join(texts, "; ")
}

// Details are changes as the runtime's change logs have them.
func Details(changes []plan.Change) managed.AdditionalDetails {
	d := managed.AdditionalDetails{}
	for _, c := range changes {
		d[string(c.Field)] = strings.TrimPrefix(d[string(c.Field)]+"; "+c.String(), "; ")
	}
	return d
}

// Error returns refusals as an error; nil if there are none.
func Error(refusals []plan.Refusal) error {
	if _, message := refusal(refusals); message != "" {
		return errors.New(message)
	}
	return nil
}
