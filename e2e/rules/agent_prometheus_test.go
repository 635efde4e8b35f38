//go:build e2e

package rules

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"
)

// prometheusAgent is Prometheus in agent mode. It is the measure of the suite
// itself: what the reference does not keep is likely asked wrongly here.
type prometheusAgent struct {
	bin          string
	major, minor int
}

func newPrometheus(bin string) (Agent, error) {
	out, err := exec.Command(bin, "--version").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("ask %s for its version: %w", bin, err)
	}
	a := prometheusAgent{bin: bin}
	m := regexp.MustCompile(`version (\d+)\.(\d+)`).FindSubmatch(out)
	if m == nil {
		a.major, a.minor = 3, 14 // a build of one's own names no version
		return a, nil
	}
	a.major, _ = strconv.Atoi(string(m[1]))
	a.minor, _ = strconv.Atoi(string(m[2]))
	return a, nil
}

func (a prometheusAgent) Kind() string { return "prometheus" }
func (a prometheusAgent) Name() string { return fmt.Sprintf("prometheus %d.%d", a.major, a.minor) }

func (a prometheusAgent) since(major, minor int) bool {
	return a.major > major || a.major == major && a.minor >= minor
}

func (a prometheusAgent) Configure(s Setup) ([]string, error) {
	root := map[string]any{"global": map[string]any{"scrape_interval": "1s", "scrape_timeout": "1s"}}
	var jobs, writers []any
	for _, j := range s.Jobs {
		y, err := a.job(j)
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, y)
	}
	for i, wr := range s.Writers {
		y, err := a.writer(i, wr)
		if err != nil {
			return nil, err
		}
		writers = append(writers, y)
		if wr.External != nil {
			if len(s.Writers) > 1 {
				return nil, noOption("external labels per writer")
			}
			root["global"].(map[string]any)["external_labels"] = wr.External
		}
	}
	root["scrape_configs"], root["remote_write"] = jobs, writers
	file := filepath.Join(s.Dir, "prometheus.yml")
	if err := writeYAML(file, root); err != nil {
		return nil, err
	}
	args := []string{a.bin, "--config.file=" + file, "--storage.agent.path=" + filepath.Join(s.Dir, "wal"), "--web.listen-address=127.0.0.1:0"}
	var features []string
	if a.major == 2 {
		args = append(args, "--enable-feature=agent")
		features = append(features, "extra-scrape-metrics", "native-histograms")
	} else {
		args = append(args, "--agent")
		if s.has("metadata") {
			features = append(features, "metadata-wal-records")
		}
		if s.has("start-timestamps") {
			features = append(features, "st-storage")
		}
	}
	if features != nil {
		args = append(args, "--enable-feature="+strings.Join(features, ","))
	}
	return args, nil
}

func (a prometheusAgent) job(j Job) (map[string]any, error) {
	y, err := scrapeConfig(j)
	if err != nil {
		return nil, err
	}
	if j.Protocols != nil && !a.since(2, 49) {
		return nil, noOption("scrape_protocols")
	}
	if j.Fallback != "" && !a.since(3, 0) {
		return nil, noOption("fallback_scrape_protocol")
	}
	if j.TrackStaleness && !a.since(2, 48) {
		return nil, noOption("track_timestamps_staleness")
	}
	if (j.ToNHCB || j.Native) && a.major < 3 {
		return nil, noOption("native histograms in full")
	}
	set(y, "scrape_protocols", j.Protocols, j.Protocols != nil)
	set(y, "fallback_scrape_protocol", j.Fallback, j.Fallback != "" && j.Fallback != "none")
	set(y, "track_timestamps_staleness", true, j.TrackStaleness)
	set(y, "convert_classic_histograms_to_nhcb", true, j.ToNHCB)
	set(y, "always_scrape_classic_histograms", true, j.Classic)
	set(y, "scrape_native_histograms", true, j.Native)
	set(y, "extra_scrape_metrics", true, j.Extra && a.major >= 3)
	set(y, "native_histogram_bucket_limit", j.BucketLimit, j.BucketLimit > 0)
	return y, nil
}

