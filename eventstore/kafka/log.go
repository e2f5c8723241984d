package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/arbiter"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
)

// log is the store's events as [arbiter.Log].
type log struct{ *store }

// Publish implements [arbiter.Log]. Brokers acknowledge a record when all replicas in sync have it, which is when they show
// it to consumers.
func (l log) Publish(partition int, stream string, fields record.Fields, o arbiter.Outcome) {
	l.client.Produce(context.Background(), l.record(int32(partition), stream, fields), func(r *kgo.Record, err error) {
		switch err = l.refused(err); {
		case err != nil:
			o.Failed(err)
		case r.Offset >= 0: // Unknown where a record that was sent twice is an old one.
			o.Landed(at(r.Offset))
		}
	})
}

// refused makes errors after which the record is certainly not in the log match [arbiter.ErrRefused].
func (l log) refused(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kerr.MessageTooLarge):
		return fmt.Errorf("the broker takes no record of that size: %w: %w: %w", eventstore.ErrTooLarge, arbiter.ErrRefused, err)
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.InvalidRecord), errors.Is(err, kerr.InvalidTimestamp),
		errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.PolicyViolation), errors.Is(err, kerr.SaslAuthenticationFailed):
		return fmt.Errorf("%w: %w", arbiter.ErrRefused, explain(l.Secret, err))
	}
	return err
}

// Tail implements [arbiter.Log].
func (l log) Tail(ctx context.Context, partition int, from arbiter.Position, fold arbiter.Fold) error {
	return explain(l.Secret, l.tails.read(ctx, int32(partition), from.Offset, fold))
}

// At implements [arbiter.Log].
func (l log) At(ctx context.Context, partition int, place arbiter.Position) (arbiter.Entry, error) {
	pg, err := l.events.fetch(ctx, int32(partition), place.Offset, 1)
	if errors.Is(err, errOutOfRange) {
		return arbiter.Entry{}, nil
	}
	if err != nil {
		return arbiter.Entry{}, explain(l.Secret, err)
	}
	for _, r := range pg.records {
		if r.Offset == place.Offset && !r.Attrs.IsControl() {
			return (&decoder{}).entry(r), nil
		}
	}
	return arbiter.Entry{}, nil
}

// End implements [arbiter.Log].
func (l log) End(ctx context.Context, partition int) (arbiter.Position, error) {
	offset, err := l.events.offset(ctx, int32(partition), endOffset)
	return at(offset), explain(l.Secret, err)
}
