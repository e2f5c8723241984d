package redis

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// StoreSettings returns nothing: what a store has on Redis is all in fields that plan knows.
func (b *Backend) StoreSettings(plan.DesiredStore) (plan.Settings, []plan.Refusal) { return nil, nil }

// SubscriptionSettings returns nothing, as StoreSettings does.
func (b *Backend) SubscriptionSettings(plan.DesiredSubscription) plan.Settings { return nil }

// StorePrincipal describes the user of a store. One that was provided is not touched.
func (b *Backend) StorePrincipal(name, user, password string) plan.Principal {
	if user != "" {
		return plan.Principal{}
	}
	return plan.Principal{
		Name: layout.StorePrincipal(name), Digest: hash(password), Rights: rulesDigest(layout.RedisStoreACL(name)),
	}
}

// SubscriptionPrincipal describes the user of a subscription, in the way of StorePrincipal.
func (b *Backend) SubscriptionPrincipal(id backend.SubscriptionID, user, password string) plan.Principal {
	if user != "" {
		return plan.Principal{}
	}
	return plan.Principal{
		Name:   layout.SubscriptionPrincipal(id.Store, id.Name),
		Digest: hash(password),
		Rights: rulesDigest(layout.RedisSubscriptionACL(id.Store, id.Name)),
	}
}

// hash returns the SHA-256 of a password in the spelling of ACL rules. Redis knows a password by nothing else.
func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func rulesDigest(rules []string) string { return hash(strings.Join(rules, "\x00"))[:32] }

// passwords returns the hash of a user's only password. A user with several has been changed by somebody else.
func passwords(v any) string {
	list, _ := v.([]any)
	if len(list) == 1 {
		return strings.TrimPrefix(fmt.Sprint(list[0]), "#")
	}
	return fmt.Sprintf("%d passwords", len(list))
}

// rendering is a digest of everything but the passwords that Redis shows of a user: flags, commands, keys, channels and
// selectors.
func rendering(user map[string]any) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(user)) {
		if k != "passwords" {
			fmt.Fprintf(&b, "%s=%s\n", k, render(k, user[k]))
		}
	}
	return hash(b.String())[:32]
}

func render(field string, v any) string {
	switch v := v.(type) {
	case map[any]any:
		m := pairs(v)
		var b strings.Builder
		for _, k := range slices.Sorted(maps.Keys(m)) {
			fmt.Fprintf(&b, "{%s %s}", k, render(k, m[k]))
		}
		return b.String()
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = render(field, e)
		}
		return "[" + strings.Join(parts, " ") + "]"
	case string:
		if field == "commands" {
			return sortCommands(v)
		}
		return v
	default:
		return fmt.Sprint(v)
	}
}

// sortCommands puts the commands that are added to nothing in order: Redis 7.0 shows them in the order of a hash table,
// which is another in each process. Any other rules are left as they are, because their order means something.
func sortCommands(rules string) string {
	words := strings.Fields(rules)
	if len(words) == 0 || words[0] != "-@all" || slices.ContainsFunc(words[1:], func(w string) bool {
		return !strings.HasPrefix(w, "+") || strings.HasPrefix(w, "+@")
	}) {
		return rules
	}
	slices.Sort(words[1:])
	return strings.Join(words, " ")
}

// cmpErr returns the first error that is not nil.
func cmpErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// isForbidden reports whether the server refused a command because the user may not run it. Services that rule commands out
// say that they do not know them.
func isForbidden(err error) bool {
	return err != nil && (redis.HasErrorPrefix(err, "NOPERM") || strings.HasPrefix(err.Error(), "ERR unknown command") ||
		strings.HasPrefix(err.Error(), "ERR unknown subcommand"))
}
