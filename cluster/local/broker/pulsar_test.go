package broker

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"
	pulsarlog "github.com/apache/pulsar-client-go/pulsar/log"
)

func startPulsar(t *testing.T, o PulsarOptions) *Pulsar {
	t.Helper()
	if testing.Short() {
		t.Skip("starts Pulsar")
	}
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	p, err := StartPulsar(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// client opens a client, which is closed when the test ends.
func (p *Pulsar) client(t *testing.T, url string, auth pulsar.Authentication) pulsar.Client {
	t.Helper()
	c, err := pulsar.NewClient(pulsar.ClientOptions{
		URL: url, Authentication: auth, TLSTrustCertsFilePath: p.CAFile, OperationTimeout: 30 * time.Second,
		Logger: pulsarlog.DefaultNopLogger(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func (p *Pulsar) asAdmin() pulsar.Authentication { return pulsar.NewAuthenticationToken(p.AdminToken) }

// roundTrip sends a message to a topic of public/default and reads it back.
func roundTrip(t *testing.T, c pulsar.Client, topic string) {
	t.Helper()
	send(t, c, topic)
	if got := first(t, c, topic); got != "hello" {
		t.Errorf("read %q", got)
	}
}

func send(t *testing.T, c pulsar.Client, topic string) {
	t.Helper()
	out, err := c.CreateProducer(pulsar.ProducerOptions{Topic: topic})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if _, err := out.Send(t.Context(), &pulsar.ProducerMessage{Payload: []byte("hello")}); err != nil {
		t.Fatal(err)
	}
}

func first(t *testing.T, c pulsar.Client, topic string) string {
	t.Helper()
	in, err := c.CreateReader(pulsar.ReaderOptions{Topic: topic, StartMessageID: pulsar.EarliestMessageID()})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	m, err := in.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return string(m.Payload())
}

// admin returns the status of a request to the admin API.
func (p *Pulsar) admin(t *testing.T, method, url, token string, cfg *tls.Config) int {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: cfg}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode
}

func (p *Pulsar) topic(t *testing.T, name string) string {
	t.Helper()
	url := p.AdminURL + "/admin/v2/persistent/public/default/" + name
	if got := p.admin(t, http.MethodPut, url, p.AdminToken, nil); got != http.StatusNoContent {
		t.Fatalf("create topic: %d", got)
	}
	return "persistent://public/default/" + name
}

// TestPulsar shares one server: each subtest leaves it running.
func TestPulsar(t *testing.T) {
	p := startPulsar(t, PulsarOptions{})
	t.Run("KnowsItsAdministrator", p.testAdministrator)
	t.Run("ToldApartByRole", p.testRoles)
	t.Run("RestartKeepsData", p.testRestart)
	t.Run("Pause", p.testPause)
	t.Run("UsedFolder", p.testUsedFolder)
}

func (p *Pulsar) testAdministrator(t *testing.T) {
	topic := p.topic(t, "admin")
	token := p.asAdmin()
	t.Run("Token", func(t *testing.T) { roundTrip(t, p.client(t, p.ServiceURL, token), topic) })
	t.Run("TokenOverTLS", func(t *testing.T) { roundTrip(t, p.client(t, p.TLSServiceURL, token), topic) })
	t.Run("ClientCertificate", func(t *testing.T) {
		roundTrip(t, p.client(t, p.TLSServiceURL, pulsar.NewAuthenticationTLS(p.ClientCertFile, p.ClientKeyFile)), topic)
	})
	t.Run("AdminTokenOverTLS", func(t *testing.T) {
		if got := p.admin(t, http.MethodGet, p.TLSAdminURL+"/admin/v2/tenants", p.AdminToken, clientTLS(t, p.TLSFiles, "")); got != http.StatusOK {
			t.Errorf("list tenants: %d", got)
		}
	})
	t.Run("AdminClientCertificate", func(t *testing.T) {
		if got := p.admin(t, http.MethodGet, p.TLSAdminURL+"/admin/v2/tenants", "", clientTLS(t, p.TLSFiles, PulsarAdminRole)); got != http.StatusOK {
			t.Errorf("list tenants: %d", got)
		}
	})
}

func (p *Pulsar) testRoles(t *testing.T) {
	alice, err := p.Token("alice")
	if err != nil {
		t.Fatal(err)
	}
	namespace := "/admin/v2/namespaces/public/default"
	cases := map[string]struct {
		reason, url, token, certificate string
		want                            int
	}{
		"Nobody":            {reason: "Nobody is anonymous.", url: p.AdminURL, want: http.StatusUnauthorized},
		"WrongSignature":    {reason: "A token is signed.", url: p.AdminURL, token: p.AdminToken[:len(p.AdminToken)-4] + "AAAA", want: http.StatusUnauthorized},
		"Alice":             {reason: "A role has no rights that it was not given.", url: p.AdminURL, token: alice, want: http.StatusForbidden},
		"AlicesCertificate": {reason: "The common name is the role.", url: p.TLSAdminURL, certificate: "alice", want: http.StatusForbidden},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var cfg *tls.Config
			if strings.HasPrefix(tc.url, "https") {
				cfg = clientTLS(t, p.TLSFiles, tc.certificate)
			}
			if got := p.admin(t, http.MethodGet, tc.url+namespace, tc.token, cfg); got != tc.want {
				t.Errorf("%s\nGET %s: %d, want %d", tc.reason, namespace, got, tc.want)
			}
		})
	}
}

func (p *Pulsar) testRestart(t *testing.T) {
	for name, end := range map[string]func() error{"Stop": p.Stop, "Kill": p.Kill} {
		t.Run(name, func(t *testing.T) {
			topic, token := p.topic(t, "before-"+name), p.asAdmin()
			send(t, p.client(t, p.ServiceURL, token), topic)
			if err := errors.Join(end(), end()); err != nil {
				t.Fatal(err)
			}
			if p.Process().Running() {
				t.Fatal("it still runs")
			}
			if err := p.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := first(t, p.client(t, p.ServiceURL, token), topic); got != "hello" {
				t.Errorf("the message is %q", got)
			}
		})
	}
}

func (p *Pulsar) testPause(t *testing.T) {
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	c := http.Client{Timeout: 200 * time.Millisecond}
	if res, err := c.Get(p.AdminURL + "/admin/v2/clusters"); err == nil {
		_ = res.Body.Close()
		t.Error("a frozen server answered")
	}
	if err := p.Resume(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "an answer after Resume", func() error { return p.Ping(t.Context()) })
}

func (p *Pulsar) testUsedFolder(t *testing.T) {
	topic, token := p.topic(t, "kept"), p.asAdmin()
	send(t, p.client(t, p.ServiceURL, token), topic)
	if err := errors.Join(p.Pause(), p.Stop()); err != nil { // Stop wakes what is frozen.
		t.Fatal(err)
	}
	second := startPulsar(t, PulsarOptions{Dir: p.Dir})
	if second.AdminToken != p.AdminToken || second.ServiceURL == p.ServiceURL {
		t.Errorf("second start: at %s after %s, same token %t, want other ports and the same token", second.ServiceURL, p.ServiceURL, second.AdminToken == p.AdminToken)
	}
	if got := first(t, second.client(t, second.ServiceURL, token), topic); got != "hello" {
		t.Errorf("second start: the message is %q", got)
	}
}

// TestPulsarRS256 has an identity provider sign tokens, and clients that fetch them.
func TestPulsarRS256(t *testing.T) {
	t.Parallel()
	p := startPulsar(t, PulsarOptions{RS256: true})
	endpoint := httptest.NewServer(p.Issuer)
	t.Cleanup(endpoint.Close)
	keyFile := filepath.Join(t.TempDir(), "key.json")
	key := `{"type":"client_credentials","issuer_url":"` + endpoint.URL + `","client_id":"admin","client_secret":"` + p.Issuer.Secret("admin") + `"}`
	if err := os.WriteFile(keyFile, []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	auth := pulsar.NewAuthenticationOAuth2(map[string]string{
		"type": "client_credentials", "issuerUrl": endpoint.URL, "clientId": "admin", "privateKey": (&url.URL{Scheme: "file", Path: keyFile}).String(), "audience": "pulsar",
	})
	roundTrip(t, p.client(t, p.ServiceURL, auth), p.topic(t, "oauth"))
}

func TestPulsarSaysWhyItDoesNotStart(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Pulsar")
	}
	t.Parallel()
	_, err := StartPulsar(t.Context(), PulsarOptions{Dir: t.TempDir(), Config: map[string]string{"authorizationProvider": "no.such.Class"}})
	if err == nil || !strings.Contains(err.Error(), "no.such.Class") {
		t.Errorf("StartPulsar: %v, want the line that names the class", err)
	}
	_, err = StartPulsar(t.Context(), PulsarOptions{Dir: t.TempDir(), Ports: takenPorts(t, 4)})
	if !portTaken(err) {
		t.Errorf("StartPulsar: %v, want it to say that the port is taken", err)
	}
}

func TestPulsarBehindAProxy(t *testing.T) {
	t.Parallel()
	var proxy *Proxy
	p := startPulsar(t, PulsarOptions{Advertise: func(addr string) (_ string, err error) {
		if proxy, err = NewProxy(addr); err != nil {
			return "", err
		}
		t.Cleanup(func() { _ = proxy.Close() })
		return proxy.Addr, nil
	}})
	topic := p.topic(t, "proxied")
	before := proxy.Accepted()
	// The first connection looks the topic up, and the second, if the answer named another address, would go there.
	roundTrip(t, p.client(t, p.ServiceURL, p.asAdmin()), topic)
	if proxy.Accepted() == before {
		t.Error("the client went around the proxy")
	}
	if err := proxy.Set(Refuse); err != nil {
		t.Fatal(err)
	}
	c, err := pulsar.NewClient(pulsar.ClientOptions{
		URL: p.ServiceURL, Authentication: p.asAdmin(), OperationTimeout: time.Second, Logger: pulsarlog.DefaultNopLogger(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if _, err := c.TopicPartitions(topic); err == nil {
		t.Error("a client reached the broker, though its proxy refuses")
	}
	if err := p.Ping(t.Context()); err != nil {
		t.Errorf("Ping: %v, want it to go around the proxy", err)
	}
}
