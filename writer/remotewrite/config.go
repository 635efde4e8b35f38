package remotewrite

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"kinglet"
	"kinglet/conf/httpclient"
	"kinglet/conf/relabel"
	"kinglet/conf/unit"
)

// Config is one [[writers]] table. Begin from DefaultConfig: zero is never a
// default, but for timeouts of 0, which mean the default as in Categraf's
// samples. Fields tagged expand:"braces" take ${NAME}.
type Config struct {
	Name            string   `toml:"name"` // in logs and metrics; the position ("1", "2", ...) if empty
	URL             string   `toml:"url" expand:"braces"`
	User            string   `toml:"basic_auth_user" expand:"braces"`
	Pass            string   `toml:"basic_auth_pass" expand:"braces"`
	PassFile        string   `toml:"basic_auth_pass_file" expand:"braces"`
	BearerToken     string   `toml:"bearer_token_string" expand:"braces"`
	BearerTokenFile string   `toml:"bearer_token_file" expand:"braces"`
	Headers         []string `toml:"headers" expand:"braces"` // name, value, name, value; Host sets the request's host

	Profile    Profile  `toml:"profile"`     // what receives; "auto" finds out
	FreshShare *float64 `toml:"fresh_share"` // see Habits.FreshShare; nil: as the profile has it

	QueryURL string `toml:"query_url" expand:"braces"` // Prometheus query API of the same store, for kinglet doctor alone

	TimeoutMs           int64  `toml:"timeout"`      // ms, whole attempt
	DialTimeoutMs       int64  `toml:"dial_timeout"` // ms
	MaxIdleConnsPerHost int    `toml:"max_idle_conns_per_host"`
	ProxyURL            string `toml:"proxy_url" expand:"braces"` // "" = HTTP_PROXY and its siblings in the environment
	httpclient.TLS
	httpclient.OAuth2

	RetryStatus      []int         `toml:"retry_status"` // more statuses to retry, beside 429, 499 and 5xx
	MinBackoff       unit.Duration `toml:"min_backoff"`
	MaxBackoff       unit.Duration `toml:"max_backoff"`
	StaleMarkers     bool          `toml:"stale_markers"`     // false for stores that cannot take NaN
	Exemplars        bool          `toml:"exemplars"`         // send those that pages have
	NativeHistograms bool          `toml:"native_histograms"` // likewise

	ProtobufMessage string            `toml:"protobuf_message"` // "1.0", "2.0" or "auto": 2.0 once the receiver has shown that it writes it
	Compression     string            `toml:"compression"`      // "snappy"; "zstd", which VictoriaMetrics takes; or "auto": zstd where the profile has it
	MaxAge          unit.Duration     `toml:"max_age"`          // samples older than this are given up; 0 = never
	ExternalLabels  map[string]string `toml:"external_labels" expand:"all"`

	WriteRelabelConfigs []relabel.Rule `toml:"write_relabel_configs"` // after external labels, once for each series

	MetadataInterval unit.Duration `toml:"metadata_interval"` // 1.0 only: types and help are sent so often, in requests of their own; 0 = never
}

// Values of Config.ProtobufMessage and Config.Compression.
const (
	Message1       = "1.0"
	Message2       = "2.0"
	MessageAuto    = "auto"
	CompressSnappy = "snappy"
	CompressZstd   = "zstd"
	CompressAuto   = "auto"
)

const (
	defaultTimeout     = 30 * time.Second
	defaultDialTimeout = 5 * time.Second
)

// DefaultConfig gives an attempt 30 s (RW-10) and connects within 5 s, which
// leaves room for a lost SYN or two. The backoff of 30 ms doubling to 5 s
// (RW-62) costs a dead endpoint 12 requests a minute from each node and notices
// within 5 s that it is back. One connection is kept, since one request is in
// flight. Exemplars and native histograms are on because only pages that were
// asked for them have any. Remote write 1.0 is what every receiver stores; some
// answer 2xx to 2.0 and store nothing. Metadata is not sent, because the stores
// of Categraf's users drop it.
func DefaultConfig() Config {
	return Config{
		Profile:             ProfileAuto,
		TimeoutMs:           defaultTimeout.Milliseconds(),
		DialTimeoutMs:       defaultDialTimeout.Milliseconds(),
		MaxIdleConnsPerHost: 1,
		MinBackoff:          unit.Duration{Duration: 30 * time.Millisecond},
		MaxBackoff:          unit.Seconds(5),
		StaleMarkers:        true,
		Exemplars:           true,
		NativeHistograms:    true,
		ProtobufMessage:     Message1,
		Compression:         CompressSnappy,
	}
}

