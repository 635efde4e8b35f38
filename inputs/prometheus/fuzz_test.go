package prometheus

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	promclient "github.com/prometheus/client_golang/prometheus"

	"kinglet/conf/relabel"
	"kinglet/conf/unit"
	"kinglet/inputs"
)

// words are what a fuzzed text is made of: by lines, each used in one place.
type words struct{ left []string }

func (w *words) next() string {
	if len(w.left) == 0 {
		return ""
	}
	word := w.left[0]
	w.left = w.left[1:]
	return word
}

func (w *words) list() []string {
	if word := w.next(); word != "" {
		return strings.Split(word, ",")
	}
	return nil
}

func (w *words) labels() map[string]string {
	labels := map[string]string{}
	for _, pair := range w.list() {
		name, value, _ := strings.Cut(pair, "=")
		labels[name] = value
	}
	return labels
}

func (w *words) rules() []relabel.Rule {
	var rules []relabel.Rule
	for range 2 {
		rule := relabel.Rule{SourceLabels: w.list(), TargetLabel: w.next(), Action: w.next()}
		if regex := w.next(); regex != "" {
			rule.Regex = &regex
		}
		if replacement := w.next(); replacement != "" {
			rule.Replacement = &replacement
		}
		if rule.Action != "" || rule.TargetLabel != "" {
			rules = append(rules, rule)
		}
	}
	return rules
}

// instance is a configuration of these words.
func (w *words) instance(url string, times int, interval int64, flags uint8) Config {
	cfg := DefaultConfig()
	cfg.URLs = []string{url, url + "/" + w.next()}
	cfg.Labels, cfg.URLLabelPair = w.labels(), w.labels()
	cfg.URLLabelKey, cfg.URLLabelValue = w.next(), w.next()
	cfg.NamePrefix, cfg.MetricsNamePrefix = w.next(), w.next()
	cfg.MetricsPass, cfg.MetricsDrop, cfg.IgnoreMetrics, cfg.IgnoreLabelKeys = w.list(), w.list(), w.list(), w.list()
	if metrics := w.list(); metrics != nil {
		cfg.ProcessorEnum = []ProcessorEnum{{Metrics: metrics, ValueMappings: map[string]float64{"1": 2, "0": 7}}}
	}
	cfg.RelabelConfigs, cfg.MetricRelabelConfigs, cfg.TargetRelabelConfigs = w.rules(), w.rules(), w.rules()
	cfg.IntervalTimes, cfg.Interval = times, unit.Duration{Duration: time.Duration(interval)}
	cfg.ExtraMeta, cfg.CustomBuckets, cfg.Lenient = flags&1 != 0, flags&2 != 0, flags&4 != 0
	if flags&8 != 0 {
		honor := flags&16 != 0
		cfg.HonorLabels = &honor
	}
	if flags&32 != 0 {
		cfg.NameValidation = namesUTF8
	}
	return cfg
}

const fuzzPage = `# TYPE m counter
m{a="1",instance="x"} 1
m{a="2",region=""} 0
# TYPE h histogram
h_bucket{le="1"} 1
h_bucket{le="+Inf"} 1
h_sum 1
h_count 1
up 1
{"od.d",__name="1","é"="2",exported_a="3"} 1
`

// FuzzConfig: what Validate takes can be built, updated and scraped, whatever
// it is. A panic in one of these is contained, and must show as no error.
func FuzzConfig(f *testing.F) {
	gone := serve(f, fuzzPage)
	f.Add("", 0, int64(0), uint8(0))
	f.Add("x\n__name__=x\n__name__=x\n__name__", 0, int64(0), uint8(0))
	f.Add("%ff\na=1,a-b=2,a_b=3,region=-\np={{.Path}}\na.b\n{{.Host}}\npre\nq_\n*\nm*\nh\nle\nup", 3, int64(time.Second), uint8(63))
	f.Add("\n=x\n0=x\n", 1<<62, int64(1), uint8(1))
	rule := "a\n%s\n%s\n(.*)\n%s\n"
	for _, action := range []string{"replace", "labelmap", "labeldrop", "lowercase", "hashmod"} {
		f.Add(strings.Repeat("\n", 12)+fmt.Sprintf(rule, "__name__", action, "up")+"\n\n\n\n\n"+fmt.Sprintf(rule, "agent_hostname", action, "$1"), -1, int64(-1), uint8(33))
	}
	f.Fuzz(func(t *testing.T, text string, times int, interval int64, flags uint8) {
		w := words{strings.Split(text, "\n")}
		cfg := w.instance(gone.URL, times, interval, flags)
		if cfg.Validate() != nil || len(inputs.CheckLabels("labels", w.labels(), false)) > 0 {
			return
		}
		cfg.TargetRelabelConfigs = keepAddress(cfg.TargetRelabelConfigs)
		settings := testSettings()
		settings.Hostname = w.next()
		in, err := New([]Config{cfg}, settings, slog.New(slog.DiscardHandler), promclient.NewRegistry())
		if err == nil {
			settings.Labels = map[string]string{"another": w.next()}
			err = in.Update([]Config{cfg}, settings)
		}
		if err != nil {
			if strings.Contains(err.Error(), "kinglet failed") {
				t.Fatal(err)
			}
			return // a template that fails for this URL
		}
		out := &collector{}
		if _, err := in.Once(t.Context(), out); err != nil {
			t.Fatal(err)
		}
		for _, target := range in.Targets() {
			if strings.Contains(target.Error, "kinglet failed") {
				t.Error(target.Error)
			}
		}
		out.lines() // what was sent can be read
	})
}

// keepAddress leaves out rules for targets that could lead to another host.
func keepAddress(rules []relabel.Rule) []relabel.Rule {
	for _, r := range rules {
		if strings.HasPrefix(r.TargetLabel, "_") || r.Action == "labelmap" || strings.Contains(r.TargetLabel, "$") {
			return nil
		}
	}
	return rules
}
