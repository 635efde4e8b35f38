package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

func dnsFault(err error) string {
	fault, ok := errors.AsType[*net.DNSError](err)
	switch {
	case ok && fault.IsNotFound:
		return "no such name"
	case ok && fault.IsTimeout, errors.Is(err, context.DeadlineExceeded):
		return "the resolver does not answer in time"
	}
	return oneLine(err.Error())
}

func netFault(err error) string {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "no route"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	}
	if fault, ok := errors.AsType[net.Error](err); ok && fault.Timeout() {
		return "no answer in time"
	}
	return oneLine(err.Error())
}

// tlsFault says what is wrong with a handshake and what to change; "" if that
// is not what went wrong.
func tlsFault(err error) string {
	if fault, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		issuer := ""
		if fault.Cert != nil {
			issuer = fmt.Sprintf(" (issuer %s)", fault.Cert.Issuer)
		}
		return "the certificate is of an authority that is not trusted here" + issuer + ": set tls_ca to that authority's certificate"
	}
	if fault, ok := errors.AsType[x509.HostnameError](err); ok {
		return fmt.Sprintf("the certificate is not for %s but for %s: mend the name in url, or set tls_server_name", fault.Host, namesOf(fault.Certificate))
	}
	if fault, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		if fault.Reason == x509.Expired && fault.Cert != nil {
			return fmt.Sprintf("the certificate is valid from %s to %s only: renew it, or mend this node's clock", day(fault.Cert.NotBefore), day(fault.Cert.NotAfter))
		}
		return "the certificate is not valid: " + oneLine(fault.Error())
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || strings.Contains(err.Error(), "server gave HTTP response to HTTPS client") {
		return "the endpoint speaks no TLS: want http:// in url, or another port"
	}
	if fault, ok := errors.AsType[tls.AlertError](err); ok {
		return "the endpoint refuses the handshake (" + oneLine(fault.Error()) + "): a certificate of ours may be wanted, tls_cert and tls_key, or another tls_min_version"
	}
	if strings.Contains(err.Error(), "tls: ") || strings.Contains(err.Error(), "x509: ") {
		return oneLine(err.Error())
	}
	return ""
}

// secretFault says that a file with a secret cannot be read; "" if that is not
// what went wrong.
func secretFault(err error) string {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return oneLine(err.Error())
	}
	return ""
}

func namesOf(c *x509.Certificate) string {
	if c == nil {
		return "another"
	}
	names := append([]string{}, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	switch {
	case len(names) == 0:
		return "no name at all"
	case len(names) > 5:
		return strings.Join(names[:5], ", ") + ", ..."
	}
	return strings.Join(names, ", ")
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// oneLine is the beginning of a text, without line breaks.
func oneLine(text string) string {
	const most = 300
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}
