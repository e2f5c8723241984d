package connect

import "testing"

func TestKafkaOptions(t *testing.T) {
	cases := map[string]struct {
		reason string
		k      Kafka
		aws    AWSTokens
		ok     bool
	}{
		"Plain":       {reason: "A cluster may want nothing.", k: Kafka{BootstrapServers: []string{"k:9092"}}, ok: true},
		"Scram":       {reason: "By user and password.", k: Kafka{BootstrapServers: []string{"k:9092"}, Mechanism: KafkaScramSHA512, Username: "u", Password: "p"}, ok: true},
		"Nowhere":     {reason: "It has to be somewhere.", k: Kafka{}},
		"Unknown":     {reason: "What is not known is not guessed at.", k: Kafka{BootstrapServers: []string{"k:9092"}, Mechanism: "GSSAPI"}},
		"OAuthNoURL":  {reason: "Tokens come from somewhere.", k: Kafka{BootstrapServers: []string{"k:9092"}, Mechanism: KafkaOAuthBearer}},
		"AWSWithout":  {reason: "Who did not bring the AWS SDK has no tokens of AWS.", k: Kafka{BootstrapServers: []string{"k:9098"}, Mechanism: KafkaAWSMSKIAM, AWS: &AWS{Region: "r"}}},
		"AWS":         {reason: "Who did, has.", k: Kafka{BootstrapServers: []string{"k:9098"}, Mechanism: KafkaAWSMSKIAM, AWS: &AWS{Region: "r"}}, aws: func(AWS) TokenSource { return nil }, ok: true},
		"Certificate": {reason: "A key that is none is found before a connection is made.", k: Kafka{BootstrapServers: []string{"k:9093"}, TLS: &TLS{Certificate: []byte("c"), PrivateKey: []byte("k")}}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := tc.k.Options(tc.aws); (err == nil) != tc.ok {
				t.Errorf("%s\nOptions: %v, want ok: %t", tc.reason, err, tc.ok)
			}
		})
	}
}
