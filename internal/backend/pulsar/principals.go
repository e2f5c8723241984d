package pulsar

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// Actions of permissions.
const (
	produce = "produce"
	consume = "consume"
)

// A permission lets a role act on a topic, by its local name. Permissions are given on topics and never on a namespace:
// whoever may consume in a namespace may also drop what any subscription in it has not read.
type permission struct {
	topic   string
	actions []string
}

// storePermissions are those of a store's principal, on topics that there are.
func storePermissions(t topics, partitions int) []permission {
	p := []permission{{layout.PulsarEvents, []string{produce, consume}}}
	if t.snapshots(partitions) {
		p = append(p, permission{layout.PulsarSnapshots, []string{produce, consume}})
	}
	return p
}

// fenced are the permissions of a store's principal that may not write.
func fenced(permissions []permission) []permission {
	p := slices.Clone(permissions)
	for i := range p {
		p[i].actions = []string{consume}
	}
	return p
}

// subscriptionPermissions are those of a subscription's principal, on topics that there are.
func subscriptionPermissions(t topics, partitions int, subscription string) []permission {
	p := []permission{{layout.PulsarEvents, []string{consume}}}
	if t.snapshots(partitions) {
		p = append(p, permission{layout.PulsarSnapshots, []string{consume}})
	}
	if dead := layout.PulsarDeadLetters(subscription); t[dead] {
		p = append(p, permission{dead, []string{produce, consume}})
	}
	return p
}

// spelled returns permissions as namespace.rightsOf does.
func spelled(permissions []permission) (rights []string) {
	for _, p := range permissions {
		rights = append(rights, right(p.topic, p.actions))
	}
	slices.Sort(rights)
	return rights
}

// What a principal has whose rights are those of its job.
const (
	storeRights        = "produce and consume events and snapshots"
	subscriptionRights = "consume events and snapshots by its subscription, produce and consume its dead letters"
)

// StorePrincipal describes the role of a store: the subject of a token that this backend issues, or one that exists.
func (b *Backend) StorePrincipal(name, user, password string) plan.Principal {
	return b.principal(layout.StorePrincipal(name), user, password, storeRights)
}

// SubscriptionPrincipal describes the role of a subscription, in the way of StorePrincipal.
func (b *Backend) SubscriptionPrincipal(id backend.SubscriptionID, user, password string) plan.Principal {
	return b.principal(layout.SubscriptionPrincipal(id.Store, id.Name), user, password, subscriptionRights)
}

// principal describes a role. Pulsar keeps no tokens, so the digest says whose a token is and which key signed it: all of
// those are worth the same.
func (b *Backend) principal(role, user, password, rights string) plan.Principal {
	p := plan.Principal{Name: role, Rights: rights}
	switch {
	case user != "":
		p.Name, p.Digest = user, providedDigest
	case b.key != nil && b.key.signs(role, password):
		p.Digest = "signed by " + b.key.id
	case b.key == nil: // A provided role that nobody has named; see checkRole.
		p.Name, p.Digest = "", providedDigest
	default:
		p.Digest = "not signed " + digestOf(password)
	}
	return p
}

// checkRole fails if nobody has said which role is to get rights. Those of a made-up one would be of no use.
func checkRole(p plan.Principal) error {
	if p.Name != "" || p == (plan.Principal{}) {
		return nil
	}
	return dataError{errors.New("the Secret that principalSecretRef names does not say whose rights these are: add the key principal with the role that the brokers know the application as")}
}

func digestOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:16])
}

// observePrincipal describes the role that a marker notes, by what it may do now. permissions are what it should be allowed;
// one that is provided may be allowed more, by others.
func (n *namespace) observePrincipal(note *principalNote, permissions []permission, rights, topicPrefix string) plan.Principal {
	if note == nil {
		return plan.Principal{}
	}
	has := n.rightsOf(note.Name, topicPrefix)
	if len(has) == 0 {
		return plan.Principal{}
	}
	p := plan.Principal{Name: note.Name, Digest: note.Digest, Rights: rights}
	changed := !slices.Equal(has, spelled(permissions))
	if note.provided() {
		changed = n.lacks(note.Name, topicPrefix, permissions)
	}
	if changed {
		p.Rights = "changed: " + strings.Join(has, "; ")
	}
	return p
}

// setRights gives a role its permissions, and takes all others that it has.
func (b *Backend) setRights(ctx context.Context, kind, store string, n *namespace, role string, permissions []permission) error {
	if extra := b.surplus(n, store, role, permissions); len(extra) > 0 {
		if err := b.revoke(ctx, kind, store, role, extra); err != nil {
			return err
		}
	}
	return b.give(ctx, kind, store, role, permissions)
}

// give gives a role permissions. On topics that it has some on, they take the place of those.
func (b *Backend) give(ctx context.Context, kind, store, role string, permissions []permission) error {
	options := make([]map[string]any, len(permissions))
	for i, p := range permissions {
		options[i] = map[string]any{"topic": b.fullName(store, p.topic), "role": role, "actions": p.actions}
	}
	if len(options) == 0 {
		return nil
	}
	return b.post(ctx, kind, "namespaces/grantPermissionsOnTopics", options)
}

// surplus returns where a role has permissions that it should not have: local names of topics, and * for the namespace.
func (b *Backend) surplus(n *namespace, store, role string, permissions []permission) (extra []string) {
	if _, ok := n.Auth.Namespace[role]; ok {
		extra = append(extra, "*")
	}
	for topic, roles := range n.Auth.Topics {
		if _, ok := roles[role]; !ok {
			continue
		}
		local := strings.TrimPrefix(topic, b.fullName(store, ""))
		if !slices.ContainsFunc(permissions, func(p permission) bool { return p.topic == local }) {
			extra = append(extra, local)
		}
	}
	return extra
}

