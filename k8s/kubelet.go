package k8s

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"kinglet/conf/httpclient"
)

// Where the service account's credentials are mounted in a pod.
const (
	serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount/"
	tokenFile      = serviceAccount + "token"
	caFile         = serviceAccount + "ca.crt"
)

// KubeletConfig says how the kubelet of this node is asked. Inputs embed it.
// Begin from DefaultKubeletConfig.
type KubeletConfig struct {
	// URL is its address without a path. "" is https://$HOSTIP:10250, and
	// 127.0.0.1 where no address of the node is known.
	URL string `toml:"kubelet_url" expand:"all"`
	// TokenFile holds the bearer token; it is read for every request. A http://
	// URL is asked without it.
	TokenFile string `toml:"kubelet_token_file" expand:"braces"`
	// CAFile vouches for the kubelet's certificate, which has to be for the
	// node's name, its address or the host of URL.
	CAFile string `toml:"kubelet_ca_file" expand:"braces"`
	// CertFile is the kubelet's own certificate, for those that no CA has
	// signed; "" for none. One that CAFile vouches for is good beside it.
	CertFile string `toml:"kubelet_cert_file" expand:"braces"`
	// ServerName is the only name that the certificate may be for; "" takes
	// those above.
	ServerName string `toml:"kubelet_server_name" expand:"all"`
	// InsecureSkipVerify sends the token to whoever answers.
	InsecureSkipVerify bool `toml:"kubelet_insecure_skip_verify"`
}

// DefaultKubeletConfig asks this node's kubelet as the service account of the
// pod that kinglet runs in.
func DefaultKubeletConfig() KubeletConfig {
	return KubeletConfig{TokenFile: tokenFile, CAFile: caFile}
}

// Validate reports every fault at once, each under its TOML key.
func (c KubeletConfig) Validate() error {
	var faults []error
	if c.URL != "" {
		u, err := url.Parse(c.URL)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" ||
			u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
			faults = append(faults, errors.New("kubelet_url: want https://HOST:10250, without a path"))
		}
	}
	if c.InsecureSkipVerify && c.CertFile != "" {
		faults = append(faults, errors.New("kubelet_insecure_skip_verify and kubelet_cert_file: want one of them"))
	}
	return errors.Join(faults...)
}

// dialTimeout bounds reaching a server on this node or the API server, and the
// handshake with it.
const dialTimeout = 5 * time.Second

// Kubelet asks the kubelet of this node. It is safe for concurrent use.
type Kubelet struct {
	base   string // "https://10.0.0.7:10250"
	client *httpclient.Client
}

// NewKubelet checks cfg and makes a client of it. It reads no file and opens no
// connection.
func NewKubelet(cfg KubeletConfig, node Node) (*Kubelet, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	base := strings.TrimRight(cfg.URL, "/")
	if base == "" {
		host := node.IP
		if host == "" {
			host = "127.0.0.1"
		}
		base = "https://" + net.JoinHostPort(host, "10250")
	}
	u, err := url.Parse(base)
	if err != nil {
		return nil, fmt.Errorf("kubelet_url: %w", err)
	}
	client := httpclient.Config{DialTimeout: dialTimeout}
	if u.Scheme == "https" {
		client.BearerTokenFile = cfg.TokenFile
		client.TLS = httpclient.TLS{CA: cfg.CAFile, ServerName: cfg.ServerName, InsecureSkipVerify: cfg.InsecureSkipVerify}
		client.Identity = httpclient.Identity{Names: identities(u.Hostname(), node), Pinned: cfg.CertFile}
	}
	made, err := httpclient.New(client)
	if err != nil {
		return nil, err
	}
	return &Kubelet{base: base, client: made}, nil
}

// identities are what this node's kubelet may call itself in its certificate.
func identities(host string, node Node) []string {
	names := []string{host}
	for _, name := range []string{node.Name, node.IP} {
		if name != "" && name != host {
			names = append(names, name)
		}
	}
	return names
}

// URL is the address of a page, such as "/metrics/cadvisor".
func (k *Kubelet) URL(page string) string { return k.base + page }

