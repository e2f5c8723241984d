package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// A claimStatus is what the author of a claim reads.
type claimStatus struct {
	Message   string `json:"message"`
	Locations []struct {
		place
		Backend    string `json:"backend"`
		Ready      bool   `json:"ready"`
		Store      string `json:"store"`
		Endpoint   string `json:"endpoint"`
		SecretName string `json:"secretName"`
		Message    string `json:"message"`
	} `json:"locations"`
	Subscriptions []struct {
		place
		Name       string `json:"name"`
		Ready      bool   `json:"ready"`
		SecretName string `json:"secretName"`
		LagRecords int64  `json:"lagRecords"`
	} `json:"subscriptions"`
	LeftBehind []struct {
		place
		Kind    string `json:"kind"`
		Name    string `json:"name"`
		Backend string `json:"backend"`
		Confirm string `json:"confirm"`
	} `json:"leftBehind"`
	Binding struct {
		Name string `json:"name"`
	} `json:"binding"`
	Conditions []claimCondition `json:"conditions"`
}

type claimCondition struct {
	Type    string `json:"type"`
	Status  string `json:"status"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// String is such as "Accepted=False LeftBehind: …".
func (c claimCondition) String() string {
	return fmt.Sprintf("%s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message)
}

// A place is a region of a cloud.
type place struct {
	Cloud  string `json:"cloud"`
	Region string `json:"region"`
}

func (p place) String() string { return p.Cloud + "/" + p.Region }

func (s claimStatus) condition(kind string) claimCondition {
	for _, c := range s.Conditions {
		if c.Type == kind {
			return c
		}
	}
	return claimCondition{Type: kind}
}

// statusOf reads a claim's status, as it is in u.
func statusOf(t *testing.T, u *unstructured.Unstructured) (s claimStatus) {
	t.Helper()
	b, err := json.Marshal(u.Object["status"])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatalf("cannot read the status of %s: %v\n%s", u.GetName(), err, b)
	}
	return s
}

// until reads a claim until ask says ok of its status, and returns that.
func until(t *testing.T, claim *unstructured.Unstructured, what string, ask func(claimStatus) bool) (s claimStatus) {
	t.Helper()
	eventually(t, what, func(ctx context.Context) (bool, string) {
		if err := world.kube.Get(ctx, client.ObjectKeyFromObject(claim), claim); err != nil {
			return false, err.Error()
		}
		s = statusOf(t, claim)
		return ask(s), fmt.Sprint(claim.Object["status"])
	})
	return s
}

// accepted waits until a claim is all that it says, and nothing else is left.
func accepted(t *testing.T, claim *unstructured.Unstructured) claimStatus {
	t.Helper()
	return until(t, claim, claim.GetKind()+" "+claim.GetName()+" is as it says", func(s claimStatus) bool {
		return s.condition("Ready").Status == "True" && s.condition("Accepted").Status == "True" && len(s.LeftBehind) == 0
	})
}

// refused waits until a claim's condition Accepted is False for a reason, with a message that has all the words: one line,
// which status.message has too.
func refused(t *testing.T, claim *unstructured.Unstructured, reason string, words ...string) claimStatus {
	t.Helper()
	s := until(t, claim, fmt.Sprintf("the claim is refused with %s, and says %q", reason, words), func(s claimStatus) bool {
		c := s.condition("Accepted")
		return c.Status == "False" && c.Reason == reason && s.Message == c.Message && says(s.Message, words...)
	})
	if strings.Contains(s.Message, "\n") {
		t.Errorf("the message has several lines: %q", s.Message)
	}
	return s
}

func says(message string, words ...string) bool {
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(message, w) })
}

// change edits a claim's spec.
func change(t *testing.T, claim *unstructured.Unstructured, edit func(spec map[string]any)) {
	t.Helper()
	eventually(t, "the claim is changed", func(ctx context.Context) (bool, string) {
		if err := world.kube.Get(ctx, client.ObjectKeyFromObject(claim), claim); err != nil {
			return false, err.Error()
		}
		edit(claim.Object["spec"].(map[string]any)) //nolint:forcetypeassert // Every claim has one.
		err := world.kube.Update(ctx, claim)
		return err == nil, fmt.Sprint(err)
	})
}

// confirms sets the confirmation on a claim.
func confirms(t *testing.T, claim *unstructured.Unstructured, tokens ...string) {
	t.Helper()
	eventually(t, "the claim carries the token", func(ctx context.Context) (bool, string) {
		if err := world.kube.Get(ctx, client.ObjectKeyFromObject(claim), claim); err != nil {
			return false, err.Error()
		}
		err := annotate(ctx, claim, strings.Join(tokens, ","))
		return err == nil, fmt.Sprint(err)
	})
}
