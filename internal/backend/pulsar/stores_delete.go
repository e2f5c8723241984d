package pulsar

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// DeleteStores deletes the topics of stores and then their namespaces, with markers, permissions and the markers of
// subscriptions. Nobody else can claim a store from the first step on. Of a store that has no marker only the principal's
// rights go: nothing says whose the events are.
func (b *Backend) DeleteStores(ctx context.Context, deletions []backend.StoreDeletion) []error {
	errs := make([]error, len(deletions))
	parallel(len(deletions), func(i int) {
		if layout.ValidateStore(deletions[i].Name) != nil {
			return // Nothing exists under a name that none can have.
		}
		if err := b.deleteStore(ctx, deletions[i]); err != nil {
			errs[i] = fmt.Errorf("cannot delete store %q: %w", deletions[i].Name, b.explain(err))
		}
	})
	return errs
}

func (b *Backend) deleteStore(ctx context.Context, d backend.StoreDeletion) error {
	const kind = "DeleteStores"
	release, err := b.exclusion.alone(ctx, d.Name)
	if err != nil {
		return err
	}
	defer release()
	n, err := b.readNamespace(ctx, kind, d.Name)
	if err != nil || n == nil {
		return err
	}
	m, err := decodeStore(n.Properties)
	if err != nil {
		return err
	}
	if !m.marked() {
		return b.takeRights(ctx, kind, d.Name, n, layout.StorePrincipal(d.Name))
	}
	if m, err = doom(ctx, b, kind, ofStore(d.Name), m, d.Owner); err != nil {
		return err
	}
	if m.settings.Principal != nil {
		if err := b.takeRights(ctx, kind, d.Name, n, m.settings.Principal.Name); err != nil {
			return err
		}
	}
	for range attempts {
		if err = b.deleteTopics(ctx, kind, d.Name); err != nil {
			return err
		}
		if err = unlessAbsent(b.delete(ctx, kind, b.namespace(d.Name))); !isConflict(err) {
			return err
		}
	}
	return err // Somebody keeps creating topics.
}

// deleteTopics deletes everything in a namespace but what belongs to Pulsar itself, which goes with the namespace. The topics
// that decide who owns the store stay until all others are gone.
func (b *Backend) deleteTopics(ctx context.Context, kind, store string) error {
	var partitioned []string
	if err := unlessAbsent(b.get(ctx, kind, "persistent/"+b.namespaceName(store)+"/partitioned", &partitioned)); err != nil {
		return err
	}
	all, err := b.readTopics(ctx, kind, store)
	if err != nil {
		return err
	}
	var data, deciding []string
	for _, t := range partitioned {
		local, ok := strings.CutPrefix(t, b.fullName(store, ""))
		switch {
		case !ok:
		case strings.HasPrefix(local, ofStore(store).topic):
			deciding = append(deciding, local)
		default:
			data = append(data, local)
		}
	}
	if err := b.deleteEach(data, func(local string) error { return b.deletePartitioned(ctx, kind, store, local) }); err != nil {
		return err
	}
	single := slices.DeleteFunc(slices.Sorted(maps.Keys(all)), func(local string) bool {
		whole, _, ok := cutPartition(local)
		return ok && slices.Contains(partitioned, b.fullName(store, whole))
	})
	if err := b.deleteEach(single, func(local string) error { return b.deleteTopic(ctx, kind, store, local) }); err != nil {
		return err
	}
	return b.deleteEach(deciding, func(local string) error { return b.deletePartitioned(ctx, kind, store, local) })
}

func (b *Backend) deleteEach(locals []string, do func(local string) error) error {
	errs := make([]error, len(locals))
	parallel(len(locals), func(i int) { errs[i] = do(locals[i]) })
	return first(errs...)
}

// cutPartition splits the name of a partition.
func cutPartition(local string) (topic, partition string, ok bool) {
	i := strings.LastIndex(local, "-partition-")
	if i < 0 {
		return local, "", false
	}
	return local[:i], local[i+len("-partition-"):], true
}
