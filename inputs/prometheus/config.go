package prometheus

import (
	"kinglet/conf/httpclient"
	"kinglet/conf/relabel"
	"kinglet/conf/unit"
)

// Config is one [[instances]] table of input.prometheus/*.toml. Begin from
// DefaultConfig: zero is never a default. Fields tagged expand:"all" take
// $NAME, ${NAME}, $hostname and $ip; those tagged expand:"braces" only ${NAME},
// so that a password with a $ in it stays what it is.
type Config struct {
	URLs          []string          `toml:"urls" expand:"all"`
	URLLabelKey   string            `toml:"url_label_key"`   // "instance"; "-" leaves the label out
	URLLabelValue string            `toml:"url_label_value"` // text/template over .Scheme .Host .Hostname .Port .Path .Query .Fragment; "" = the URL
	URLLabelPair  map[string]string `toml:"url_label_pair"`

	Labels            map[string]string `toml:"labels" expand:"all"` // overwrite; "-" deletes
	NamePrefix        string            `toml:"name_prefix"`
	MetricsNamePrefix string            `toml:"metrics_name_prefix"`
	MetricsPass       []string          `toml:"metrics_pass"`
	MetricsDrop       []string          `toml:"metrics_drop"`
	IgnoreMetrics     []string          `toml:"ignore_metrics"`
	IgnoreLabelKeys   []string          `toml:"ignore_label_keys"`
	ProcessorEnum     []ProcessorEnum   `toml:"processor_enum"`
	RelabelConfigs    []relabel.Rule    `toml:"relabel_configs"` // over every sample, up and scrape_* too

	Interval      unit.Duration `toml:"interval"` // 0 = the input's, else [global]'s
	IntervalTimes int           `toml:"interval_times"`
	Timeout       unit.Duration `toml:"timeout"` // whole request, body included

	Username          string   `toml:"username" expand:"braces"`
	Password          string   `toml:"password" expand:"braces"`
	BearerTokenString string   `toml:"bearer_token_string" expand:"braces"`
	BearerTokenFile   string   `toml:"bearer_token_file" expand:"braces"`
	Headers           []string `toml:"headers" expand:"braces"` // name, value, name, value
	httpclient.OAuth2
	httpclient.TLS

	DuplicationAllowed bool `toml:"duplication_allowed"`

	// Beyond Categraf.
	HonorLabels    *bool      `toml:"honor_labels"` // nil: as Categraf, see design; false: exported_ renaming; true: exposed labels win
	HonorTime      bool       `toml:"honor_timestamps"`
	ScrapeMeta     bool       `toml:"scrape_meta"` // scrape_duration_seconds and its siblings beside up
	Lenient        bool       `toml:"lenient"`     // skip and count bad lines instead of failing the page
	BodySizeLimit  unit.Bytes `toml:"body_size_limit"`
	FollowRedirect bool       `toml:"follow_redirects"`
	ExtraMeta      bool       `toml:"extra_scrape_metrics"`      // scrape_timeout_seconds and its siblings beside those
	ProxyURL       string     `toml:"proxy_url" expand:"braces"` // "" = none
	NameValidation string     `toml:"metric_name_validation"`    // "legacy" or "utf8"
	Protocols      []string   `toml:"scrape_protocols"`          // asked for, the best one first; empty: see Config.protocols
	Fallback       string     `toml:"fallback_scrape_protocol"`  // of a page whose type is missing or unknown; "none" fails it

	NativeHistograms  bool `toml:"scrape_native_histograms"`           // where a histogram has a native form
	ClassicHistograms bool `toml:"always_scrape_classic_histograms"`   // beside the native form too
	CustomBuckets     bool `toml:"convert_classic_histograms_to_nhcb"` // classic histograms become native ones
	CreatedTimestamps bool `toml:"created_timestamps"`                 // _created series become start timestamps
	BucketLimit       int  `toml:"native_histogram_bucket_limit"`      // larger ones are made coarser; 0 = no limit

	TargetRelabelConfigs []relabel.Rule `toml:"target_relabel_configs"` // over the target's own labels and address

	MetricRelabelConfigs     []relabel.Rule `toml:"metric_relabel_configs"` // as Prometheus: over samples of the page, last
	TrackTimestampsStaleness bool           `toml:"track_timestamps_staleness"`
	SampleLimit              int            `toml:"sample_limit"`             // samples of a page after relabeling; this and those below: 0 = no limit
	LabelLimit               int            `toml:"label_limit"`              // labels of a series, the metric name included
	LabelNameLengthLimit     int            `toml:"label_name_length_limit"`  // bytes
	LabelValueLengthLimit    int            `toml:"label_value_length_limit"` // bytes
	TargetLimit              int            `toml:"target_limit"`             // urls of the instance; more fail all of them
}

// ProcessorEnum maps printed values of some metrics to numbers.
type ProcessorEnum struct {
	Metrics       []string           `toml:"metrics"`
	ValueMappings map[string]float64 `toml:"value_mappings"`
}