func (a prometheusAgent) writer(i int, w Writer) (map[string]any, error) {
	y := map[string]any{
		"name": strconv.Itoa(i), "url": w.URL, "remote_timeout": duration(w.Timeout),
		"send_exemplars": w.Exemplars, "send_native_histograms": w.Native,
		"metadata_config": map[string]any{"send": w.MetadataNow, "send_interval": "1s"},
		"queue_config": map[string]any{
			"capacity": 4 * w.Batch, "min_shards": 1, "max_shards": 1, "max_samples_per_send": w.Batch,
			"batch_send_deadline": duration(w.Deadline), "min_backoff": duration(w.MinBackoff),
			"max_backoff": duration(w.MaxBackoff), "retry_on_http_429": w.Retry429,
		},
	}
	if w.Message != "" && w.Message != "1.0" && !a.since(2, 54) || w.Message == "auto" {
		return nil, noOption("remote write " + w.Message)
	}
	set(y, "protobuf_message", "io.prometheus.write.v2.Request", w.Message == "2.0")
	set(y, "headers", w.Headers, w.Headers != nil)
	set(y, "write_relabel_configs", relabelYAML(w.Relabel), w.Relabel != nil)
	if w.MaxAge > 0 {
		y["queue_config"].(map[string]any)["sample_age_limit"] = duration(w.MaxAge)
	}
	return y, nil
}

// scrapeConfig is the part of scrape_configs that Prometheus and vmagent share.
func scrapeConfig(j Job) (map[string]any, error) {
	var hosts []string
	for _, base := range slices.Concat(j.targets, j.URLs) {
		u, err := url.Parse(base)
		if err != nil {
			return nil, err
		}
		hosts = append(hosts, u.Host)
	}
	static := map[string]any{"targets": hosts}
	set(static, "labels", j.Labels, j.Labels != nil)
	y := map[string]any{
		"job_name": j.Name, "metrics_path": j.Path, "static_configs": []any{static},
		"scrape_interval": duration(j.Interval), "scrape_timeout": duration(j.Timeout),
	}
	if j.Query != "" {
		q, err := url.ParseQuery(j.Query)
		if err != nil {
			return nil, err
		}
		y["params"] = q
	}
	if j.HonorLabels != nil {
		y["honor_labels"] = *j.HonorLabels
	}
	if j.HonorTimestamps != nil {
		y["honor_timestamps"] = *j.HonorTimestamps
	}
	set(y, "sample_limit", j.SampleLimit, j.SampleLimit > 0)
	set(y, "label_limit", j.LabelLimit, j.LabelLimit > 0)
	set(y, "label_name_length_limit", j.NameLimit, j.NameLimit > 0)
	set(y, "label_value_length_limit", j.ValueLimit, j.ValueLimit > 0)
	set(y, "target_limit", j.TargetLimit, j.TargetLimit > 0)
	set(y, "body_size_limit", j.BodyLimit, j.BodyLimit != "")
	set(y, "follow_redirects", false, j.NoRedirect)
	set(y, "metric_relabel_configs", relabelYAML(j.MetricRelabel), j.MetricRelabel != nil)
	set(y, "relabel_configs", relabelYAML(j.TargetRelabel), j.TargetRelabel != nil)
	return y, nil
}

func relabelYAML(rules []Rule) []any {
	var out []any
	for _, r := range rules {
		y := map[string]any{}
		set(y, "source_labels", r.Source, r.Source != nil)
		set(y, "separator", r.Separator, r.Separator != nil)
		set(y, "regex", r.Regex, r.Regex != nil)
		set(y, "modulus", r.Modulus, r.Modulus != 0)
		set(y, "target_label", r.Target, r.Target != "")
		set(y, "replacement", r.Replacement, r.Replacement != nil)
		set(y, "action", r.Action, r.Action != "")
		out = append(out, y)
	}
	return out
}

// set writes a key only if the case asked for it.
func set(m map[string]any, key string, value any, wanted bool) {
	if wanted {
		m[key] = value
	}
}

func writeYAML(file string, root any) error {
	text, err := yaml.Marshal(root)
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}
