// Package endpoint reads from a connection Secret where the brokers are, and how to trust them.
package endpoint

import (
	"cmp"
	"net"
	"strings"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// Patience is how long brokers may refuse credentials that they took before, until a subscription ends because of it. The
// kubelet takes up to two minutes to write a changed Secret into a folder, and a server that lost its users gets them again.
const Patience = 5 * time.Minute

// Addresses returns those that the first of the keys lists that has any, else the host of the Secret, with the port if it
// has none.
func Addresses(s eventstore.Secret, port string, keys ...string) []string {
	for _, key := range keys {
		if all := list(s.Get(key)); len(all) > 0 {
			return all
		}
	}
	if host := s.Get(layout.SecretHost); host != "" {
		return []string{net.JoinHostPort(host, cmp.Or(s.Get(layout.SecretPort), port))}
	}
	return nil
}

// list returns what is between commas, without white space and empty places.
func list(s string) (all []string) {
	for a := range strings.SplitSeq(s, ",") {
		if a = strings.TrimSpace(a); a != "" {
			all = append(all, a)
		}
	}
	return all
}

// OAuth returns where to fetch tokens, and as whom; nil if the password is a token itself, or there is none.
func OAuth(s eventstore.Secret) *connect.OAuth {
	id, secret := s.Get(layout.SecretUsername), s.Get(layout.SecretPassword)
	jwt := strings.HasPrefix(secret, "eyJ") && strings.Count(secret, ".") == 2 // A JSON web token begins with {" in base64.
	if s.Get(layout.SecretTokenURL) == "" || id == "" || secret == "" || jwt {
		return nil
	}
	return &connect.OAuth{
		TokenURL: s.Get(layout.SecretTokenURL), ClientID: id, ClientSecret: secret,
		Scopes: list(s.Get(layout.SecretTokenScopes)), Audience: s.Get(layout.SecretTokenAudience),
	}
}

// Encrypted reports whether the Secret asks for TLS.
func Encrypted(s eventstore.Secret) bool { return s.Get(layout.SecretTLS) == "true" }

// TLS returns whom to trust and who we are, where connections are encrypted.
func TLS(s eventstore.Secret) *connect.TLS {
	return &connect.TLS{CA: s[layout.SecretCA], Certificate: s[layout.SecretCertificate], PrivateKey: s[layout.SecretPrivateKey]}
}
