package connect

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
)

// Explain says in a few words why a connection failed, whatever the broker, and what to do. The text is the same while the
// problem is the same: it has no port of ours, no time and no secret. encrypted says whether TLS was to be used.
func Explain(err error, encrypted bool) string {
	if text := explainTLS(err); text != "" {
		return text
	}
	var timeout net.Error
	var dns *net.DNSError
	switch {
	case errors.Is(err, context.Canceled):
		return "the call was cancelled"
	case errors.As(err, &dns):
		return fmt.Sprintf("the host name %q cannot be resolved", dns.Name)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		if encrypted { // A server that does not speak TLS waits for the end of the line.
			return "the server does not answer in time: does it speak TLS on this port?"
		}
		return "the server does not answer in time"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection is refused: is the server running, and the port right?"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "there is no route to the host"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		if encrypted {
			return "the server closed the connection: if it wants a client certificate, set one"
		}
		return "the server closed the connection: if it expects TLS, set tls"
	}
	return "the connection failed"
}

func explainTLS(err error) string {
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &record):
		return "the server does not speak TLS on this port: use its TLS port, or remove tls"
	case errors.As(err, &authority):
		return "TLS failed: the server's certificate is signed by an unknown authority: set the CA that signed it"
	case errors.As(err, &host):
		return "TLS failed: the server's certificate is not for this host: correct the address, or set the server name"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "TLS failed: the server's certificate has expired or is not valid yet"
	case errors.As(err, &invalid):
		return "TLS failed: the server's certificate is not valid"
	case errors.As(err, &alert):
		return refusedTLS(strings.TrimPrefix(alert.Error(), "tls: "))
	}
	// crypto/tls has no type for an alert that the peer sent.
	if _, alert, ok := strings.Cut(err.Error(), "remote error: tls: "); ok {
		return refusedTLS(alert)
	}
	return ""
}

func refusedTLS(alert string) string {
	return "TLS failed: the server refuses the connection (" + alert + "): if it wants a client certificate, set one"
}
