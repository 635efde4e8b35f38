package kubelet

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	promclient "github.com/prometheus/client_golang/prometheus"

	"kinglet/conf/relabel"
	"kinglet/conf/unit"
	"kinglet/inputs"
	"kinglet/inputs/scrape"
	"kinglet/k8s"
)

func TestConfigValidate(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*Config)
		want string
	}{
		{"defaults are valid", func(*Config) {}, ""},
		{"no pages", func(c *Config) { c.Pages = nil }, ""},
		{"an unknown page", func(c *Config) { c.Pages = []string{"/metrics"} }, `pages[0] = "/metrics": want one of metrics, cadvisor, resource, probes`},
		{"a page twice", func(c *Config) { c.Pages = []string{"probes", "probes"} }, `pages[1] = "probes": want each only once`},
		{"a URL with a path", func(c *Config) { c.URL = "https://h:10250/metrics" }, "kubelet_url: want https://HOST:10250, without a path"},
		{"a label name", func(c *Config) { c.Labels = map[string]string{"__x": "1"} }, `labels: label name "__x": want one that does not begin with __, which is reserved`},
		{"an interval", func(c *Config) { c.Interval = unit.Duration{Duration: 10 * time.Millisecond} }, "interval = 10ms: want 100ms to 24h, or 0 for the one above"},
		{"interval_times", func(c *Config) { c.Interval, c.IntervalTimes = unit.Seconds(3600), 25 }, "interval_times = 25: want at most 24, so that the interval is at most 24h"},
		{"no timeout", func(c *Config) { c.Timeout = unit.Duration{} }, "timeout = 0s: want more than 0"},
		{"limits below 0", func(c *Config) { c.BodySizeLimit, c.SampleLimit = -1, -2 },
			"body_size_limit = -1: want 0 for the page's own, or more\nsample_limit = -2: want 0 for the page's own, or more"},
		{"a bad rule", func(c *Config) { c.MetricRelabelConfigs = []relabel.Rule{{Action: "nonsense"}} }, "metric_relabel_configs: "},
		{"a bad pattern", func(c *Config) { c.MetricsDrop = []string{"[a"} }, "metrics_drop: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := DefaultConfig()
			tt.edit(&cfg)
			got := ""
			if err := cfg.Validate(); err != nil {
				got = err.Error()
			}
			if got != tt.want && (tt.want == "" || !strings.HasSuffix(tt.want, ": ") || !strings.HasPrefix(got, tt.want)) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestDoubtsWarnOfWhatIsUnsafe(t *testing.T) {
	cfg := DefaultConfig()
	if doubts := cfg.Doubts(); len(doubts) > 0 {
		t.Errorf("the defaults: %v", doubts)
	}
	cfg.InsecureSkipVerify, cfg.URL = true, "http://127.0.0.1:10255"
	doubts := cfg.Doubts()
	if len(doubts) != 2 || !strings.HasPrefix(doubts[0].Error(), "kubelet_insecure_skip_verify: ") || !strings.HasPrefix(doubts[1].Error(), "kubelet_url: ") {
		t.Errorf("got %v", doubts)
	}
}

func TestTimingFollowsTheInstance(t *testing.T) {
	for _, tt := range []struct {
		name              string
		edit              func(*Config)
		settings          inputs.Settings
		interval, timeout time.Duration
	}{
		{"the input's", func(*Config) {}, testSettings(), 15 * time.Second, 10 * time.Second},
		{"its own", func(c *Config) { c.Interval = unit.Seconds(60) }, testSettings(), time.Minute, 10 * time.Second},
		{"times", func(c *Config) { c.IntervalTimes = 4 }, testSettings(), time.Minute, 10 * time.Second},
		{"a timeout above the interval is cut", func(c *Config) { c.Interval = unit.Seconds(5) }, testSettings(), 5 * time.Second, 5 * time.Second},
		{"none at all", func(*Config) {}, inputs.Settings{}, 15 * time.Second, 10 * time.Second},
		{"a day is the longest", func(c *Config) { c.IntervalTimes = 1 << 40 }, testSettings(), 24 * time.Hour, 10 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := DefaultConfig()
			tt.edit(&cfg)
			if interval, timeout := cfg.timing(tt.settings); interval != tt.interval || timeout != tt.timeout {
				t.Errorf("got %v and %v", interval, timeout)
			}
		})
	}
}

func TestTheNodeIsThatOfTheEnvironment(t *testing.T) {
	for _, name := range []string{"K8S_NODENAME", "K8S_NODE_NAME", "NODE_NAME", "KUBE_NODE_NAME", "HOST_IP", "NODE_IP", "K8S_NODE_IP"} {
		t.Setenv(name, "")
	}
	for _, tt := range []struct {
		name, hostname, ip, url, configured string
		target, instance, node              string
	}{
		{"a DaemonSet", "node-7", "10.0.0.7", "", "", "https://10.0.0.7:10250/metrics", "10.0.0.7:10250", "node-7"},
		{"IPv6", "node-7", "fd00::7", "", "", "https://[fd00::7]:10250/metrics", "[fd00::7]:10250", "node-7"},
		{"no address", "node-7", "", "", "", "https://127.0.0.1:10250/metrics", "node-7:10250", "node-7"},
		{"configured", "pod-1", "", "https://localhost:1", "n", "https://localhost:1/metrics", "n:1", "n"},
		{"nothing but the host's name", "", "", "", "", "https://127.0.0.1:10250/metrics", "node1:10250", "node1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("HOSTNAME", tt.hostname)
			t.Setenv("HOSTIP", tt.ip)
			cfg := DefaultConfig()
			cfg.Pages, cfg.URL, cfg.NodeName = []string{"metrics"}, tt.url, tt.configured
			targets := newInput(t, cfg).Targets()
			if len(targets) != 1 || targets[0].URL != tt.target || targets[0].Labels["instance"] != tt.instance || targets[0].Labels["node"] != tt.node {
				t.Errorf("got %+v", targets)
			}
		})
	}
}

