// Package httpclient turns the TLS, authentication and proxy keys that a user
// writes into an HTTP client. Secrets that lie in files are read again when
// the file changes; while such a file cannot be read, no request is sent. A
// Client never logs, and its errors hold no secret.
package httpclient

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Config is all that one client needs. It is put together from the keys of a
// target or a writer; it is not read from TOML itself.
type Config struct {
	TLS TLS
	// Identity is for servers whose certificate is not in the dialled name.
	Identity Identity

	// Basic authentication, sent if Username is not empty. PasswordFile wins
	// over Password and is read for every request.
	Username, Password, PasswordFile string
	// Bearer authentication wins over basic. BearerTokenFile wins over
	// BearerToken and is read for every request.
	BearerToken, BearerTokenFile string
	// OAuth2 wins over both, if it is on.
	OAuth2 OAuth2
	// Headers are name, value, name, value. They are set last, over what the
	// request already has; a name given twice is sent twice. Host sets the
	// host of the request.
	Headers []string

	ProxyURL            string        // "" = no proxy; "environment" = HTTP_PROXY, HTTPS_PROXY, NO_PROXY
	FollowRedirects     bool          // up to 10; credentials and Headers stay with the first host
	DialTimeout         time.Duration // 0 = only the request's context ends a dial
	MaxIdleConnsPerHost int           // 0 = 2
	HTTP2               bool          // offer HTTP/2 to https servers
}

// ProxyFromEnvironment, as Config.ProxyURL, takes the proxy from the usual
// environment variables.
const ProxyFromEnvironment = "environment"

// Validate reports every fault at once, each under the TOML key it comes from.
// Files are not read: they may come later.
func (c Config) Validate() error {
	faults := []error{c.TLS.Validate(), c.OAuth2.Validate(), validateHeaders(c.Headers)}
	if c.ProxyURL != "" && c.ProxyURL != ProxyFromEnvironment {
		u, err := url.Parse(c.ProxyURL)
		if err != nil || u.Host == "" || !slices.Contains([]string{"http", "https", "socks5"}, u.Scheme) {
			faults = append(faults, errors.New("proxy_url: want http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT"))
		}
	}
	return errors.Join(faults...)
}

// validateHeaders checks a list of names and values. It never shows a value.
func validateHeaders(headers []string) error {
	if len(headers)%2 != 0 {
		return fmt.Errorf("headers has %d entries: want pairs of name and value", len(headers))
	}
	var faults []error
	for i := 0; i < len(headers); i += 2 {
		if !isToken(headers[i]) {
			faults = append(faults, fmt.Errorf("headers[%d] = %q: want a header name", i, headers[i]))
		}
		if strings.ContainsAny(headers[i+1], "\r\n\x00") {
			faults = append(faults, fmt.Errorf("headers[%d]: the value of %q holds a line break", i+1, headers[i]))
		}
	}
	return errors.Join(faults...)
}

// isToken reports whether s may be a header's name (RFC 9110, 5.6.2).
func isToken(s string) bool {
	for _, r := range s {
		if r <= ' ' || r > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r) {
			return false
		}
	}
	return s != ""
}

// Client sends requests with the configured TLS, credentials and headers. It
// is safe for concurrent use.
type Client struct {
	cfg    Config
	proxy  func(*http.Request) (*url.URL, error)
	files  []string // TLS files, read again when one changes
	tokens *tokens  // nil without OAuth2

	mu     sync.Mutex
	stamps []stamp
	http   *http.Client // nil until the TLS files could be read
}

// New checks cfg and makes a client of it. It reads no file and opens no
// connection.
func New(cfg Config) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, files: cfg.TLS.files()}
	if cfg.Identity.Pinned != "" {
		c.files = append(c.files, cfg.Identity.Pinned)
	}
	switch cfg.ProxyURL {
	case "":
	case ProxyFromEnvironment:
		c.proxy = http.ProxyFromEnvironment
	default:
		proxy, err := url.Parse(cfg.ProxyURL)
		if err != nil {
			return nil, errors.New("proxy_url is no URL") // the error would show its password
		}
		c.proxy = http.ProxyURL(proxy)
	}
	if cfg.OAuth2.On() {
		c.tokens = newTokens(cfg)
		c.tokens.http.proxy = c.proxy
	}
	return c, nil
}

// Do adds credentials and headers to req and sends it. The caller closes the
// body of the response. If a file with a secret cannot be read, nothing is
// sent and the error names the file.
func (c *Client) Do(req *http.Request) (*http.Response, error) {
	client, err := c.current()
	if err != nil {
		return nil, err
	}
	if err := c.Decorate(req); err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return nil, wrapped.Err // without the URL, whose query may hold a token
	}
	return resp, err
}

