package connect

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// OAuth says where tokens are fetched with the client credentials grant (RFC 6749, section 4.4).
type OAuth struct {
	TokenURL     string
	ClientID     string
	ClientSecret string
	Scopes       []string
	Audience     string
}

// oauthTimeout is for one token.
const oauthTimeout = 5 * time.Second

// ErrNoToken means that no token was to be had, so the broker was not even asked.
var ErrNoToken = errors.New("no token")

// tokens returns a source that keeps a token until shortly before it expires. The authorities in ca, which sign the broker's
// certificate, are trusted here too, beside the machine's: both are often behind one company's own.
func (o OAuth) tokens(ca []byte) TokenSource {
	c := clientcredentials.Config{ClientID: o.ClientID, ClientSecret: o.ClientSecret, TokenURL: o.TokenURL, Scopes: o.Scopes}
	if o.Audience != "" {
		c.EndpointParams = url.Values{"audience": {o.Audience}}
	}
	client := &http.Client{Timeout: oauthTimeout, Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: trusting(ca), DisableKeepAlives: true,
	}}
	var mu sync.Mutex
	var current *oauth2.Token
	return func(ctx context.Context) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if current.Valid() {
			return current.AccessToken, nil
		}
		t, err := c.Token(context.WithValue(ctx, oauth2.HTTPClient, client))
		if err != nil {
			return "", fmt.Errorf("%w: %w", ErrNoToken, withoutBody(err))
		}
		current = t
		return t.AccessToken, nil
	}
}

// trusting returns settings that trust the machine's authorities, and those in ca.
func trusting(ca []byte) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(ca) == 0 {
		return c
	}
	var err error
	if c.RootCAs, err = x509.SystemCertPool(); err != nil {
		c.RootCAs = x509.NewCertPool()
	}
	c.RootCAs.AppendCertsFromPEM(ca)
	return c
}

// withoutBody keeps out of an error what the endpoint says at length: it may repeat what it was asked.
func withoutBody(err error) error {
	refused, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok {
		return err
	}
	status := "no status"
	if refused.Response != nil {
		status = refused.Response.Status
	}
	if refused.ErrorCode != "" {
		return fmt.Errorf("the token endpoint answers %s (%s)", refused.ErrorCode, status)
	}
	return fmt.Errorf("the token endpoint answers %s", status)
}
