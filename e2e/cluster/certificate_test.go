//go:build e2e

package cluster

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// sampleName is the name that the certificate of the HTTPS pod is for: what
// kinglet's configuration has as tls_server_name, as pods have no name.
const sampleName = "sample.apps.svc"

// issueCertificate has the cluster's own authority, which every pod's service
// account comes with, sign a certificate, and puts it where the HTTPS pod waits
// for it.
func (m *machine) issueCertificate(ctx context.Context) error {
	if _, err := m.kubectl(ctx, "-n", "apps", "get", "secret", "sample-tls"); err == nil {
		return nil
	}
	authority, authorityKey, err := m.authority()
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: sampleName},
		DNSNames:     []string{sampleName},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, authority, &key.PublicKey, authorityKey)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "kinglet-e2e-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	if err := errors.Join(
		os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}), 0o600),
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600),
	); err != nil {
		return err
	}
	_, err = m.kubectl(ctx, "-n", "apps", "create", "secret", "tls", "sample-tls", "--cert", certFile, "--key", keyFile)
	return err
}

// authority is the cluster's: its certificate and key.
func (m *machine) authority() (*x509.Certificate, *ecdsa.PrivateKey, error) {
	var blocks []*pem.Block
	for _, name := range []string{"ca.crt", "ca.key"} {
		text, err := os.ReadFile(filepath.Join(m.work, "pki", name))
		if err != nil {
			return nil, nil, err
		}
		block, _ := pem.Decode(text)
		if block == nil {
			return nil, nil, fmt.Errorf("%s is no PEM", name)
		}
		blocks = append(blocks, block)
	}
	cert, err := x509.ParseCertificate(blocks[0].Bytes)
	if err != nil {
		return nil, nil, err
	}
	key, err := x509.ParseECPrivateKey(blocks[1].Bytes)
	return cert, key, err
}
