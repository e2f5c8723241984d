package broker

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

func (k *Kafka) keyStoreFile() string { return filepath.Join(k.Dir, "tls", "server.pem") }

// keyStore is the server's key and certificate in one PEM file, as Kafka wants them.
func (k *Kafka) keyStore() ([]byte, error) {
	var store []byte
	for _, file := range []string{k.ServerKeyFile, k.ServerCertFile} {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("cannot read certificate of kafka: %w", err)
		}
		store = append(store, b...)
	}
	return store, nil
}

func (k *Kafka) jwksFile() string { return filepath.Join(k.Dir, "jwks.json") }

func (k *Kafka) jwksURL() string { return "file://" + k.jwksFile() }

// issuerFlag lets Kafka read the issuer's keys: it refuses any address that it was not told of as a system property.
func (k *Kafka) issuerFlag() string {
	return "-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=" + k.jwksURL()
}

func (n *KafkaNode) dataDir() string { return filepath.Join(n.dir, "data") }

// config renders server.properties.
func (n *KafkaNode) config() string {
	c := map[string]string{
		"process.roles": "broker,controller", "node.id": strconv.Itoa(n.ID), "log.dirs": n.dataDir(),
		"controller.quorum.voters": n.kafka.voters(), "controller.listener.names": "CONTROLLER",
		"authorizer.class.name":            "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users":                      "User:" + n.kafka.AdminUser + ";User:" + n.kafka.PlainUser,
		"allow.everyone.if.no.acl.found":   "false",
		"auto.create.topics.enable":        "false",
		"group.initial.rebalance.delay.ms": "0",
		// What thousands of idle partitions would else cost, in memory and on disk.
		"log.cleaner.dedupe.buffer.size": "2000000", "log.segment.bytes": "16777216", "num.network.threads": "1", "num.io.threads": "2",
		// After a crash, the node may join again when its former self has been given up. Default: 9s.
		"broker.session.timeout.ms": "5000", "broker.heartbeat.interval.ms": "1000",
		// Kafka reads its log anew when it starts, and forgets all SCRAM users of a mechanism if one was ever deleted whose
		// name comes first in a hash map (ScramDelta.apply, 4.3.1), unless there is a snapshot to begin with. Default: 1h.
		"metadata.log.max.snapshot.interval.ms": "5000",
		// Retention that a test shortens takes effect while it waits.
		"log.retention.check.interval.ms": "5000", "log.initial.task.delay.ms": "1000",
	}
	maps.Copy(c, n.listeners())
	maps.Copy(c, n.kafka.tlsConfig())
	maps.Copy(c, n.kafka.saslConfig())
	maps.Copy(c, n.kafka.replication())
	if n.kafka.opts.TieredStorage {
		maps.Copy(c, n.tieredStorage())
	}
	maps.Copy(c, n.kafka.opts.Config)
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(c)) {
		fmt.Fprintf(&b, "%s=%s\n", key, c[key])
	}
	return b.String()
}

func (k *Kafka) voters() string {
	return k.addrs(func(n *KafkaNode) string { return fmt.Sprintf("%d@%s", n.ID, n.listen(controllerPort)) })
}

// listeners has one for the nodes among each other, so that no proxy and no test of authentication gets in between.
func (n *KafkaNode) listeners() map[string]string {
	internal, controller := "INTERNAL://"+n.listen(internalPort), "CONTROLLER://"+n.listen(controllerPort)
	tls, mtls := "TLS://"+n.listen(tlsPort), "MTLS://"+n.listen(mtlsPort)
	return map[string]string{
		"listeners":            strings.Join([]string{"SASL://" + n.listen(saslPort), tls, mtls, internal, controller}, ","),
		"advertised.listeners": strings.Join([]string{"SASL://" + n.Addr, tls, mtls, internal}, ","),
		"listener.security.protocol.map": "SASL:SASL_PLAINTEXT,TLS:SASL_SSL,MTLS:SSL,INTERNAL:SASL_PLAINTEXT," +
			"CONTROLLER:SASL_PLAINTEXT",
		"inter.broker.listener.name":           "INTERNAL",
		"sasl.mechanism.inter.broker.protocol": "PLAIN",
		"sasl.mechanism.controller.protocol":   "PLAIN",
		"listener.name.mtls.ssl.client.auth":   "required",
		"ssl.principal.mapping.rules":          `RULE:^CN=([^,]+).*$/$1/,DEFAULT`,
	}
}

