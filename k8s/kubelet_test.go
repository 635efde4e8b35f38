package k8s

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority signs certificates, and has its own in a file.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{key: newKey(t), file: filepath.Join(t.TempDir(), "ca.crt")}
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.cert.Raw = sign(t, a.cert, a, a.key)
	writePEM(t, a.file, a.cert.Raw)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t *testing.T, cert *x509.Certificate, by *authority, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	raw, err := x509.CreateCertificate(rand.Reader, cert, by.cert, &key.PublicKey, by.key)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func writePEM(t *testing.T, file string, raw []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// issue makes a serving certificate for a name and an address.
func (a *authority) issue(t *testing.T, name string, ip net.IP) tls.Certificate {
	t.Helper()
	key := newKey(t)
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "system:node:" + name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip != nil {
		cert.IPAddresses = []net.IP{ip}
	}
	return tls.Certificate{Certificate: [][]byte{sign(t, cert, a, key)}, PrivateKey: key}
}

// serve answers over TLS on 127.0.0.1.
func serve(t *testing.T, cert tls.Certificate, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.Config.ErrorLog = discardLog()
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func tokenIn(t *testing.T, token string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func mustKubelet(t *testing.T, cfg KubeletConfig, node Node) *Kubelet {
	t.Helper()
	k, err := NewKubelet(cfg, node)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

// getFails is the error of asking for a page, "" if there is none.
func getFails(t *testing.T, k *Kubelet, page string) string {
	t.Helper()
	resp, err := k.Get(t.Context(), page)
	if err != nil {
		return err.Error()
	}
	resp.Body.Close()
	return ""
}

func TestKubeletIsKnownByItsCertificate(t *testing.T) {
	cluster, stranger := newAuthority(t, "cluster"), newAuthority(t, "stranger")
	own := stranger.issue(t, "node1", nil)
	pinned := filepath.Join(t.TempDir(), "kubelet.crt")
	writePEM(t, pinned, own.Certificate[0])
	node := Node{Name: "node1", IP: "10.0.0.7"}
	for _, tt := range []struct {
		name string
		cert tls.Certificate
		cfg  KubeletConfig
		want string // in the error; "" for none
	}{
		{"for the node's name, though another address is dialled", cluster.issue(t, "node1", nil), KubeletConfig{CAFile: cluster.file}, ""},
		{"for the node's address", cluster.issue(t, "other", net.ParseIP("10.0.0.7")), KubeletConfig{CAFile: cluster.file}, ""},
		{"for the address that is dialled", cluster.issue(t, "other", net.ParseIP("127.0.0.1")), KubeletConfig{CAFile: cluster.file}, ""},
		{"for another node", cluster.issue(t, "node2", nil), KubeletConfig{CAFile: cluster.file}, "set kubelet_server_name"},
		{"for a name that is configured", cluster.issue(t, "node2", nil), KubeletConfig{CAFile: cluster.file, ServerName: "node2"}, ""},
		{"for the node, though another name is configured", cluster.issue(t, "node1", nil), KubeletConfig{CAFile: cluster.file, ServerName: "node2"}, "set kubelet_server_name"},
		{"of a stranger", own, KubeletConfig{CAFile: cluster.file}, "is not signed by kubelet_ca_file"},
		{"of a stranger, but pinned", own, KubeletConfig{CAFile: cluster.file, CertFile: pinned}, ""},
		{"of the cluster, where another is pinned", cluster.issue(t, "node1", nil), KubeletConfig{CAFile: cluster.file, CertFile: pinned}, ""},
		{"of a stranger, where another of his is pinned", stranger.issue(t, "node1", nil), KubeletConfig{CAFile: cluster.file, CertFile: pinned}, "is not signed by kubelet_ca_file"},
		{"of a stranger, who is let in", own, KubeletConfig{InsecureSkipVerify: true}, ""},
		{"a CA file that is not there", own, KubeletConfig{CAFile: "/nowhere/ca.crt"}, "want kubelet_ca_file or kubelet_cert_file to name"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			asked := 0
			s := serve(t, tt.cert, func(http.ResponseWriter, *http.Request) { asked++ })
			tt.cfg.URL, tt.cfg.TokenFile = s.URL, tokenIn(t, "secret")
			got := getFails(t, mustKubelet(t, tt.cfg, node), "/metrics")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
			if tt.want != "" && asked > 0 {
				t.Error("a stranger was given the token")
			}
		})
	}
}

func TestKubeletIsGivenTheTokenAsItIsNow(t *testing.T) {
	cluster := newAuthority(t, "cluster")
	var got []string
	s := serve(t, cluster.issue(t, "node1", nil), func(_ http.ResponseWriter, r *http.Request) {
		got = append(got, r.Header.Get("Authorization"))
	})
	file := tokenIn(t, "first")
	k := mustKubelet(t, KubeletConfig{URL: s.URL, TokenFile: file, CAFile: cluster.file}, Node{Name: "node1"})
	if fault := getFails(t, k, "/pods"); fault != "" {
		t.Fatal(fault)
	}
	if err := os.WriteFile(file, []byte("second"), 0o600); err != nil {
		t.Fatal(err)
	}
	if fault := getFails(t, k, "/pods"); fault != "" {
		t.Fatal(fault)
	}
	if len(got) != 2 || got[0] != "Bearer first" || got[1] != "Bearer second" {
		t.Errorf("%q", got)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if fault := getFails(t, k, "/pods"); !strings.Contains(fault, "automountServiceAccountToken") || strings.Contains(fault, "second") {
		t.Errorf("without a token: %q", fault)
	}
	if len(got) != 2 {
		t.Error("it was asked without a token")
	}
}

func TestRefusalsNameThePermission(t *testing.T) {
	for _, tt := range []struct {
		page   string
		status int
		want   string
	}{
		{"/pods", 403, "the kubelet answers 403 Forbidden to /pods: the service account lacks a permission: " +
			"its ClusterRole needs the verb get on nodes/pods, or on nodes/proxy before Kubernetes 1.33"},
		{"/metrics/cadvisor", 403, "the kubelet answers 403 Forbidden to /metrics/cadvisor: the service account lacks a permission: " +
			"its ClusterRole needs the verb get on nodes/metrics"},
		{"/metrics", 401, "the kubelet answers 401 Unauthorized to /metrics: it does not know the token, or cannot ask the API server whose it is: check kubelet_token_file, " +
			"and that the kubelet runs with --authentication-token-webhook"},
		{"/pods", 500, "the kubelet answers 500 Internal Server Error to /pods: no more today"},
		{"/pods", 302, "the kubelet answers 302 Found to /pods: no more today"},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "" {
				t.Error("the token was sent in the clear")
			}
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(tt.status)
			_, _ = w.Write([]byte("no more\ntoday"))
		}))
		k := mustKubelet(t, KubeletConfig{URL: s.URL, TokenFile: tokenIn(t, "secret")}, Node{})
		if got := getFails(t, k, tt.page); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
		s.Close()
	}
}

func TestPermissions(t *testing.T) {
	for page, want := range map[string]string{
		"/pods": "nodes/pods", "/metrics": "nodes/metrics", "/metrics/probes": "nodes/metrics", "/stats/summary": "nodes/stats",
		"/healthz": "nodes/healthz", "/metricsx": "nodes/proxy", "/run": "nodes/proxy", "/logs/": "nodes/log",
	} {
		if got := Permission(page); got != want {
			t.Errorf("%s: %s, want %s", page, got, want)
		}
	}
}

func TestKubeletConfigValidate(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  KubeletConfig
		want string
	}{
		{"the default", DefaultKubeletConfig(), ""},
		{"an address", KubeletConfig{URL: "https://node1:10250/"}, ""},
		{"IPv6", KubeletConfig{URL: "https://[fd00::7]:10250"}, ""},
		{"a path", KubeletConfig{URL: "https://node1:10250/pods"}, "kubelet_url: want https://HOST:10250, without a path"},
		{"no scheme", KubeletConfig{URL: "node1:10250"}, "kubelet_url: want https://HOST:10250, without a path"},
		{"a password", KubeletConfig{URL: "https://a:b@node1:10250"}, "kubelet_url: want https://HOST:10250, without a path"},
		{"pinned and not checked", KubeletConfig{CertFile: "x", InsecureSkipVerify: true}, "kubelet_insecure_skip_verify and kubelet_cert_file: want one of them"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := message(tt.cfg.Validate()); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestThisNode(t *testing.T) {
	for _, tt := range []struct {
		name, configured string
		env              map[string]string
		want             Node
		url              string
	}{
		{"Categraf's manifests", "", map[string]string{"HOSTNAME": "node-7", "HOSTIP": "10.0.0.7"}, Node{"node-7", "10.0.0.7", "HOSTNAME"}, "https://10.0.0.7:10250/pods"},
		{"the surest name wins", "", map[string]string{"HOSTNAME": "kinglet-x7k2p", "NODE_NAME": "node-7"}, Node{"node-7", "", "NODE_NAME"}, "https://127.0.0.1:10250/pods"},
		{"the configured name wins", "here", map[string]string{"K8S_NODENAME": "there"}, Node{"here", "", ""}, "https://127.0.0.1:10250/pods"},
		{"IPv6", "n", map[string]string{"HOST_IP": "fd00::7"}, Node{"n", "fd00::7", ""}, "https://[fd00::7]:10250/pods"},
		{"an address that is none", "n", map[string]string{"HOSTIP": "x", "NODE_IP": "10.0.0.8"}, Node{"n", "10.0.0.8", ""}, "https://10.0.0.8:10250/pods"},
		{"nothing", "", nil, Node{}, "https://127.0.0.1:10250/pods"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			node := ThisNode(tt.configured, func(name string) (string, bool) { v, ok := tt.env[name]; return v, ok })
			if node != tt.want {
				t.Errorf("%+v, want %+v", node, tt.want)
			}
			if got := mustKubelet(t, DefaultKubeletConfig(), node).URL("/pods"); got != tt.url {
				t.Errorf("%s, want %s", got, tt.url)
			}
		})
	}
}
