package pulsar

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// remains says what there is in a namespace without a marker beside logs, which speak for themselves: topics, or nothing but
// its policies and permissions, which are somebody's too.
func (b *Backend) remains(store string, t topics, logs bool) string {
	var others []string
	for _, local := range slices.Sorted(maps.Keys(t)) {
		if whole, _, ok := cutPartition(local); !ok || whole != layout.PulsarEvents {
			others = append(others, local)
		}
	}
	switch {
	case len(others) > 0:
		return named(others)
	case len(t) == 0:
		return fmt.Sprintf("namespace %q without topics", b.namespaceName(store))
	case !logs:
		return fmt.Sprintf("topic %q without records", layout.PulsarEvents)
	default:
		return ""
	}
}

// named names one topic, and says how many others there are.
func named(locals []string) string {
	text := fmt.Sprintf("topic %q", locals[0])
	if n := len(locals) - 1; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}

// ownTopics are the topics of a store, by their local names. Those that decide who owns it stay until all others are gone.
type ownTopics struct {
	data, deciding []string // Partitioned.
	single         []string // The others, and partitions whose topic is gone.
}

// ownTopics returns the topics of a store. It fails if there are others in its namespace: somebody else's, which are not
// deleted.
func (b *Backend) ownTopics(ctx context.Context, kind, store string) (own ownTopics, err error) {
	var partitioned []string
	if err := unlessAbsent(b.get(ctx, kind, "persistent/"+b.namespaceName(store)+"/partitioned", &partitioned)); err != nil {
		return own, err
	}
	all, err := b.readTopics(ctx, kind, store)
	if err != nil {
		return own, err
	}
	var others []string
	for _, t := range partitioned {
		local, ok := strings.CutPrefix(t, b.fullName(store, ""))
		switch {
		case !ok:
		case isDeciding(local, deciding):
			own.deciding = append(own.deciding, local)
		case isPartitioned(local):
			own.data = append(own.data, local)
		default:
			others = append(others, local)
		}
	}
	for local := range all {
		whole, _, partition := cutPartition(local)
		_, dead := layout.PulsarDeadLettersOf(local)
		switch {
		case partition && slices.Contains(partitioned, b.fullName(store, whole)):
		case partition && isPartitioned(whole), dead:
			own.single = append(own.single, local)
		default:
			others = append(others, local)
		}
	}
	if len(others) > 0 {
		slices.Sort(others)
		return own, dataError{fmt.Errorf("its namespace %q has %s, which no store has, and which would be lost: move or delete them first", b.namespaceName(store), named(others))}
	}
	return own, nil
}

// isPartitioned reports whether a partitioned topic is one that stores have.
func isPartitioned(local string) bool {
	if local == layout.PulsarEvents || local == layout.PulsarSnapshots || isDeciding(local, deciding) {
		return true
	}
	subscription, rest, ok := strings.Cut(local, ".")
	return ok && layout.ValidateSubscription(subscription) == nil && isDeciding(rest, deciding)
}

// isDeciding reports whether a topic decides a round of what its name begins with; see win.
func isDeciding(local, prefix string) bool {
	round, ok := strings.CutPrefix(local, prefix)
	_, err := strconv.Atoi(round)
	return ok && err == nil
}

// cutPartition splits the name of a partition.
func cutPartition(local string) (topic, partition string, ok bool) {
	i := strings.LastIndex(local, "-partition-")
	if i < 0 {
		return local, "", false
	}
	return local[:i], local[i+len("-partition-"):], true
}