// Timeout is the time of one attempt, from connecting to the end of the answer.
func (c Config) Timeout() time.Duration { return millis(c.TimeoutMs, defaultTimeout) }

// DialTimeout is the time to connect.
func (c Config) DialTimeout() time.Duration { return millis(c.DialTimeoutMs, defaultDialTimeout) }

func millis(ms int64, otherwise time.Duration) time.Duration {
	if ms == 0 {
		return otherwise
	}
	return time.Duration(ms) * time.Millisecond
}

// Validate reports every fault at once, each under its TOML key.
func (c Config) Validate() error {
	faults := append(c.urlFaults(), c.authFaults()...)
	faults = append(faults, c.headerFaults()...)
	if err := c.http().Validate(); err != nil {
		faults = append(faults, err)
	}
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if strings.ContainsFunc(c.Name, func(r rune) bool { return r < ' ' || r == 0x7f }) || len(c.Name) > 100 {
		fault("name = %q: want at most 100 printable characters", c.Name)
	}
	const most = int64(time.Hour / time.Millisecond)
	if c.TimeoutMs < 0 || c.TimeoutMs > most {
		fault("timeout = %d: want milliseconds up to an hour, 0 for %d", c.TimeoutMs, defaultTimeout.Milliseconds())
	}
	if c.DialTimeoutMs < 0 || c.DialTimeoutMs > most {
		fault("dial_timeout = %d: want milliseconds up to an hour, 0 for %d", c.DialTimeoutMs, defaultDialTimeout.Milliseconds())
	}
	if q, err := url.Parse(c.QueryURL); c.QueryURL != "" && (err != nil || q.Host == "" || q.Scheme != "http" && q.Scheme != "https") {
		fault("query_url: want http://HOST:PORT, below which /api/v1/query is")
	}
	if c.MaxIdleConnsPerHost < 0 {
		fault("max_idle_conns_per_host = %d: want 0 or more", c.MaxIdleConnsPerHost)
	}
	for _, status := range c.RetryStatus {
		if status < 300 || status > 999 {
			fault("retry_status has %d: want HTTP statuses from 300 on", status)
		}
	}
	if c.MinBackoff.Duration < time.Millisecond {
		fault("min_backoff = %v: want 1ms or more", c.MinBackoff)
	}
	if c.MaxBackoff.Duration < c.MinBackoff.Duration {
		fault("max_backoff = %v: want min_backoff (%v) or more", c.MaxBackoff, c.MinBackoff)
	}
	faults = append(faults, c.messageFaults()...)
	faults = append(faults, c.profileFaults()...)
	return errors.Join(append(faults, c.relabelFaults()...)...)
}

func (c Config) messageFaults() []error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if !slices.Contains([]string{Message1, Message2, MessageAuto}, c.ProtobufMessage) {
		fault("protobuf_message = %q: want %q, %q or %q", c.ProtobufMessage, Message1, Message2, MessageAuto)
	}
	if !slices.Contains([]string{CompressSnappy, CompressZstd, CompressAuto}, c.Compression) {
		fault("compression = %q: want %q, %q or %q", c.Compression, CompressSnappy, CompressZstd, CompressAuto)
	}
	if c.Compression == CompressZstd && c.ProtobufMessage != Message1 {
		fault("compression = %q: want protobuf_message = %q with it", CompressZstd, Message1)
	}
	if c.MetadataInterval.Duration != 0 && c.MetadataInterval.Duration < time.Second {
		fault("metadata_interval = %v: want 0s (never) or 1s or more", c.MetadataInterval)
	}
	if c.MaxAge.Duration < 0 {
		fault("max_age = %v: want 0s or more", c.MaxAge)
	}
	for _, name := range slices.Sorted(maps.Keys(c.ExternalLabels)) {
		if !kinglet.LegacyName(name, false) || name == "" || strings.HasPrefix(name, "__") {
			fault("external_labels has %q: want names of letters, digits and _, not beginning with a digit or __", name)
		}
		if !utf8.ValidString(c.ExternalLabels[name]) {
			fault("external_labels: the value of %s is not UTF-8", name)
		}
	}
	return faults
}

// profileFaults are those of the profile, and of what it does not go with.
func (c Config) profileFaults() []error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if share := c.FreshShare; share != nil && !(*share >= 0 && *share <= 0.9) {
		fault("fresh_share = %v: want 0 to 0.9", *share)
	}
	if !slices.Contains(profiles, c.Profile) {
		names := make([]string, len(profiles))
		for i, p := range profiles {
			names[i] = string(p)
		}
		fault("profile = %q: want one of %s", c.Profile, strings.Join(names, ", "))
		return faults
	}
	if c.Profile == ProfileAuto || c.Profile == ProfileOther {
		return faults
	}
	h := c.Profile.Habits()
	if c.ProtobufMessage == Message2 && !h.Message2 {
		fault("protobuf_message = %q: want %q with profile = %q, which answers 2xx to 2.0 and stores nothing", Message2, Message1, c.Profile)
	}
	if c.Compression == CompressZstd && !h.Zstd {
		fault("compression = %q: want %q with profile = %q", CompressZstd, CompressSnappy, c.Profile)
	}
	return faults
}

