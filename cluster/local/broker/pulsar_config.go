package broker

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// pulsarFlags open what Pulsar's libraries reach into, and bound what they take outside of the heap.
func pulsarFlags(heap string) []string {
	flags := []string{
		"-XX:MaxDirectMemorySize=" + heap,
		"-Dio.netty.tryReflectionSetAccessible=true", "-Dio.netty.allocator.numDirectArenas=2", "-Dio.netty.allocator.numHeapArenas=1",
		"-Dlog4j2.is.webapp=false",
	}
	for _, pkg := range []string{
		"java.base/java.io", "java.base/java.nio", "java.base/java.util.zip", "java.base/jdk.internal.misc",
		"java.base/jdk.internal.platform", "java.management/sun.management", "jdk.management/com.sun.management.internal",
	} {
		flags = append(flags, "--add-opens="+pkg+"=ALL-UNNAMED")
	}
	return flags
}

// args start standalone without functions and without BookKeeper's stream storage, which nothing here uses.
func (p *Pulsar) args(conf string) []string {
	return []string{
		"--config", conf, "--no-functions-worker", "--no-stream-storage",
		"--metadata-dir", filepath.Join(p.Dir, "metadata"), "--bookkeeper-dir", filepath.Join(p.Dir, "bookkeeper"),
		"--num-bookies", "1", "--bookkeeper-port", strconv.Itoa(p.ports[bookiePort]),
	}
}

// config renders standalone.conf. Its last part is the bookie's, which reads the same file.
func (p *Pulsar) config() string {
	c := map[string]string{
		"clusterName": "standalone", "superUserRoles": PulsarAdminRole,
		"managedLedgerDefaultEnsembleSize": "1", "managedLedgerDefaultWriteQuorum": "1", "managedLedgerDefaultAckQuorum": "1",
		"systemTopicEnabled": "true", "topicLevelPoliciesEnabled": "true", "allowAutoTopicCreation": "false",
		"brokerDeleteInactiveTopicsEnabled": "false", "forceDeleteTenantAllowed": "true", "forceDeleteNamespaceAllowed": "true",
		"transactionCoordinatorEnabled": "false", "webSocketServiceEnabled": "false", "functionsWorkerEnabled": "false",
		"loadBalancerEnabled": "false", "defaultNumberOfNamespaceBundles": "1", "brokerShutdownTimeoutMs": "2000",
		// One machine, few clients.
		"managedLedgerCacheSizeMB": "16", "numIOThreads": "2", "numOrderedExecutorThreads": "2",
		"numExecutorThreadPoolSize": "2", "numCacheExecutorThreadPoolSize": "2", "topicOrderedExecutorThreadNum": "2",
		"managedLedgerNumSchedulerThreads": "2", "bookkeeperNumberOfChannelsPerBookie": "2",

		// Requests that come while it starts wait in threads of which the second port has yet to get some: with too few it
		// never starts, as long as anybody knocks.
		"numHttpServerThreads": "64",

		"allowLoopback": "true", "listeningInterface": "lo", // It would listen on every interface.
		"httpServerEnabled": "false", "ledgerStorageClass": "org.apache.bookkeeper.bookie.storage.ldb.DbLedgerStorage",
		// A kill loses nothing, as the kernel has it all; a machine that goes down may.
		"journalSyncData": "false", "journalMaxSizeMB": "64", "journalPreAllocSizeMB": "1",
		"diskUsageThreshold": "0.999", "diskUsageWarnThreshold": "0.99",
		"dbStorage_writeCacheMaxSizeMb": "16", "dbStorage_readAheadCacheMaxSizeMb": "8",
		"dbStorage_rocksDB_blockCacheSize": "8388608", "dbStorage_rocksDB_writeBufferSizeMB": "4",
		"flushInterval": "60000", "gcWaitTime": "300000",
	}
	maps.Copy(c, p.listeners())
	maps.Copy(c, p.authentication())
	maps.Copy(c, p.opts.Config)
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(c)) {
		fmt.Fprintf(&b, "%s=%s\n", key, c[key])
	}
	return b.String()
}

// listeners has two without TLS: look-ups tell a client the address that belongs to the one it came by.
func (p *Pulsar) listeners() map[string]string {
	internal, external := "internal:pulsar://"+p.listen(brokerPort), "external:pulsar://"
	return map[string]string{
		"bindAddress":       "127.0.0.1",
		"brokerServicePort": strconv.Itoa(p.ports[brokerPort]), "webServicePort": strconv.Itoa(p.ports[httpPort]),
		"brokerServicePortTls": strconv.Itoa(p.ports[pulsarTLSPort]), "webServicePortTls": strconv.Itoa(p.ports[httpsPort]),
		"bindAddresses":        external + p.listen(pulsarPort),
		"advertisedListeners":  internal + ",internal:" + p.TLSServiceURL + "," + external + p.advertised,
		"internalListenerName": "internal",

		"tlsCertificateFilePath": p.ServerCertFile, "tlsKeyFilePath": p.ServerKeyFile, "tlsTrustCertsFilePath": p.CAFile,
		"webServiceTlsProvider": "", // Java's own: Conscrypt is not among the jars.
	}
}

// authentication takes tokens, and certificates of clients that have them.
func (p *Pulsar) authentication() map[string]string {
	const providers = "org.apache.pulsar.broker.authentication.AuthenticationProvider"
	c := map[string]string{
		"authenticationEnabled": "true", "authenticationProviders": providers + "Token," + providers + "Tls",
		"authorizationEnabled":                 "true",
		"authorizationProvider":                "org.apache.pulsar.broker.authorization.PulsarAuthorizationProvider",
		"brokerClientAuthenticationPlugin":     "org.apache.pulsar.client.impl.auth.AuthenticationToken",
		"brokerClientAuthenticationParameters": fmt.Sprintf(`{"token":%q}`, p.AdminToken),
	}
	if p.Issuer != nil {
		c["tokenPublicKey"], c["tokenPublicAlg"] = "file://"+p.publicKeyFile(), "RS256"
	} else {
		c["tokenSecretKey"] = "file://" + p.secretKeyFile()
	}
	return c
}
