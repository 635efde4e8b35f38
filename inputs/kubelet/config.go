package kubelet

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"kinglet/conf/relabel"
	"kinglet/conf/unit"
	"kinglet/inputs"
	"kinglet/inputs/scrape"
	"kinglet/k8s"
)

// Config is one [[instances]] table of input.kubelet/*.toml: pages of this
// node's kubelet that share their settings. Begin from DefaultConfig: zero is
// never a default.
type Config struct {
	Pages []string `toml:"pages"` // "metrics", "cadvisor", "resource", "probes"

	k8s.KubeletConfig
	NodeName string `toml:"node_name" expand:"all"` // "" = the environment's, see k8s.ThisNode

	Labels          map[string]string `toml:"labels" expand:"all"` // set over those of the target; "-" deletes
	HonorLabels     bool              `toml:"honor_labels"`        // the page's label wins, in place of becoming exported_NAME
	MetricsPass     []string          `toml:"metrics_pass"`
	MetricsDrop     []string          `toml:"metrics_drop"`
	IgnoreLabelKeys []string          `toml:"ignore_label_keys"`

	RelabelConfigs       []relabel.Rule `toml:"relabel_configs"`        // over every sample, up and scrape_* too
	MetricRelabelConfigs []relabel.Rule `toml:"metric_relabel_configs"` // over samples of the page

	Interval      unit.Duration `toml:"interval"`       // 0 = the input's, else [global]'s
	IntervalTimes int           `toml:"interval_times"` // less than 1 is 1
	Timeout       unit.Duration `toml:"timeout"`        // of a whole scrape; cut to the interval

	HonorTime  *bool `toml:"honor_timestamps"` // nil = the page's, see pageOf
	ScrapeMeta bool  `toml:"scrape_meta"`      // scrape_duration_seconds and its siblings beside up
	ExtraMeta  bool  `toml:"extra_scrape_metrics"`

	BodySizeLimit unit.Bytes `toml:"body_size_limit"` // 0 = the page's
	SampleLimit   int        `toml:"sample_limit"`    // 0 = the page's
}

// DefaultConfig is all pages, as this pod's service account. A cAdvisor page of
// a full node takes the kubelet a second or two, and more while it is busy: 10 s
// is what metrics-server and Prometheus wait too.
func DefaultConfig() Config {
	return Config{
		Pages:         pageNames(),
		KubeletConfig: k8s.DefaultKubeletConfig(),
		Timeout:       unit.Seconds(10),
		ScrapeMeta:    true,
	}
}

// page is what is special about one page of the kubelet.
type page struct {
	name, path string
	// honorTime takes the page's timestamps, where it has any.
	honorTime bool
	// Limits that an instance may replace: four times and more what a node of
	// 250 pods serves, by the page recorded with 80.
	bodyLimit   unit.Bytes
	sampleLimit int
}

// pages are those that the kubelet has. By the recorded pages a pod brings 150
// samples and 44 KiB to cadvisor, 8 and 1 KiB to resource, 30 and 4 KiB to
// probes; metrics has 2200 and hardly grows.
//
// The timestamps of cAdvisor are not taken: series would be up to half a minute
// behind up and those of other pages, and a container that is gone would end
// late. Those of resource are: they are when CPU time was read, so that a rate
// over two samples is the true one, and what metrics-server computes with.
func pages() []page {
	return []page{
		{"metrics", "/metrics", true, 16 * unit.MiB, 50_000},
		{"cadvisor", "/metrics/cadvisor", false, 64 * unit.MiB, 200_000},
		{"resource", "/metrics/resource", true, 4 * unit.MiB, 10_000},
		{"probes", "/metrics/probes", true, 16 * unit.MiB, 50_000},
	}
}

func pageNames() []string {
	var names []string
	for _, p := range pages() {
		names = append(names, p.name)
	}
	return names
}

// pageOf finds a page by its name.
func pageOf(name string) (page, bool) {
	all := pages()
	i := slices.IndexFunc(all, func(p page) bool { return p.name == name })
	if i < 0 {
		return page{}, false
	}
	return all[i], true
}

// Validate reports every fault at once, each under its TOML key.
func (c Config) Validate() error {
	_, faults := c.compile()
	for i, name := range c.Pages {
		if _, ok := pageOf(name); !ok {
			faults = append(faults, fmt.Errorf("pages[%d] = %q: want one of %s", i, name, strings.Join(pageNames(), ", ")))
		}
		if slices.Contains(c.Pages[:i], name) {
			faults = append(faults, fmt.Errorf("pages[%d] = %q: want each only once", i, name))
		}
	}
	faults = append(faults, inputs.CheckLabels("labels", c.Labels, false)...)
	if d := c.Interval.Duration; d != 0 {
		if err := inputs.CheckInterval(d); err != nil {
			faults = append(faults, fmt.Errorf("%w, or 0 for the one above", err))
		}
	}
	if err := c.CheckTimes(inputs.MinInterval); err != nil {
		faults = append(faults, err)
	}
	if c.Timeout.Duration <= 0 {
		faults = append(faults, fmt.Errorf("timeout = %v: want more than 0", c.Timeout))
	}
	if c.BodySizeLimit < 0 {
		faults = append(faults, fmt.Errorf("body_size_limit = %d: want 0 for the page's own, or more", int64(c.BodySizeLimit)))
	}
	if c.SampleLimit < 0 {
		faults = append(faults, fmt.Errorf("sample_limit = %d: want 0 for the page's own, or more", c.SampleLimit))
	}
	return errors.Join(append(faults, c.KubeletConfig.Validate())...)
}

// CheckTimes refuses an interval_times that makes the interval longer than a
// day. Standard is the interval of an instance that has none of its own.
func (c Config) CheckTimes(standard time.Duration) error {
	return inputs.CheckTimes(c.IntervalTimes, c.Interval.Duration, standard)
}

// Doubts lists what is taken as it is written and yet seldom wanted, each under
// its TOML key.
func (c Config) Doubts() []error {
	var doubts []error
	if c.InsecureSkipVerify {
		doubts = append(doubts, errors.New("kubelet_insecure_skip_verify: the token goes to whoever answers: want kubelet_ca_file or kubelet_cert_file to tell the kubelet"))
	}
	if strings.HasPrefix(c.URL, "http://") {
		doubts = append(doubts, errors.New("kubelet_url: is asked without a token, as http:// hides nothing: want https://"))
	}
	return doubts
}

// compile reads patterns and rules, and lists what is wrong.
func (c Config) compile() (scrape.LabelConfig, []error) {
	var text scrape.Compiler
	labels := scrape.LabelConfig{
		IgnoreLabelKeys: text.Globs("ignore_label_keys", c.IgnoreLabelKeys),
		Drop:            text.Globs("metrics_drop", c.MetricsDrop),
		Pass:            text.Globs("metrics_pass", c.MetricsPass),
		Instance:        c.Labels,
		Relabel:         text.Rules("relabel_configs", c.RelabelConfigs),
		MetricRelabel:   text.Rules("metric_relabel_configs", c.MetricRelabelConfigs),
		Honor:           scrape.HonorExported,
	}
	if c.HonorLabels {
		labels.Honor = scrape.HonorExposed
	}
	return labels, text.Faults
}
