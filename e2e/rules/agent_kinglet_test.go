//go:build e2e

package rules

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/BurntSushi/toml"
)

// kingletAgent writes Categraf's tree with kinglet's own keys.
type kingletAgent struct{ bin string }

func (a kingletAgent) Kind() string { return "kinglet" }
func (a kingletAgent) Name() string { return "kinglet" }

func (a kingletAgent) Configure(s Setup) ([]string, error) {
	first := s.Writers[0]
	root := categrafRoot(s)
	root["serve"] = map[string]any{"listen": ""}
	root["writer_opt"] = map[string]any{"batch": first.Batch, "chan_size": 100000, "linger": duration(first.Deadline)}
	var writers []any
	for _, w := range s.Writers {
		writers = append(writers, kingletWriter(w))
	}
	root["writers"] = writers
	jobs := map[string]any{}
	for _, j := range s.Jobs {
		jobs[j.Name] = map[string]any{"instances": []any{kingletInstance(j)}}
	}
	return []string{a.bin, "--configs", s.Dir}, writeTree(s.Dir, root, jobs)
}

func kingletWriter(w Writer) map[string]any {
	y := map[string]any{
		"url": w.URL, "timeout": w.Timeout.Milliseconds(),
		"min_backoff": duration(w.MinBackoff), "max_backoff": duration(w.MaxBackoff),
		"exemplars": w.Exemplars, "native_histograms": w.Native,
	}
	set(y, "headers", flatten(w.Headers), w.Headers != nil)
	set(y, "protobuf_message", w.Message, w.Message != "")
	set(y, "external_labels", w.External, w.External != nil)
	set(y, "write_relabel_configs", relabelYAML(w.Relabel), w.Relabel != nil)
	set(y, "max_age", duration(w.MaxAge), w.MaxAge > 0)
	set(y, "metadata_interval", "1s", w.MetadataNow)
	return y
}

func kingletInstance(j Job) map[string]any {
	y := categrafInstance(j)
	y["interval"], y["timeout"] = duration(j.Interval), duration(j.Timeout)
	if j.HonorLabels != nil {
		y["honor_labels"] = *j.HonorLabels
	}
	if j.HonorTimestamps != nil {
		y["honor_timestamps"] = *j.HonorTimestamps
	}
	set(y, "track_timestamps_staleness", true, j.TrackStaleness)
	set(y, "sample_limit", j.SampleLimit, j.SampleLimit > 0)
	set(y, "label_limit", j.LabelLimit, j.LabelLimit > 0)
	set(y, "label_name_length_limit", j.NameLimit, j.NameLimit > 0)
	set(y, "label_value_length_limit", j.ValueLimit, j.ValueLimit > 0)
	set(y, "target_limit", j.TargetLimit, j.TargetLimit > 0)
	set(y, "body_size_limit", j.BodyLimit, j.BodyLimit != "")
	set(y, "native_histogram_bucket_limit", j.BucketLimit, j.BucketLimit > 0)
	set(y, "metric_relabel_configs", relabelYAML(j.MetricRelabel), j.MetricRelabel != nil)
	set(y, "target_relabel_configs", relabelYAML(j.TargetRelabel), j.TargetRelabel != nil)
	set(y, "scrape_protocols", j.Protocols, j.Protocols != nil)
	set(y, "fallback_scrape_protocol", j.Fallback, j.Fallback != "")
	set(y, "follow_redirects", false, j.NoRedirect)
	set(y, "scrape_native_histograms", true, j.Native)
	set(y, "always_scrape_classic_histograms", true, j.Classic)
	set(y, "convert_classic_histograms_to_nhcb", true, j.ToNHCB)
	set(y, "extra_scrape_metrics", true, j.Extra)
	return y
}

// categrafRoot is the part of config.toml that Categraf and kinglet share.
func categrafRoot(s Setup) map[string]any {
	first := s.Writers[0]
	var writers []any
	for _, w := range s.Writers {
		y := map[string]any{"url": w.URL, "timeout": w.Timeout.Milliseconds()}
		set(y, "headers", flatten(w.Headers), w.Headers != nil)
		writers = append(writers, y)
	}
	return map[string]any{
		"global":     map[string]any{"hostname": "node", "omit_hostname": true, "interval": duration(s.Jobs[0].Interval)},
		"writer_opt": map[string]any{"batch": first.Batch, "chan_size": 100000},
		"writers":    writers,
	}
}

// categrafInstance is the part of [[instances]] that both share. The instance
// label is host:port, as everywhere but in Categraf's own default.
func categrafInstance(j Job) map[string]any {
	var urls []string
	for _, base := range slices.Concat(j.targets, j.URLs) {
		u := base + j.Path
		if j.Query != "" {
			u += "?" + j.Query
		}
		urls = append(urls, u)
	}
	labels := map[string]string{"job": j.Name}
	for k, v := range j.Labels {
		labels[k] = v
	}
	return map[string]any{"urls": urls, "url_label_value": "{{.Host}}", "labels": labels, "timeout": duration(j.Timeout)}
}

func flatten(headers map[string]string) []string {
	var flat []string
	for k, v := range headers {
		flat = append(flat, k, v)
	}
	return flat
}

// writeTree writes config.toml and one file of input.prometheus per job, and
// removes the files of jobs that are gone.
func writeTree(dir string, root map[string]any, jobs map[string]any) error {
	inputs := filepath.Join(dir, "input.prometheus")
	if err := os.MkdirAll(inputs, 0o755); err != nil {
		return err
	}
	old, err := filepath.Glob(filepath.Join(inputs, "*.toml"))
	if err != nil {
		return err
	}
	for name, job := range jobs {
		file := filepath.Join(inputs, name+".toml")
		if err := writeTOML(file, job); err != nil {
			return err
		}
		old = slices.DeleteFunc(old, func(f string) bool { return f == file })
	}
	for _, file := range old {
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	return writeTOML(filepath.Join(dir, "config.toml"), root)
}

func writeTOML(file string, root any) error {
	var text bytes.Buffer
	if err := toml.NewEncoder(&text).Encode(root); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return os.WriteFile(file, text.Bytes(), 0o600)
}
