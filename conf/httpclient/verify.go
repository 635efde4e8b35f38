package httpclient

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// Identity says how a server whose certificate is not in the name of the dialled
// address shows who it is. The zero Identity leaves the usual check as it is.
type Identity struct {
	// Names are names and IP addresses: a certificate that the CA vouches for
	// has to be valid for one of them. Without any no such certificate is good.
	Names []string
	// Pinned is a PEM file with certificates, read again when it changes. A
	// server that shows the first of it is believed without a CA and whatever
	// its names; any other is checked as if nothing were pinned.
	Pinned string
}

// IsZero reports whether nothing is said.
func (id Identity) IsZero() bool { return len(id.Names) == 0 && id.Pinned == "" }

// apply makes cfg check the server's identity so. A tls.Config that verifies
// nothing stays one.
func (id Identity) apply(cfg *tls.Config) error {
	if id.IsZero() || cfg.InsecureSkipVerify {
		return nil
	}
	var pinned []byte
	if id.Pinned != "" {
		text, err := readBounded("pinned certificate", id.Pinned)
		if err != nil {
			return err
		}
		if pinned, err = firstCertificate(text); err != nil {
			return &FileError{"pinned certificate", fmt.Errorf("%s: %w", id.Pinned, err)}
		}
	}
	names, roots := id.Names, cfg.RootCAs
	if cfg.ServerName != "" {
		names = []string{cfg.ServerName}
	}
	cfg.InsecureSkipVerify = true // VerifyConnection does it, on every connection
	cfg.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return errors.New("the server shows no certificate")
		}
		leaf := state.PeerCertificates[0]
		if pinned != nil && bytes.Equal(leaf.Raw, pinned) {
			return nil
		}
		return verify(state, roots, names)
	}
	return nil
}

// verify checks the chain that a server shows, once, and its names one by one.
func verify(state tls.ConnectionState, roots *x509.CertPool, names []string) error {
	certs := state.PeerCertificates
	between := x509.NewCertPool()
	for _, cert := range certs[1:] {
		between.AddCert(cert)
	}
	if _, err := certs[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between}); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: certs, Err: err}
	}
	fault := errors.New("no name is known that the certificate is to be valid for")
	for _, name := range names {
		if fault = certs[0].VerifyHostname(name); fault == nil {
			return nil
		}
	}
	return &tls.CertificateVerificationError{UnverifiedCertificates: certs, Err: fault}
}

// firstCertificate is the first certificate of a PEM file, in DER.
func firstCertificate(text []byte) ([]byte, error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			return block.Bytes, nil
		}
	}
	return nil, errors.New("holds no certificate in PEM form")
}
