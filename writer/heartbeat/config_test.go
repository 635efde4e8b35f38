package heartbeat

import (
	"testing"
	"time"

	"kinglet/conf/unit"
)

func TestConfigValidate(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*Config)
		want string
	}{
		{"defaults with an address are valid", func(*Config) {}, ""},
		{"what is not enabled has no faults", func(c *Config) { *c = Config{Headers: []string{"odd"}, TimeoutMs: -1} }, ""},
		{"no address", func(c *Config) { c.URL = " " }, `url = "": want the address of Nightingale's heartbeat, http://HOST:17000/v1/n9e/heartbeat`},
		{"no host", func(c *Config) { c.URL = "http:///v1" }, "url has no host: want http://HOST:17000/v1/n9e/heartbeat"},
		{"another scheme", func(c *Config) { c.URL = "udp://h/" }, `url has scheme "udp": want http:// or https://`},
		{"an unreadable address is not shown", func(c *Config) { c.URL = "http://u:secret@h:x/" },
			"url cannot be read: want http://HOST:17000/v1/n9e/heartbeat, with special characters percent-encoded"},
		{"times", func(c *Config) { c.Interval, c.TimeoutMs, c.DialTimeoutMs = unit.Seconds(7200), -1, -2 },
			"interval = 2h0m0s: want 4s to 1h\ntimeout = -1: want milliseconds up to an hour, 0 for 5000\ndial_timeout = -2: want milliseconds up to an hour, 0 for 2500"},
		{"two passwords", func(c *Config) { c.User, c.Pass, c.PassFile = "u", "p", "f" },
			"basic_auth_pass and basic_auth_pass_file are both set: want one of them"},
		{"a password of nobody", func(c *Config) { c.PassFile = "f" }, "basic_auth_pass is set without basic_auth_user: want both"},
		{"headers", func(c *Config) { c.Headers = []string{"content-encoding", "x", "host", "a b"} },
			"headers: content-encoding is set by kinglet and cannot be changed: want it removed\nheaders: Host wants HOST or HOST:PORT"},
		{"half a header", func(c *Config) { c.Headers = []string{"X-A"} }, "headers has 1 entries: want pairs of name and value"},
		{"a proxy under its own key", func(c *Config) { c.HTTPProxy, c.Cert = "ftp://x", "c" },
			"tls_cert and tls_key: want both or none\nhttp_proxy: want http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT"},
		{"connections", func(c *Config) { c.MaxIdleConnsPerHost = -1 }, "max_idle_conns_per_host = -1: want 0 or more"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := DefaultConfig()
			cfg.Enable, cfg.URL = true, "http://n9e:17000/v1/n9e/heartbeat"
			tt.edit(&cfg)
			got := ""
			if err := cfg.Validate(); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tt.want)
			}
		})
	}
}

func TestZeroesOfCategrafsFilesMeanDefaults(t *testing.T) {
	c := Config{Interval: unit.Seconds(2)}
	if c.every() != 4*time.Second || c.timeout() != 5*time.Second || c.http().DialTimeout != 2500*time.Millisecond {
		t.Errorf("%v %v %v", c.every(), c.timeout(), c.http().DialTimeout)
	}
}
