package kafka

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// SCRAM mechanisms, by their numbers in Kafka's protocol.
const (
	scramSHA256 int8 = 1
	scramSHA512 int8 = 2
)

// The number of iterations of a password is between these. Kafka tells nothing else of a password, so the number is
// derived from it: another one shows. 4096, the least there can be and what Kafka's own tools take, is none of ours. More
// iterations would cost the provider time and protect nobody: the passwords are random.
const (
	minIterations = 4097
	maxIterations = 4097 + 1023
)

// iterations returns the number for a password.
func iterations(user, password string) int32 {
	sum := sha256.Sum256([]byte(user + "\x00" + password))
	return minIterations + int32(binary.BigEndian.Uint32(sum[:4])%(maxIterations-minIterations+1))
}

// shortDigest is what a marker keeps of a password: enough to tell it from its successor, and too little to find it by.
func shortDigest(user, password string) string {
	sum := sha256.Sum256([]byte(user + "\x00" + password))
	return hex.EncodeToString(sum[4:8])
}

// digest describes a credential in an observation.
func digest(mechanism int8, iterations int32, short string) string {
	return fmt.Sprintf("%d:%d:%s", mechanism, iterations, short)
}

// StorePrincipal describes the user of a store. One that was provided gets its rights and nothing else; on a cluster that
// has no rights, or does not let us manage them, not even those.
func (b *Backend) StorePrincipal(name, user, password string) plan.Principal {
	return b.describe(layout.StorePrincipal(name), user, password, layout.KafkaStoreACL(name))
}

// SubscriptionPrincipal describes the user of a subscription, in the way of StorePrincipal.
func (b *Backend) SubscriptionPrincipal(id backend.SubscriptionID, user, password string) plan.Principal {
	return b.describe(layout.SubscriptionPrincipal(id.Store, id.Name), user, password, layout.KafkaSubscriptionACL(id.Store, id.Name))
}

func (b *Backend) describe(managed, provided, password string, list []layout.KafkaACL) plan.Principal {
	user := cmp.Or(provided, managed)
	p := plan.Principal{Name: user, Rights: rightsDigest(rightsOf(user, list))}
	switch {
	case provided == "":
		p.Digest = digest(scramSHA512, iterations(user, password), shortDigest(user, password))
	case b.noRights.Load():
		return plan.Principal{}
	}
	return p
}

func rightsOf(user string, list []layout.KafkaACL) []acl {
	rights := make([]acl, 0, len(list))
	for _, a := range list {
		rights = append(rights, right(user, a))
	}
	slices.SortFunc(rights, compareACLs)
	return rights
}

// observe tells what the user of a marker is, and may do. managed is the name that the provider would give it, and topic may
// be fenced. Of a user that was provided, only what the resource has given it is looked at: it may have more, by other
// resources or by an administrator.
func (a *access) observe(managed string, g grant, list []layout.KafkaACL, topic string) plan.Principal {
	user := cmp.Or(g.User, managed)
	rights := a.of(user)
	if user != managed {
		rights = a.given(user, list, topic)
	}
	credential := a.credential(user, g)
	if user == managed && credential == "" && len(rights) == 0 || user != managed && len(rights) == 0 {
		return plan.Principal{}
	}
	p := plan.Principal{Name: user, Rights: rightsDigest(rights)}
	if topic != "" && a.fenced(topic) {
		p.Rights = "fenced " + p.Rights
	}
	if user == managed {
		p.Digest = cmp.Or(credential, "none")
	}
	return p
}

// credential describes what a user authenticates with; empty if there is nothing.
func (a *access) credential(user string, g grant) string {
	var parts []string
	for _, m := range []int8{scramSHA256, scramSHA512} {
		if n, ok := a.users[user][m]; ok {
			parts = append(parts, digest(m, n, g.Password))
		}
	}
	return strings.Join(parts, " ")
}

// given returns those entries of a user that a resource with this list has made; topic may be barred.
func (a *access) given(user string, list []layout.KafkaACL, topic string) (rights []acl) {
	ours := rightsOf(user, list)
	if topic != "" {
		ours = append(ours, bar(topic, user))
	}
	for _, e := range ours {
		if a.rights.has(e) {
			rights = append(rights, e)
		}
	}
	return rights
}

// errNoAuthorizer says what to do where rights mean nothing.
var errNoAuthorizer = dataError{errors.New("the cluster has no authorizer, so a user could do anything: configure one (authorizer.class.name), or set principals: Provided in the ProviderConfig")}

// errNoSASL says what to do where users of ours could not log in: who they are, the cluster would tell by a certificate.
var errNoSASL = dataError{errors.New("the ProviderConfig connects without SASL, and users that the provider makes could not log in there: set principals: Provided in it, and name each certificate's principal in principalSecretRef (key principal); or set kafka.authentication to a mechanism of SASL")}

// withoutSASL reports whether users that the provider makes cannot log in where it connects itself.
func (b *Backend) withoutSASL() bool { return !b.config.Provided && b.config.Mechanism == "" }

// explainAccess says what to do if the cluster does not let the provider manage users or rights.
func explainAccess(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kerr.SecurityDisabled):
		return errNoAuthorizer
	case errors.Is(err, kerr.ClusterAuthorizationFailed):
		return dataError{fmt.Errorf("the cluster does not let the provider manage users and rights: give its user Alter and Describe on the resource Cluster, or set principals: Provided in the ProviderConfig (%w)", err)}
	case tellsNothing(err):
		return dataError{fmt.Errorf("the cluster cannot manage users or rights by Kafka's protocol: set principals: Provided in the ProviderConfig (%w)", err)}
	}
	return err
}
