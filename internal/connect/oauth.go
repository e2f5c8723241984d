package connect

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// OAuth says where tokens are fetched with the client credentials grant (RFC 6749, section 4.4).
type OAuth struct {
	TokenURL     string
	ClientID     string
	ClientSecret string
	Scopes       []string
	Audience     string
}

// Details say by the keys of a connection Secret where tokens are fetched. As whom is not part of them.
func (o *OAuth) Details() map[string][]byte {
	if o == nil {
		return nil
	}
	d := map[string][]byte{layout.SecretTokenURL: []byte(o.TokenURL)}
	if len(o.Scopes) > 0 {
		d[layout.SecretTokenScopes] = []byte(strings.Join(o.Scopes, ","))
	}
	if o.Audience != "" {
		d[layout.SecretTokenAudience] = []byte(o.Audience)
	}
	return d
}

// oauthTimeout is for one token.
const oauthTimeout = 5 * time.Second

// oauthRenew is how long before it expires a token is renewed.
const oauthRenew = 10 * time.Second

// Tokens returns a source that keeps a token until shortly before it expires. The authorities in ca, which sign the broker's
// certificate, are trusted here too, beside the machine's: both are often behind one company's own.
func (o OAuth) Tokens(ca []byte) TokenSource {
	c := clientcredentials.Config{ClientID: o.ClientID, ClientSecret: o.ClientSecret, TokenURL: o.TokenURL, Scopes: o.Scopes}
	if o.Audience != "" {
		c.EndpointParams = url.Values{"audience": {o.Audience}}
	}
	client := &http.Client{Timeout: oauthTimeout, Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: trusting(ca), DisableKeepAlives: true,
	}}
	return Renewing(func(ctx context.Context) (string, time.Time, error) {
		t, err := c.Token(context.WithValue(ctx, oauth2.HTTPClient, client))
		if err != nil {
			return "", time.Time{}, o.explain(err)
		}
		if t.Expiry.IsZero() {
			return t.AccessToken, t.Expiry, nil
		}
		return t.AccessToken, t.Expiry.Add(-oauthRenew), nil
	})
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

// explain says why the endpoint gave no token. What it says at length is left out: it may repeat what it was asked.
func (o OAuth) explain(err error) error {
	e := &TokenError{Cause: err}
	switch {
	case o.refusal(err, e):
	case !isTransport(err):
		e.Text = "the token endpoint answers with something that is no token: see that tokenURL is right"
	default:
		e.Text = "the token endpoint cannot be asked: " + Explain(err, strings.HasPrefix(o.TokenURL, "https:"))
	}
	return e
}

// refusal fills in what the endpoint answered, if it is an answer that says so.
func (o OAuth) refusal(err error, e *TokenError) bool {
	answer, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok {
		return false
	}
	status, code := "no status", 0
	if answer.Response != nil {
		status, code = answer.Response.Status, answer.Response.StatusCode
	}
	e.Text = "the token endpoint answers " + status
	if answer.ErrorCode != "" {
		e.Text = fmt.Sprintf("the token endpoint answers %s (%s)", answer.ErrorCode, status)
	}
	e.Refused = slices.Contains([]int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden}, code)
	return true
}

// isTransport reports whether the request was not answered at all.
func isTransport(err error) bool {
	_, ok := errors.AsType[*url.Error](err)
	return ok || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
