package pulsarclient

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"
	pulsarlog "github.com/apache/pulsar-client-go/pulsar/log"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
)

// Config says how to reach an Apache Pulsar cluster.
type Config struct {
	ServiceURL string // pulsar:// or pulsar+ssl://
	AdminURL   string // http:// or https://; only the provider administers.

	Token string // JSON web token. Empty: none.
	OAuth *connect.OAuth
	TLS   *connect.TLS // nil: the machine's certificate authorities, where the URLs ask for TLS.

	Tenant       string // That stores are in.
	CreateTenant bool   // If it does not exist.

	// SigningKey is what the broker checks tokens with: a PEM private key, or the bytes of a shared secret. Empty: no
	// tokens are issued.
	SigningKey []byte

	// Renew returns the settings as they are now: the token and the client certificate are asked for whenever a connection is
	// made, or the broker wants to see them again; the rest stays. nil: all stay. It may be called concurrently.
	Renew func() (Config, error) `json:"-"`

	// Connections is how many HTTP connections are kept at most. Default: 16.
	Connections int
}

// Client returns a client that connects when it is first used, and reconnects by itself. With OAuth it fetches a token right
// away. The caller closes it.
func (p Config) Client() (pulsar.Client, error) {
	if p.ServiceURL == "" {
		return nil, errors.New("cannot connect to Pulsar: no service URL is given")
	}
	c, err := p.tls()
	if err != nil {
		return nil, err
	}
	return pulsar.NewClient(pulsar.ClientOptions{
		URL:               p.ServiceURL,
		Authentication:    p.authentication(c),
		TLSConfig:         c,
		ConnectionTimeout: 5 * time.Second,
		OperationTimeout:  10 * time.Second,
		Logger:            pulsarlog.NewLoggerWithSlog(slog.New(slog.NewTextHandler(connect.LogWriter{}, &slog.HandlerOptions{Level: slog.LevelWarn}))),
		// Its metrics are the client's own, and two clients would share them.
		MetricsRegisterer: prometheus.NewRegistry(),
	})
}

// Transport returns what carries requests to the admin API, with the credentials. It keeps its connections, and opens no
// more than are allowed: further requests wait for one until their context ends.
func (p Config) Transport() (http.RoundTripper, error) {
	if p.AdminURL == "" {
		return nil, errors.New("cannot connect to Pulsar: no admin URL is given")
	}
	c, err := p.tls()
	if err != nil {
		return nil, err
	}
	n := p.Connections
	if n == 0 {
		n = 16
	}
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:       c,
		TLSHandshakeTimeout:   5 * time.Second,
		MaxConnsPerHost:       n,
		MaxIdleConnsPerHost:   n,
		IdleConnTimeout:       90 * time.Second,
		ResponseHeaderTimeout: 30 * time.Second,
	}
	if p.OAuth == nil && p.Token == "" {
		return t, nil
	}
	return &bearer{tokens: p.tokens(), secure: strings.HasPrefix(p.AdminURL, "https:"), next: t}, nil
}

// ErrInsecureRedirect means that a broker redirects to another without TLS, which must not see the token.
var ErrInsecureRedirect = errors.New("a redirect without connect.TLS")

// A bearer adds a token to every request. Brokers redirect to each other, so there is no one host that it is for; but
// what began with TLS goes on with it.
type bearer struct {
	tokens connect.TokenSource
	secure bool
	next   http.RoundTripper
}

func (b *bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	if b.secure && r.URL.Scheme != "https" {
		return nil, ErrInsecureRedirect
	}
	token, err := b.tokens(r.Context())
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+token)
	return b.next.RoundTrip(r)
}

// CloseIdleConnections is called by http.Client.
func (b *bearer) CloseIdleConnections() {
	(&http.Client{Transport: b.next}).CloseIdleConnections()
}

// tokens returns a source of tokens; nil if there are none.
func (p Config) tokens() connect.TokenSource {
	source := p.source()
	if source == nil || p.Renew == nil {
		return source
	}
	return (&renewal{renew: p.Renew}).token
}

// source is of the tokens of these settings.
func (p Config) source() connect.TokenSource {
	switch {
	case p.OAuth != nil && p.TLS != nil:
		return p.OAuth.Tokens(p.TLS.CA)
	case p.OAuth != nil:
		return p.OAuth.Tokens(nil)
	case p.Token != "":
		return func(context.Context) (string, error) { return p.Token, nil }
	}
	return nil
}

func (p Config) tls() (*tls.Config, error) {
	t := connect.TLS{}
	if p.TLS != nil {
		t = *p.TLS
	}
	c, err := t.Config()
	if err == nil && p.Renew != nil && len(c.Certificates) > 0 {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return p.certificate() }
	}
	return c, err
}

// authentication is by token, else by client certificate, else there is none.
func (p Config) authentication(c *tls.Config) pulsar.Authentication {
	if tokens := p.tokens(); tokens != nil {
		return pulsar.NewAuthenticationTokenFromSupplier(func() (string, error) { return tokens(context.Background()) })
	}
	if len(c.Certificates) > 0 {
		return pulsar.NewAuthenticationFromTLSCertSupplier(func() (*tls.Certificate, error) { return &c.Certificates[0], nil })
	}
	return nil
}