func (k *Kafka) tlsConfig() map[string]string {
	return map[string]string{
		"ssl.keystore.type": "PEM", "ssl.keystore.location": k.keyStoreFile(),
		"ssl.truststore.type": "PEM", "ssl.truststore.location": k.CAFile,
	}
}

const (
	scramModule = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
	oauthModule = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;"
	oauthServer = "org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler"
)

func (k *Kafka) saslConfig() map[string]string {
	c := map[string]string{"sasl.enabled.mechanisms": "PLAIN"}
	for _, listener := range []string{"sasl", "tls"} {
		prefix := "listener.name." + listener + "."
		c[prefix+"sasl.enabled.mechanisms"] = "SCRAM-SHA-256,SCRAM-SHA-512,PLAIN,OAUTHBEARER"
		c[prefix+"scram-sha-256.sasl.jaas.config"] = scramModule
		c[prefix+"scram-sha-512.sasl.jaas.config"] = scramModule
		c[prefix+"plain.sasl.jaas.config"] = k.plainModule()
		c[prefix+"oauthbearer.sasl.jaas.config"] = oauthModule
		c[prefix+"oauthbearer.sasl.server.callback.handler.class"] = oauthServer
		c[prefix+"oauthbearer.sasl.oauthbearer.jwks.endpoint.url"] = k.jwksURL()
	}
	for _, listener := range []string{"internal", "controller"} {
		prefix := "listener.name." + listener + "."
		c[prefix+"sasl.enabled.mechanisms"] = "PLAIN"
		c[prefix+"plain.sasl.jaas.config"] = k.plainModule()
	}
	return c
}

// plainModule knows who we are, towards the other nodes, and whom we know.
func (k *Kafka) plainModule() string {
	users := map[string]string{k.AdminUser: k.AdminPassword, k.PlainUser: k.PlainPassword}
	maps.Copy(users, k.opts.PlainUsers)
	var b strings.Builder
	fmt.Fprintf(&b, "org.apache.kafka.common.security.plain.PlainLoginModule required username=%q password=%q", k.AdminUser, k.AdminPassword)
	for _, u := range slices.Sorted(maps.Keys(users)) {
		fmt.Fprintf(&b, " user_%s=%q", u, users[u])
	}
	return b.String() + ";"
}

// replication is as high as the number of nodes allows, and any one of three may be down.
func (k *Kafka) replication() map[string]string {
	n, minInSync := strconv.Itoa(min(len(k.Nodes), 3)), strconv.Itoa(max(1, min(len(k.Nodes), 3)-1))
	c := map[string]string{"default.replication.factor": n, "min.insync.replicas": minInSync}
	for _, topic := range []string{"transaction.state.log", "share.coordinator.state.topic"} {
		c[topic+".num.partitions"], c[topic+".replication.factor"], c[topic+".min.isr"] = n, n, minInSync
	}
	c["offsets.topic.num.partitions"], c["offsets.topic.replication.factor"] = n, n // As many coordinators as nodes.
	return c
}

// tieredStorage is the implementation of Kafka's own tests, with a folder that all nodes share.
func (n *KafkaNode) tieredStorage() map[string]string {
	const manager = "org.apache.kafka.server.log.remote.storage."
	const client = "rlmm.config.remote.log.metadata.common.client." // Not of the inter-broker settings, though its listener is theirs.
	replicas := strconv.Itoa(min(len(n.kafka.Nodes), 3))
	return map[string]string{
		"remote.log.storage.system.enable":          "true",
		"remote.log.storage.manager.class.name":     manager + "LocalTieredStorage",
		"remote.log.storage.manager.impl.prefix":    "rsm.config.",
		"rsm.config.dir":                            filepath.Join(n.kafka.Dir, "remote"),
		"remote.log.metadata.manager.listener.name": "INTERNAL",
		"remote.log.metadata.manager.impl.prefix":   "rlmm.config.",
		client + "security.protocol":                "SASL_PLAINTEXT", client + "sasl.mechanism": "PLAIN",
		client + "sasl.jaas.config":                                n.kafka.plainModule(),
		"rlmm.config.remote.log.metadata.topic.num.partitions":     "1",
		"rlmm.config.remote.log.metadata.topic.replication.factor": replicas,
	}
}
