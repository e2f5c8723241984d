package kafkaclient

import (
	"testing"

	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
)

func TestKafkaOptions(t *testing.T) {
	cases := map[string]struct {
		reason string
		k      Config
		aws    connect.AWSTokens
		ok     bool
	}{
		"Plain":       {reason: "A cluster may want nothing.", k: Config{BootstrapServers: []string{"k:9092"}}, ok: true},
		"Scram":       {reason: "By user and password.", k: Config{BootstrapServers: []string{"k:9092"}, Mechanism: ScramSHA512, Username: "u", Password: "p"}, ok: true},
		"Nowhere":     {reason: "It has to be somewhere.", k: Config{}},
		"Unknown":     {reason: "What is not known is not guessed at.", k: Config{BootstrapServers: []string{"k:9092"}, Mechanism: "GSSAPI"}},
		"OAuthNoURL":  {reason: "Tokens come from somewhere.", k: Config{BootstrapServers: []string{"k:9092"}, Mechanism: OAuthBearer}},
		"AWSWithout":  {reason: "Who did not bring the connect.AWS SDK has no tokens of connect.AWS.", k: Config{BootstrapServers: []string{"k:9098"}, Mechanism: AWSMSKIAM, AWS: &connect.AWS{Region: "r"}}},
		"AWS":         {reason: "Who did, has.", k: Config{BootstrapServers: []string{"k:9098"}, Mechanism: AWSMSKIAM, AWS: &connect.AWS{Region: "r"}}, aws: func(connect.AWS) connect.TokenSource { return nil }, ok: true},
		"Certificate": {reason: "A key that is none is found before a connection is made.", k: Config{BootstrapServers: []string{"k:9093"}, TLS: &connect.TLS{Certificate: []byte("c"), PrivateKey: []byte("k")}}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := tc.k.Options(tc.aws); (err == nil) != tc.ok {
				t.Errorf("%s\nOptions: %v, want ok: %t", tc.reason, err, tc.ok)
			}
		})
	}
}
