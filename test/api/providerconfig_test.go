package api_test

import (
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// A config is a kind of ProviderConfig.
type config struct {
	scope

	kind string
}

// clusterConfigs name Secrets of any namespace; namespacedConfig names those of its own.
var (
	clusterConfigs = map[string]config{
		"ProviderConfig":        {scope: scopes["Cluster"], kind: "ProviderConfig"},
		"ClusterProviderConfig": {scope: scope{group: "eventstore.m.crossplane.io"}, kind: "ClusterProviderConfig"},
	}
	namespacedConfig = config{scope: scopes["Namespaced"], kind: "ProviderConfig"}
)

const (
	kafka  = "kafka: {bootstrapServers: ['kafka-0.example.org:9092']}\n"
	pulsar = "pulsar: {serviceURL: 'pulsar://p.example.org:6650', adminURL: 'http://p.example.org:8080'}\n"
	redis  = "redis: {addresses: ['redis.example.org:6379']}\n"

	// For the cluster-scoped kinds; local takes the namespace out for the namespaced one.
	secret = "{source: Secret, secretRef: {name: admin, namespace: team-a, key: password}}"
)

// TestProviderConfigRules creates all three kinds. An empty want means that it is accepted.
func TestProviderConfigRules(t *testing.T) {
	scram := "kafka: {bootstrapServers: ['k:9092'], authentication: {mechanism: SCRAM-SHA-512, username: admin}}\n"
	token := "pulsar: {serviceURL: 'pulsar://p:6650', adminURL: 'http://p:8080', authentication: {method: Token}}\n"
	sentinel := "redis: {mode: Sentinel, addresses: ['s:26379'], sentinel: {masterName: main}}\n"
	cases := map[string]struct {
		reason string
		spec   string
		want   string
	}{
		"Kafka":                      {"A broker without authentication.", kafka, ""},
		"Pulsar":                     {"A broker without authentication.", pulsar, ""},
		"Redis":                      {"A broker without authentication.", redis, ""},
		"NoBroker":                   {"It must lead somewhere.", `{}`, "set exactly one of kafka, pulsar and redis"},
		"TwoBrokers":                 {"One ProviderConfig is for one broker.", kafka + redis, "set exactly one of kafka, pulsar and redis"},
		"RedisWithPassword":          {"The password is in a Secret.", redis + "credentials: " + secret, ""},
		"NoCredentialsOnPurpose":     {"None says so in words.", redis + "credentials: {source: None}", ""},
		"SecretWithoutRef":           {"The source needs its reference.", redis + "credentials: {source: Secret}", "source: Secret and secretRef belong together"},
		"RefWithoutSecret":           {"A reference that is not used would mislead.", redis + "credentials: {source: None, secretRef: {name: a, namespace: team-a, key: b}}", "source: Secret and secretRef belong together"},
		"InjectedIdentity":           {"No broker takes the identity of a Pod.", redis + "credentials: {source: InjectedIdentity}", "Unsupported value"},
		"EmptyTLS":                   {"It uses the machine's authorities.", redis + "tls: {}", ""},
		"TLS":                        {"A private authority and a certificate of our own.", redis + "tls: {caSecretRef: {name: ca, namespace: team-a, key: ca.crt}, clientCertificateSecretRef: {name: us, namespace: team-a}, serverName: redis}", ""},
		"PrincipalsUnknown":          {"The message lists what there is.", redis + "principals: Shared", `supported values: "Managed", "Provided"`},
		"AddressWithoutPort":         {"There is no default port.", "redis: {addresses: [redis]}", "redis.addresses[0]"},
		"AddressIPv6":                {"An IPv6 address is in brackets.", "redis: {addresses: ['[::1]:6379']}", ""},
		"NoAddress":                  {"It must lead somewhere.", "redis: {addresses: []}", "at least 1 items"},
		"StandaloneWithTwo":          {"Two servers are not one.", "redis: {addresses: ['a:1', 'b:1']}", "name one address"},
		"ClusterWithTwo":             {"A Cluster has several.", "redis: {mode: Cluster, addresses: ['a:1', 'b:1']}", ""},
		"Sentinel":                   {"Sentinels know the master by a name.", sentinel, ""},
		"SentinelWithoutName":        {"Sentinels know the master by a name.", "redis: {mode: Sentinel, addresses: ['s:26379']}", "mode: Sentinel and sentinel belong together"},
		"SentinelOnStandalone":       {"A setting that is not used would mislead.", "redis: {addresses: ['s:1'], sentinel: {masterName: main}}", "mode: Sentinel and sentinel belong together"},
		"SentinelPassword":           {"Sentinels may have a password of their own.", sentinel + "sentinelCredentials: " + secret, ""},
		"SentinelPasswordStandalone": {"A setting that is not used would mislead.", redis + "sentinelCredentials: " + secret, "sentinelCredentials are for redis with mode: Sentinel"},
		"Scram":                      {"A user, and the password in a Secret.", scram + "credentials: " + secret, ""},
		"ScramWithoutPassword":       {"SCRAM needs a password.", scram, "set credentials, whose value is the password"},
		"ScramWithNone":              {"SCRAM needs a password.", scram + "credentials: {source: None}", "set credentials, whose value is the password"},
		"ScramWithoutUser":           {"SCRAM needs a user.", "kafka: {bootstrapServers: ['k:9092'], authentication: {mechanism: SCRAM-SHA-256}}\ncredentials: " + secret, "set username"},
		"KafkaCredentialsUnused":     {"A password that is not used would mislead.", kafka + "credentials: " + secret, "credentials would not be used"},
		"PulsarCredentialsUnused":    {"A token that is not used would mislead.", pulsar + "credentials: " + secret, "credentials would not be used"},
		"MTLSWithoutCertificate":     {"mTLS is a certificate.", "kafka: {bootstrapServers: ['k:9093'], authentication: {mechanism: MTLS}}\ntls: {}", "set tls.clientCertificateSecretRef"},
		"MTLS":                       {"mTLS needs no password.", "principals: Provided\nkafka: {bootstrapServers: ['k:9093'], authentication: {mechanism: MTLS}}\ntls: {clientCertificateSecretRef: {name: us, namespace: team-a}}", ""},
		"MTLSManaged":                {"Users that the provider makes have no certificate.", "kafka: {bootstrapServers: ['k:9093'], authentication: {mechanism: MTLS}}\ntls: {clientCertificateSecretRef: {name: us, namespace: team-a}}", "set principals: Provided"},
		"MTLSWithUser":               {"The certificate says who we are.", "kafka: {bootstrapServers: ['k:9093'], authentication: {mechanism: MTLS, username: a}}\ntls: {clientCertificateSecretRef: {name: us, namespace: team-a}}", "username is for SCRAM and PLAIN"},
		"PulsarMTLSWithoutCert":      {"mTLS is a certificate.", "pulsar: {serviceURL: 'pulsar+ssl://p:6651', adminURL: 'https://p:8443', authentication: {method: MTLS}}", "set tls.clientCertificateSecretRef"},
		"OAuthWithoutSettings":       {"Tokens are fetched somewhere.", "kafka: {bootstrapServers: ['k:9092'], authentication: {mechanism: OAUTHBEARER}}\ncredentials: " + secret, "mechanism: OAUTHBEARER and oauth belong together"},
		"OAuth":                      {"A client, and its secret in a Secret.", "kafka: {bootstrapServers: ['k:9092'], authentication: {mechanism: OAUTHBEARER, oauth: {tokenURL: 'https://i/t', clientID: c, scopes: [a]}}}\ncredentials: " + secret, ""},
		"OAuthBadURL":                {"A URL has a scheme.", "kafka: {bootstrapServers: ['k:9092'], authentication: {mechanism: OAUTHBEARER, oauth: {tokenURL: 'i/t', clientID: c}}}\ncredentials: " + secret, "tokenURL"},
		"AWS":                        {"The provider's own AWS credentials are used.", "kafka: {bootstrapServers: ['k:9098'], authentication: {mechanism: AWS_MSK_IAM, aws: {region: eu-central-1, roleARN: 'arn:aws:iam::1:role/r'}}}\ntls: {}", ""},
		"AWSWithoutSettings":         {"A token is for one region.", "kafka: {bootstrapServers: ['k:9098'], authentication: {mechanism: AWS_MSK_IAM}}\ntls: {}", "mechanism: AWS_MSK_IAM and aws belong together"},
		"AWSOnScram":                 {"A setting that is not used would mislead.", "kafka: {bootstrapServers: ['k:9092'], authentication: {mechanism: SCRAM-SHA-512, username: a, aws: {region: eu-central-1}}}\ncredentials: " + secret, "mechanism: AWS_MSK_IAM and aws belong together"},
		"AWSWithCredentials":         {"A password that is not used would mislead.", "kafka: {bootstrapServers: ['k:9098'], authentication: {mechanism: AWS_MSK_IAM, aws: {region: eu-central-1}}}\ncredentials: " + secret, "credentials would not be used"},
		"AWSBadRole":                 {"A role is named by its ARN.", "kafka: {bootstrapServers: ['k:9098'], authentication: {mechanism: AWS_MSK_IAM, aws: {region: eu-central-1, roleARN: r}}}\ntls: {}", "roleARN"},
		"KafkaMechanismUnknown":      {"The message lists what there is.", "kafka: {bootstrapServers: ['k:9092'], authentication: {mechanism: GSSAPI}}", `supported values: "SCRAM-SHA-256"`},
		"Token":                      {"A token is a secret.", token + "credentials: " + secret, ""},
		"TokenWithout":               {"A token is a secret.", token, "set credentials, whose value is the token"},
		"PulsarOAuthWithoutSettings": {"Tokens are fetched somewhere.", "pulsar: {serviceURL: 'pulsar://p:6650', adminURL: 'http://p:8080', authentication: {method: OAuth2}}\ncredentials: " + secret, "method: OAuth2 and oauth belong together"},
		"SigningKey":                 {"The provider can issue tokens.", token + "credentials: " + secret + "\ntokenSigningKey: " + secret, ""},
		"SigningKeyOnRedis":          {"A setting that is not used would mislead.", redis + "tokenSigningKey: " + secret, "tokenSigningKey is for pulsar"},
		"PulsarHTTPAsServiceURL":     {"The two URLs are easily swapped.", "pulsar: {serviceURL: 'http://p:8080', adminURL: 'http://p:8080'}", "pulsar.serviceURL"},
		"PulsarBrokerAsAdminURL":     {"The two URLs are easily swapped.", "pulsar: {serviceURL: 'pulsar://p:6650', adminURL: 'pulsar://p:6650'}", "pulsar.adminURL"},
		"RegistryTopicWithSlash":     {"It is the name of a topic.", "kafka: {bootstrapServers: ['k:9092'], registryTopic: a/b}", "kafka.registryTopic"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for kind, c := range clusterConfigs {
				refused(t, kind+": "+tc.reason, try(t, c.object(t, c.kind, "main", tc.spec)), tc.want)
			}
			refused(t, "namespaced ProviderConfig: "+tc.reason,
				try(t, namespacedConfig.object(t, namespacedConfig.kind, "main", local(tc.spec))), tc.want)
		})
	}
}

