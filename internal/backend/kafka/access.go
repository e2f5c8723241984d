package kafka

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// few is for how many principals rights are asked for one by one: each answer is small. For more of them everything is
// listed at once.
const few = 3

// An acl is one entry of the cluster's list of rights.
type acl struct {
	typ, name, pattern    string
	principal, host       string
	operation, permission string
}

// right is an entry that allows a user something, as this package makes them.
func right(user string, a layout.KafkaACL) acl {
	return acl{
		typ: a.Type, name: a.Name, pattern: kmsg.ACLResourcePatternTypeLiteral.String(), principal: principal(user), host: "*",
		operation: a.Operation, permission: kmsg.ACLPermissionTypeAllow.String(),
	}
}

// fence forbids everybody but super users to write to a topic. What is forbidden counts more than what is allowed, by any
// entry and to anyone, and nobody's own rights need to be touched, or remembered.
func fence(topic string) acl {
	return acl{
		typ: kmsg.ACLResourceTypeTopic.String(), name: topic, pattern: kmsg.ACLResourcePatternTypeLiteral.String(), principal: principal("*"),
		host: "*", operation: kmsg.ACLOperationWrite.String(), permission: kmsg.ACLPermissionTypeDeny.String(),
	}
}

// bar forbids one user to write to a topic.
func bar(topic, user string) acl {
	e := fence(topic)
	e.principal = principal(user)
	return e
}

// principal is how rights spell a user.
func principal(user string) string { return "User:" + user }

// An access is who may do what.
type access struct {
	rights   rights
	users    map[string]map[int8]int32     // By name: iterations by SCRAM mechanism.
	quotas   map[string]map[string]float64 // By user.
	noRights error                         // Why nothing is known of rights, if so.
	noUsers  error                         // Likewise, of SCRAM users.
}

// rights are entries by their principals: there are many of both.
type rights map[string]map[acl]struct{}

func (r rights) add(e acl) {
	if r[e.principal] == nil {
		r[e.principal] = map[acl]struct{}{}
	}
	r[e.principal][e] = struct{}{}
}

func (r rights) has(e acl) bool {
	_, ok := r[e.principal][e]
	return ok
}

// of returns the entries of a user, sorted.
func (a *access) of(user string) []acl {
	return slices.SortedFunc(maps.Keys(a.rights[principal(user)]), compareACLs)
}

// fenced reports whether nobody can write to a topic.
func (a *access) fenced(topic string) bool { return a.rights.has(fence(topic)) }

func compareACLs(a, b acl) int { return strings.Compare(a.String(), b.String()) }

func (a acl) String() string {
	return strings.Join([]string{a.typ, a.name, a.pattern, a.principal, a.host, a.operation, a.permission}, "\x00")
}

