package kafka

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A quotaChange sets how fast a user may write; without a value, as fast as it can.
type quotaChange struct {
	at          int
	user, value string
}

// setQuotas changes quotas.
func (b *Backend) setQuotas(ctx context.Context, changes []quotaChange, errs []error) {
	if len(changes) == 0 {
		return
	}
	req := kmsg.NewPtrAlterClientQuotasRequest()
	for _, c := range changes {
		e := kmsg.NewAlterClientQuotasRequestEntry()
		e.Entity = append(e.Entity, kmsg.AlterClientQuotasRequestEntryEntity{Type: "user", Name: &c.user})
		op := kmsg.NewAlterClientQuotasRequestEntryOp()
		op.Key, op.Remove = keyByteRate, c.value == ""
		if c.value != "" {
			op.Value, _ = strconv.ParseFloat(c.value, 64) // It was made of a number.
		}
		e.Ops = append(e.Ops, op)
		req.Entries = append(req.Entries, e)
	}
	resp, err := req.RequestWith(ctx, b.cluster.controller())
	outcome := map[string]error{}
	if err == nil {
		for _, e := range resp.Entries {
			if len(e.Entity) == 1 && e.Entity[0].Name != nil {
				outcome[*e.Entity[0].Name] = answer(e.ErrorCode, e.ErrorMessage)
			}
		}
	}
	for _, c := range changes {
		if e := first(err, outcome[c.user]); e != nil {
			errs[c.at] = first(errs[c.at], fmt.Errorf("cannot set the quota of user %q: %w", c.user, b.explain(e)))
		}
	}
}

// awaitQuotas waits until the home shows what was set.
func (b *Backend) awaitQuotas(ctx context.Context, changes []quotaChange, errs []error) {
	v := newVigil(ctx, len(changes))
	for turn := 0; ; turn++ {
		changes = slices.DeleteFunc(changes, func(c quotaChange) bool { return errs[c.at] != nil })
		if len(changes) == 0 {
			return
		}
		a := &access{quotas: map[string]map[string]float64{}}
		err := b.readQuotas(ctx, a)
		if err == nil {
			changes = slices.DeleteFunc(changes, func(c quotaChange) bool {
				rate, ok := a.quotas[c.user][keyByteRate]
				return ok == (c.value != "") && (!ok || strconv.FormatFloat(rate, 'f', -1, 64) == c.value)
			})
			if len(changes) == 0 {
				return
			}
			err = v.pause(ctx, turn, len(changes))
		}
		if err != nil {
			for _, c := range changes {
				errs[c.at] = first(errs[c.at], fmt.Errorf("cannot see that the quota of user %q was set: %w", c.user, b.explain(err)))
			}
			return
		}
	}
}
