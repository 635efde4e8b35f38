package remotewrite

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"kinglet"
)

// Forms of a probe.
const (
	Probe1    = "1.0"
	Probe2    = "2.0"
	ProbeZstd = "zstd"
)

// ProbeAnswer is what an endpoint answered to a probe.
type ProbeAnswer struct {
	Status   int
	Text     string    // what it says, its first 1 KiB without our secrets, for people only
	Location string    // host of a redirect
	Date     time.Time // by the endpoint's clock, to the second; zero if it does not tell
	SentAt   time.Time
	GotAt    time.Time
	Written  Written
	TLS      *tls.ConnectionState // nil without
}

// Probe posts rows in that form, once, for a person who wants to know how the
// endpoint answers. Without rows it writes nothing. It blocks for the client's
// timeout at most; an answer of any status is no error.
func (c *Client) Probe(ctx context.Context, form string, rows ...*kinglet.Row) (ProbeAnswer, error) {
	body, err := probeBody(form, rows)
	if err != nil {
		return ProbeAnswer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	request, err := c.request(ctx, body, 0)
	if err != nil {
		return ProbeAnswer{}, err
	}
	return c.probe(request, body)
}

// ProbeJSON posts a JSON text to the client's URL, for the same purpose and
// under the same terms as Probe.
func (c *Client) ProbeJSON(ctx context.Context, text string) (ProbeAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, strings.NewReader(text))
	if err != nil {
		return ProbeAnswer{}, errUnreadableURL
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", c.userAgent)
	return c.probe(request, Body{size: len(text)})
}

func (c *Client) probe(request *http.Request, body Body) (ProbeAnswer, error) {
	answer := ProbeAnswer{SentAt: time.Now()}
	response, err := c.http.Do(request)
	if err != nil {
		return ProbeAnswer{}, c.explain(request.Context(), err, body)
	}
	defer response.Body.Close()
	answer.GotAt = time.Now()
	text, _ := io.ReadAll(io.LimitReader(response.Body, maxErrorText)) // what came of it will do
	answer.Status, answer.Written, answer.TLS = response.StatusCode, written(response.Header), response.TLS
	answer.Text = strings.TrimSpace(c.hide(string(text)))
	answer.Date, _ = http.ParseTime(response.Header.Get("Date")) // zero if it cannot be read
	if to, err := url.Parse(response.Header.Get("Location")); err == nil {
		answer.Location = to.Host
	}
	return answer, nil
}

func probeBody(name string, rows []*kinglet.Row) (Body, error) {
	forms := map[string]form{Probe1: formPlain, Probe2: formMessage2, ProbeZstd: formZstd}
	f, ok := forms[name]
	if !ok {
		return Body{}, fmt.Errorf("probe in form %q: want %s, %s or %s", name, Probe1, Probe2, ProbeZstd)
	}
	e := Encoder{MaxSamples: 1000, Extended: f == formMessage2}
	body, err := newBody(f, e.Encode(rows...))
	if err != nil {
		return Body{}, fmt.Errorf("make a probe: %w", err)
	}
	return body, nil
}

// Identify tells what kind of receiver the endpoint of cfg is, as far as its
// URL and harmless pages beside it show: ProfileOther if they do not. What cfg
// says of it is passed over. It blocks for 6 s at most.
func (c *Client) Identify(ctx context.Context, cfg Config) Profile {
	cfg.Profile = ProfileAuto
	i := newIdentity(cfg)
	i.ask(ctx, c)
	return i.profile
}

// Query asks a Prometheus query API at base, as of now, and returns the body of
// its answer, of at most 1 MiB. The client's credentials and headers go with
// it. It blocks for the client's timeout at most. An answer other than 200 is a
// *StatusError.
func (c *Client) Query(ctx context.Context, base, query string) ([]byte, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" {
		return nil, errors.New("query_url cannot be read: want http://HOST:PORT")
	}
	path := strings.TrimSuffix(u.Path, "/")
	u.Path, u.RawPath = strings.TrimSuffix(path, "/api/v1/query")+"/api/v1/query", ""
	values := u.Query()
	values.Set("query", query)
	u.RawQuery = values.Encode()
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return nil, errUnreadableURL
	}
	request.Header.Set("User-Agent", c.userAgent)
	response, err := c.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("query: %w", withoutURL(err))
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("read the answer to a query: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		text := strings.TrimSpace(c.hide(string(body[:min(len(body), maxErrorText)])))
		return nil, &StatusError{Code: response.StatusCode, Text: text}
	}
	return body, nil
}