// revoke takes permissions, by local names of topics, and * for the namespace.
func (b *Backend) revoke(ctx context.Context, kind, store, role string, from []string) error {
	var options []map[string]any
	for _, topic := range from {
		if topic == "*" {
			if err := unlessAbsent(b.delete(ctx, kind, b.namespace(store)+"/permissions/"+url.PathEscape(role))); err != nil {
				return err
			}
			continue
		}
		options = append(options, map[string]any{"topic": b.fullName(store, topic), "role": role})
	}
	if len(options) == 0 {
		return nil
	}
	err := b.post(ctx, kind, "namespaces/revokePermissionsOnTopics", options)
	if isAbsent(err) { // One of the topics is gone, and Pulsar took nothing: each for itself.
		err = nil
		for _, topic := range from {
			if topic != "*" {
				err = first(err, unlessAbsent(b.delete(ctx, kind, b.topic(store, topic)+"/permissions/"+url.PathEscape(role))))
			}
		}
	}
	return err
}

// takeRights takes everything that a role may do in a store.
func (b *Backend) takeRights(ctx context.Context, kind, store string, n *namespace, role string) error {
	return b.revoke(ctx, kind, store, role, b.surplus(n, store, role, nil))
}

// restrict lets only some roles use a subscription. One that has no such list is open to every role that may consume.
func (b *Backend) restrict(ctx context.Context, id backend.SubscriptionID, roles []string) error {
	return b.post(ctx, "ApplySubscriptions", b.namespace(id.Store)+"/permissions/subscription/"+id.Name, roles)
}

// FenceStores takes the right to write from the stores' principals, and unloads the topic if anybody still writes: Pulsar asks
// for rights when a producer comes, and not again.
func (b *Backend) FenceStores(ctx context.Context, names []string) []error {
	const kind = "FenceStores"
	return b.eachStore(names, "cannot fence store %q: %w", func(store string) error {
		n, role, permissions, err := b.readRights(ctx, kind, store)
		if err != nil || role == nil {
			return err
		}
		if role.provided() {
			err = b.silence(ctx, kind, store, role.Name, permissions)
		} else {
			err = b.setRights(ctx, kind, store, n, role.Name, fenced(permissions))
		}
		if isAbsent(err) { // A deletion that stopped half way has taken a topic already, on which nothing can be allowed.
			err = b.takeRights(ctx, kind, store, n, role.Name)
		}
		if err != nil {
			return err
		}
		return b.cutProducers(ctx, store)
	})
}

// UnfenceStores gives the right to write back.
func (b *Backend) UnfenceStores(ctx context.Context, names []string) []error {
	const kind = "UnfenceStores"
	return b.eachStore(names, "cannot unfence store %q: %w", func(store string) error {
		n, role, permissions, err := b.readRights(ctx, kind, store)
		switch {
		case err != nil || role == nil:
			return err
		case role.provided():
			return b.withRights(ctx, kind, store, func(n *namespace) error { return b.addRights(ctx, kind, store, n, role.Name, permissions) })
		case slices.Equal(n.rightsOf(role.Name, b.fullName(store, "")), spelled(permissions)):
			return nil
		default:
			return unlessAbsent(b.setRights(ctx, kind, store, n, role.Name, permissions)) // What is gone cannot be written to.
		}
	})
}

// readRights returns the role of a store's principal, and what it is allowed; role is nil if there is none.
func (b *Backend) readRights(ctx context.Context, kind, store string) (n *namespace, role *principalNote, permissions []permission, err error) {
	if n, err = b.readNamespace(ctx, kind, store); err != nil || n == nil {
		return nil, nil, nil, err
	}
	m, err := decodeStore(n.Properties)
	if err != nil || m.settings.Principal == nil {
		return nil, nil, nil, err
	}
	t, err := b.readTopics(ctx, kind, store)
	return n, m.settings.Principal, storePermissions(t, m.claim.Partitions), err
}

// attempts is how often something is tried that others may undo meanwhile.
const attempts = 5

// cutProducers unloads the store's events until nobody is connected who writes.
func (b *Backend) cutProducers(ctx context.Context, store string) error {
	for range attempts {
		connected, err := b.producers(ctx, store)
		if err != nil || connected == 0 {
			return err
		}
		if err := b.put(ctx, "FenceStores", b.topic(store, layout.PulsarEvents)+"/unload", nil); err != nil {
			return unlessAbsent(err)
		}
	}
	return errors.New("somebody keeps writing, though the store's principal no longer may: look for other roles with the right to produce")
}

// producers counts those who are connected to any partition of a store's events.
func (b *Backend) producers(ctx context.Context, store string) (n int, err error) {
	var stats struct {
		Partitions map[string]struct {
			Publishers []struct{} `json:"publishers"`
		} `json:"partitions"`
	}
	err = b.get(ctx, "FenceStores", b.topic(store, layout.PulsarEvents)+"/partitioned-stats", &stats, "perPartition", "true")
	for _, p := range stats.Partitions {
		n += len(p.Publishers)
	}
	return n, unlessAbsent(err)
}

// eachStore does something for each store, several at a time. Nothing exists under a name that none can have.
func (b *Backend) eachStore(names []string, failed string, do func(store string) error) []error {
	errs := make([]error, len(names))
	parallel(len(names), func(i int) {
		if layout.ValidateStore(names[i]) != nil {
			return
		}
		if err := do(names[i]); err != nil {
			errs[i] = fmt.Errorf(failed, names[i], b.explain(err))
		}
	})
	return errs
}
