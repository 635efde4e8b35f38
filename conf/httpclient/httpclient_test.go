package httpclient

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestConfigValidate(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"zero is valid", Config{}, ""},
		{"an unknown TLS version", Config{TLS: TLS{MinVersion: "1.9"}}, `tls_min_version = "1.9": want 1.0, 1.1, 1.2 or 1.3`},
		{"versions the wrong way round", Config{TLS: TLS{MinVersion: "1.3", MaxVersion: "1.2"}},
			`tls_min_version = "1.3": is above tls_max_version = "1.2"`},
		{"an unknown cipher suite", Config{TLS: TLS{CipherSuites: []string{"FAST"}}},
			`tls_cipher_suites: "FAST" is unknown: want names such as TLS_AES_128_GCM_SHA256`},
		{"a certificate without key", Config{TLS: TLS{Cert: "c.pem"}}, "tls_cert and tls_key: want both or none"},
		{"inline PEM that is none", Config{TLS: TLS{CA: "-----BEGIN CERTIFICATE-----\nx"}}, "tls_ca holds no certificate in PEM form"},
		{"an encrypted key", Config{TLS: TLS{Cert: "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
			Key: "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"}},
			"tls_key is encrypted, which is not supported: decrypt it with `openssl pkey`"},
		{"headers that are no pairs", Config{Headers: []string{"X-A"}}, "headers has 1 entries: want pairs of name and value"},
		{"every bad header at once, values unseen", Config{Headers: []string{"X A", "1", "X-B", "secret\n"}},
			"headers[0] = \"X A\": want a header name\nheaders[3]: the value of \"X-B\" holds a line break"},
		{"a proxy that is no URL", Config{ProxyURL: "proxy:3128"}, "proxy_url: want http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if err := tt.cfg.Validate(); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// echo answers with the headers that tests ask about.
func echo(w http.ResponseWriter, r *http.Request) {
	io.WriteString(w, strings.Join([]string{
		r.Header.Get("Authorization"), strings.Join(r.Header.Values("X-A"), "+"), r.Host,
	}, "|"))
}

func TestDoSendsCredentialsAndHeaders(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(echo))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	password := writeFile(t, "password", "from file\n")
	for _, tt := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"nothing", Config{}, "||" + host},
		{"basic", Config{Username: "u", Password: "p"}, "Basic dTpw||" + host},
		{"basic from a file", Config{Username: "u", PasswordFile: password}, "Basic dTpmcm9tIGZpbGU=||" + host},
		{"bearer beats basic", Config{Username: "u", Password: "p", BearerToken: "t"}, "Bearer t||" + host},
		{"headers come last and may repeat", Config{BearerToken: "t", Headers: []string{"authorization", "mine", "x-a", "1", "X-A", "2"}},
			"mine|1+2|" + host},
		{"Host sets the host", Config{Headers: []string{"host", "other"}}, "||other"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := get(t, newClient(t, tt.cfg), server.URL); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestATokenFileIsReadAgainForEveryRequest(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(echo))
	defer server.Close()
	path := writeFile(t, "token", "old\n")
	client := newClient(t, Config{BearerTokenFile: path})
	if got := get(t, client, server.URL); !strings.HasPrefix(got, "Bearer old|") {
		t.Errorf("got %q", got)
	}
	if err := os.WriteFile(path, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := get(t, client, server.URL); !strings.HasPrefix(got, "Bearer new|") {
		t.Errorf("got %q", got)
	}
}

func TestWithoutItsSecretNothingIsSent(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") }))
	defer server.Close()
	missing := filepath.Join(t.TempDir(), "missing")
	for _, tt := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"no token file", Config{BearerTokenFile: missing}, "bearer_token_file: open " + missing},
		{"no password file", Config{Username: "u", PasswordFile: missing}, "password file: open " + missing},
		{"an empty token", Config{BearerTokenFile: writeFile(t, "empty", " \n")}, "is empty"},
		{"a token of two lines", Config{BearerTokenFile: writeFile(t, "two", "a\nb")}, "holds more than one line"},
		{"no CA", Config{TLS: TLS{CA: missing}}, "tls_ca: open " + missing},
		{"no certificate", Config{TLS: TLS{Cert: missing, Key: missing}}, "tls_cert: open " + missing},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := request(t, server.URL)
			resp, err := newClient(t, tt.cfg).Do(req)
			if err == nil {
				resp.Body.Close()
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q does not say %q", err, tt.want)
			}
		})
	}
}

