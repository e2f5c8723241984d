package broker

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
)

func startKafka(t *testing.T, o KafkaOptions) *Kafka {
	t.Helper()
	if testing.Short() {
		t.Skip("starts Kafka")
	}
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	k, err := StartKafka(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Kill(); err != nil {
			t.Error(err)
		}
	})
	return k
}

// A login is how a client authenticates.
type login struct {
	mechanism      sarama.SASLMechanism // Empty: not with SASL.
	user, password string
	token          string
	tls            *tls.Config
}

// Token makes a login a sarama.AccessTokenProvider.
func (l login) Token() (*sarama.AccessToken, error) { return &sarama.AccessToken{Token: l.token}, nil }

func (l login) config() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.V4_1_0_0
	c.Metadata.Retry.Max, c.Admin.Retry.Max = 0, 0
	c.Net.TLS.Enable, c.Net.TLS.Config = l.tls != nil, l.tls
	if l.mechanism == "" {
		return c
	}
	c.Net.SASL.Enable, c.Net.SASL.Mechanism, c.Net.SASL.Version = true, l.mechanism, sarama.SASLHandshakeV1
	c.Net.SASL.User, c.Net.SASL.Password, c.Net.SASL.TokenProvider = l.user, l.password, l
	c.Net.SASL.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient {
		if l.mechanism == sarama.SASLTypeSCRAMSHA256 {
			return &scram{hash: sha256.New}
		}
		return &scram{hash: sha512.New}
	}
	return c
}

// admin opens a client, which is closed when the test ends.
func (l login) admin(t *testing.T, addrs string) (sarama.ClusterAdmin, error) {
	t.Helper()
	a, err := sarama.NewClusterAdmin(strings.Split(addrs, ","), l.config())
	if err == nil {
		t.Cleanup(func() { _ = a.Close() })
	}
	return a, err
}

func (k *Kafka) superUser() login {
	return login{mechanism: sarama.SASLTypeSCRAMSHA512, user: k.AdminUser, password: k.AdminPassword}
}

