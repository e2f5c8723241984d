package kafka

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// FenceStores takes the right to write from everybody but super users. Kafka checks every request, so connections need not
// be cut; but every broker learns of it at its own pace, so it is waited for on all of them, and until what they had
// already taken is in the logs for everybody to see: whoever counts records afterwards misses none.
func (b *Backend) FenceStores(ctx context.Context, names []string) []error {
	errs := make([]error, len(names))
	fences := b.fences(ctx, names, errs)
	b.shared.wrote()
	a, err := &access{}, error(nil)
	if len(fences) > 0 {
		a, err = b.access(ctx, interest{topics: topicsOfFences(fences)})
	}
	switch {
	case err != nil:
		failFences(fences, errs, b.explain(err))
	case a.noRights != nil:
		for _, f := range fences { // What has no rights of ours cannot be fenced.
			if f.granted {
				errs[f.at] = explainAccess(a.noRights)
			}
		}
	default:
		var add []aclChange
		for _, f := range fences {
			if !a.fenced(f.topic) {
				add = append(add, aclChange{fence(f.topic), f.at})
			}
		}
		b.addRights(ctx, add, errs)
		b.awaitFences(ctx, fences, errs)
		b.awaitRecords(ctx, fences, errs)
	}
	b.shared.wrote()
	for i, err := range errs {
		if err != nil {
			errs[i] = fmt.Errorf("cannot fence store %q: %w", names[i], b.explain(err)) //nolint:gosec // There is one for each.
		}
	}
	return errs
}

// UnfenceStores gives back what FenceStores took.
func (b *Backend) UnfenceStores(ctx context.Context, names []string) []error {
	errs := make([]error, len(names))
	fences := b.fences(ctx, names, errs)
	b.shared.wrote()
	for turn := 0; ; turn++ {
		fences = slices.DeleteFunc(fences, func(f fenced) bool { return errs[f.at] != nil })
		if len(fences) == 0 {
			break
		}
		a, err := b.access(ctx, interest{topics: topicsOfFences(fences)})
		if err == nil && a.noRights == nil {
			if fences = slices.DeleteFunc(fences, func(f fenced) bool { return !a.fenced(f.topic) }); len(fences) == 0 {
				break
			}
			if turn == 0 {
				var remove []aclChange
				for _, f := range fences {
					remove = append(remove, aclChange{fence(f.topic), f.at})
				}
				b.removeRights(ctx, remove, errs)
			}
			err = pause(ctx, turn)
		}
		if err != nil {
			failFences(fences, errs, b.explain(err))
		} else if a.noRights != nil {
			break
		}
	}
	b.shared.wrote()
	for i, err := range errs {
		if err != nil {
			errs[i] = fmt.Errorf("cannot unfence store %q: %w", names[i], b.explain(err)) //nolint:gosec // There is one for each.
		}
	}
	return errs
}

// A fenced is a topic that is to be fenced, or not to be.
type fenced struct {
	at         int
	topic      string
	partitions int
	granted    bool // The provider has given rights to somebody.
}

// fences returns the topics of those stores that have a marker. Others cannot be deleted, so they need no fence.
func (b *Backend) fences(ctx context.Context, names []string, errs []error) (fences []fenced) {
	err := b.registry.view(ctx, func(f *fold) {
		for i, n := range names {
			if m, _ := f.storeMarker(n); m != nil {
				fences = append(fences, fenced{i, layout.KafkaEvents(n), m.Partitions, m.Grant != (grant{})})
			}
		}
	})
	if err != nil {
		for i := range errs {
			errs[i] = b.explain(err)
		}
	}
	return fences
}

func topicsOfFences(fences []fenced) (topics []string) {
	for _, f := range fences {
		topics = append(topics, f.topic)
	}
	return topics
}

func failFences(fences []fenced, errs []error, err error) {
	for _, f := range fences {
		errs[f.at] = first(errs[f.at], err)
	}
}

