package provider_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	clusterv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/cluster/v1alpha1"
	namespacedv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
)

// audit remembers every password that was used while the tests ran, and everything that anybody could read.
var audit auditor

// An auditor collects secrets and texts, to look for the ones in the others when all tests have run.
type auditor struct {
	mu      sync.Mutex
	secrets map[string]bool
	texts   map[string]string // What was said, and where.
}

// secret notes what must never be read anywhere.
func (a *auditor) secret(s string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.secrets == nil {
		a.secrets = map[string]bool{}
	}
	if s = strings.TrimSpace(s); len(s) >= 8 { // A shorter one would be found by chance.
		a.secrets[s] = true
	}
}

// watch follows Secrets for passwords, and events and resources for texts, until ctx ends.
func (a *auditor) watch(ctx context.Context) error {
	a.texts = map[string]string{}
	for _, l := range []client.ObjectList{
		&corev1.SecretList{}, &corev1.EventList{},
		&clusterv1alpha1.EventStoreList{}, &clusterv1alpha1.SubscriptionList{}, &clusterv1alpha1.ProviderConfigList{},
		&namespacedv1alpha1.EventStoreList{}, &namespacedv1alpha1.SubscriptionList{}, &namespacedv1alpha1.ProviderConfigList{}, &namespacedv1alpha1.ClusterProviderConfigList{},
	} {
		w, err := world.kube.Watch(ctx, l)
		if err != nil {
			return fmt.Errorf("cannot watch %T: %w", l, err)
		}
		go func() {
			for e := range w.ResultChan() {
				a.note(e)
			}
		}()
	}
	return nil
}

func (a *auditor) note(e watch.Event) {
	if s, ok := e.Object.(*corev1.Secret); ok {
		if s.Namespace != "kube-system" {
			a.secret(string(s.Data["password"]))
		}
		return
	}
	if o, ok := e.Object.(client.Object); ok {
		o.SetManagedFields(nil)
	}
	b, err := json.Marshal(e.Object)
	if err != nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.texts[string(b)] = fmt.Sprintf("%T", e.Object)
}

// leaks lists what was read of any password, or of its hash, in the log and in the API.
func (a *auditor) leaks(log string) ([]string, error) {
	b, err := os.ReadFile(log)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.secrets) < 2 {
		return nil, fmt.Errorf("only %d passwords were seen: the audit is blind", len(a.secrets))
	}
	texts := map[string]string{string(b): "the provider's log"}
	for text, where := range a.texts {
		texts[text] = where
	}
	var found []string
	for s := range a.secrets {
		hash := fmt.Sprintf("%x", sha256.Sum256([]byte(s)))
		for text, where := range texts {
			for _, needle := range []string{s, hash} {
				if at := strings.Index(text, needle); at >= 0 {
					found = append(found, fmt.Sprintf("%s has a password: …%s[password]", where, text[max(0, at-200):at]))
				}
			}
		}
	}
	return found, nil
}
