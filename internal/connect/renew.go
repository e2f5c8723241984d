package connect

import (
	"context"
	"crypto/tls"
	"net"
	"time"
)

// dialTimeout is for one connection, TLS included, that is made with the settings of the moment.
const dialTimeout = 5 * time.Second

// Untried makes err one of dialling: who sees it knows that nothing was sent.
func Untried(err error) error {
	if op, ok := err.(*net.OpError); ok && op.Op == "dial" { //nolint:errorlint // Is it the very same?
		return err
	}
	return &net.OpError{Op: "dial", Net: "tcp", Err: err}
}

// Dial connects to a server, and encrypts the connection as t says.
func Dial(ctx context.Context, address string, t *TLS) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var d interface {
		DialContext(ctx context.Context, network, address string) (net.Conn, error)
	} = &net.Dialer{}
	if t != nil {
		config, err := t.Config()
		if err != nil {
			return nil, Untried(err)
		}
		d = &tls.Dialer{Config: config}
	}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, Untried(err)
	}
	return conn, nil
}