// awaitFences waits until every broker that is up shows the fences.
func (b *Backend) awaitFences(ctx context.Context, fences []fenced, errs []error) {
	fences = slices.DeleteFunc(slices.Clone(fences), func(f fenced) bool { return errs[f.at] != nil })
	if len(fences) == 0 {
		return
	}
	brokers, err := b.cluster.brokers(ctx)
	for _, id := range brokers {
		for turn := 0; err == nil; turn++ {
			a := &access{rights: rights{}}
			resp, asked := describeFences().RequestWith(ctx, b.cluster.at(id))
			if err = asked; err == nil {
				err = answer(resp.ErrorCode, resp.ErrorMessage)
			}
			if err != nil {
				break
			}
			a.rights.collect(resp)
			if !slices.ContainsFunc(fences, func(f fenced) bool { return !a.fenced(f.topic) }) {
				break
			}
			err = pause(ctx, turn)
		}
	}
	if err != nil {
		failFences(fences, errs, fmt.Errorf("cannot see that nobody can write any more: %w", b.explain(err)))
	}
}

// awaitRecords waits until all that the leaders have taken is there for everybody to read.
func (b *Backend) awaitRecords(ctx context.Context, fences []fenced, errs []error) {
	var names []string
	for _, f := range fences {
		if errs[f.at] == nil {
			names = append(names, f.topic)
		}
	}
	for turn := 0; len(names) > 0; turn++ {
		topics, err := b.cluster.metadata(ctx, names)
		if err != nil {
			failFences(fences, errs, b.explain(err))
			return
		}
		var places []place
		for n, t := range topics {
			places = append(places, placesOf(n, len(t.partitions))...)
		}
		led := leaders(topics, places)
		seen := b.cluster.listOffsets(ctx, led, func(place) int64 { return latest })
		taken := b.cluster.listOffsetsAs(ctx, endOfLog, led, func(place) int64 { return latest })
		// What cannot be counted now is said by the count that follows: the store is then not deleted.
		if !slices.ContainsFunc(places, func(p place) bool {
			return seen[p].err == nil && taken[p].err == nil && taken[p].offset > seen[p].offset
		}) {
			return
		}
		if err := pause(ctx, turn); err != nil {
			failFences(fences, errs, fmt.Errorf("records that were taken are not on all replicas yet: %w", b.explain(err)))
			return
		}
	}
}

// bar keeps the users of stores that lost their topic from writing to the new one before its first records are there. Those
// that are not known to have any rights need not be kept from anything. If the provider is cut off before it lets them in
// again, their rights are not what they should be, which the next plan repairs.
func (b *Backend) bar(ctx context.Context, changes []backend.StoreChange, errs []error) (barred []aclChange) {
	for i, c := range changes {
		if u := c.Observed.Principal.Name; errs[i] == nil && u != "" && has(c.Changes, plan.FieldEvents) {
			barred = append(barred, aclChange{bar(layout.KafkaEvents(c.Desired.Name), u), i})
		}
	}
	b.addRights(ctx, barred, errs)
	b.awaitEntries(ctx, barred, true, errs)
	return barred
}

// awaitEntries waits until the home shows that entries are there, or gone.
func (b *Backend) awaitEntries(ctx context.Context, entries []aclChange, there bool, errs []error) {
	v := newVigil(ctx, len(entries))
	entries = slices.Clone(entries)
	for turn := 0; ; turn++ {
		entries = slices.DeleteFunc(entries, func(e aclChange) bool { return errs[e.at] != nil })
		if len(entries) == 0 {
			return
		}
		var of interest
		for _, e := range entries {
			of.users = append(of.users, strings.TrimPrefix(e.principal, principal("")))
		}
		a, err := b.access(ctx, of)
		if err == nil {
			if entries = slices.DeleteFunc(entries, func(e aclChange) bool { return a.rights.has(e.acl) == there }); len(entries) == 0 {
				return
			}
			err = v.pause(ctx, turn, len(entries))
		}
		if err != nil {
			for _, e := range entries {
				errs[e.at] = first(errs[e.at], fmt.Errorf("cannot see that rights were changed: %w", b.explain(err)))
			}
			return
		}
	}
}

// describeFences asks for all fences.
func describeFences() *kmsg.DescribeACLsRequest {
	f := fence("")
	req := kmsg.NewPtrDescribeACLsRequest()
	req.ResourceType, req.ResourcePatternType = resourceType(f.typ), patternType(f.pattern)
	req.Operation, req.PermissionType, req.Principal = operation(f.operation), permission(f.permission), &f.principal
	return req
}
