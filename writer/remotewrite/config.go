package remotewrite

import (
	"kinglet/conf/httpclient"
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

	TimeoutMs           int64 `toml:"timeout"`      // ms, whole attempt
	DialTimeoutMs       int64 `toml:"dial_timeout"` // ms
	MaxIdleConnsPerHost int   `toml:"max_idle_conns_per_host"`
	httpclient.TLS

	RetryStatus  []int         `toml:"retry_status"` // more statuses to retry, beside 429, 499 and 5xx
	MinBackoff   unit.Duration `toml:"min_backoff"`
	MaxBackoff   unit.Duration `toml:"max_backoff"`
	StaleMarkers bool          `toml:"stale_markers"`
}