func mustAdmin(t *testing.T, k *Kafka) sarama.ClusterAdmin {
	t.Helper()
	a, err := k.superUser().admin(t, k.Addr)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func token(t *testing.T, i *Issuer, subject string, lifetime time.Duration) string {
	t.Helper()
	s, err := i.Token(subject, lifetime, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// clientTLS is a client's configuration, with the certificate of a principal, or with none.
func clientTLS(t *testing.T, f TLSFiles, principal string) *tls.Config {
	t.Helper()
	cfg, err := f.TLSConfig()
	if err != nil {
		t.Fatal(err)
	}
	if principal == "" {
		return cfg
	}
	p, err := f.ClientCert(principal)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(p.Cert, p.Key)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Certificates = []tls.Certificate{pair}
	return cfg
}

const alicePassword = "alice's"

// TestKafka shares one cluster: each subtest leaves it running.
func TestKafka(t *testing.T) {
	k := startKafka(t, KafkaOptions{PlainUsers: map[string]string{"alice": alicePassword}})
	t.Run("KnowsItsAdministrator", k.testAdministrator)
	t.Run("RefusesStrangers", k.testStrangers)
	t.Run("ToldApartByPrincipal", k.testPrincipals)
	t.Run("RestartKeepsData", k.testRestart)
	t.Run("Pause", k.testPause)
	t.Run("UsedFolder", k.testUsedFolder)
}

func (k *Kafka) testAdministrator(t *testing.T) {
	file, err := tls.LoadX509KeyPair(k.ClientCertFile, k.ClientKeyFile)
	if err != nil {
		t.Fatal(err)
	}
	withFile := clientTLS(t, k.TLSFiles, "")
	withFile.Certificates = []tls.Certificate{file}
	logins := map[string]login{
		"SCRAM-SHA-256": {mechanism: sarama.SASLTypeSCRAMSHA256, user: k.AdminUser, password: k.AdminPassword},
		"SCRAM-SHA-512": {mechanism: sarama.SASLTypeSCRAMSHA512, user: k.AdminUser, password: k.AdminPassword},
		"PLAIN":         {mechanism: sarama.SASLTypePlaintext, user: k.AdminUser, password: k.AdminPassword},
		"PLAINOther":    {mechanism: sarama.SASLTypePlaintext, user: k.PlainUser, password: k.PlainPassword},
		"OAUTHBEARER":   {mechanism: sarama.SASLTypeOAuth, token: token(t, k.Issuer, k.AdminUser, time.Minute)},
	}
	for name, l := range logins {
		t.Run(name, func(t *testing.T) { administers(t, k.Addr, l) })
		t.Run(name+"OverTLS", func(t *testing.T) {
			l.tls = clientTLS(t, k.TLSFiles, "")
			administers(t, k.TLSAddr, l)
		})
	}
	t.Run("ClientCertificate", func(t *testing.T) { administers(t, k.MTLSAddr, login{tls: withFile}) })
}

// administers lists users, which takes the rights of an administrator.
func administers(t *testing.T, addrs string, l login) {
	t.Helper()
	a, err := l.admin(t, addrs)
	if err != nil {
		t.Fatal(err)
	}
	users, err := a.DescribeUserScramCredentials(nil)
	if err != nil || len(users) == 0 {
		t.Errorf("users: %d (%v), want the administrator", len(users), err)
	}
}

func (k *Kafka) testStrangers(t *testing.T) {
	cases := map[string]struct {
		reason, addr string
		login        login
	}{
		"WrongScramPassword": {reason: "A password is checked.", addr: k.Addr, login: login{mechanism: sarama.SASLTypeSCRAMSHA256, user: k.AdminUser, password: "guess"}},
		"WrongPlainPassword": {reason: "A password is checked.", addr: k.Addr, login: login{mechanism: sarama.SASLTypePlaintext, user: k.AdminUser, password: "guess"}},
		"ExpiredToken":       {reason: "A token ends.", addr: k.Addr, login: login{mechanism: sarama.SASLTypeOAuth, token: token(t, k.Issuer, k.AdminUser, -time.Hour)}},
		"UnsignedToken":      {reason: "A token is signed.", addr: k.Addr, login: login{mechanism: sarama.SASLTypeOAuth, token: "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiIsImV4cCI6NDg1NjQ3MzYwMH0."}},
		"NoSASL":             {reason: "Nobody is anonymous.", addr: k.Addr},
		"NoCertificate":      {reason: "The port takes clients with a certificate alone.", addr: k.MTLSAddr, login: login{tls: clientTLS(t, k.TLSFiles, "")}},
		"NoCA":               {reason: "Nobody else signs the server's certificate.", addr: k.TLSAddr, login: login{mechanism: sarama.SASLTypePlaintext, user: k.AdminUser, password: k.AdminPassword, tls: &tls.Config{ServerName: "localhost"}}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := tc.login.config()
			c.Net.ReadTimeout = 5 * time.Second // Without SASL it never answers.
			a, err := sarama.NewClusterAdmin(strings.Split(tc.addr, ","), c)
			if err == nil {
				_ = a.Close()
				t.Errorf("%s\nA stranger was let in", tc.reason)
			}
		})
	}
}

func (k *Kafka) testPrincipals(t *testing.T) {
	admin := mustAdmin(t, k)
	if err := admin.CreateTopic("hers", &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false); err != nil {
		t.Fatal(err)
	}
	logins := map[string]struct {
		addr  string
		login login
	}{
		"PLAIN":             {addr: k.Addr, login: login{mechanism: sarama.SASLTypePlaintext, user: "alice", password: alicePassword}},
		"OAUTHBEARER":       {addr: k.Addr, login: login{mechanism: sarama.SASLTypeOAuth, token: token(t, k.Issuer, "alice", time.Minute)}},
		"ClientCertificate": {addr: k.MTLSAddr, login: login{tls: clientTLS(t, k.TLSFiles, "alice")}},
	}
	want := func(t *testing.T, want sarama.KError) {
		t.Helper()
		for name, l := range logins {
			a, err := l.login.admin(t, l.addr)
			if err != nil {
				t.Fatal(err)
			}
			eventually(t, name+": DescribeTopics", func() error {
				topics, err := a.DescribeTopics([]string{"hers"})
				if err != nil {
					return err
				}
				if got := topics[0].Err; got != want {
					return got
				}
				return nil
			})
		}
	}
	want(t, sarama.ErrTopicAuthorizationFailed)
	err := admin.CreateACLs([]*sarama.ResourceAcls{{
		Resource: sarama.Resource{ResourceType: sarama.AclResourceTopic, ResourceName: "hers", ResourcePatternType: sarama.AclPatternLiteral},
		Acls:     []*sarama.Acl{{Principal: "User:alice", Host: "*", Operation: sarama.AclOperationDescribe, PermissionType: sarama.AclPermissionAllow}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	want(t, sarama.ErrNoError)
}

func (k *Kafka) testRestart(t *testing.T) {
	for name, end := range map[string]func() error{"Stop": k.Stop, "Kill": k.Kill} {
		t.Run(name, func(t *testing.T) {
			topic := "before-" + name
			if err := mustAdmin(t, k).CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(end(), end()); err != nil {
				t.Fatal(err)
			}
			if k.Nodes[0].Process().Running() {
				t.Fatal("it still runs")
			}
			if err := k.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			topics, err := mustAdmin(t, k).ListTopics()
			if _, ok := topics[topic]; !ok {
				t.Errorf("the topic is gone (%v)", err)
			}
		})
	}
}

func (k *Kafka) testPause(t *testing.T) {
	if err := k.Pause(); err != nil {
		t.Fatal(err)
	}
	c := k.superUser().config()
	c.Net.ReadTimeout = 200 * time.Millisecond
	if a, err := sarama.NewClusterAdmin(strings.Split(k.Addr, ","), c); err == nil {
		_ = a.Close()
		t.Error("a frozen node answered")
	}
	if err := k.Resume(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "answer after Resume", k.Nodes[0].Ping)
}

func (k *Kafka) testUsedFolder(t *testing.T) {
	if err := mustAdmin(t, k).CreateTopic("kept", &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(k.Pause(), k.Stop()); err != nil { // Stop wakes what is frozen.
		t.Fatal(err)
	}
	second := startKafka(t, KafkaOptions{Dir: k.Dir})
	if second.AdminPassword != k.AdminPassword || second.Addr == k.Addr {
		t.Errorf("second start: at %s after %s, same password %t, want other ports and the same password", second.Addr, k.Addr, second.AdminPassword == k.AdminPassword)
	}
	if topics, err := mustAdmin(t, second).ListTopics(); topics["kept"].NumPartitions != 1 {
		t.Errorf("second start: the topic is gone (%v)", err)
	}
}

func TestKafkaSaysWhyItDoesNotStart(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Kafka")
	}
	t.Parallel()
	_, err := StartKafka(t.Context(), KafkaOptions{Dir: t.TempDir(), Config: map[string]string{"num.io.threads": "none"}})
	if err == nil || !strings.Contains(err.Error(), "num.io.threads") {
		t.Errorf("StartKafka: %v, want the line that names the setting", err)
	}
	_, err = StartKafka(t.Context(), KafkaOptions{Dir: t.TempDir(), Ports: takenPorts(t, 3)})
	if !portTaken(err) {
		t.Errorf("StartKafka: %v, want it to say that the port is taken", err)
	}
}

// takenPorts returns n ports, of which another has the first.
func takenPorts(t *testing.T, n int) []int {
	t.Helper()
	ports, err := process.FreePorts(n)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", process.Loopback(ports[0]))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return ports
}
