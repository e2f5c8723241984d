package pulsar

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// A provided role is somebody else's, and often that of a store and of its subscriptions at once: one service account for an
// application. So rights are added to those that it has, and taken back only if they were added here, and nothing else in the
// namespace needs them. The markers note what was added.

// providedDigest is what stands for the token of a role that the provider did not make.
const providedDigest = "provided"

func (p *principalNote) provided() bool { return p != nil && p.Digest == providedDigest }

// A grant is one action on one topic, by its local name: "events produce".
type grant string

func grantOf(topic, action string) grant { return grant(topic + " " + action) }

func (g grant) topic() string {
	topic, _, _ := strings.Cut(string(g), " ")
	return topic
}

// grants spells permissions one by one.
func grants(permissions []permission) (all []grant) {
	for _, p := range permissions {
		for _, action := range p.actions {
			all = append(all, grantOf(p.topic, action))
		}
	}
	return all
}

// grantsOf returns what a role may do on topics.
func (n *namespace) grantsOf(role, topicPrefix string) map[grant]bool {
	all := map[grant]bool{}
	for topic, roles := range n.Auth.Topics {
		for _, action := range roles[role] {
			all[grantOf(strings.TrimPrefix(topic, topicPrefix), action)] = true
		}
	}
	return all
}

// granted returns what the markers of a namespace note as granted to a role, except the one whose properties begin with prefix.
func (n *namespace) granted(role, except string) map[grant]bool {
	all := map[grant]bool{}
	add := func(p *principalNote) {
		if !p.provided() || p.Name != role {
			return
		}
		for _, g := range p.Granted {
			all[g] = true
		}
	}
	// What cannot be read, whoever it belongs to will hear of.
	if m, err := decodeStore(n.Properties); err == nil && except != storePrefix {
		add(m.settings.Principal)
	}
	for _, name := range n.subscriptions() {
		if m, err := decodeSubscription(n.Properties, name); err == nil && except != subscriptionKeys(name) {
			add(m.settings.Principal)
		}
	}
	return all
}

// subscriptions returns the names of the subscriptions that have a marker.
func (n *namespace) subscriptions() []string {
	names := map[string]bool{}
	for key := range n.Properties {
		if rest, ok := strings.CutPrefix(key, subscriptionPrefix); ok {
			name, _, _ := strings.Cut(rest, ".")
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// noting returns the note of a role that is about to get permissions: with what it could not do before it got anything from a
// resource of this namespace.
func (p *principalNote) noting(b *Backend, store string, n *namespace, prefix string, permissions []permission) *principalNote {
	has, noted := n.grantsOf(p.Name, b.fullName(store, "")), n.granted(p.Name, prefix)
	for _, g := range p.Granted {
		noted[g] = true
	}
	next := &principalNote{Name: p.Name, Digest: p.Digest}
	for _, g := range grants(permissions) {
		if !has[g] || noted[g] {
			next.Granted = append(next.Granted, g)
		}
	}
	slices.Sort(next.Granted)
	return next
}

// renote returns the note of a principal, with what is noted as granted to it already.
func renote(before *principalNote, p plan.Principal) *principalNote {
	next := note(p)
	if next.provided() && before.provided() && before.Name == next.Name {
		next.Granted = before.Granted
	}
	return next
}

// withRights calls do with the namespace as it is then, while nobody else here changes what provided roles may do in it: Pulsar
// replaces what a role may do on a topic, and one role may be that of several resources.
func (b *Backend) withRights(ctx context.Context, kind, store string, do func(n *namespace) error) error {
	release, err := b.exclusion.alone(ctx, store+" rights")
	if err != nil {
		return err
	}
	defer release()
	n, err := b.readNamespace(ctx, kind, store)
	if err != nil || n == nil {
		return err
	}
	return do(n)
}

// addRights gives a role what it lacks of permissions.
func (b *Backend) addRights(ctx context.Context, kind, store string, n *namespace, role string, permissions []permission) error {
	has := n.grantsOf(role, b.fullName(store, ""))
	wanted := maps.Clone(has)
	for _, g := range grants(permissions) {
		wanted[g] = true
	}
	return b.changeRights(ctx, kind, store, role, has, wanted)
}

// dismiss takes from a principal what it got from the resource whose marker's properties begin with prefix.
func (b *Backend) dismiss(ctx context.Context, kind, store string, n *namespace, p *principalNote, prefix string) error {
	if p == nil {
		return nil
	}
	if !p.provided() {
		return b.takeRights(ctx, kind, store, n, p.Name)
	}
	return b.withRights(ctx, kind, store, func(n *namespace) error {
		has, needed := n.grantsOf(p.Name, b.fullName(store, "")), n.granted(p.Name, prefix)
		left := maps.Clone(has)
		for _, g := range p.Granted {
			if !needed[g] {
				delete(left, g)
			}
		}
		return b.changeRights(ctx, kind, store, p.Name, has, left)
	})
}

// changeRights makes what a role may do on topics what is wanted, and touches no topic where nothing changes.
func (b *Backend) changeRights(ctx context.Context, kind, store, role string, has, wanted map[grant]bool) error {
	before, after := byTopic(has), byTopic(wanted)
	var revoked []string
	for topic := range before {
		if len(after[topic]) == 0 {
			revoked = append(revoked, topic)
		}
	}
	var given []permission
	for _, topic := range slices.Sorted(maps.Keys(after)) {
		if !slices.Equal(before[topic], after[topic]) {
			given = append(given, permission{topic, after[topic]})
		}
	}
	slices.Sort(revoked)
	if err := b.revoke(ctx, kind, store, role, revoked); err != nil {
		return err
	}
	return b.give(ctx, kind, store, role, given)
}

// byTopic returns the actions of grants, sorted, by topic.
func byTopic(all map[grant]bool) map[string][]string {
	m := map[string][]string{}
	for _, g := range slices.Sorted(maps.Keys(all)) {
		topic := g.topic()
		m[topic] = append(m[topic], strings.TrimPrefix(string(g), topic+" "))
	}
	return m
}

// lacks reports whether a role may not do all that it is permitted.
func (n *namespace) lacks(role, topicPrefix string, permissions []permission) bool {
	has := n.grantsOf(role, topicPrefix)
	return slices.ContainsFunc(grants(permissions), func(g grant) bool { return !has[g] })
}

// silence takes the right to write from a provided role, and leaves it everything else.
func (b *Backend) silence(ctx context.Context, kind, store, role string, permissions []permission) error {
	return b.withRights(ctx, kind, store, func(n *namespace) error {
		has := n.grantsOf(role, b.fullName(store, ""))
		left := maps.Clone(has)
		for _, p := range permissions {
			delete(left, grantOf(p.topic, produce))
		}
		return b.changeRights(ctx, kind, store, role, has, left)
	})
}
