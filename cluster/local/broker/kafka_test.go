package broker

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

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
	mechanism sasl.Mechanism // nil: not with SASL.
	tls       *tls.Config
}

func scram256(user, password string) sasl.Mechanism {
	return scram.Auth{User: user, Pass: password}.AsSha256Mechanism()
}

func scram512(user, password string) sasl.Mechanism {
	return scram.Auth{User: user, Pass: password}.AsSha512Mechanism()
}

func plainly(user, password string) sasl.Mechanism {
	return plain.Auth{User: user, Pass: password}.AsMechanism()
}

func bearer(token string) sasl.Mechanism { return oauth.Auth{Token: token}.AsMechanism() }

// client returns a client that gives up at once. It is closed when the test ends.
func (l login) client(t *testing.T, addrs string) *kadm.Client {
	t.Helper()
	opts := []kgo.Opt{kgo.SeedBrokers(strings.Split(addrs, ",")...), kgo.RequestRetries(0)}
	if l.mechanism != nil {
		opts = append(opts, kgo.SASL(l.mechanism))
	}
	if l.tls != nil {
		opts = append(opts, kgo.DialTLSConfig(l.tls))
	}
	c, err := kgo.NewClient(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return kadm.NewClient(c)
}

func (k *Kafka) superUser() login { return login{mechanism: scram512(k.AdminUser, k.AdminPassword)} }

// admin returns a client of the administrator.
func (k *Kafka) admin(t *testing.T) *kadm.Client {
	t.Helper()
	return k.superUser().client(t, k.Addr)
}

func (k *Kafka) createTopic(t *testing.T, name string, config map[string]*string) {
	t.Helper()
	eventually(t, "topic "+name, func() error { // A node that was frozen has no controller for a moment.
		_, err := k.admin(t).CreateTopic(t.Context(), 1, 1, config, name)
		if errors.Is(err, kerr.TopicAlreadyExists) {
			return nil
		}
		return err
	})
}

// has returns an error if there is no such topic.
func (k *Kafka) has(t *testing.T, topic string) error {
	t.Helper()
	topics, err := k.admin(t).ListTopics(t.Context(), topic)
	if err != nil {
		return err
	}
	return topics[topic].Err
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
		"SCRAM-SHA-256": {mechanism: scram256(k.AdminUser, k.AdminPassword)},
		"SCRAM-SHA-512": {mechanism: scram512(k.AdminUser, k.AdminPassword)},
		"PLAIN":         {mechanism: plainly(k.AdminUser, k.AdminPassword)},
		"PLAINOther":    {mechanism: plainly(k.PlainUser, k.PlainPassword)},
		"OAUTHBEARER":   {mechanism: bearer(token(t, k.Issuer, k.AdminUser, time.Minute))},
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
	users, err := l.client(t, addrs).DescribeUserSCRAMs(t.Context())
	if err != nil || len(users) == 0 {
		t.Errorf("users: %d (%v), want the administrator", len(users), err)
	}
}

func (k *Kafka) testStrangers(t *testing.T) {
	cases := map[string]struct {
		reason, addr string
		login        login
	}{
		"WrongScramPassword": {reason: "A password is checked.", addr: k.Addr, login: login{mechanism: scram256(k.AdminUser, "guess")}},
		"WrongPlainPassword": {reason: "A password is checked.", addr: k.Addr, login: login{mechanism: plainly(k.AdminUser, "guess")}},
		"ExpiredToken":       {reason: "A token ends.", addr: k.Addr, login: login{mechanism: bearer(token(t, k.Issuer, k.AdminUser, -time.Hour))}},
		"UnsignedToken":      {reason: "A token is signed.", addr: k.Addr, login: login{mechanism: bearer("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiIsImV4cCI6NDg1NjQ3MzYwMH0.")}},
		"NoSASL":             {reason: "Nobody is anonymous.", addr: k.Addr},
		"NoCertificate":      {reason: "The port takes clients with a certificate alone.", addr: k.MTLSAddr, login: login{tls: clientTLS(t, k.TLSFiles, "")}},
		"NoCA":               {reason: "Nobody else signs the server's certificate.", addr: k.TLSAddr, login: login{mechanism: plainly(k.AdminUser, k.AdminPassword), tls: &tls.Config{ServerName: "localhost"}}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // Without SASL it never answers.
			defer cancel()
			if _, err := tc.login.client(t, tc.addr).BrokerMetadata(ctx); err == nil {
				t.Errorf("%s\nA stranger was let in", tc.reason)
			}
		})
	}
}

func (k *Kafka) testPrincipals(t *testing.T) {
	k.createTopic(t, "hers", nil)
	logins := map[string]struct {
		addr  string
		login login
	}{
		"PLAIN":             {addr: k.Addr, login: login{mechanism: plainly("alice", alicePassword)}},
		"OAUTHBEARER":       {addr: k.Addr, login: login{mechanism: bearer(token(t, k.Issuer, "alice", time.Minute))}},
		"ClientCertificate": {addr: k.MTLSAddr, login: login{tls: clientTLS(t, k.TLSFiles, "alice")}},
	}
	want := func(t *testing.T, want error) {
		t.Helper()
		for name, l := range logins {
			c := l.login.client(t, l.addr)
			eventually(t, name+": the topic", func() error {
				topics, err := c.ListTopics(t.Context(), "hers")
				if got := cmp.Or(err, topics["hers"].Err); !errors.Is(got, want) {
					return fmt.Errorf("it says %w, want %w", got, want)
				}
				return nil
			})
		}
	}
	want(t, kerr.TopicAuthorizationFailed)
	acl := kadm.NewACLs().Allow("User:alice").AllowHosts().Topics("hers").Operations(kadm.OpDescribe).ResourcePatternType(kadm.ACLPatternLiteral)
	created, err := k.admin(t).CreateACLs(t.Context(), acl)
	if err != nil || created[0].Err != nil {
		t.Fatal(err, created)
	}
	want(t, nil)
}

func (k *Kafka) testRestart(t *testing.T) {
	for name, end := range map[string]func() error{"Stop": k.Stop, "Kill": k.Kill} {
		t.Run(name, func(t *testing.T) {
			topic := "before-" + name
			k.createTopic(t, topic, nil)
			if err := errors.Join(end(), end()); err != nil {
				t.Fatal(err)
			}
			if k.Nodes[0].Process().Running() {
				t.Fatal("it still runs")
			}
			if err := k.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the topic from before", func() error { return k.has(t, topic) })
		})
	}
}

func (k *Kafka) testPause(t *testing.T) {
	if err := k.Pause(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := k.admin(t).BrokerMetadata(ctx); err == nil {
		t.Error("a frozen node answered")
	}
	if err := k.Resume(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "answer after Resume", k.Nodes[0].Ping)
}

func (k *Kafka) testUsedFolder(t *testing.T) {
	k.createTopic(t, "kept", nil)
	if err := errors.Join(k.Pause(), k.Stop()); err != nil { // Stop wakes what is frozen.
		t.Fatal(err)
	}
	second := startKafka(t, KafkaOptions{Dir: k.Dir})
	if second.AdminPassword != k.AdminPassword || second.Addr == k.Addr {
		t.Errorf("second start: at %s after %s, same password %t, want other ports and the same password", second.Addr, k.Addr, second.AdminPassword == k.AdminPassword)
	}
	eventually(t, "the topic of the first start", func() error { return second.has(t, "kept") })
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
