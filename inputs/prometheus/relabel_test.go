package prometheus

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kinglet/conf/httpclient"
	"kinglet/conf/relabel"
	"kinglet/inputs/promtext"
	"kinglet/inputs/scrape"
)

// targetsOf are the targets of one instance.
func targetsOf(t *testing.T, cfg Config) []scrape.Target {
	t.Helper()
	made, err := newInput(t, testSettings()).instance(cfg, testSettings(), &scrape.Clients[*httpclient.Client]{})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestTargetRelabeling(t *testing.T) { // RW-140
	setTo := func(target, value string) relabel.Rule {
		return relabel.Rule{TargetLabel: target, Replacement: &value}
	}
	from := func(target string, sources ...string) relabel.Rule {
		return relabel.Rule{SourceLabels: sources, TargetLabel: target}
	}
	probe := []relabel.Rule{from("__param_target", "__address__"), from("instance", "__param_target"), setTo("__address__", "probe:9115"), setTo("__metrics_path__", "probe")}
	type outcome struct {
		URL, Refused      string
		Labels            map[string]string
		Interval, Timeout time.Duration
	}
	base := func(edit func(*outcome)) []outcome {
		o := outcome{
			URL: "http://u:p@a:80/m%2Fx?q=2&q=1&b=", Labels: map[string]string{"instance": "http://a:80/m%2Fx?q=2&q=1&b=", "job": "j"},
			Interval: 15 * time.Second, Timeout: 3 * time.Second,
		}
		edit(&o)
		return []outcome{o}
	}
	for _, tt := range []struct {
		name  string
		rules []relabel.Rule
		want  []outcome
	}{
		{"nothing changed stays byte for byte", []relabel.Rule{setTo("__tmp", "x")}, base(func(*outcome) {})},
		{"address, path and a parameter", probe, base(func(o *outcome) {
			o.URL, o.Labels["instance"] = "http://u:p@probe:9115/probe?b=&q=2&q=1&target=a%3A80", "a:80"
		})},
		{"the first value of a parameter", []relabel.Rule{setTo("__param_q", "7")}, base(func(o *outcome) { o.URL = "http://u:p@a:80/m%2Fx?b=&q=7&q=1" })},
		{"scheme and times", []relabel.Rule{setTo("__scheme__", "https"), setTo("__scrape_interval__", "1m"), setTo("__scrape_timeout__", "700ms")},
			base(func(o *outcome) {
				o.URL, o.Interval, o.Timeout = "https://u:p@a:80/m%2Fx?q=2&q=1&b=", time.Minute, 700*time.Millisecond
			})},
		{"a timeout above the interval is cut to it", []relabel.Rule{setTo("__scrape_interval__", "1s")},
			base(func(o *outcome) { o.Interval, o.Timeout = time.Second, time.Second })},
		{"a label of the instance", []relabel.Rule{setTo("job", "k")}, base(func(o *outcome) { o.Labels["job"] = "k" })},
		{"a new label", []relabel.Rule{from("where", "__scheme__", "__address__", "__metrics_path__", "__scrape_interval__", "__scrape_timeout__", "__param_q", "job")},
			base(func(o *outcome) { o.Labels["where"] = "http;a:80;/m/x;15s;3s;2;j" })},
		{"a label taken away", []relabel.Rule{setTo("instance", "")}, base(func(o *outcome) { delete(o.Labels, "instance") })},
		{"dropped", []relabel.Rule{{SourceLabels: []string{"job"}, Regex: new("j"), Action: "drop"}}, nil},
		{"no address", []relabel.Rule{setTo("__address__", "")}, base(func(o *outcome) { o.Refused = "target_relabel_configs leave no __address__" })},
		{"an address that is a URL", []relabel.Rule{setTo("__address__", "http://b")},
			base(func(o *outcome) {
				o.Refused = `target_relabel_configs: __address__ = "http://b": want HOST or HOST:PORT`
			})},
		{"another scheme", []relabel.Rule{setTo("__scheme__", "ftp")},
			base(func(o *outcome) { o.Refused = `target_relabel_configs: __scheme__ = "ftp": want http or https` })},
		{"a bad time", []relabel.Rule{setTo("__scrape_interval__", "0s")},
			base(func(o *outcome) {
				o.Refused = `target_relabel_configs: __scrape_interval__ = "0s": want a duration such as 15s or 500ms`
			})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := DefaultConfig()
			cfg.URLs = []string{"http://u:p@a:80/m%2Fx?q=2&q=1&b="}
			cfg.Labels = map[string]string{"job": "j", "pod": "-"}
			cfg.TargetRelabelConfigs = tt.rules
			var got []outcome
			for _, made := range targetsOf(t, cfg) {
				o := outcome{URL: made.URL, Labels: made.Labels, Interval: made.Interval, Timeout: made.Timeout}
				if made.Refused != nil {
					o.Refused = made.Refused.Error()
				}
				if made.Silent != (made.Refused != nil) {
					t.Error("a target that cannot be scraped must send nothing")
				}
				got = append(got, o)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRelabelledTargetsAreTold(t *testing.T) {
	cfg := DefaultConfig()
	cfg.URLs = []string{"http://a/", "http://b/"}
	before := targetsOf(t, cfg)
	cfg.TargetRelabelConfigs = []relabel.Rule{{TargetLabel: "x", Replacement: new("1")}}
	after := targetsOf(t, cfg)
	if before[0].Key == after[0].Key || after[0].Key == after[1].Key || before[0].Settings == after[0].Settings {
		t.Error("new labels make another target")
	}
}

func TestWhatTargetsAreAskedFor(t *testing.T) { // RW-105, RW-106
	for _, tt := range []struct {
		name string
		edit func(*Config)
		want []promtext.Protocol
	}{
		{"text", func(*Config) {}, nil},
		{"protobuf first for native histograms", func(c *Config) { c.NativeHistograms = true }, promtext.Protocols()},
		{"protobuf first for start timestamps", func(c *Config) { c.CreatedTimestamps = true }, promtext.Protocols()},
		{"text is enough for custom buckets", func(c *Config) { c.CustomBuckets = true }, nil},
		{"what is written", func(c *Config) { c.NativeHistograms, c.Protocols = true, []string{"PrometheusText1.0.0"} },
			[]promtext.Protocol{promtext.PrometheusText1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := DefaultConfig()
			cfg.URLs = []string{"http://a/"}
			tt.edit(&cfg)
			if diff := cmp.Diff(tt.want, targetsOf(t, cfg)[0].Protocols); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPagesOfOddTypesAreTextUnlessToldOtherwise(t *testing.T) { // RW-114
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		if _, err := w.Write([]byte("m 1\n")); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	for fallback, want := range map[string]int{"PrometheusText0.0.4": 0, "none": 1} {
		cfg := DefaultConfig()
		cfg.URLs, cfg.Fallback = []string{server.URL}, fallback
		if down, err := newInput(t, testSettings(), cfg).Once(t.Context(), &collector{}); down != want || err != nil {
			t.Errorf("%s: %d down, %v", fallback, down, err)
		}
	}
}

func TestNamesAreLeftAloneIfTheyMayBe(t *testing.T) { // RW-31
	server := serve(t, "{\"my.name\",\"größe/x\"=\"1\"} 1\n")
	for validation, want := range map[string]string{"legacy": `my_name{gr__e_x="1"} 1`, "utf8": `my.name{größe/x="1"} 1`} {
		cfg := DefaultConfig()
		cfg.URLs, cfg.NameValidation, cfg.URLLabelKey = []string{server.URL}, validation, "-"
		settings := testSettings()
		settings.Hostname, settings.Labels = "", nil
		out := &collector{}
		if down, err := newInput(t, settings, cfg).Once(t.Context(), out); down != 0 || err != nil {
			t.Fatalf("%d down, %v", down, err)
		}
		if got := out.lines(); !strings.Contains(strings.Join(got, "\n"), want) {
			t.Errorf("%s: got %q", validation, got)
		}
	}
}
