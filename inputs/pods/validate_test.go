package pods

import (
	"strings"
	"testing"
	"time"

	"kinglet/conf/unit"
)

func TestConfigValidate(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*Config)
		want string // all of the message, or its beginning before "..."
	}{
		{"defaults are valid", func(*Config) {}, ""},
		{"another source", func(c *Config) { c.Source = "dns" }, `source = "dns": want auto, kubelet or api`},
		{"a hasty poll", func(c *Config) { c.PollInterval = unit.Duration{Duration: time.Millisecond} }, "poll_interval = 1ms: want 500ms to 10m0s"},
		{"a bad selector", func(c *Config) { c.LabelSelector = "app in b" }, `label_selector = "app in b": ...`},
		{"half a good selector", func(c *Config) { c.LabelSelector = "app=b,tier=" }, ""},
		{"a selector of two equals", func(c *Config) { c.LabelSelector = "app==b,tier!=c,x in (y, z),!w,v" }, ""},
		{"a selector of three", func(c *Config) { c.LabelSelector = "app===b" }, `label_selector = "app===b": ...`},
		{"no prefix", func(c *Config) { c.AnnotationPrefix = "" }, `annotation_prefix = "": want what stands before the / of annotations, such as prometheus.io`},
		{"a prefix with its slash", func(c *Config) { c.AnnotationPrefix = "prometheus.io/" }, `annotation_prefix = "prometheus.io/": want what stands before the / of annotations, such as prometheus.io`},
		{"a bad glob", func(c *Config) { c.PodLabels = []string{"[a"} }, `pod_labels: "[a" is no glob pattern: ...`},
		{"a bad rule", func(c *Config) { c.RelabelConfigs = rules(t, "[[r]]\naction = \"explode\"\n") }, `relabel_configs: rule 1: action = "explode": ...`},
		{"a bad rule for samples", func(c *Config) { c.MetricRelabelConfigs = rules(t, "[[r]]\nregex = \"(\"\n") }, `metric_relabel_configs: rule 1: regex = "(": ...`},
		{"a label that is reserved", func(c *Config) { c.Labels = map[string]string{"__x": "y"} }, `labels: label name "__x": ...`},
		{"no time", func(c *Config) { c.Timeout = unit.Duration{} }, "timeout = 0s: want more than 0"},
		{"a long interval", func(c *Config) { c.Interval = unit.Seconds(100_000) }, "interval = 27h46m40s: want 100ms to 24h, or 0 for the one above"},
		{"a negative limit", func(c *Config) { c.TargetLimit = -1 }, "target_limit = -1: want 0 for no limit, or more"},
		{"a protocol", func(c *Config) { c.Protocols = []string{"gopher"} }, `scrape_protocols[0] = ...`},
		{"a fallback", func(c *Config) { c.Fallback = "gopher" }, `fallback_scrape_protocol = ...`},
		{"no fallback", func(c *Config) { c.Fallback = "none" }, ""},
		{"the kubelet's address", func(c *Config) { c.KubeletURL = "node1" }, "kubelet_url: want https://HOST:10250, without a path"},
		{"the API server's", func(c *Config) { c.APIURL = "ftp://x" }, "api_url: want https://HOST:PORT"},
		{"TLS", func(c *Config) { c.TLS.MinVersion = "9" }, `tls_min_version = "9": want 1.0, 1.1, 1.2 or 1.3`},
		{"all at once", func(c *Config) { c.Source, c.TargetLimit = "x", -1 }, "source = \"x\": want auto, kubelet or api\ntarget_limit = -1: want 0 for no limit, or more"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := DefaultConfig()
			tt.edit(&cfg)
			got := ""
			if err := cfg.Validate(); err != nil {
				got = err.Error()
			}
			if begin, open := strings.CutSuffix(tt.want, "..."); open && strings.HasPrefix(got, begin) {
				return
			}
			if got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestPlainNamespacesAreAskedForAlone(t *testing.T) {
	for _, tt := range []struct {
		namespaces []string
		want       int
	}{{nil, 0}, {[]string{"a", "b"}, 2}, {[]string{"a", "b-*"}, 0}, {[]string{"{a,b}"}, 0}} {
		if got := (Config{Namespaces: tt.namespaces}).plainNamespaces(); len(got) != tt.want {
			t.Errorf("%q: %q", tt.namespaces, got)
		}
	}
}
