package backdoor

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// A kafkaRight is one entry of the cluster's list of rights.
type kafkaRight struct {
	principal, name string
	typ             kmsg.ACLResourceType
	pattern         kmsg.ACLResourcePatternType
	operation       kmsg.ACLOperation
	permission      kmsg.ACLPermissionType
}

func (r kafkaRight) String() string {
	return fmt.Sprintf("%s %s %s on %s %s %s", r.principal, r.permission, r.operation, r.pattern, r.typ, r.name)
}

// rights returns those of a user; nil: all there are.
func (b *kafkaBroker) rights(ctx context.Context, user *string) ([]kafkaRight, error) {
	req := kmsg.NewPtrDescribeACLsRequest()
	req.ResourceType, req.ResourcePatternType = kmsg.ACLResourceTypeAny, kmsg.ACLResourcePatternTypeAny
	req.Operation, req.PermissionType = kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAny
	if user != nil {
		req.Principal = ptr("User:" + *user)
	}
	resp, err := req.RequestWith(ctx, b.admin)
	if err != nil {
		return nil, err
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, err
	}
	var rights []kafkaRight
	for _, r := range resp.Resources {
		for _, a := range r.ACLs {
			rights = append(rights, kafkaRight{
				principal: a.Principal, name: r.ResourceName, typ: r.ResourceType, pattern: r.ResourcePatternType,
				operation: a.Operation, permission: a.PermissionType,
			})
		}
	}
	slices.SortFunc(rights, func(a, b kafkaRight) int { return strings.Compare(a.String(), b.String()) })
	return rights, nil
}

func (b *kafkaBroker) seeRights(ctx context.Context, t Target) (string, error) {
	rights, err := b.rights(ctx, ptr(principal(t)))
	return fmt.Sprint(rights), err
}

// addRight lets the principal delete its store.
func (b *kafkaBroker) addRight(ctx context.Context, t Target) error {
	req, c := kmsg.NewPtrCreateACLsRequest(), kmsg.NewCreateACLsRequestCreation()
	c.ResourceType, c.ResourceName, c.ResourcePatternType = kmsg.ACLResourceTypeTopic, layout.KafkaEvents(t.Store), kmsg.ACLResourcePatternTypeLiteral
	c.Principal, c.Host, c.Operation, c.PermissionType = "User:"+principal(t), "*", kmsg.ACLOperationDelete, kmsg.ACLPermissionTypeAllow
	req.Creations = append(req.Creations, c)
	resp, err := req.RequestWith(ctx, b.admin)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.Results[0].ErrorCode)
}

// removeRight takes from the principal what it may do with its store's events.
func (b *kafkaBroker) removeRight(ctx context.Context, t Target) error {
	req, f := kmsg.NewPtrDeleteACLsRequest(), kmsg.NewDeleteACLsRequestFilter()
	f.ResourceType, f.ResourceName, f.ResourcePatternType = kmsg.ACLResourceTypeTopic, ptr(layout.KafkaEvents(t.Store)), kmsg.ACLResourcePatternTypeLiteral
	f.Principal, f.Operation, f.PermissionType = ptr("User:"+principal(t)), kmsg.ACLOperationRead, kmsg.ACLPermissionTypeAny
	req.Filters = append(req.Filters, f)
	resp, err := req.RequestWith(ctx, b.admin)
	if err != nil {
		return err
	}
	if len(resp.Results[0].MatchingACLs) == 0 && resp.Results[0].ErrorCode == 0 {
		return errors.New("it has no right to read")
	}
	return kerr.ErrorForCode(resp.Results[0].ErrorCode)
}

// scramSHA512 is the number of the mechanism that the provider gives passwords for.
const scramSHA512 = 2

func (b *kafkaBroker) deleteUser(ctx context.Context, t Target) error {
	req, d := kmsg.NewPtrAlterUserSCRAMCredentialsRequest(), kmsg.NewAlterUserSCRAMCredentialsRequestDeletion()
	d.Name, d.Mechanism = principal(t), scramSHA512
	req.Deletions = append(req.Deletions, d)
	return b.alterUser(ctx, req)
}

func (b *kafkaBroker) changePassword(ctx context.Context, t Target) error {
	const iterations = 8192
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // Never fails: see crypto/rand.
	salted, err := pbkdf2.Key(sha512.New, "somebody-else's", salt, iterations, sha512.Size)
	if err != nil {
		return err
	}
	req, u := kmsg.NewPtrAlterUserSCRAMCredentialsRequest(), kmsg.NewAlterUserSCRAMCredentialsRequestUpsertion()
	u.Name, u.Mechanism, u.Iterations, u.Salt, u.SaltedPassword = principal(t), scramSHA512, iterations, salt, salted
	req.Upsertions = append(req.Upsertions, u)
	return b.alterUser(ctx, req)
}

func (b *kafkaBroker) alterUser(ctx context.Context, req *kmsg.AlterUserSCRAMCredentialsRequest) error {
	resp, err := req.RequestWith(ctx, b.admin)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.Results[0].ErrorCode)
}

// seeUser tells all that Kafka tells of a password: for which mechanisms there is one, and its iterations, which the
// provider derives from it.
func (b *kafkaBroker) seeUser(ctx context.Context, t Target) (string, error) {
	req := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()
	req.Users = append(req.Users, kmsg.DescribeUserSCRAMCredentialsRequestUser{Name: principal(t)})
	resp, err := req.RequestWith(ctx, b.admin)
	if err != nil {
		return "", err
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return "", err
	}
	var credentials []string
	for _, c := range resp.Results[0].CredentialInfos {
		credentials = append(credentials, fmt.Sprintf("mechanism %d with %d iterations", c.Mechanism, c.Iterations))
	}
	slices.Sort(credentials)
	return strings.Join(credentials, ", "), nil
}