// Decorate adds credentials and headers to req, as Do does. With OAuth2 it may
// block to fetch a token, but not beyond the context of req.
func (c *Client) Decorate(req *http.Request) error {
	authorization, err := c.authorization(req.Context())
	if err != nil {
		return err
	}
	c.decorate(req, authorization)
	return nil
}

func (c *Client) decorate(req *http.Request, authorization string) {
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	for i := 0; i < len(c.cfg.Headers); i += 2 {
		name, value := http.CanonicalHeaderKey(c.cfg.Headers[i]), c.cfg.Headers[i+1]
		switch {
		case name == "Host":
			req.Host = value
		case c.headerGivenBefore(i):
			req.Header.Add(name, value)
		default:
			req.Header.Set(name, value)
		}
	}
}

func (c *Client) headerGivenBefore(i int) bool {
	for j := 0; j < i; j += 2 {
		if strings.EqualFold(c.cfg.Headers[j], c.cfg.Headers[i]) {
			return true
		}
	}
	return false
}

// authorization is the value of the header, "" for none.
func (c *Client) authorization(ctx context.Context) (string, error) {
	switch {
	case c.tokens != nil:
		return c.tokens.authorization(ctx)
	case c.cfg.BearerTokenFile != "":
		token, err := readSecret("bearer_token_file", c.cfg.BearerTokenFile)
		return "Bearer " + token, err
	case c.cfg.BearerToken != "":
		return "Bearer " + c.cfg.BearerToken, nil
	case c.cfg.Username == "":
		return "", nil
	}
	password := c.cfg.Password
	if c.cfg.PasswordFile != "" {
		var err error
		if password, err = readSecret("password file", c.cfg.PasswordFile); err != nil {
			return "", err
		}
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(c.cfg.Username+":"+password)), nil
}

// current is the client for the TLS files as they are now. Connections made
// with older files are not used again.
func (c *Client) current() (*http.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	stamps := stampsOf(c.files)
	if c.http != nil && slices.Equal(stamps, c.stamps) {
		return c.http, nil
	}
	tlsConfig, err := c.cfg.TLS.load()
	if err != nil {
		return nil, err
	}
	if err := c.cfg.Identity.apply(tlsConfig); err != nil {
		return nil, err
	}
	if c.http != nil {
		c.http.CloseIdleConnections()
	}
	c.stamps = stamps
	c.http = &http.Client{
		Transport: transport{&http.Transport{
			Proxy:                  c.proxy,
			DialContext:            (&net.Dialer{Timeout: c.cfg.DialTimeout, KeepAlive: 30 * time.Second}).DialContext,
			TLSClientConfig:        tlsConfig,
			TLSHandshakeTimeout:    c.cfg.DialTimeout,
			DisableCompression:     true, // who wants gzip asks for it and undoes it under a limit
			MaxIdleConnsPerHost:    c.cfg.MaxIdleConnsPerHost,
			IdleConnTimeout:        5 * time.Minute, // longer than most intervals
			MaxResponseHeaderBytes: 256 << 10,
			ForceAttemptHTTP2:      c.cfg.HTTP2,
		}},
		CheckRedirect: c.checkRedirect,
	}
	return c.http, nil
}

// Forget closes idle connections, and at the next request reads every TLS file
// again and fetches a new token, for a caller that was just refused.
func (c *Client) Forget() {
	if c.tokens != nil {
		c.tokens.forget()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stamps = nil
	if c.http != nil {
		c.http.CloseIdleConnections()
		c.http = nil
	}
}

// Close closes idle connections. The client can still be used.
func (c *Client) Close() {
	if c.tokens != nil {
		c.tokens.http.Close()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.http != nil {
		c.http.CloseIdleConnections()
	}
}

// checkRedirect bounds redirects, and takes credentials and configured headers
// off a request that leaves the first host, or that goes from https to http.
func (c *Client) checkRedirect(req *http.Request, via []*http.Request) error {
	if !c.cfg.FollowRedirects {
		return http.ErrUseLastResponse
	}
	if len(via) >= 10 {
		return errors.New("stopped after 10 redirects")
	}
	first := via[0].URL
	for _, hop := range append(slices.Clone(via[1:]), req) {
		if !strings.EqualFold(hop.URL.Host, first.Host) || (first.Scheme == "https" && hop.URL.Scheme != "https") {
			c.strip(req)
			return nil
		}
	}
	return nil
}

func (c *Client) strip(req *http.Request) {
	req.Header.Del("Authorization")
	req.Header.Del("Cookie")
	req.Header.Del("Referer")
	for i := 0; i < len(c.cfg.Headers); i += 2 {
		req.Header.Del(c.cfg.Headers[i])
	}
	req.Host = ""
}
