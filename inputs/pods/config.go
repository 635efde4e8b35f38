package pods

import (
	"kinglet/conf/httpclient"
	"kinglet/conf/relabel"
	"kinglet/conf/unit"
	"kinglet/inputs/promtext"
	"kinglet/k8s"
)

// Config is one [[instances]] table of input.pods/*.toml: which of this node's
// pods are scraped, and how. Begin from DefaultConfig: zero is never a default.
type Config struct {
	SourceConfig

	RequireAnnotation bool     `toml:"require_annotation"` // scrape only pods with PREFIX/scrape: "true"
	AnnotationPrefix  string   `toml:"annotation_prefix"`  // "prometheus.io"
	Namespaces        []string `toml:"namespaces"`         // globs; [] = all
	LabelSelector     string   `toml:"label_selector"`     // as kubectl's -l; "" = all
	PortNames         []string `toml:"port_names"`         // globs over names of declared ports; [] = all

	Job       string            `toml:"job" expand:"all"`    // the label job
	PodLabels []string          `toml:"pod_labels"`          // globs over labels of the pod, which its series get
	Labels    map[string]string `toml:"labels" expand:"all"` // over those above; "-" takes a label away

	RelabelConfigs       []relabel.Rule `toml:"relabel_configs"`        // as Prometheus: over targets, with __meta_kubernetes_*
	MetricRelabelConfigs []relabel.Rule `toml:"metric_relabel_configs"` // as Prometheus: over samples of the page
	MetricsPass          []string       `toml:"metrics_pass"`
	MetricsDrop          []string       `toml:"metrics_drop"`
	HonorLabels          bool           `toml:"honor_labels"` // the page's label wins, in place of becoming exported_NAME
	HonorTime            bool           `toml:"honor_timestamps"`

	Interval unit.Duration `toml:"interval"` // 0 = the input's, else [global]'s
	Timeout  unit.Duration `toml:"timeout"`  // of a whole scrape; cut to the interval

	ScrapeMeta bool     `toml:"scrape_meta"` // scrape_duration_seconds and its siblings beside up
	ExtraMeta  bool     `toml:"extra_scrape_metrics"`
	Lenient    bool     `toml:"lenient"`
	Protocols  []string `toml:"scrape_protocols"`
	Fallback   string   `toml:"fallback_scrape_protocol"` // "none" fails a page of no known type

	BodySizeLimit         unit.Bytes `toml:"body_size_limit"`
	SampleLimit           int        `toml:"sample_limit"` // of one target; these and those below: 0 = no limit
	LabelLimit            int        `toml:"label_limit"`
	LabelNameLengthLimit  int        `toml:"label_name_length_limit"`  // bytes
	LabelValueLengthLimit int        `toml:"label_value_length_limit"` // bytes
	TargetLimit           int        `toml:"target_limit"`             // targets of the instance; more are left out

	httpclient.TLS // of pods that serve https
}

// SourceConfig says who is asked for the pods. Instances with equal ones share
// the asking.
type SourceConfig struct {
	Source       string        `toml:"source"`                 // "auto", "kubelet" or "api"
	NodeName     string        `toml:"node_name" expand:"all"` // "" = the environment's, see k8s.ThisNode
	PollInterval unit.Duration `toml:"poll_interval"`          // between two lists of the kubelet

	KubeletURL                string `toml:"kubelet_url" expand:"all"`
	KubeletTokenFile          string `toml:"kubelet_token_file" expand:"braces"`
	KubeletCAFile             string `toml:"kubelet_ca_file" expand:"braces"`
	KubeletCertFile           string `toml:"kubelet_cert_file" expand:"braces"`
	KubeletServerName         string `toml:"kubelet_server_name" expand:"all"`
	KubeletInsecureSkipVerify bool   `toml:"kubelet_insecure_skip_verify"`

	APIURL       string `toml:"api_url" expand:"all"`
	APITokenFile string `toml:"api_token_file" expand:"braces"`
	APICAFile    string `toml:"api_ca_file" expand:"braces"`
}

// Values of SourceConfig.Source.
const (
	sourceAuto    = "auto"
	sourceKubelet = "kubelet"
	sourceAPI     = "api"
)

// fallbackNone, as Config.Fallback, fails pages of no known type.
const fallbackNone = "none"

// DefaultConfig is all annotated pods. The kubelet is asked every 2 s: with the
// second that a new pod's address takes to reach it, and the half second at most
// until a first scrape, a pod is scraped within 5 s of being reachable. A list
// of 85 pods is 420 KiB long and costs kinglet 2 ms. The limit of targets is
// four times the pods of a large node.
func DefaultConfig() Config {
	kubelet, api := k8s.DefaultKubeletConfig(), k8s.DefaultAPIConfig()
	return Config{
		SourceConfig: SourceConfig{
			Source: sourceAuto, PollInterval: unit.Seconds(2),
			KubeletTokenFile: kubelet.TokenFile, KubeletCAFile: kubelet.CAFile,
			APITokenFile: api.TokenFile, APICAFile: api.CAFile,
		},
		RequireAnnotation: true,
		AnnotationPrefix:  "prometheus.io",
		Job:               "kubernetes-pods",
		HonorTime:         true,
		Timeout:           unit.Seconds(10),
		ScrapeMeta:        true,
		Fallback:          string(promtext.PrometheusText0),
		BodySizeLimit:     64 * unit.MiB,
		TargetLimit:       1000,
	}
}

// kubelet is how the kubelet is asked.
func (c SourceConfig) kubelet() k8s.KubeletConfig {
	return k8s.KubeletConfig{
		URL: c.KubeletURL, TokenFile: c.KubeletTokenFile, CAFile: c.KubeletCAFile, CertFile: c.KubeletCertFile,
		ServerName: c.KubeletServerName, InsecureSkipVerify: c.KubeletInsecureSkipVerify,
	}
}

// api is how the API server is asked.
func (c SourceConfig) api() k8s.APIConfig {
	return k8s.APIConfig{URL: c.APIURL, TokenFile: c.APITokenFile, CAFile: c.APICAFile}
}