// rightsDigest tells two lists of rights apart.
func rightsDigest(rights []acl) string {
	h := sha256.New()
	for _, r := range rights {
		fmt.Fprintln(h, r)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// An interest says of whom access is to be known.
type interest struct {
	users  []string
	topics []string // That may be fenced.
	quotas bool     // Those of all users.
}

// access asks who may do what. The parts of a cluster that does not tell are left out, with the reason.
func (b *Backend) access(ctx context.Context, of interest) (*access, error) {
	a := &access{rights: rights{}, users: map[string]map[int8]int32{}, quotas: map[string]map[string]float64{}}
	var wg sync.WaitGroup
	var errs [3]error
	wg.Go(func() { a.noRights, errs[0] = b.readRights(ctx, of, a) })
	wg.Go(func() { a.noUsers, errs[1] = b.readUsers(ctx, of, a) })
	if of.quotas {
		wg.Go(func() { errs[2] = b.readQuotas(ctx, a) })
	}
	wg.Wait()
	b.noRights.Store(a.noRights != nil)
	return a, errors.Join(errs[:]...)
}

// readRights lists rights. denied says why the cluster does not tell.
func (b *Backend) readRights(ctx context.Context, of interest, a *access) (denied, failed error) {
	var filters []acl
	if len(of.users)+len(of.topics) <= 2*few {
		for _, u := range of.users {
			filters = append(filters, acl{principal: principal(u)})
		}
		for _, t := range of.topics {
			filters = append(filters, fence(t))
		}
	} else {
		filters = []acl{{}}
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, f := range filters {
		wg.Go(func() {
			resp, err := describeACLs(f).RequestWith(ctx, b.cluster.anywhere())
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				err = answer(resp.ErrorCode, resp.ErrorMessage)
			}
			switch {
			case tellsNothing(err):
				denied = err
			case err != nil:
				failed = err
			default:
				a.rights.collect(resp)
			}
		})
	}
	wg.Wait()
	return denied, failed
}

// tellsNothing reports whether a cluster does not have a kind of request, or does not let us make it.
func tellsNothing(err error) bool {
	return err != nil && (errors.Is(err, kerr.SecurityDisabled) || errors.Is(err, kerr.ClusterAuthorizationFailed) ||
		errors.Is(err, kerr.UnsupportedVersion) || errors.Is(err, kerr.InvalidRequest) || tooOld(err))
}

// tooOld reports whether the broker does not know a request. The client's own error is not exported.
func tooOld(err error) bool {
	return strings.Contains(err.Error(), "broker is too old") || strings.Contains(err.Error(), "does not know how to")
}

func describeACLs(f acl) *kmsg.DescribeACLsRequest {
	req := kmsg.NewPtrDescribeACLsRequest()
	req.ResourceType, req.ResourcePatternType = kmsg.ACLResourceTypeAny, kmsg.ACLResourcePatternTypeAny
	req.Operation, req.PermissionType = kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAny
	if f.principal != "" {
		req.Principal = &f.principal
	}
	if f.name != "" {
		req.ResourceName = &f.name
		req.ResourceType, req.ResourcePatternType = resourceType(f.typ), kmsg.ACLResourcePatternTypeLiteral
	}
	return req
}

func (r rights) collect(resp *kmsg.DescribeACLsResponse) {
	for _, on := range resp.Resources {
		for _, e := range on.ACLs {
			r.add(acl{
				typ: on.ResourceType.String(), name: on.ResourceName, pattern: on.ResourcePatternType.String(),
				principal: e.Principal, host: e.Host, operation: e.Operation.String(), permission: e.PermissionType.String(),
			})
		}
	}
}

// readUsers lists the SCRAM credentials of users, in the way of readRights.
func (b *Backend) readUsers(ctx context.Context, of interest, a *access) (denied, failed error) {
	if len(of.users) == 0 {
		return nil, nil
	}
	req := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()
	for _, u := range append(slices.Clone(of.users), keeper) {
		req.Users = append(req.Users, kmsg.DescribeUserSCRAMCredentialsRequestUser{Name: u})
	}
	resp, err := req.RequestWith(ctx, b.cluster.anywhere())
	if err == nil {
		err = answer(resp.ErrorCode, resp.ErrorMessage)
	}
	if tellsNothing(err) {
		return err, nil
	}
	if err != nil {
		return nil, err
	}
	for _, r := range resp.Results {
		for _, c := range r.CredentialInfos {
			if a.users[r.User] == nil {
				a.users[r.User] = map[int8]int32{}
			}
			a.users[r.User][c.Mechanism] = c.Iterations
		}
	}
	return nil, nil
}

// readQuotas lists the quotas of all users. A cluster that does not tell has none.
func (b *Backend) readQuotas(ctx context.Context, a *access) error {
	req := kmsg.NewPtrDescribeClientQuotasRequest()
	req.Strict = true // Without those that are for a client of a user.
	c := kmsg.NewDescribeClientQuotasRequestComponent()
	c.EntityType, c.MatchType = "user", kmsg.QuotasMatchTypeAny
	req.Components = append(req.Components, c)
	resp, err := req.RequestWith(ctx, b.cluster.anywhere())
	if err == nil {
		err = answer(resp.ErrorCode, resp.ErrorMessage)
	}
	if err != nil {
		if tellsNothing(err) {
			return nil
		}
		return err
	}
	for _, e := range resp.Entries {
		if len(e.Entity) != 1 || e.Entity[0].Name == nil {
			continue
		}
		values := map[string]float64{}
		for _, v := range e.Values {
			values[v.Key] = v.Value
		}
		a.quotas[*e.Entity[0].Name] = values
	}
	return nil
}

func resourceType(s string) kmsg.ACLResourceType {
	t, _ := kmsg.ParseACLResourceType(s) // This package spells them right.
	return t
}
