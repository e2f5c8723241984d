package pulsar

import (
	"context"
	"fmt"

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
	if err := m.deletable(d.Owner); err != nil {
		return err
	}
	if _, err := b.ownTopics(ctx, kind, d.Name); err != nil {
		return err // Before anything is gone.
	}
	if m, err = doom(ctx, b, kind, ofStore(d.Name), m, d.Owner); err != nil {
		return err
	}
	if err := b.dismiss(ctx, kind, d.Name, n, m.settings.Principal, storePrefix); err != nil {
		return err
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

// deleteTopics deletes the topics of a store. Those that Pulsar itself has beside them go with the namespace.
func (b *Backend) deleteTopics(ctx context.Context, kind, store string) error {
	t, err := b.ownTopics(ctx, kind, store)
	if err != nil {
		return err
	}
	whole := func(local string) error { return b.deletePartitioned(ctx, kind, store, local) }
	if err := b.deleteEach(t.data, whole); err != nil {
		return err
	}
	if err := b.deleteEach(t.single, func(local string) error { return b.deleteTopic(ctx, kind, store, local) }); err != nil {
		return err
	}
	return b.deleteEach(t.deciding, whole)
}

func (b *Backend) deleteEach(locals []string, do func(local string) error) error {
	errs := make([]error, len(locals))
	parallel(len(locals), func(i int) { errs[i] = do(locals[i]) })
	return first(errs...)
}
