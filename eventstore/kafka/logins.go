package kafka

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/endpoint"
)

// logins watches how the connections of a store's clients come about. It implements [kgo.HookBrokerConnect].
type logins struct {
	mu      sync.Mutex
	refused time.Time // Since when the brokers refuse us; zero: they do not.

	restart context.Context // Ends with an error that matches [eventstore.ErrRestart].
	end     context.CancelCauseFunc
}

func newLogins() *logins {
	l := &logins{}
	l.restart, l.end = context.WithCancelCause(context.Background())
	return l
}

// OnBrokerConnect implements [kgo.HookBrokerConnect].
func (l *logins) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if errors.Is(err, eventstore.ErrRestart) {
		l.end(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.refused = time.Time{}
	case errors.Is(err, kerr.SaslAuthenticationFailed) && l.refused.IsZero():
		l.refused = time.Now()
	}
}

// passes reports whether brokers that refuse us may take us yet: they did, and the Secret may become another.
func (l *logins) passes(err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Is(err, kerr.SaslAuthenticationFailed) && (l.refused.IsZero() || time.Since(l.refused) < endpoint.Patience)
}
