package heartbeat

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"kinglet/conf/httpclient"
	"kinglet/conf/unit"
)

// Config is [heartbeat]. Begin from DefaultConfig. Fields tagged
// expand:"braces" take ${NAME}.
type Config struct {
	Enable   bool          `toml:"enable"`
	URL      string        `toml:"url" expand:"braces"`
	Interval unit.Duration `toml:"interval"` // between heartbeats; below 4s means 4s, as in Categraf

	User     string   `toml:"basic_auth_user" expand:"braces"`
	Pass     string   `toml:"basic_auth_pass" expand:"braces"`
	PassFile string   `toml:"basic_auth_pass_file" expand:"braces"`
	Headers  []string `toml:"headers" expand:"braces"` // name, value, name, value; Host sets the request's host

	TimeoutMs           int64  `toml:"timeout"`      // ms, whole attempt; 0 = the default
	DialTimeoutMs       int64  `toml:"dial_timeout"` // ms; 0 = the default
	MaxIdleConnsPerHost int    `toml:"max_idle_conns_per_host"`
	HTTPProxy           string `toml:"http_proxy" expand:"braces"` // "" = HTTP_PROXY and its siblings in the environment
	httpclient.TLS
}

const (
	defaultTimeout     = 5 * time.Second
	defaultDialTimeout = 2500 * time.Millisecond
	minInterval        = 4 * time.Second
	maxInterval        = time.Hour
)

// DefaultConfig is off. Its interval and timeouts are those of Categraf's
// sample: Nightingale shows a host as up for a minute after a heartbeat, so
// that with one in ten seconds five may be lost.
func DefaultConfig() Config {
	return Config{
		Interval:            unit.Seconds(10),
		TimeoutMs:           defaultTimeout.Milliseconds(),
		DialTimeoutMs:       defaultDialTimeout.Milliseconds(),
		MaxIdleConnsPerHost: 1,
	}
}

// Validate reports every fault at once, each under its TOML key. A table that
// is not enabled has none.
func (c Config) Validate() error {
	if !c.Enable {
		return nil
	}
	faults := []error{c.urlFault()}
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.Interval.Duration < 0 || c.Interval.Duration > maxInterval {
		fault("interval = %v: want 4s to 1h", c.Interval)
	}
	if c.Pass != "" && c.PassFile != "" {
		fault("basic_auth_pass and basic_auth_pass_file are both set: want one of them")
	}
	if c.User == "" && (c.Pass != "" || c.PassFile != "") {
		fault("basic_auth_pass is set without basic_auth_user: want both")
	}
	most := time.Hour.Milliseconds()
	if c.TimeoutMs < 0 || c.TimeoutMs > most {
		fault("timeout = %d: want milliseconds up to an hour, 0 for %d", c.TimeoutMs, defaultTimeout.Milliseconds())
	}
	if c.DialTimeoutMs < 0 || c.DialTimeoutMs > most {
		fault("dial_timeout = %d: want milliseconds up to an hour, 0 for %d", c.DialTimeoutMs, defaultDialTimeout.Milliseconds())
	}
	if c.MaxIdleConnsPerHost < 0 {
		fault("max_idle_conns_per_host = %d: want 0 or more", c.MaxIdleConnsPerHost)
	}
	faults = append(faults, c.headerFaults()...)
	if err := c.http().Validate(); err != nil {
		// The leaf knows the proxy's key by another name.
		faults = append(faults, renamed(err, "proxy_url: ", "http_proxy: ")...)
	}
	return errors.Join(faults...)
}

// renamed takes joined errors apart, and one that begins with old begins with
// its replacement.
func renamed(err error, old, replacement string) []error {
	list, ok := err.(interface{ Unwrap() []error }) //nolint:errorlint // the list itself is wanted, not one within
	if ok {
		var all []error
		for _, e := range list.Unwrap() {
			all = append(all, renamed(e, old, replacement)...)
		}
		return all
	}
	if rest, found := strings.CutPrefix(err.Error(), old); found {
		return []error{errors.New(replacement + rest)}
	}
	return []error{err}
}

// urlFault never quotes the URL: it may hold a password.
func (c Config) urlFault() error {
	const example = "http://HOST:17000/v1/n9e/heartbeat"
	if strings.TrimSpace(c.URL) == "" {
		return errors.New(`url = "": want the address of Nightingale's heartbeat, ` + example)
	}
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || strings.Contains(c.URL, "${"):
		return errors.New("url cannot be read: want " + example + ", with special characters percent-encoded")
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("url has scheme %q: want http:// or https://", u.Scheme)
	case u.Hostname() == "":
		return errors.New("url has no host: want " + example)
	}
	return nil
}

// reserved headers say what the body is, or belong to the connection.
var reserved = []string{
	"Content-Encoding", "Content-Type", "Content-Length", "Connection", "Keep-Alive", "Transfer-Encoding", "Te",
	"Trailer", "Upgrade", "Accept-Encoding",
}

func (c Config) headerFaults() []error {
	var faults []error
	for i := 0; i+1 < len(c.Headers); i += 2 {
		name, value := http.CanonicalHeaderKey(c.Headers[i]), c.Headers[i+1]
		switch {
		case slices.Contains(reserved, name):
			faults = append(faults, fmt.Errorf("headers: %s is set by kinglet and cannot be changed: want it removed", c.Headers[i]))
		case name == "Host" && (value == "" || strings.ContainsAny(value, "/ ")):
			faults = append(faults, errors.New("headers: Host wants HOST or HOST:PORT"))
		}
	}
	return faults
}

// every is the time between heartbeats.
func (c Config) every() time.Duration { return max(c.Interval.Duration, minInterval) }

// timeout is the time of one heartbeat, from connecting to the end of the
// answer.
func (c Config) timeout() time.Duration {
	return cmp.Or(time.Duration(c.TimeoutMs)*time.Millisecond, defaultTimeout)
}

// http is the client's configuration. A user without a password is not sent, as
// in Categraf, whose samples have both keys empty or both set.
func (c Config) http() httpclient.Config {
	tls := c.TLS
	tls.UseTLS = tls.UseTLS || strings.HasPrefix(strings.ToLower(c.URL), "https:")
	user := c.User
	if c.Pass == "" && c.PassFile == "" {
		user = ""
	}
	return httpclient.Config{
		TLS:      tls,
		Username: user, Password: c.Pass, PasswordFile: c.PassFile,
		Headers: c.Headers, ProxyURL: cmp.Or(c.HTTPProxy, httpclient.ProxyFromEnvironment),
		DialTimeout:         cmp.Or(time.Duration(c.DialTimeoutMs)*time.Millisecond, defaultDialTimeout),
		MaxIdleConnsPerHost: max(c.MaxIdleConnsPerHost, 1),
	}
}

// displayURL is the address as a log may show it: without user, password and
// query.
func (c Config) displayURL() string {
	u, err := url.Parse(c.URL)
	if err != nil {
		return "(unreadable URL)"
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}
