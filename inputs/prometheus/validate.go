package prometheus

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"kinglet/conf/httpclient"
	"kinglet/conf/relabel"
	"kinglet/conf/unit"
	"kinglet/inputs"
	"kinglet/inputs/promtext"
	"kinglet/inputs/scrape"
)

// Values of Config.NameValidation and Config.Fallback.
const (
	namesLegacy  = "legacy"
	namesUTF8    = "utf8"
	fallbackNone = "none"
)

// DefaultConfig is an instance without URLs. A page of no known type is text,
// as in Categraf. The timeout is Categraf's. The
// size limit holds about 220,000 series of 300 bytes, four times the largest
// page a full node is known to have; a page is read through a window, so that
// the limit is no memory.
func DefaultConfig() Config {
	return Config{
		URLLabelKey:    "instance",
		Timeout:        unit.Seconds(3),
		HonorTime:      true,
		ScrapeMeta:     true,
		BodySizeLimit:  64 * unit.MiB,
		FollowRedirect: true,
		NameValidation: namesLegacy,
		Fallback:       string(promtext.PrometheusText0),
	}
}

// Validate reports every fault at once, each under its TOML key.
func (c Config) Validate() error {
	_, faults := c.compile()
	for i, raw := range c.URLs {
		if _, err := parseURL(raw); err != nil {
			faults = append(faults, fmt.Errorf("urls[%d]: %w", i, err))
		}
	}
	faults = append(faults, c.checkLabels()...)
	faults = append(faults, c.checkNumbers()...)
	faults = append(faults, c.checkWords()...)
	_, err := httpclient.New(c.client())
	return errors.Join(append(faults, err)...)
}

// checkLabels looks at the names of labels that the instance gives.
func (c Config) checkLabels() []error {
	anyName := c.NameValidation == namesUTF8
	faults := inputs.CheckLabels("labels", c.Labels, anyName)
	if c.URLLabelKey != "" && c.URLLabelKey != "-" {
		if err := inputs.CheckLabelName(c.URLLabelKey, anyName); err != nil {
			faults = append(faults, fmt.Errorf("url_label_key: %w", err))
		}
	}
	return append(faults, inputs.CheckLabels("url_label_pair", c.URLLabelPair, anyName)...)
}

// checkNumbers looks at everything that has a range.
func (c Config) checkNumbers() []error {
	var faults []error
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
	return append(faults, inputs.CheckLimits(
		inputs.Limit{Key: "body_size_limit", Value: int64(c.BodySizeLimit)},
		inputs.Limit{Key: "sample_limit", Value: int64(c.SampleLimit)},
		inputs.Limit{Key: "label_limit", Value: int64(c.LabelLimit)},
		inputs.Limit{Key: "label_name_length_limit", Value: int64(c.LabelNameLengthLimit)},
		inputs.Limit{Key: "label_value_length_limit", Value: int64(c.LabelValueLengthLimit)},
		inputs.Limit{Key: "target_limit", Value: int64(c.TargetLimit)},
		inputs.Limit{Key: "native_histogram_bucket_limit", Value: int64(c.BucketLimit)},
	)...)
}

// Doubts lists what is taken otherwise than it is written, each under its TOML
// key. Validate lets it pass, as Categraf does.
func (c Config) Doubts() []error {
	var doubts []error
	if c.IntervalTimes < 0 {
		doubts = append(doubts, fmt.Errorf("interval_times = %d: want 1 or more; 1 is taken", c.IntervalTimes))
	}
	if c.NameValidation == namesUTF8 {
		return doubts
	}
	for _, under := range []struct {
		key   string
		names []string
	}{
		{"labels", slices.Sorted(maps.Keys(c.Labels))},
		{"url_label_key", []string{c.URLLabelKey}},
		{"url_label_pair", slices.Sorted(maps.Keys(c.URLLabelPair))},
	} {
		for _, name := range under.names {
			if sent := inputs.Sent(name); sent != name && name != "-" && c.Labels[name] != "-" {
				doubts = append(doubts, fmt.Errorf("%s: label %q is sent as %s: want letters, digits and _", under.key, name, sent))
			}
		}
	}
	return doubts
}

// CheckTimes refuses an interval_times that makes the interval longer than a
// day. Standard is the interval of an instance that has none of its own.
func (c Config) CheckTimes(standard time.Duration) error {
	return inputs.CheckTimes(c.IntervalTimes, c.Interval.Duration, standard)
}

// checkWords looks at what can be one of a few words only.
func (c Config) checkWords() []error {
	var faults []error
	for i, p := range c.Protocols {
		if err := promtext.Protocol(p).Validate(); err != nil {
			faults = append(faults, fmt.Errorf("scrape_protocols[%d] = %w", i, err))
		}
		if slices.Contains(c.Protocols[:i], p) {
			faults = append(faults, fmt.Errorf("scrape_protocols[%d] = %q: want each only once", i, p))
		}
	}
	if c.Fallback != fallbackNone {
		if err := promtext.Protocol(c.Fallback).Validate(); err != nil {
			faults = append(faults, fmt.Errorf("fallback_scrape_protocol = %w, or none", err))
		}
	}
	if c.OAuth2.On() && (c.Username != "" || c.BearerTokenString != "" || c.BearerTokenFile != "") {
		faults = append(faults, errors.New("oauth2_client_id is set beside username or a bearer token: want one of them"))
	}
	if c.NameValidation != namesLegacy && c.NameValidation != namesUTF8 {
		faults = append(faults, fmt.Errorf("metric_name_validation = %q: want %s or %s", c.NameValidation, namesLegacy, namesUTF8))
	}
	return faults
}

