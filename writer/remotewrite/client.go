package remotewrite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"kinglet/conf/httpclient"
)

// Doer sends one HTTP request, with the credentials and headers that the user
// configured. It follows no redirect.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
	// Forget closes idle connections and has secrets and certificates read
	// again.
	Forget()
}

// NewHTTP makes what sends the requests of cfg. It reads no file and opens no
// connection.
func NewHTTP(cfg Config) (Doer, error) {
	client, err := httpclient.New(cfg.http())
	if err != nil {
		return nil, err
	}
	return &wire{Client: client, lean: newLean(cfg, client)}, nil
}

// wire is a Doer that has a shorter way for bodies that need no more.
type wire struct {
	*httpclient.Client
	lean *lean // nil if all needs more
}

func (w *wire) Forget() {
	w.Client.Forget()
	w.lean.forget()
}

func (c Config) http() httpclient.Config {
	tls := c.TLS
	tls.UseTLS = tls.UseTLS || strings.HasPrefix(strings.ToLower(c.URL), "https:")
	return httpclient.Config{
		TLS:      tls,
		Username: c.User, Password: c.Pass, PasswordFile: c.PassFile,
		BearerToken: c.BearerToken, BearerTokenFile: c.BearerTokenFile, OAuth2: c.OAuth2,
		Headers: c.Headers, ProxyURL: cmp.Or(c.ProxyURL, httpclient.ProxyFromEnvironment),
		DialTimeout: c.DialTimeout(), MaxIdleConnsPerHost: max(c.MaxIdleConnsPerHost, 1),
	}
}

// Client posts bodies to one endpoint. It is safe for concurrent use.
type Client struct {
	http      Doer
	url       string
	userAgent string
	timeout   time.Duration
	hide      func(string) string // makes an answer's text fit to be shown
}

// NewClient makes a client for the endpoint of cfg. UserAgent is
// "kinglet/VERSION".
func NewClient(cfg Config, http Doer, userAgent string) *Client {
	return &Client{http: http, url: cfg.URL, userAgent: userAgent, timeout: cfg.Timeout(), hide: cfg.http().Hider(cfg.URL)}
}

// A StatusError is an answer other than 2xx.
type StatusError struct {
	Code       int
	Text       string        // what the receiver says, its first 1 KiB without our secrets, for people only (RW-70)
	RetryAfter time.Duration // 0 if the receiver asks for none
}

func (e *StatusError) Error() string {
	if e.Text == "" {
		return fmt.Sprintf("endpoint answered %d %s", e.Code, http.StatusText(e.Code))
	}
	return fmt.Sprintf("endpoint answered %d: %s", e.Code, e.Text)
}

const (
	maxErrorText  = 1 << 10   // of an answer that is kept
	maxAnswer     = 256 << 10 // of an answer that is read to keep the connection
	maxRetryAfter = 5 * time.Minute
)

// Answer is what an endpoint answered, if it did.
type Answer struct {
	Status  int // 0: there was no answer
	Written Written
}

// Written is what a 2.0 receiver says it wrote (RW-74).
type Written struct {
	Told                           bool // there was such a header
	Samples, Histograms, Exemplars int
}

// Post sends body in one attempt, which is the attempt-th retry of it. The
// error is nil on any 2xx, a *StatusError on another answer, else what went
// wrong on the way. It blocks for the timeout at most, and on no path leaves
// the answer unclosed.
func (c *Client) Post(ctx context.Context, body Body, attempt int) (Answer, error) {
	if w, ok := c.http.(*wire); ok && w.lean.usable() {
		answer, err := w.lean.post(ctx, c, body, attempt)
		if !errors.Is(err, errNotLean) {
			return answer, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	request, err := c.request(ctx, body, attempt)
	if err != nil {
		return Answer{}, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return Answer{}, c.explain(ctx, err, body)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(response.Body, maxErrorText))
	// What is left is read so that the connection can be used again. Whether
	// that works changes nothing: the status is known.
	_, _ = io.CopyN(io.Discard, response.Body, maxAnswer)
	answer := Answer{Status: response.StatusCode, Written: written(response.Header)}
	return answer, c.statusError(answer.Status, text, response.Header.Get("Retry-After"))
}

// statusError is nil for a 2xx.
func (c *Client) statusError(code int, text []byte, retry string) error {
	if code/100 == 2 {
		return nil
	}
	return &StatusError{
		Code: code, Text: strings.TrimSpace(c.hide(string(text))), RetryAfter: retryAfter(retry, time.Now()),
	}
}

// written reads the headers of that name; a missing one is 0 (RW-75).
func written(h http.Header) Written { return writtenBy(h.Get) }

func writtenBy(header func(name string) string) (w Written) {
	read := func(name string) int {
		text := header(name)
		if text == "" {
			return 0 // as with nearly every answer
		}
		n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		w.Told = w.Told || err == nil
		return int(max(n, 0))
	}
	w.Samples = read("x-prometheus-remote-write-samples-written")
	w.Histograms = read("x-prometheus-remote-write-histograms-written")
	w.Exemplars = read("x-prometheus-remote-write-exemplars-written")
	return w
}

func (c *Client) request(ctx context.Context, body Body, attempt int) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, body.reader())
	if err != nil {
		return nil, errUnreadableURL // err would show parts of it
	}
	request.ContentLength = int64(body.size)
	request.GetBody = func() (io.ReadCloser, error) { return body.reader(), nil }
	request.Header = http.Header{
		"Content-Encoding":                  {"snappy"},
		"Content-Type":                      {"application/x-protobuf"},
		"User-Agent":                        {c.userAgent},
		"X-Prometheus-Remote-Write-Version": {"0.1.0"},
		// The empty key is not sent. It tells net/http that the request may be
		// repeated, which it does at once where a kept connection turns out to
		// be closed.
		"X-Idempotency-Key": {},
	}
	switch body.form {
	case formMessage2:
		request.Header.Set("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request")
		request.Header.Set("X-Prometheus-Remote-Write-Version", "2.0.0")
	case formZstd:
		request.Header.Set("Content-Encoding", "zstd")
		request.Header.Set("X-VictoriaMetrics-Remote-Write-Version", "1")
	}
	if attempt > 0 {
		request.Header.Set("Retry-Attempt", strconv.Itoa(attempt))
	}
	return request, nil
}

var errUnreadableURL = errors.New("make request: the url cannot be read")

// explain says what an attempt without an answer died of.
func (c *Client) explain(ctx context.Context, err error, body Body) error {
	return c.failed(errors.Is(ctx.Err(), context.DeadlineExceeded), err, body)
}

func (c *Client) failed(late bool, err error, body Body) error {
	if late {
		return fmt.Errorf("post %d bytes: no answer within %v (timeout)", body.size, c.timeout)
	}
	return fmt.Errorf("post %d bytes: %w", body.size, withoutURL(err))
}

// withoutURL takes the URL out of an error of net/http: it may hold a secret.
func withoutURL(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}

// retryAfter reads the header of that name: seconds, or a date. What is zero,
// past or unreadable is no wish (RW-64); more than five minutes is five.
func retryAfter(header string, now time.Time) time.Duration {
	header = strings.TrimSpace(header)
	if header == "" {
		return 0
	}
	wait := time.Duration(0)
	if seconds, err := strconv.ParseUint(header, 10, 63); err == nil {
		wait = time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	} else if at, err := http.ParseTime(header); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), maxRetryAfter)
}