func TestAnUpdateKeepsWhatDidNotChange(t *testing.T) {
	cfg := DefaultConfig()
	cfg.URL = "https://10.0.0.7:10250"
	in := newInput(t, cfg)
	made := func(cfg Config) (keys, settings []string) {
		targets, err := instance(cfg, testSettings(), &scrape.Clients[*k8s.Kubelet]{})
		if err != nil {
			t.Fatal(err)
		}
		for _, target := range targets {
			keys, settings = append(keys, target.Key), append(settings, target.Settings)
		}
		return keys, settings
	}
	keys, settings := made(cfg)
	fewer := cfg
	fewer.Pages = cfg.Pages[1:]
	if k, s := made(fewer); k[0] != keys[1] || s[0] != settings[1] {
		t.Error("a page less changed the others")
	}
	limited := cfg
	limited.SampleLimit = 5
	if k, s := made(limited); k[0] != keys[0] || s[0] == settings[0] {
		t.Error("a limit must change the settings and nothing else")
	}
	if err := in.Update([]Config{cfg, {Pages: []string{"nonsense"}}}, testSettings()); err == nil || !strings.HasPrefix(err.Error(), "instance 2: pages[0]") {
		t.Errorf("got %v", err)
	}
	if len(in.Targets()) != 4 {
		t.Errorf("a fault in an update changed %v", in.Targets())
	}
	if err := in.Update(nil, testSettings()); err != nil || len(in.Targets()) > 0 {
		t.Errorf("%v, %v", err, in.Targets())
	}
}

func TestNoConnectionIsOpenedBeforeAScrape(t *testing.T) {
	n := newNode(t)
	if _, err := New([]Config{n.config()}, testSettings(), slog.New(slog.DiscardHandler), promclient.NewRegistry()); err != nil {
		t.Fatal(err)
	}
	if asked := n.requests(); len(asked) > 0 {
		t.Errorf("asked %v", asked)
	}
}