// protocols are what targets are asked for. Only protobuf has native
// histograms, and start timestamps that need no second look at the page.
func (c Config) protocols() []promtext.Protocol {
	if len(c.Protocols) == 0 && (c.NativeHistograms || c.CreatedTimestamps) {
		return promtext.Protocols()
	}
	var protocols []promtext.Protocol
	for _, p := range c.Protocols {
		protocols = append(protocols, promtext.Protocol(p))
	}
	return protocols
}

// fallback is what a page of no known type is read as; "" fails it.
func (c Config) fallback() promtext.Protocol {
	if c.Fallback == fallbackNone {
		return ""
	}
	return promtext.Protocol(c.Fallback)
}

// client is what the instance's requests need.
func (c Config) client() httpclient.Config {
	cfg := httpclient.Config{
		TLS:             c.TLS,
		BearerToken:     c.BearerTokenString,
		BearerTokenFile: c.BearerTokenFile,
		OAuth2:          c.OAuth2,
		Headers:         c.Headers,
		ProxyURL:        c.ProxyURL,
		FollowRedirects: c.FollowRedirect,
	}
	if c.Username != "" && c.Password != "" { // as Categraf: only both
		cfg.Username, cfg.Password = c.Username, c.Password
	}
	return cfg
}

// compiled is what the texts of a Config mean.
type compiled struct {
	labels   scrape.LabelConfig // but for the URL's
	urlValue *template.Template // nil = the URL itself
	urlPairs map[string]*template.Template
	target   *relabel.Rules // over targets
}

// compile reads patterns, templates and rules, and lists what is wrong.
func (c Config) compile() (compiled, []error) {
	var text scrape.Compiler
	made := compiled{
		labels: scrape.LabelConfig{
			IgnoreMetrics:     text.Globs("ignore_metrics", c.IgnoreMetrics),
			IgnoreLabelKeys:   text.Globs("ignore_label_keys", c.IgnoreLabelKeys),
			Drop:              text.Globs("metrics_drop", c.MetricsDrop),
			Pass:              text.Globs("metrics_pass", c.MetricsPass),
			NamePrefix:        c.NamePrefix,
			MetricsNamePrefix: c.MetricsNamePrefix,
			Instance:          c.Labels,
			Relabel:           text.Rules("relabel_configs", c.RelabelConfigs),
			AnyName:           c.NameValidation == namesUTF8,
			MetricRelabel:     text.Rules("metric_relabel_configs", c.MetricRelabelConfigs),
		},
		target: text.Rules("target_relabel_configs", c.TargetRelabelConfigs),
	}
	if c.HonorLabels != nil {
		made.labels.Honor = scrape.HonorExported
		if *c.HonorLabels {
			made.labels.Honor = scrape.HonorExposed
		}
	}
	enums, err := c.compileEnums()
	made.labels.Enums = enums
	text.Faults = append(text.Faults, err...)
	text.Faults = append(text.Faults, made.compileTemplates(c)...)
	return made, text.Faults
}

func (c Config) compileEnums() (enums []scrape.Enum, faults []error) {
	for i, e := range c.ProcessorEnum {
		if len(e.Metrics) == 0 {
			faults = append(faults, fmt.Errorf("processor_enum[%d].metrics is missing: want patterns of metric names", i))
		}
		metrics, err := scrape.CompileGlobs(e.Metrics)
		if err != nil {
			faults = append(faults, fmt.Errorf("processor_enum[%d].metrics: %w", i, err))
		}
		values := make(map[float64]float64, len(e.ValueMappings))
		for _, text := range slices.Sorted(maps.Keys(e.ValueMappings)) {
			from, err := strconv.ParseFloat(text, 64)
			if err != nil || math.IsNaN(from) {
				continue // Categraf takes such keys too; no value of a page prints so
			}
			values[from] = e.ValueMappings[text]
		}
		enums = append(enums, scrape.Enum{Metrics: metrics, Values: values})
	}
	return enums, faults
}

func (m *compiled) compileTemplates(c Config) []error {
	var faults []error
	parse := func(key, text string) *template.Template {
		t, err := template.New(key).Parse(text)
		if err == nil {
			err = t.Execute(discard{}, fieldsOf(&url.URL{}))
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("%s = %q: %s", key, text, strings.TrimPrefix(err.Error(), "template: ")))
			return nil
		}
		return t
	}
	if c.URLLabelValue != "" {
		m.urlValue = parse("url_label_value", c.URLLabelValue)
	}
	m.urlPairs = make(map[string]*template.Template, len(c.URLLabelPair))
	for _, name := range slices.Sorted(maps.Keys(c.URLLabelPair)) {
		m.urlPairs[name] = parse("url_label_pair."+name, c.URLLabelPair[name])
	}
	return faults
}

// discard takes what a template prints, to see whether it can.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
