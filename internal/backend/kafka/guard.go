package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crossplane-contrib/provider-eventstore/internal/connect/kafkaclient"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// guardInterval is how often it is looked at who may write to the registry.
const guardInterval = time.Minute

// nobody has a right to the registry where only the cluster knows our user's name: one that anybody has closes the topic to
// everybody else.
const nobody = "eventstore:nobody"

// A guard keeps applications from the registry: who can write there can make any store its own. Where brokers have
// allow.everyone.if.no.acl.found, as on Amazon MSK, a topic is open to everybody until somebody has a right to it. So the
// provider gives one to its own user. Rights of others stay: providers may share the topic.
type guard struct {
	mu      sync.Mutex
	looked  time.Time
	warning string
}

// watch looks once in a while, and returns what to warn of; empty: nothing.
func (g *guard) watch(ctx context.Context, b *Backend) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if time.Since(g.looked) < guardInterval {
		return g.warning
	}
	if open, err := b.closeRegistry(ctx); err == nil { // What fails is tried again with the next look.
		g.looked, g.warning = time.Now(), ""
		if open {
			g.warning = fmt.Sprintf("The registry topic %q is open to every application, which could make itself the owner of any store: give the principal of the ProviderConfig the right All to it, and nobody else", b.config.RegistryTopic)
		}
	}
	return g.warning
}

// closeRegistry gives our user all rights to the registry topic, unless it has them. It reports whether everybody can write
// there all the same. On a cluster that does not tell of rights nothing is done.
func (b *Backend) closeRegistry(ctx context.Context) (open bool, err error) {
	entries, err := b.registryEntries(ctx)
	if tellsNothing(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	user := b.userName()
	own := right(user, layout.KafkaACL{Type: "TOPIC", Name: b.config.RegistryTopic, Operation: "ALL"})
	missing := !allows(entries, user, kmsg.ACLOperationAll)
	if user == "" {
		own = right(nobody, layout.KafkaACL{Type: "TOPIC", Name: b.config.RegistryTopic, Operation: "DESCRIBE"})
		missing = len(entries) == 0
	}
	if missing && b.admit(ctx, own) == nil {
		entries = append(entries, own)
	}
	anybody := allows(entries, "*", kmsg.ACLOperationWrite) || allows(entries, "*", kmsg.ACLOperationAll)
	return anybody || len(entries) == 0 && b.limits.opensWithoutRights(), nil
}

// userName is the name that rights know our own user by; empty: only the cluster knows.
func (b *Backend) userName() string {
	if slices.Contains([]string{kafkaclient.ScramSHA256, kafkaclient.ScramSHA512, kafkaclient.Plain}, b.config.Mechanism) {
		return b.config.Username
	}
	return ""
}

func allows(entries []acl, user string, o kmsg.ACLOperation) bool {
	return slices.ContainsFunc(entries, func(e acl) bool {
		return e.principal == principal(user) && e.host == "*" && e.operation == o.String() && e.permission == kmsg.ACLPermissionTypeAllow.String()
	})
}

// registryEntries lists all entries that say something of the registry topic, by its name, a prefix or a wildcard.
func (b *Backend) registryEntries(ctx context.Context) ([]acl, error) {
	req := kmsg.NewPtrDescribeACLsRequest()
	req.ResourceType, req.ResourcePatternType, req.ResourceName = kmsg.ACLResourceTypeTopic, kmsg.ACLResourcePatternTypeMatch, &b.config.RegistryTopic
	req.Operation, req.PermissionType = kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAny
	resp, err := req.RequestWith(ctx, b.cluster.anywhere())
	if err == nil {
		err = answer(resp.ErrorCode, resp.ErrorMessage)
	}
	if err != nil {
		return nil, err
	}
	r := rights{}
	r.collect(resp)
	var all []acl
	for _, entries := range r {
		all = slices.AppendSeq(all, maps.Keys(entries))
	}
	return all, nil
}

// admit adds an entry. It would shut us out where we are no super user and it is for a name that the cluster does not know us
// by: then it is taken back.
func (b *Backend) admit(ctx context.Context, own acl) error {
	errs := make([]error, 1)
	b.addRights(ctx, []aclChange{{own, 0}}, errs)
	for turn := 0; errs[0] == nil; turn++ {
		entries, err := b.registryEntries(ctx)
		if err == nil && slices.Contains(entries, own) {
			break
		}
		errs[0] = first(err, pause(ctx, turn))
	}
	if errs[0] != nil {
		return errs[0]
	}
	topics, err := b.cluster.metadata(ctx, []string{own.name})
	if err = first(err, topics[own.name].err); errors.Is(err, kerr.TopicAuthorizationFailed) {
		b.removeRights(context.WithoutCancel(ctx), []aclChange{{own, 0}}, errs)
		return err
	}
	return nil
}