// Client sends requests to the kubelet, with its token. It is for this kubelet's
// URLs alone: any other host would be given the token. The Kubelet keeps owning
// it.
func (k *Kubelet) Client() *httpclient.Client { return k.client }

// Close closes idle connections. The Kubelet can still be used.
func (k *Kubelet) Close() { k.client.Close() }

// Get asks for a page. The caller closes the body. An answer other than 200 is
// a *StatusError, and every error says what to change where that is known.
func (k *Kubelet) Get(ctx context.Context, page string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.URL(page), nil)
	if err != nil {
		return nil, fmt.Errorf("ask the kubelet for %s: %w", page, err)
	}
	req.Header.Set("Accept-Encoding", "identity") // it is on this node
	resp, err := k.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the kubelet for %s: %w", k.URL(page), Explain(err))
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 512)) // the status says enough
		return nil, &StatusError{Page: page, Code: resp.StatusCode, Body: strings.Join(strings.Fields(string(text)), " ")}
	}
	return resp, nil
}

// A StatusError says that the kubelet answered with another status than 200.
type StatusError struct {
	Page string // "/pods"
	Code int
	Body string // its beginning, on one line
}

func (e *StatusError) Error() string {
	text := fmt.Sprintf("the kubelet answers %d %s to %s", e.Code, http.StatusText(e.Code), e.Page)
	if advice := Advice(e.Code, e.Page); advice != "" {
		return text + ": " + advice
	}
	if e.Body != "" {
		text += ": " + strings.ToValidUTF8(e.Body, "?")
	}
	return text
}

// Advice is what to change when the kubelet answers a request for a page with
// a status, or "".
func Advice(status int, page string) string {
	switch status {
	case http.StatusUnauthorized:
		return "it does not know the token, or cannot ask the API server whose it is: check kubelet_token_file, and that the kubelet runs with --authentication-token-webhook"
	case http.StatusForbidden:
		resource := Permission(page)
		advice := "the service account lacks a permission: its ClusterRole needs the verb get on " + resource
		if resource == "nodes/pods" || resource == "nodes/healthz" {
			advice += ", or on nodes/proxy before Kubernetes 1.33"
		}
		return advice
	case http.StatusNotFound:
		return "this kubelet has no such page"
	}
	return ""
}

// Permission is the RBAC resource that the kubelet wants the verb get on before
// it gives a page, by the rules of Kubernetes 1.33 and later. nodes/proxy, which
// allows far more, would do for some of them too.
func Permission(page string) string {
	under := func(root string) bool { return page == root || strings.HasPrefix(page, root+"/") }
	switch {
	case under("/pods"), under("/runningpods"):
		return "nodes/pods"
	case under("/healthz"):
		return "nodes/healthz"
	case under("/metrics"):
		return "nodes/metrics"
	case under("/stats"):
		return "nodes/stats"
	case under("/logs"):
		return "nodes/log"
	}
	return "nodes/proxy"
}

// Explain adds to an error of a request to the kubelet what to change, where
// that is known.
func Explain(err error) error {
	if file, ok := errors.AsType[*httpclient.FileError](err); ok && strings.HasPrefix(file.Key, "bearer_token") {
		return fmt.Errorf("%w: want the pod to have automountServiceAccountToken: true, or kubelet_token_file", file.Err)
	} else if ok {
		return fmt.Errorf("%w: want kubelet_ca_file or kubelet_cert_file to name a certificate in PEM form", file.Err)
	}
	if unverified, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fmt.Errorf("%w: %s", err, whyUnverified(unverified.Err))
	}
	return err
}

func whyUnverified(err error) string {
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "set kubelet_server_name to a name of the certificate"
	}
	return "the kubelet's certificate is not signed by kubelet_ca_file: give the kubelet one of the cluster's (serverTLSBootstrap), " +
		"name its own in kubelet_cert_file, such as /var/lib/kubelet/pki/kubelet.crt of the host, or, last, set kubelet_insecure_skip_verify"
}
