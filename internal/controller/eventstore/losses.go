package eventstore

import (
	"strconv"

	"github.com/crossplane/crossplane-runtime/v2/pkg/meta"
	"k8s.io/utils/ptr"
)

// annotationAcceptedLosses carries the count of accepted losses out of Create, whose changes of the status are not kept.
const annotationAcceptedLosses = "eventstore.crossplane.io/accepted-losses"

// countLoss notes in the status that a confirmed loss has been acted on, so that its token does not cover the next one.
func (e *external[T]) countLoss(mg T) {
	setLosses(mg, ptr.Deref(mg.Observation().AcceptedLosses, 0)+1)
	e.broker.AcceptLoss(meta.GetExternalName(mg))
}

// noteLoss does so within Create.
func (e *external[T]) noteLoss(mg T) {
	n := ptr.Deref(mg.Observation().AcceptedLosses, 0) + 1
	meta.AddAnnotations(mg, map[string]string{annotationAcceptedLosses: strconv.Itoa(int(n))})
	e.broker.AcceptLoss(meta.GetExternalName(mg))
}

// settleLosses moves into the status what Create has noted.
func settleLosses[T object](mg T) {
	n, err := strconv.ParseInt(mg.GetAnnotations()[annotationAcceptedLosses], 10, 32)
	if err == nil && int32(n) > ptr.Deref(mg.Observation().AcceptedLosses, 0) {
		setLosses(mg, int32(n))
	}
}

// setLosses forgets what was known of the records, too: they are not missed any more.
func setLosses[T object](mg T, n int32) {
	s := mg.Observation()
	s.AcceptedLosses, s.Positions, s.Records = ptr.To(n), nil, nil
}