// TestProviderConfigSources checks where secret values may come from.
func TestProviderConfigSources(t *testing.T) {
	sources := map[string]struct{ spec, mismatch string }{
		"Environment": {"credentials: {source: Environment, env: {name: REDIS_PASSWORD}}", "credentials: {source: Environment}"},
		"Filesystem":  {"credentials: {source: Filesystem, fs: {path: /vault/secrets/redis}}", "credentials: {source: None, fs: {path: /a}}"},
	}
	for name, tc := range sources {
		t.Run(name, func(t *testing.T) {
			for kind, c := range clusterConfigs {
				refused(t, kind+": A platform team may use the provider's own files and variables.",
					try(t, c.object(t, c.kind, "main", redis+tc.spec)), "")
				refused(t, kind+": The source and its settings belong together.",
					try(t, c.object(t, c.kind, "main", redis+tc.mismatch)), "source: "+name)
			}
			refused(t, "Whoever may create a ProviderConfig in a namespace must not read the provider's own files.",
				try(t, namespacedConfig.object(t, namespacedConfig.kind, "main", redis+tc.spec)), `supported values: "Secret", "None"`)
		})
	}
}

// TestProviderConfigStaysInItsNamespace makes sure that the namespaced kind cannot spell another namespace.
func TestProviderConfigStaysInItsNamespace(t *testing.T) {
	for name, spec := range map[string]string{
		"Credentials":       "credentials: {source: Secret, secretRef: {name: a, namespace: other, key: b}}",
		"CA":                "tls: {caSecretRef: {name: a, namespace: other, key: b}}",
		"ClientCertificate": "tls: {clientCertificateSecretRef: {name: a, namespace: other}}",
	} {
		t.Run(name, func(t *testing.T) {
			u := namespacedConfig.object(t, namespacedConfig.kind, "main", redis+spec)
			strict := client.WithFieldValidation(kube, "Strict")
			if err := strict.Create(t.Context(), u, client.DryRunAll); err == nil {
				t.Error("a Secret of another namespace was named: the field must not exist")
			}
		})
	}
}

