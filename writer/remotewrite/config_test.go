package remotewrite

import (
	"strings"
	"testing"

	"kinglet/conf/relabel"
	"kinglet/conf/unit"
)

func TestConfigValidate(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*Config)
		want string
	}{
		{"defaults with a URL are valid", func(*Config) {}, ""},
		{"timeouts of 0 mean the defaults", func(c *Config) { c.TimeoutMs, c.DialTimeoutMs, c.MaxIdleConnsPerHost = 0, 0, 0 }, ""},
		{"Host and Authorization are allowed", func(c *Config) { c.Headers = []string{"Host", "a:1", "Authorization", "X y", "X-Scope-OrgID", "t"} }, ""},
		{"no url", func(c *Config) { c.URL = " " }, `url = "": want the address to write to, such as http://127.0.0.1:9090/api/v1/write`},
		{"variable left over", func(c *Config) { c.URL = "http://${HOST IP}/write" }, "url holds ${...} that was not expanded: want ${NAME} with a name of letters, digits and _"},
		{"unknown scheme", func(c *Config) { c.URL = "ftp://host/write" }, `url has scheme "ftp": want http:// or https://`},
		{"no scheme", func(c *Config) { c.URL = "127.0.0.1/write" }, `url has scheme "": want http:// or https://`},
		{"no host", func(c *Config) { c.URL = "http:///write" }, "url has no host: want http://HOST:PORT/PATH"},
		{"an unreadable url is not shown", func(c *Config) { c.URL = "http://u:se%cret@h:x/" }, "url cannot be read: want http://HOST:PORT/PATH, with special characters percent-encoded"},
		{"reserved header", func(c *Config) { c.Headers = []string{"content-encoding", "gzip"} }, "headers: content-encoding is set by kinglet and cannot be changed: want it removed"},
		{"proxy header", func(c *Config) { c.Headers = []string{"Proxy-Authorization", "x"} }, "headers: Proxy-Authorization is set by kinglet and cannot be changed: want it removed"},
		{"odd headers", func(c *Config) { c.Headers = []string{"A", "b", "C"} }, "headers has 3 entries: want pairs of name and value"},
		{"empty header name", func(c *Config) { c.Headers = []string{"", "b"} }, `headers[0] = "": want a header name`},
		{"line break in a header", func(c *Config) { c.Headers = []string{"A", "b\r\nHost: c"} }, `headers[1]: the value of "A" holds a line break`},
		{"two ways to log in", func(c *Config) { c.User, c.BearerToken = "u", "t" }, "basic_auth_user and bearer_token are both set: want one of them"},
		{"a token and OAuth 2.0", func(c *Config) {
			c.BearerToken = "t"
			c.ClientID, c.ClientSecret, c.TokenURL = "me", "s", "https://issuer/token"
		}, "bearer_token and oauth2_client_id are both set: want one of them"},
		{"half of OAuth 2.0", func(c *Config) { c.ClientID, c.ClientSecret = "me", "s" }, "oauth2_token_url: want http://HOST:PORT/PATH or https://HOST:PORT/PATH"},
		{"a proxy that is no URL", func(c *Config) { c.ProxyURL = "proxy:3128" }, "proxy_url: want http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT"},
		{"password without user", func(c *Config) { c.Pass = "p" }, "basic_auth_pass is set without basic_auth_user: want both"},
		{"password twice", func(c *Config) { c.User, c.Pass, c.PassFile = "u", "p", "f" }, "basic_auth_pass and basic_auth_pass_file are both set: want one of them"},
		{"negative timeout", func(c *Config) { c.TimeoutMs = -1 }, "timeout = -1: want milliseconds up to an hour, 0 for 30000"},
		{"negative dial timeout", func(c *Config) { c.DialTimeoutMs = -1 }, "dial_timeout = -1: want milliseconds up to an hour, 0 for 5000"},
		{"success as retry status", func(c *Config) { c.RetryStatus = []int{404, 200} }, "retry_status has 200: want HTTP statuses from 300 on"},
		{"no backoff", func(c *Config) { c.MinBackoff = unit.Duration{} }, "min_backoff = 0s: want 1ms or more"},
		{"backoff upside down", func(c *Config) { c.MinBackoff = unit.Seconds(9) }, "max_backoff = 5s: want min_backoff (9s) or more"},
		{"line break in the name", func(c *Config) { c.Name = "a\nb" }, `name = "a\nb": want at most 100 printable characters`},
		{"unknown message", func(c *Config) { c.ProtobufMessage = "3" }, `protobuf_message = "3": want "1.0", "2.0" or "auto"`},
		{"unknown compression", func(c *Config) { c.Compression = "gzip" }, `compression = "gzip": want "snappy", "zstd" or "auto"`},
		{"unknown profile", func(c *Config) { c.Profile = "vm" }, `profile = "vm": want one of auto, nightingale, victoriametrics, prometheus, mimir, thanos, other`},
		{"2.0 for what stores nothing of it", func(c *Config) { c.Profile, c.ProtobufMessage = ProfileNightingale, "2.0" },
			`protobuf_message = "2.0": want "1.0" with profile = "nightingale", which answers 2xx to 2.0 and stores nothing`},
		{"zstd for what does not know it", func(c *Config) { c.Profile, c.Compression = ProfileMimir, "zstd" }, `compression = "zstd": want "snappy" with profile = "mimir"`},
		{"zstd for who knows", func(c *Config) { c.Profile, c.Compression = ProfileOther, "zstd" }, ""},
		{"nothing but fresh samples", func(c *Config) { share := 1.0; c.FreshShare = &share }, "fresh_share = 1: want 0 to 0.9"},
		{"zstd with 2.0", func(c *Config) { c.Compression, c.ProtobufMessage = "zstd", "auto" }, `compression = "zstd": want protobuf_message = "1.0" with it`},
		{"negative age", func(c *Config) { c.MaxAge = unit.Seconds(-1) }, "max_age = -1s: want 0s or more"},
		{"odd external label", func(c *Config) { c.ExternalLabels = map[string]string{"a.b": "1"} }, `external_labels has "a.b": want names of letters, digits and _, not beginning with a digit or __`},
		{"rules are named", func(c *Config) {
			c.WriteRelabelConfigs = []relabel.Rule{{TargetLabel: "a"}, {Action: "keepp"}, {Action: "drop", Regex: new("(")}}
		}, `write_relabel_configs: rule 2: action = "keepp": want one of replace, keep, drop, keepequal, dropequal, hashmod, labelmap, labeldrop, labelkeep, lowercase, uppercase` +
			"\nwrite_relabel_configs: rule 3: regex = \"(\": error parsing regexp: missing closing ): `(`"},
		{"all faults at once", func(c *Config) { c.URL, c.TimeoutMs = "", -1 },
			`url = "": want the address to write to, such as http://127.0.0.1:9090/api/v1/write` + "\n" + "timeout = -1: want milliseconds up to an hour, 0 for 30000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := DefaultConfig()
			cfg.URL = "http://127.0.0.1:9090/api/v1/write"
			tt.edit(&cfg)
			got := ""
			if err := cfg.Validate(); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestEveryReservedHeaderIsRefusedByName(t *testing.T) {
	for _, name := range []string{
		"Content-Encoding", "Content-Type", "X-Prometheus-Remote-Write-Version", "User-Agent", "Content-Length", "Connection",
		"Keep-Alive", "Transfer-Encoding", "TE", "Trailer", "Upgrade", "Accept-Encoding", "Proxy-Connection", "WWW-Authenticate",
	} {
		cfg := DefaultConfig()
		cfg.URL = "http://h/"
		cfg.Headers = []string{strings.ToLower(name), "x"}
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), strings.ToLower(name)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDisplayURLHidesSecrets(t *testing.T) {
	cfg := Config{URL: "https://user:secret@host:1/write?ignore_ident=true&token=secret#x"}
	if got, want := cfg.DisplayURL(), "https://host:1/write?ignore_ident=...&token=..."; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