// A URLError says that nothing can be written to a URL. A sender that is given
// it all the same fails as one whose endpoint is down, and others work (RW-72).
type URLError struct{ fault string }

func (e *URLError) Error() string { return e.fault }

// urlFaults never quotes the URL: it may hold a password.
func (c Config) urlFaults() []error {
	switch {
	case strings.TrimSpace(c.URL) == "":
		return []error{errors.New(`url = "": want the address to write to, such as http://127.0.0.1:9090/api/v1/write`)}
	case strings.Contains(c.URL, "${"):
		return []error{errors.New("url holds ${...} that was not expanded: want ${NAME} with a name of letters, digits and _")}
	}
	u, err := url.Parse(c.URL)
	if err != nil {
		return []error{&URLError{"url cannot be read: want http://HOST:PORT/PATH, with special characters percent-encoded"}}
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return []error{&URLError{fmt.Sprintf("url has scheme %q: want http:// or https://", u.Scheme)}}
	}
	if u.Hostname() == "" {
		return []error{&URLError{"url has no host: want http://HOST:PORT/PATH"}}
	}
	return nil
}

func (c Config) authFaults() []error {
	var faults []error
	if c.Pass != "" && c.PassFile != "" {
		faults = append(faults, errors.New("basic_auth_pass and basic_auth_pass_file are both set: want one of them"))
	}
	if c.BearerToken != "" && c.BearerTokenFile != "" {
		faults = append(faults, errors.New("bearer_token_string and bearer_token_file are both set: want one of them"))
	}
	if c.User == "" && (c.Pass != "" || c.PassFile != "") {
		faults = append(faults, errors.New("basic_auth_pass is set without basic_auth_user: want both"))
	}
	var ways []string
	if c.User != "" {
		ways = append(ways, "basic_auth_user")
	}
	if c.BearerToken != "" || c.BearerTokenFile != "" {
		ways = append(ways, "bearer_token")
	}
	if c.OAuth2.On() {
		ways = append(ways, "oauth2_client_id")
	}
	if c.header("Authorization") != "" {
		ways = append(ways, "an Authorization header")
	}
	if len(ways) > 1 {
		faults = append(faults, fmt.Errorf("%s are both set: want one of them", strings.Join(ways, " and ")))
	}
	return faults
}

// reserved headers belong to the protocol or to the connection (RW-07).
var reserved = []string{
	"Content-Encoding", "Content-Type", "Content-Length", "X-Prometheus-Remote-Write-Version", "User-Agent",
	"Connection", "Keep-Alive", "Transfer-Encoding", "Te", "Trailer", "Upgrade", "Accept-Encoding", "Www-Authenticate",
	"Retry-Attempt",
}

func (c Config) headerFaults() []error {
	if len(c.Headers)%2 != 0 {
		return nil // httpclient says so
	}
	var faults []error
	for i := 0; i < len(c.Headers); i += 2 {
		name, value := c.Headers[i], c.Headers[i+1]
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case slices.Contains(reserved, canonical) || strings.HasPrefix(canonical, "Proxy-"):
			faults = append(faults, fmt.Errorf("headers: %s is set by kinglet and cannot be changed: want it removed", name))
		case canonical == "Host" && (value == "" || strings.ContainsAny(value, "/ ")):
			faults = append(faults, errors.New("headers: Host wants HOST or HOST:PORT"))
		}
	}
	return faults
}

// header is the value of the custom header of that canonical name, or "".
func (c Config) header(canonical string) string {
	for i := 0; i+1 < len(c.Headers); i += 2 {
		if http.CanonicalHeaderKey(c.Headers[i]) == canonical {
			return c.Headers[i+1]
		}
	}
	return ""
}

// DisplayURL is the endpoint's address as logs and pages may show it: without
// user, password, and the values of its query.
func (c Config) DisplayURL() string {
	u, err := url.Parse(c.URL)
	if err != nil {
		return "(unreadable URL)"
	}
	u.User, u.Fragment = nil, ""
	if u.RawQuery != "" {
		keys := make([]string, 0, 4)
		for key := range u.Query() {
			keys = append(keys, url.QueryEscape(key)+"=...")
		}
		slices.Sort(keys)
		u.RawQuery = strings.Join(keys, "&")
	}
	return u.String()
}
