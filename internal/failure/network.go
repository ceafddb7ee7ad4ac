package failure

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
)

// Network classifies what goes wrong below HTTP: names, connections, TLS and time. It answers nil when err is none of these.
func Network(err error) *Error {
	if code, detail := network(err); code != "" {
		return &Error{Code: code, Detail: detail, Err: err}
	}
	return nil
}

func network(err error) (Code, string) {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsTimeout {
			return NetDNS, "the name server did not answer in time"
		}
		return NetDNS, "the host name does not resolve"
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return NetTimeout, "no answer in time"
	}
	if errors.Is(err, context.Canceled) {
		return NetInterrupted, "the attempt was cut short"
	}
	if detail := certificate(err); detail != "" {
		return NetTLS, detail
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return NetTimeout, "no answer in time"
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return NetRefused, "connection refused"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return NetUnreachable, "no route to the host"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, net.ErrClosed),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return NetReset, "the connection was closed before the answer was complete"
	}
	return "", ""
}

// certificate tells what is wrong with the peer's TLS, or "" if nothing is.
func certificate(err error) string {
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		switch e.Reason {
		case x509.Expired:
			return "the certificate has expired or is not yet valid"
		case x509.IncompatibleUsage:
			return "the certificate is not for servers: its extended key usage leaves server authentication out"
		case x509.NameConstraintsWithoutSANs:
			return unnamed
		}
		return "the certificate is not valid"
	}
	if e, ok := errors.AsType[x509.HostnameError](err); ok {
		return otherHost(e)
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "the certificate's authority is not trusted"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "the certificate cannot be verified"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "the peer does not speak TLS"
	}
	if errors.Is(err, http.ErrSchemeMismatch) { // net/http puts it in place of the RecordHeaderError
		return "the peer does not speak TLS"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" { // crypto/tls: the peer sent an alert, whose type is not exported
		return "the peer ended the handshake: " + op.Err.Error()
	}
	return ""
}

// unnamed is a certificate without a subject alternative name, the only place where clients look for a host since RFC
// 9525 (Go since 1.15). A person who looks at such a certificate sees the right name in it.
const unnamed = "the certificate names its host only in the common name; it needs a subject alternative name"

// otherHost tells a certificate without host names from one for another host.
func otherHost(e x509.HostnameError) string {
	c := e.Certificate
	if c == nil || len(c.DNSNames)+len(c.IPAddresses)+len(c.EmailAddresses)+len(c.URIs) > 0 {
		return "the certificate is for another host name"
	}
	if c.Subject.CommonName == "" {
		return "the certificate names no host; it needs a subject alternative name"
	}
	return unnamed
}