// TestClusterProviderConfigExternalNames checks the list of namespaces that may use any external name.
func TestClusterProviderConfigExternalNames(t *testing.T) {
	c := clusterConfigs["ClusterProviderConfig"]
	refused(t, "Each namespace is listed once.",
		try(t, c.object(t, c.kind, "main", redis+"externalNames: [{namespace: a}, {namespace: a}]")), "Duplicate value")
	refused(t, "Several namespaces can be listed.",
		try(t, c.object(t, c.kind, "main", redis+"externalNames: [{namespace: a}, {namespace: b}]")), "")
}

// TestProviderConfigChanges changes a ProviderConfig that exists.
func TestProviderConfigChanges(t *testing.T) {
	const pulsarOf = "pulsar: {serviceURL: 'pulsar://p:6650', adminURL: 'http://p:8080'"
	cases := map[string]struct {
		reason        string
		before, after string
		want          string
	}{
		"OtherBroker":        {"Stores would be looked for elsewhere.", redis, kafka, "create another ProviderConfig"},
		"OtherAddress":       {"A broker may move.", redis, "redis: {addresses: ['other:6379']}", ""},
		"OtherRegistryTopic": {"The provider would not know its stores.", kafka, "kafka: {bootstrapServers: ['k:9092'], registryTopic: other}", "registryTopic cannot change"},
		"OtherTenant":        {"The provider would not know its stores.", pulsarOf + ", tenant: events}", pulsarOf + ", tenant: others}", "tenant cannot change"},
		"TenantAdded":        {"Without one it is public.", pulsarOf + "}", pulsarOf + ", tenant: events}", "tenant cannot change"},
		"TenantRemoved":      {"Without one it is public.", pulsarOf + ", tenant: events}", pulsarOf + "}", "tenant cannot change"},
		"TenantSpelledOut":   {"Without one it is public.", pulsarOf + "}", pulsarOf + ", tenant: public}", ""},
		"RotatedSecret":      {"Credentials may come from elsewhere.", redis, redis + "credentials: " + secret, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for kind, c := range clusterConfigs {
				u := c.object(t, c.kind, "changes", tc.before)
				keep(t, u)
				u.Object["spec"] = c.object(t, c.kind, "changes", tc.after).Object["spec"]
				refused(t, kind+": "+tc.reason, kube.Update(t.Context(), u.DeepCopy(), client.DryRunAll), tc.want)
			}
		})
	}
}
