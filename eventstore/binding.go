package eventstore

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// Secret is the data of a connection Secret. It never prints its values.
type Secret map[string][]byte

// Get returns the value of key without surrounding white space; "" if it is absent.
func (s Secret) Get(key string) string { return strings.TrimSpace(string(s[key])) }

// Format implements [fmt.Formatter], so that no log shows a password.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "Secret(%d keys)", len(s)) }

// A Binding is a connection Secret that was read and checked. Drivers get it; docs/layout.md names the keys.
type Binding struct {
	Provider         string
	Store            string
	Subscription     string // empty in the Secret of a store
	Layout           int
	Partitions       int
	Streaming        bool // true: the store forgets, so it has neither versions nor an index of streams
	Snapshots        bool
	MaxEventBytes    int // 0: only the broker's limit
	SubscriptionType string
	Delivery         Delivery // of the subscription
	Index            string   // a folder, see [WithIndex]; empty: none
	Secret           Secret   // all of it, as it was when the store was opened; see [Binding.Current]

	folder fs.FS // where the Secret is read again; nil: it never changes
}

func parseBinding(s Secret) (Binding, error) {
	b := Binding{
		Provider: s.Get(layout.SecretProvider), Store: s.Get(layout.SecretStore),
		Subscription:     s.Get(layout.SecretSubscription),
		SubscriptionType: s.Get(layout.SecretSubscriptionType),
		Delivery:         DefaultDelivery(),
		Secret:           s,
	}
	if typ := s.Get(layout.SecretType); typ != layout.SecretTypeEventStore {
		return b, fmt.Errorf("key %q is %q, want %q: is this the connection Secret of an EventStore or a Subscription?",
			layout.SecretType, typ, layout.SecretTypeEventStore)
	}
	if err := layout.ValidateStore(b.Store); err != nil {
		return b, err
	}
	if b.Subscription != "" {
		if err := layout.ValidateSubscription(b.Subscription); err != nil {
			return b, err
		}
	}
	p := parser{secret: s}
	b.Layout = p.number(layout.SecretLayout, layout.Version)
	b.Partitions = p.number(layout.SecretPartitions, 0)
	b.MaxEventBytes = p.number(layout.SecretMaxEventBytes, 0)
	b.Snapshots = p.boolean(layout.SecretSnapshots, true)
	b.Streaming = !p.boolean(layout.SecretExpectedVersions, s.Get(layout.SecretKind) != string(layout.Streaming))
	p.delivery(&b)
	if b.Layout != layout.Version {
		p.fail(layout.SecretLayout, fmt.Errorf("this version of the SDK reads layout %d only", layout.Version))
	}
	if b.Partitions < 1 {
		p.fail(layout.SecretPartitions, errors.New("there must be at least 1"))
	}
	return b, p.err()
}

// parser reads values and collects what is wrong with them.
type parser struct {
	secret Secret
	errs   []error
}

func (p *parser) fail(key string, err error) {
	p.errs = append(p.errs, fmt.Errorf("cannot use key %q = %q: %w", key, p.secret.Get(key), err))
}

// err is all that is wrong, in one line.
func (p *parser) err() error {
	if len(p.errs) < 2 {
		return errors.Join(p.errs...)
	}
	texts := make([]string, len(p.errs))
	for i, err := range p.errs {
		texts[i] = err.Error()
	}
	return errors.New(strings.Join(texts, "; "))
}

func (p *parser) number(key string, missing int) int {
	v := p.secret.Get(key)
	if v == "" {
		return missing
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 {
		p.fail(key, errors.New("it is not a number"))
	}
	return n
}

func (p *parser) boolean(key string, missing bool) bool {
	v := p.secret.Get(key)
	if v == "" {
		return missing
	}
	if v != "true" && v != "false" {
		p.fail(key, errors.New("it is neither true nor false"))
	}
	return v == "true"
}

func (p *parser) duration(key string, missing time.Duration) time.Duration {
	v := p.secret.Get(key)
	if v == "" {
		return missing
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 {
		p.fail(key, errors.New("it is not a duration such as 500ms"))
	}
	return d
}

func (p *parser) delivery(b *Binding) {
	d := &b.Delivery
	d.MaxDeliveries = cmp.Or(p.number(layout.SecretMaxDeliveries, d.MaxDeliveries), d.MaxDeliveries)
	d.InitialBackoff = p.duration(layout.SecretInitialBackoff, d.InitialBackoff)
	d.MaxBackoff = max(p.duration(layout.SecretMaxBackoff, d.MaxBackoff), d.InitialBackoff)
	d.DeadLetter = p.boolean(layout.SecretDeadLetter, d.DeadLetter)
	d.Unordered = b.SubscriptionType == "Shared"
	for t := range strings.SplitSeq(p.secret.Get(layout.SecretEventTypes), ",") {
		if t = strings.TrimSpace(t); t != "" {
			d.EventTypes = append(d.EventTypes, t)
		}
	}
}
