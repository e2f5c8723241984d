package main

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write what was rendered to the golden files")

const multicloud = "../../examples/multicloud/placement.yaml"

// run runs esctl.
func run(t *testing.T, stdin string, args ...string) (out, problems string, err error) {
	t.Helper()
	var o, p bytes.Buffer
	c := newCommand("esctl")
	c.SetIn(strings.NewReader(stdin))
	c.SetOut(&o)
	c.SetErr(&p)
	c.SetArgs(args)
	err = c.ExecuteContext(t.Context())
	return o.String(), p.String(), err
}

func TestRender(t *testing.T) {
	for name, claim := range map[string]string{"Claim": "claim.yaml", "Namespaced": "app-eventstore.yaml"} {
		t.Run(name, func(t *testing.T) {
			got, _, err := run(t, "", "render", "../../examples/multicloud/"+claim, "--placement", multicloud)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil { //nolint:gosec // It is source code.
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("rendered (rewrite with -update): -want, +got:\n%s", diff)
			}
		})
	}
}

func TestRenderRefuses(t *testing.T) {
	const head = "apiVersion: platform.eventstore.crossplane.io/v1alpha1\nkind: EventStoreClaim\nmetadata: {namespace: shop, name: orders}\n"
	cases := map[string]struct {
		reason, claim, want string
		refused             bool // And not an error of esctl's.
	}{
		"UnknownClass": {
			reason: "A refusal is an answer.", claim: head + "spec: {class: golbal}", refused: true,
			want: `UnknownClass: EventStoreClaim shop/orders: class "golbal" is not offered`,
		},
		"NotOffered": {
			reason: "It names where the class is offered.", claim: head + "spec: {class: fast, locations: [{cloud: aws, region: us-east-1}]}", refused: true,
			want: `NotOffered: EventStoreClaim shop/orders: class "fast" is not offered in aws/us-east-1`,
		},
		"Typo": {
			reason: "The API server would refuse it, too.", claim: head + "spec: {class: fast, partitoins: 3}",
			want: `unknown field "partitoins"`,
		},
		"NoClass": {reason: "The API server would refuse it, too.", claim: head + "spec: {}", want: "spec.class is not set"},
		"NoClaim": {reason: "It is somebody else's.", claim: "apiVersion: v1\nkind: Pod\nmetadata: {name: x}", want: "is no claim"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			out, problems, err := run(t, tc.claim, "render", "-", "--placement", multicloud)
			if err == nil || out != "" || errors.Is(err, errFound) != tc.refused {
				t.Errorf("%s\nrender gives %v and %q", tc.reason, err, out)
			}
			if text := problems + err.Error(); !strings.Contains(text, tc.want) {
				t.Errorf("%s\nrender says %q, want %q", tc.reason, text, tc.want)
			}
		})
	}
}

func TestArguments(t *testing.T) {
	cases := map[string]struct {
		reason string
		args   []string
		want   string
	}{
		"Nothing":     {reason: "Nobody knows what to explain.", args: []string{"explain"}, want: "name what to explain"},
		"Both":        {reason: "One or the other.", args: []string{"explain", "orders", "--orphans"}, want: "name what to explain"},
		"NoPlacement": {reason: "Nothing says what a claim becomes.", args: []string{"render", "claim.yaml"}, want: `"placement" not set`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, _, err := run(t, "", tc.args...)
			if err == nil || errors.Is(err, errFound) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s\nerror is %v, want %q", tc.reason, err, tc.want)
			}
		})
	}
}

func TestPlugin(t *testing.T) {
	if got := newCommand("/usr/local/bin/kubectl-eventstore").CommandPath(); got != "kubectl eventstore" {
		t.Errorf("as a plugin it calls itself %q", got)
	}
}
