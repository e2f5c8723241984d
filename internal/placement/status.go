package placement

import (
	"fmt"
	"strings"

	"github.com/crossplane/crossplane-runtime/v2/pkg/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// A Status is what the claim's author reads.
type Status struct {
	// Message is what keeps the claim from being as it says; empty: nothing.
	Message string `json:"message,omitempty"`

	// Locations where the claim's store, or subscription, is.
	Locations []Location `json:"locations,omitempty"`

	// Subscriptions that the claim of a store lists.
	Subscriptions []SubscriptionStatus `json:"subscriptions,omitempty"`

	// LeftBehind is what the claim does not ask for any more, and what stays until its deletion is confirmed.
	LeftBehind []LeftBehind `json:"leftBehind,omitempty"`

	// Store, or Subscription, is what is known of that of the first location.
	Store        map[string]any `json:"store,omitempty"`
	Subscription map[string]any `json:"subscription,omitempty"`

	// Binding names the connection Secret of the first location.
	Binding *Binding `json:"binding,omitempty"`
}

// A Location is one place where the claim's store, or subscription, is.
type Location struct {
	Cloud   string `json:"cloud"`
	Region  string `json:"region"`
	Backend string `json:"backend,omitempty"`
	Ready   bool   `json:"ready"`

	// Store is the store's name on the broker, and Endpoint where the broker is.
	Store    string `json:"store,omitempty"`
	Endpoint string `json:"endpoint,omitempty"`

	// SecretName is the connection Secret's, in the claim's namespace.
	SecretName string `json:"secretName,omitempty"`

	Lag `json:",inline"`

	// Message says what is wrong there; of what is well, what would refuse its deletion.
	Message string `json:"message,omitempty"`
}

// Lag is what a subscription has still to do.
type Lag struct {
	LagRecords  int64 `json:"lagRecords,omitempty"`
	LagSeconds  int64 `json:"lagSeconds,omitempty"`
	DeadLetters int64 `json:"deadLetters,omitempty"`
}

// A SubscriptionStatus is a listed subscription in one place.
type SubscriptionStatus struct {
	Name       string `json:"name"`
	Cloud      string `json:"cloud"`
	Region     string `json:"region"`
	Ready      bool   `json:"ready"`
	SecretName string `json:"secretName,omitempty"`
	Lag        `json:",inline"`
	Message    string `json:"message,omitempty"`
}

// LeftBehind is what the claim does not ask for any more.
type LeftBehind struct {
	Kind    string `json:"kind"`
	Name    string `json:"name"` // On the broker.
	Cloud   string `json:"cloud,omitempty"`
	Region  string `json:"region,omitempty"`
	Backend string `json:"backend,omitempty"`

	// Confirm is the token that confirms its deletion.
	Confirm string `json:"confirm"`
}

// Binding names a Secret, as a Provisioned Service of the Service Binding specification does.
type Binding struct {
	Name string `json:"name"`
}

func statusOf(c Claim, all []wanted, behind []left) (s Status) {
	for _, w := range all {
		secret := w.secret
		if !c.Namespaced && c.secretNamespace(w.listed) != c.Namespace {
			secret = ""
		}
		lag, message := Lag{}, ""
		if w.was != nil {
			message = said(w.was.Object)
			lag = Lag{
				LagRecords:  number(w.was.Object, "status", "atProvider", "lagRecords"),
				LagSeconds:  number(w.was.Object, "status", "atProvider", "lagSeconds"),
				DeadLetters: number(w.was.Object, "status", "atProvider", "deadLetters"),
			}
		}
		if !w.Ready && s.Message == "" && message != "" {
			s.Message = sentence(c, w, message)
		}
		if w.listed {
			s.Subscriptions = append(s.Subscriptions, SubscriptionStatus{
				Name: w.subscription, Cloud: w.site.Cloud, Region: w.site.Region, Ready: w.Ready, SecretName: secret, Lag: lag, Message: message,
			})
			continue
		}
		l := Location{Cloud: w.site.Cloud, Region: w.site.Region, Backend: string(w.site.backend), Ready: w.Ready, Store: c.store(), SecretName: secret, Lag: lag, Message: message}
		if w.was != nil {
			l.Endpoint = text(w.was.Object, "status", "atProvider", "endpoint")
		}
		s.Locations = append(s.Locations, l)
		if w.was != nil && s.Store == nil && s.Subscription == nil {
			s.Store, s.Subscription = summary(c, w.was.Object)
		}
		if s.Binding == nil && secret != "" && w.was != nil && text(w.was.Object, "status", "atProvider", "backend") != "" {
			s.Binding = &Binding{Name: secret} // Only once there is something to bind to.
		}
	}
	for _, l := range behind {
		if l.stays {
			u := l.was.Object
			s.LeftBehind = append(s.LeftBehind, LeftBehind{
				Kind: u.GetKind(), Name: meta.GetExternalName(u), Cloud: u.GetLabels()[LabelCloud], Region: u.GetLabels()[LabelRegion],
				Backend: text(u, "status", "atProvider", "backend"), Confirm: l.token,
			})
		}
	}
	return s
}

// summary returns what is known of a store, or of a subscription.
func summary(c Claim, u *unstructured.Unstructured) (store, subscription map[string]any) {
	observed, _, _ := unstructured.NestedMap(u.Object, "status", "atProvider")
	all := map[string]any{"name": meta.GetExternalName(u)}
	for _, field := range []string{"backend", "kind", "partitions", "eventStore", "lagRecords", "lagSeconds", "deadLetters"} {
		if v, ok := observed[field]; ok {
			all[field] = v
		}
	}
	if conditions, ok, _ := unstructured.NestedSlice(u.Object, "status", "conditions"); ok {
		all["conditions"] = conditions
	}
	if c.EventStore != "" {
		return nil, all
	}
	return all, nil
}

func sentence(c Claim, w wanted, message string) string {
	what := fmt.Sprintf("%s in %s", c, w.site.Place)
	if w.listed {
		what += fmt.Sprintf(", subscription %q", w.subscription)
	}
	return what + ": " + message
}

// refusalOf returns why the claim is not as it says, if it is not: what the provider refuses first, then what stays.
func refusalOf(c Claim, all []wanted, behind []left) *Refusal {
	for _, w := range all {
		if w.was == nil {
			continue
		}
		if accepted := condition(w.was.Object, "Accepted"); accepted.status == "False" {
			return &Refusal{Reason: Reason(accepted.reason), Message: sentence(c, w, accepted.message)}
		}
	}
	for _, l := range behind {
		if l.stays {
			return refuse(c, ReasonLeftBehind, "%s is not asked for any more, and stays with what it holds: %s", l, l.remedy())
		}
	}
	return nil
}

// String names what was left behind: "store shop.orders in aws/us-east-1".
func (l left) String() string {
	u := l.was.Object
	where := "by ProviderConfig " + text(u, "spec", "providerConfigRef", "name")
	if cloud := u.GetLabels()[LabelCloud]; cloud != "" {
		where = "in " + cloud + "/" + u.GetLabels()[LabelRegion] + " (class " + u.GetLabels()[LabelClass] + ")"
	}
	kind := "store"
	if u.GetKind() == KindSubscription {
		kind = "subscription"
	}
	return fmt.Sprintf("%s %s %s", kind, meta.GetExternalName(u), where)
}

func (l left) remedy() string {
	if text(l.was.Object, "spec", "forProvider", "deletionProtection") == "Always" {
		return "put class and locations back, or set deletionProtection to WhenNotEmpty and confirm its deletion with " + l.token
	}
	if l.was.Object.GetKind() == KindSubscription {
		return "let it read to the end, put it back, or confirm its deletion with " + l.token
	}
	return "put class and locations back, or confirm its deletion with " + l.token
}

// said returns the first of a resource's conditions that somebody has to know of.
func said(u *unstructured.Unstructured) string {
	for _, t := range []string{"Accepted", "Synced", "Ready"} {
		if c := condition(u, t); c.status == "False" && c.message != "" {
			return strings.ReplaceAll(c.message, "\n", " ")
		}
	}
	return condition(u, "Accepted").message // What would refuse the deletion.
}

type conditionOf struct{ status, reason, message string }

func condition(u *unstructured.Unstructured, t string) (found conditionOf) {
	all, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	for _, one := range all {
		m, ok := one.(map[string]any)
		if !ok || m["type"] != t {
			continue
		}
		found.status, _ = m["status"].(string)
		found.reason, _ = m["reason"].(string)
		found.message, _ = m["message"].(string)
	}
	return found
}
