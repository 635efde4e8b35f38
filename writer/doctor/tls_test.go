package doctor_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"kinglet/writer/doctor"
	"kinglet/writer/remotewrite"
)

// certificate makes one that signs itself, and its PEM text.
func certificate(t *testing.T, from, until time.Time, names ...string) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: from, NotAfter: until,
		BasicConstraintsValid: true, IsCA: true, DNSNames: names, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	if len(names) == 0 {
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestTLSFaultsAreNamedWithTheirRemedy(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		claim       string
		from, until time.Time
		names       []string // 127.0.0.1 if there are none
		edit        func(c *remotewrite.Config, ca string)
		grade       doctor.Grade
		says        string
	}{
		{"a trusted certificate", now.Add(-time.Hour), now.Add(9000 * time.Hour), nil, trusted, doctor.OK, "certificate for 127.0.0.1 until"},
		{"an unknown authority", now.Add(-time.Hour), now.Add(9000 * time.Hour), nil, func(*remotewrite.Config, string) {}, doctor.Fail, "(issuer CN=test authority): set tls_ca"},
		{"another name", now.Add(-time.Hour), now.Add(9000 * time.Hour), []string{"metrics.example"}, trusted, doctor.Fail, "not for 127.0.0.1 but for metrics.example"},
		{"another name that is expected", now.Add(-time.Hour), now.Add(9000 * time.Hour), []string{"metrics.example"}, func(c *remotewrite.Config, ca string) {
			c.CA, c.ServerName = ca, "metrics.example"
		}, doctor.OK, "certificate for metrics.example"},
		{"an expired certificate", now.Add(-48 * time.Hour), now.Add(-24 * time.Hour), nil, trusted, doctor.Fail, "renew it, or mend this node's clock"},
		{"one that ends soon", now.Add(-time.Hour), now.Add(73 * time.Hour), nil, trusted, doctor.Warn, "in 3 days: renew it"},
		{"no checks at all", now.Add(-time.Hour), now.Add(9000 * time.Hour), nil, func(c *remotewrite.Config, _ string) { c.InsecureSkipVerify = true }, doctor.Warn, "set tls_ca in place of insecure_skip_verify"},
		{"http:// to a server of TLS", now.Add(-time.Hour), now.Add(9000 * time.Hour), nil, func(c *remotewrite.Config, _ string) {
			c.URL = strings.Replace(c.URL, "https://", "http://", 1)
		}, doctor.Fail, "want https:// in url"},
		{"an old version of TLS", now.Add(-time.Hour), now.Add(9000 * time.Hour), nil, func(c *remotewrite.Config, ca string) { c.CA, c.MaxVersion = ca, "1.1" }, doctor.Fail, ""},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			pair, ca := certificate(t, tt.from, tt.until, tt.names...)
			server := httptest.NewUnstartedServer(prometheus())
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
			server.StartTLS()
			defer server.Close()
			cfg := remotewrite.DefaultConfig()
			cfg.URL = server.URL + "/api/v1/write"
			tt.edit(&cfg, ca)
			got := find(t, doctor.Writer(t.Context(), "1", cfg, quick()), "tls")
			if got.Grade != tt.grade || !strings.Contains(got.Detail, tt.says) {
				t.Errorf("got %s: %s\nwant %s: ...%s...", got.Grade, got.Detail, tt.grade, tt.says)
			}
		})
	}
}

func trusted(c *remotewrite.Config, ca string) { c.CA = ca }

func TestHTTPSToAServerWithoutTLS(t *testing.T) {
	cfg := prometheus().serve(t)
	cfg.URL = strings.Replace(cfg.URL, "http://", "https://", 1)
	got := find(t, doctor.Writer(t.Context(), "1", cfg, quick()), "tls")
	if got.Grade != doctor.Fail || !strings.Contains(got.Detail, "speaks no TLS: want http:// in url") {
		t.Errorf("got %v", got)
	}
}