func TestRedirectsTakeNothingToAnotherHost(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(echo))
	defer other.Close()
	var first *httptest.Server
	first = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, other.URL, http.StatusFound)
		case "/here":
			http.Redirect(w, r, first.URL+"/echo", http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		default:
			echo(w, r)
		}
	}))
	defer first.Close()
	cfg := Config{BearerToken: "t", Headers: []string{"X-A", "1"}, FollowRedirects: true}
	client := newClient(t, cfg)
	if got, want := get(t, client, first.URL+"/away"), "||"+strings.TrimPrefix(other.URL, "http://"); got != want {
		t.Errorf("away: got %q, want %q", got, want)
	}
	if got, want := get(t, client, first.URL+"/here"), "Bearer t|1|"+strings.TrimPrefix(first.URL, "http://"); got != want {
		t.Errorf("here: got %q, want %q", got, want)
	}
	if err := fault(t, client, first.URL+"/loop"); err == nil || err.Error() != "stopped after 10 redirects" {
		t.Errorf("loop: %v", err)
	}
	cfg.FollowRedirects = false
	resp, err := newClient(t, cfg).Do(request(t, first.URL+"/away"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusFound {
		t.Errorf("status %d: the redirect was followed", resp.StatusCode)
	}
}

func TestErrorsShowNoURL(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(echo))
	server.Close()
	err := fault(t, newClient(t, Config{}), server.URL+"/?token=secret")
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
}

func TestTLSFilesAreReadAgainWhenTheyChange(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := ""
		if len(r.TLS.PeerCertificates) > 0 {
			name = r.TLS.PeerCertificates[0].Subject.CommonName
		}
		io.WriteString(w, name)
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	defer server.Close()
	ca := writeFile(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	cert, key := writeFile(t, "cert.pem", ""), writeFile(t, "key.pem", "")
	client := newClient(t, Config{TLS: TLS{CA: ca, Cert: cert, Key: key, MinVersion: "1.2"}})
	if err := fault(t, client, server.URL); err == nil || !strings.Contains(err.Error(), "tls_cert and tls_key") {
		t.Errorf("with an empty certificate: %v", err)
	}
	for _, name := range []string{"first", "second one"} {
		certText, keyText := selfSigned(t, name)
		if err := os.WriteFile(cert, certText, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(key, keyText, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := get(t, client, server.URL); got != name {
			t.Errorf("the server saw %q, want %q", got, name)
		}
	}
	certText, keyText := selfSigned(t, "inline")
	inline := newClient(t, Config{TLS: TLS{CA: ca, Cert: string(certText), Key: string(keyText)}})
	if got := get(t, inline, server.URL); got != "inline" {
		t.Errorf("the server saw %q, want inline", got)
	}
	if err := fault(t, newClient(t, Config{}), server.URL); err == nil {
		t.Error("an unknown authority was trusted")
	}
	if got := get(t, newClient(t, Config{TLS: TLS{InsecureSkipVerify: true}}), server.URL); got != "" {
		t.Errorf("got %q", got)
	}
}

func newClient(t *testing.T, cfg Config) *Client {
	t.Helper()
	client, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func request(t *testing.T, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// fault is the error of a request that should not succeed.
func fault(t *testing.T, client *Client, url string) error {
	t.Helper()
	resp, err := client.Do(request(t, url))
	if err == nil {
		resp.Body.Close()
	}
	return err
}

func get(t *testing.T, client *Client, url string) string {
	t.Helper()
	resp, err := client.Do(request(t, url))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func selfSigned(t *testing.T, name string) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}
