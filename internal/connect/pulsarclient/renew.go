package pulsarclient

import (
	"context"
	"crypto/tls"
	"errors"
	"sync"

	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
)

// renewal has the tokens of the settings of the moment. While these stay the same, so does their source, which keeps a
// token until it expires.
type renewal struct {
	renew func() (Config, error)

	mu     sync.Mutex
	digest string
	source connect.TokenSource
}

func (r *renewal) token(ctx context.Context) (string, error) {
	now, err := r.renew()
	if err != nil {
		return "", err
	}
	source := r.of(now)
	if source == nil {
		return "", errors.New("there is no token any more")
	}
	return source(ctx)
}

func (r *renewal) of(now Config) connect.TokenSource {
	r.mu.Lock()
	defer r.mu.Unlock()
	if digest := connect.Digest(now); digest != r.digest {
		r.source, r.digest = now.source(), digest
	}
	return r.source
}

// certificate returns the one of the moment.
func (p Config) certificate() (*tls.Certificate, error) {
	now, err := p.Renew()
	if err != nil {
		return nil, err
	}
	if now.TLS == nil {
		return nil, errors.New("there is no client certificate any more")
	}
	c, err := now.TLS.Config()
	if err != nil {
		return nil, err
	}
	if len(c.Certificates) == 0 {
		return nil, errors.New("there is no client certificate any more")
	}
	return &c.Certificates[0], nil
}
