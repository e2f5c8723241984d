package placement

import (
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

func TestParseInput(t *testing.T) {
	const head = "{apiVersion: eventstore.fn.crossplane.io/v1alpha1, kind: Placement"
	cases := map[string]struct {
		reason, input, want string
	}{
		"Elsewhere": {reason: "The offer is in an EnvironmentConfig.", input: head + ", environmentConfig: x}"},
		"Here":      {reason: "The offer is here.", input: head + ", classes: [{name: a}], locations: [{cloud: c, region: r, providerConfigs: {kafka: k}}]}"},
		"Both":      {reason: "Nobody knows which counts.", input: head + ", environmentConfig: x, classes: [{name: a}]}", want: "remove one"},
		"Typo":      {reason: "A typo in a limit would lift it.", input: head + ", classes: [{name: a, limit: {}}]}", want: `unknown field "limit"`},
		"OtherKind": {reason: "It is some other function's.", input: "{apiVersion: pt.fn.crossplane.io/v1beta1, kind: Resources}", want: "use Placement"},
		"Empty":     {reason: "Nothing is offered.", input: head + "}", want: "no classes"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			raw, err := yaml.YAMLToJSON([]byte(tc.input))
			if err != nil {
				t.Fatal(err)
			}
			_, err = ParseInput(raw)
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s\nParseInput: %v, want %q", tc.reason, err, tc.want)
			}
		})
	}
}

func TestParseOffer(t *testing.T) {
	const where = "locations: [{cloud: c, region: r, providerConfigs: {kafka: k, redis: r}}, {cloud: c, region: s, providerConfigs: {pulsar: p}}]"
	cases := map[string]struct {
		reason, offer, want string
	}{
		"Good":            {reason: "A class of one backend.", offer: "{classes: [{name: a, backend: kafka}], " + where + "}"},
		"ClassTwice":      {reason: "Nobody knows which is meant.", offer: "{classes: [{name: a, backend: kafka}, {name: a, backend: redis}], " + where + "}", want: `class "a" is there twice`},
		"LocationTwice":   {reason: "Nobody knows which is meant.", offer: "{classes: [{name: a, backend: kafka}], locations: [{cloud: c, region: r, providerConfigs: {kafka: k}}, {cloud: c, region: r, providerConfigs: {kafka: k}}]}", want: "location c/r is there twice"},
		"NoBackend":       {reason: "There is no such broker.", offer: "{classes: [{name: a, backend: rabbit}], " + where + "}", want: "kafka, pulsar, redis"},
		"Nowhere":         {reason: "A location with two brokers does not say which.", offer: "{classes: [{name: a, locations: [{cloud: c, region: r}]}], " + where + "}", want: "not offered in c/r"},
		"UnknownLocation": {reason: "A class cannot be where nothing is.", offer: "{classes: [{name: a, backend: kafka, locations: [{cloud: mars, region: north}]}], " + where + "}", want: "mars/north is not among"},
		"NoProviderConfig": {
			reason: "Nobody can reach a broker there.", offer: "{classes: [{name: a, backend: kafka}], locations: [{cloud: c, region: r, providerConfigs: {}}]}",
			want: "has no providerConfigs",
		},
		"Spelling":     {reason: "Labels and names are made of it.", offer: "{classes: [{name: a, backend: kafka}], locations: [{cloud: AWS, region: us_east, providerConfigs: {kafka: k}}]}", want: "lower case letters"},
		"NoPartitions": {reason: "Nothing could be made.", offer: "{classes: [{name: a, backend: kafka, limits: {maxPartitions: 0}}], " + where + "}", want: "a limit is too low"},
		"QuotaTwice":   {reason: "Nobody knows which counts.", offer: "{classes: [{name: a, backend: kafka}], " + where + ", quotas: [{namespace: shop, stores: 1}, {namespace: shop, stores: 2}]}", want: `namespace "shop" has two quotas`},
		"OfferedTwice": {reason: "Nobody knows which backend is meant.", offer: "{classes: [{name: a, backend: kafka, locations: [{cloud: c, region: r}, {cloud: c, region: r, backend: redis}]}], " + where + "}", want: "location c/r is there twice"},
		"Typo":         {reason: "A typo would be a class with other limits.", offer: "{classes: [{name: a, backend: kafka, limits: {maxPartition: 3}}], " + where + "}", want: `unknown field "maxPartition"`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			raw, err := yaml.YAMLToJSON([]byte(tc.offer))
			if err != nil {
				t.Fatal(err)
			}
			_, err = ParseOffer("x", raw)
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s\nParseOffer: %v, want %q", tc.reason, err, tc.want)
			}
		})
	}
}
