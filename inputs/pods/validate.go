package pods

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/labels"

	"kinglet"
	"kinglet/conf/httpclient"
	"kinglet/conf/relabel"
	"kinglet/inputs"
	"kinglet/inputs/promtext"
	"kinglet/inputs/scrape"
)

// The kubelet is asked for its pods no more often than it learns of them, and
// often enough to be worth it.
const (
	minPoll = 500 * time.Millisecond
	maxPoll = 10 * time.Minute
)

// Validate reports every fault at once, each under its TOML key.
func (c Config) Validate() error {
	_, faults := c.compile()
	faults = append(faults, c.checkSource()...)
	faults = append(faults, c.checkNumbers()...)
	for i, p := range c.Protocols {
		if err := promtext.Protocol(p).Validate(); err != nil {
			faults = append(faults, fmt.Errorf("scrape_protocols[%d] = %w", i, err))
		}
	}
	if c.Fallback != fallbackNone {
		if err := promtext.Protocol(c.Fallback).Validate(); err != nil {
			faults = append(faults, fmt.Errorf("fallback_scrape_protocol = %w, or none", err))
		}
	}
	faults = append(faults, inputs.CheckLabels("labels", c.Labels, false)...)
	_, err := httpclient.New(c.client())
	return errors.Join(append(faults, err)...)
}

func (c Config) checkSource() []error {
	var faults []error
	switch c.Source {
	case sourceAuto, sourceKubelet, sourceAPI:
	default:
		faults = append(faults, fmt.Errorf("source = %q: want %s, %s or %s", c.Source, sourceAuto, sourceKubelet, sourceAPI))
	}
	if d := c.PollInterval.Duration; d < minPoll || d > maxPoll {
		faults = append(faults, fmt.Errorf("poll_interval = %v: want %v to %v", d, minPoll, maxPoll))
	}
	return append(faults, c.SourceConfig.kubelet().Validate(), c.api().Validate())
}

// checkNumbers looks at everything that has a range.
func (c Config) checkNumbers() []error {
	var faults []error
	if d := c.Interval.Duration; d != 0 {
		if err := inputs.CheckInterval(d); err != nil {
			faults = append(faults, fmt.Errorf("%w, or 0 for the one above", err))
		}
	}
	if c.Timeout.Duration <= 0 {
		faults = append(faults, fmt.Errorf("timeout = %v: want more than 0", c.Timeout))
	}
	return append(faults, inputs.CheckLimits(
		inputs.Limit{Key: "body_size_limit", Value: int64(c.BodySizeLimit)},
		inputs.Limit{Key: "sample_limit", Value: int64(c.SampleLimit)},
		inputs.Limit{Key: "label_limit", Value: int64(c.LabelLimit)},
		inputs.Limit{Key: "label_name_length_limit", Value: int64(c.LabelNameLengthLimit)},
		inputs.Limit{Key: "label_value_length_limit", Value: int64(c.LabelValueLengthLimit)},
		inputs.Limit{Key: "target_limit", Value: int64(c.TargetLimit)},
	)...)
}

// client is what scrapes of pods need. Pods are given no credentials: whoever
// may annotate a pod would be handed them. Nor are redirects followed, which
// could lead anywhere.
func (c Config) client() httpclient.Config { return httpclient.Config{TLS: c.TLS} }

// compiled is what the texts of a Config mean.
type compiled struct {
	selector   labels.Selector
	namespaces *scrape.Globs // nil for all
	portNames  *scrape.Globs // nil for all
	podLabels  *scrape.Globs
	rules      *relabel.Rules // over targets
	labels     scrape.LabelConfig
}

// compile reads patterns, the selector and rules, and lists what is wrong.
func (c Config) compile() (compiled, []error) {
	var text scrape.Compiler
	selector, err := labels.Parse(c.LabelSelector)
	if err != nil {
		text.Faults = append(text.Faults, fmt.Errorf("label_selector = %q: %w", c.LabelSelector, err))
	}
	if c.AnnotationPrefix == "" || strings.ContainsAny(c.AnnotationPrefix, "/ \t") {
		text.Faults = append(text.Faults, fmt.Errorf("annotation_prefix = %q: want what stands before the / of annotations, such as prometheus.io", c.AnnotationPrefix))
	}
	honor := scrape.HonorExported
	if c.HonorLabels {
		honor = scrape.HonorExposed
	}
	made := compiled{
		selector:   selector,
		namespaces: text.Globs("namespaces", c.Namespaces),
		portNames:  text.Globs("port_names", c.PortNames),
		podLabels:  text.Globs("pod_labels", c.PodLabels),
		rules:      text.Rules("relabel_configs", c.RelabelConfigs),
		labels: scrape.LabelConfig{
			Honor:         honor,
			Pass:          text.Globs("metrics_pass", c.MetricsPass),
			Drop:          text.Globs("metrics_drop", c.MetricsDrop),
			MetricRelabel: text.Rules("metric_relabel_configs", c.MetricRelabelConfigs),
		},
	}
	return made, text.Faults
}

// plainNamespaces are the namespaces, if they are names and no patterns.
func (c Config) plainNamespaces() []string {
	for _, n := range c.Namespaces {
		if strings.ContainsAny(n, `*?[]{}\,!`) {
			return nil
		}
	}
	return c.Namespaces
}

// timing is the interval and the timeout of an instance. A timeout above the
// interval is cut to it.
func (c Config) timing(settings inputs.Settings) (interval, timeout time.Duration) {
	interval = c.Interval.Duration
	if interval <= 0 {
		interval = settings.Interval
	}
	if interval <= 0 {
		interval = 15 * time.Second
	}
	return interval, min(c.Timeout.Duration, interval)
}

// protocols are what pods are asked for; nil is the text format.
func (c Config) protocols() []promtext.Protocol {
	var protocols []promtext.Protocol
	for _, p := range c.Protocols {
		protocols = append(protocols, promtext.Protocol(p))
	}
	return protocols
}

// target is a target of the instance, as scrape wants it, but for what is its
// own: Key, Settings, URL, Client and times.
func (c Config) target(made compiled, own []kinglet.Label, settings inputs.Settings) scrape.Target {
	cfg := made.labels
	cfg.Target, cfg.Global, cfg.Hostname = own, settings.Labels, settings.Hostname
	t := scrape.Target{
		Page: scrape.PageConfig{
			Labels:                scrape.NewLabeler(cfg),
			HonorTimestamps:       c.HonorTime,
			Lenient:               c.Lenient,
			PrecisionMs:           settings.Precision.Milliseconds(),
			MaxColumns:            settings.MaxColumns,
			SampleLimit:           c.SampleLimit,
			LabelLimit:            c.LabelLimit,
			LabelNameLengthLimit:  c.LabelNameLengthLimit,
			LabelValueLengthLimit: c.LabelValueLengthLimit,
		},
		BodySizeLimit: int64(c.BodySizeLimit),
		ScrapeMeta:    c.ScrapeMeta,
		ExtraMeta:     c.ExtraMeta,
		UserAgent:     settings.UserAgent,
		Protocols:     c.protocols(),
		SameNode:      true,
		EndsAtOnce:    true,
	}
	if c.Fallback != fallbackNone {
		t.Fallback = promtext.Protocol(c.Fallback)
	}
	return t
}
