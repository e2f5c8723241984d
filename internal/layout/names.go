package layout

import (
	"fmt"
	"regexp"
)

const (
	// MaxStoreName is how many characters the name of a store may have.
	MaxStoreName = 200
	// MaxSubscriptionName is how many characters the name of a subscription may have. With the longest store, it
	// leaves room for the suffixes within Kafka's limit of 249 for a topic.
	MaxSubscriptionName = 40
)

var (
	storeName        = regexp.MustCompile(`^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$`)
	subscriptionName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
)

// ValidateStore says what is wrong with the name of a store (its external name), or returns nil.
func ValidateStore(name string) error {
	if len(name) > MaxStoreName {
		return fmt.Errorf("store name %.20q… has %d characters, at most %d are allowed", name, len(name), MaxStoreName)
	}
	if !storeName.MatchString(name) {
		return fmt.Errorf("store name %q must consist of lower case letters, digits, '-' and '.', and begin and end with a letter or digit", name)
	}
	return nil
}

// ValidateSubscription says what is wrong with the name of a subscription (its external name), or returns nil.
// It has no dots, so that "<store>.<subscription>" can be told apart again.
func ValidateSubscription(name string) error {
	if len(name) > MaxSubscriptionName {
		return fmt.Errorf("subscription name %.20q… has %d characters, at most %d are allowed", name, len(name), MaxSubscriptionName)
	}
	if !subscriptionName.MatchString(name) {
		return fmt.Errorf("subscription name %q must consist of lower case letters, digits and '-', and begin and end with a letter or digit", name)
	}
	return nil
}

// StorePrincipal names the user that applications of a store connect as. A colon is in no store's name, so no store
// and no subscription share a user.
func StorePrincipal(store string) string { return "es:" + store }

// SubscriptionPrincipal names the user that consumers of a subscription connect as.
func SubscriptionPrincipal(store, subscription string) string {
	return "es:" + store + ":" + subscription
}
