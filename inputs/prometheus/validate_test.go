package prometheus

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kinglet/conf/httpclient"
	"kinglet/conf/relabel"
	"kinglet/conf/unit"
)

func TestConfigValidate(t *testing.T) {
	bad := "("
	for _, tt := range []struct {
		name string
		edit func(*Config)
		want string
	}{
		{"defaults are valid", func(*Config) {}, ""},
		{"a URL without scheme", func(c *Config) { c.URLs = []string{"127.0.0.1:10249/metrics"} },
			"urls[0]: has no scheme: want http://HOST:PORT/PATH or https://HOST:PORT/PATH"},
		{"a URL of another scheme", func(c *Config) { c.URLs = []string{"http://a", "ftp://a/"} },
			"urls[1]: has no scheme: want http://HOST:PORT/PATH or https://HOST:PORT/PATH"},
		{"a bad URL does not show its password", func(c *Config) { c.URLs = []string{"http://u:secret@a:port/"} },
			"urls[0]: is no URL: want http://HOST:PORT/PATH or https://HOST:PORT/PATH"},
		{"a URL without host", func(c *Config) { c.URLs = []string{"http:///metrics"} },
			"urls[0]: has no host: want http://HOST:PORT/PATH or https://HOST:PORT/PATH"},
		{"a URL with a port that is none", func(c *Config) { c.URLs = []string{"http://a:99999/", "http://a:0/"} },
			"urls[0]: has port 99999: want 1 to 65535\nurls[1]: has port 0: want 1 to 65535"},
		{"reserved label names, wherever they stand", func(c *Config) {
			c.Labels, c.URLLabelKey, c.URLLabelPair = map[string]string{"__name__": "x"}, "__name__", map[string]string{"__name__": "x"}
		}, `labels: label name "__name__": want one that does not begin with __, which is reserved` + "\n" +
			`url_label_key: label name "__name__": want one that does not begin with __, which is reserved` + "\n" +
			`url_label_pair: label name "__name__": want one that does not begin with __, which is reserved`},
		{"a label name that remote write 1.0 cannot carry", func(c *Config) { c.Labels = map[string]string{"é": "x"} },
			`labels: label name "é": want letters, digits and _, not a digit first`},
		{"any label name, where the instance allows it", func(c *Config) {
			c.NameValidation, c.Labels = "utf8", map[string]string{"é": "x"}
		}, ""},
		{"an interval that is too short", func(c *Config) { c.Interval = unit.Duration{Duration: 1} },
			"interval = 1ns: want 100ms to 24h, or 0 for the one above"},
		{"an interval_times that overflows", func(c *Config) { c.IntervalTimes = math.MaxInt64 },
			"interval_times = 9223372036854775807: want at most 864000, so that the interval is at most 24h"},
		{"an interval_times beyond a day", func(c *Config) { c.Interval, c.IntervalTimes = unit.Seconds(3600), 25 },
			"interval_times = 25: want at most 24, so that the interval is at most 24h"},
		{"odd headers", func(c *Config) { c.Headers = []string{"X-A"} }, "headers has 1 entries: want pairs of name and value"},
		{"a bad glob", func(c *Config) { c.MetricsPass = []string{"[a*"} },
			`metrics_pass: "[a*" is no glob pattern: ` + globFault(t, "[a*")},
		{"a bad template", func(c *Config) { c.URLLabelValue = "{{.Host" },
			`url_label_value = "{{.Host": url_label_value:1: unclosed action`},
		{"a template over a field that is not there", func(c *Config) { c.URLLabelPair = map[string]string{"x": "{{.Hots}}"} },
			`url_label_pair.x = "{{.Hots}}": url_label_pair.x:1:2: executing "url_label_pair.x" at <.Hots>: can't evaluate field Hots in type prometheus.fields`},
		{"an unknown relabel action", func(c *Config) { c.RelabelConfigs = []relabel.Rule{{Action: "x"}} },
			`relabel_configs: rule 1: action = "x": want one of replace, keep, drop, keepequal, dropequal, hashmod, labelmap, labeldrop, labelkeep, lowercase, uppercase`},
		{"every fault at once", func(c *Config) {
			c.MetricRelabelConfigs = []relabel.Rule{{Regex: &bad, TargetLabel: "a"}, {}}
			c.Timeout = unit.Duration{}
			c.SampleLimit = -1
			c.TLS = httpclient.TLS{MinVersion: "1.9"}
		}, "metric_relabel_configs: rule 1: regex = \"(\": error parsing regexp: missing closing ): `(`\n" +
			"metric_relabel_configs: rule 2: target_label is missing: action replace wants one\n" +
			"timeout = 0s: want more than 0\n" +
			"sample_limit = -1: want 0 for no limit, or more\n" +
			`tls_min_version = "1.9": want 1.0, 1.1, 1.2 or 1.3`},
		{"protocols that are none, or twice", func(c *Config) { c.Protocols = []string{"Text", "PrometheusProto", "PrometheusProto"} },
			`scrape_protocols[0] = "Text": want one of PrometheusProto, OpenMetricsText1.0.0, OpenMetricsText0.0.1, PrometheusText1.0.0, PrometheusText0.0.4` +
				"\n" + `scrape_protocols[2] = "PrometheusProto": want each only once`},
		{"a fallback that is none", func(c *Config) { c.Fallback = "" },
			`fallback_scrape_protocol = "": want one of PrometheusProto, OpenMetricsText1.0.0, OpenMetricsText0.0.1, PrometheusText1.0.0, PrometheusText0.0.4, or none`},
		{"another name validation", func(c *Config) { c.NameValidation = "utf-8" }, `metric_name_validation = "utf-8": want legacy or utf8`},
		{"a bad rule for targets", func(c *Config) { c.TargetRelabelConfigs = []relabel.Rule{{}} },
			"target_relabel_configs: rule 1: target_label is missing: action replace wants one"},
		{"a bucket limit below 0", func(c *Config) { c.BucketLimit = -1 }, "native_histogram_bucket_limit = -1: want 0 for no limit, or more"},
		{"a proxy that is none, its password not shown", func(c *Config) { c.ProxyURL = "ftp://u:secret@p" },
			"proxy_url: want http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT"},
		{"two kinds of credentials", func(c *Config) {
			c.BearerTokenFile, c.OAuth2 = "/t", httpclient.OAuth2{ClientID: "c", ClientSecret: "s", TokenURL: "https://a/t"}
		}, "oauth2_client_id is set beside username or a bearer token: want one of them"},
		{"OAuth 2.0 without its server", func(c *Config) { c.OAuth2 = httpclient.OAuth2{ClientID: "c", ClientSecret: "s"} },
			"oauth2_token_url: want http://HOST:PORT/PATH or https://HOST:PORT/PATH"},
		{"processor_enum without metrics", func(c *Config) { c.ProcessorEnum = []ProcessorEnum{{}} },
			"processor_enum[0].metrics is missing: want patterns of metric names"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := DefaultConfig()
			tt.edit(&cfg)
			got := ""
			if err := cfg.Validate(); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestURLLabels(t *testing.T) {
	for _, tt := range []struct {
		name string
		url  string
		edit func(*Config)
		want map[string]string
	}{
		{"the URL, with /metrics added", "http://a:80", func(*Config) {}, map[string]string{"instance": "http://a:80/metrics"}},
		{"a path of / is kept, and the query", "http://a/?x=1", func(*Config) {}, map[string]string{"instance": "http://a/?x=1"}},
		{"name and password are not shown", "http://u:p@a/m", func(*Config) {}, map[string]string{"instance": "http://a/m"}},
		{"no label", "http://a/m", func(c *Config) { c.URLLabelKey = "-" }, nil},
		{"another key and value", "http://a:1/m", func(c *Config) { c.URLLabelKey, c.URLLabelValue = "host", "{{.Host}}" },
			map[string]string{"host": "a:1"}},
		{"every field", "https://a:1/m?q=1#f", func(c *Config) {
			c.URLLabelValue = "{{.Scheme}} {{.Host}} {{.Hostname}} {{.Port}} {{.Path}} {{.Query}} {{.Fragment}}"
		}, map[string]string{"instance": "https a:1 a 1 /m q=1 f"}},
		{"pairs, of which blank ones are left out", "http://a/m", func(c *Config) {
			c.URLLabelPair = map[string]string{"path": "{{.Path}}", "port": " {{.Port}} ", "x": "a||b=c"}
		}, map[string]string{"instance": "http://a/m", "path": "/m", "x": "a||b=c"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := DefaultConfig()
			tt.edit(&cfg)
			made, faults := cfg.compile()
			if len(faults) > 0 {
				t.Fatal(faults)
			}
			u, err := parseURL(tt.url)
			if err != nil {
				t.Fatal(err)
			}
			labels, err := made.urlLabels(cfg.URLLabelKey, u)
			if err != nil {
				t.Fatal(err)
			}
			var got map[string]string
			for _, l := range labels {
				if got == nil {
					got = map[string]string{}
				}
				got[l.Name] = l.Value
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
