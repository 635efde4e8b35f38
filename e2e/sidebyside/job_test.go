//go:build e2e

package sidebyside

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/BurntSushi/toml"
	"sigs.k8s.io/yaml"
)

// job is how some targets are scraped, to be said in both configurations. The
// zero value of a field is not written, but for what both are always told.
type job struct {
	name     string
	interval time.Duration // 0 = 1 s
	timeout  time.Duration // 0 = 800 ms

	honorLabels      bool
	ignoreTimestamps bool
	trackStaleness   bool
	sampleLimit      int
	labelLimit       int
	nameLimit        int // bytes of a label name
	valueLimit       int // bytes of a label value
	bucketLimit      int
	bodyLimit        string

	protocols []string
	fallback  string
	native    bool // take native histograms
	classic   bool // and their classic form beside them
	nhcb      bool // classic histograms become native ones
	extra     bool // the further scrape_* series

	relabel []rule // metric relabeling

	asPrometheus map[string]any // what kinglet must be told to do as Prometheus does
}

// rule is one relabeling rule; empty fields are not written, except that a
// replacement or separator of "-" is written as the empty text.
type rule struct {
	Source      []string
	Separator   string
	Regex       string
	Modulus     int
	Target      string
	Replacement string
	Action      string
}

func (r rule) fields() map[string]any {
	y := map[string]any{}
	set(y, "source_labels", r.Source, r.Source != nil)
	set(y, "separator", r.Separator, r.Separator != "")
	set(y, "regex", r.Regex, r.Regex != "")
	set(y, "modulus", r.Modulus, r.Modulus != 0)
	set(y, "target_label", r.Target, r.Target != "")
	set(y, "replacement", r.Replacement, r.Replacement != "")
	set(y, "action", r.Action, r.Action != "")
	for _, key := range []string{"separator", "replacement"} {
		if y[key] == "-" {
			y[key] = ""
		}
	}
	return y
}

func set(y map[string]any, key string, value any, written bool) {
	if written {
		y[key] = value
	}
}

// fields are the keys of both configurations that have one name and meaning.
func (j job) fields() map[string]any {
	y := map[string]any{"honor_labels": j.honorLabels, "honor_timestamps": !j.ignoreTimestamps}
	set(y, "track_timestamps_staleness", true, j.trackStaleness)
	set(y, "sample_limit", j.sampleLimit, j.sampleLimit > 0)
	set(y, "label_limit", j.labelLimit, j.labelLimit > 0)
	set(y, "label_name_length_limit", j.nameLimit, j.nameLimit > 0)
	set(y, "label_value_length_limit", j.valueLimit, j.valueLimit > 0)
	set(y, "native_histogram_bucket_limit", j.bucketLimit, j.bucketLimit > 0)
	set(y, "body_size_limit", j.bodyLimit, j.bodyLimit != "")
	set(y, "scrape_protocols", j.protocols, j.protocols != nil)
	set(y, "fallback_scrape_protocol", j.fallback, j.fallback != "")
	set(y, "scrape_native_histograms", true, j.native)
	set(y, "always_scrape_classic_histograms", true, j.classic)
	set(y, "convert_classic_histograms_to_nhcb", true, j.nhcb)
	set(y, "extra_scrape_metrics", true, j.extra)
	var rules []any
	for _, r := range j.relabel {
		rules = append(rules, r.fields())
	}
	set(y, "metric_relabel_configs", rules, rules != nil)
	return y
}

func (j job) intervalText() string { return durationText(j.interval, time.Second) }
func (j job) timeoutText() string  { return durationText(j.timeout, 800*time.Millisecond) }

func durationText(d, otherwise time.Duration) string {
	if d == 0 {
		d = otherwise
	}
	return fmt.Sprintf("%dms", d.Milliseconds())
}

// prometheusYAML is Prometheus' configuration of jobs; it has no targets,
// which the manager is told directly.
func prometheusYAML(jobs []job) (string, error) {
	var configs []any
	for _, j := range jobs {
		y := j.fields()
		y["job_name"], y["scrape_interval"], y["scrape_timeout"] = j.name, j.intervalText(), j.timeoutText()
		configs = append(configs, y)
	}
	text, err := yaml.Marshal(map[string]any{"scrape_configs": configs})
	return string(text), err
}

// kingletRoot is kinglet's config.toml.
func kingletRoot(writeURL, message string) (string, error) {
	return tomlText(map[string]any{
		"global":  map[string]any{"omit_hostname": true, "interval": "1s"},
		"serve":   map[string]any{"listen": ""},
		"writers": []any{map[string]any{"url": writeURL, "protobuf_message": message}},
	})
}

// kingletInput is kinglet's file of input.prometheus for one job. The label
// "target" tells which target a series is of, whatever becomes of "instance".
func kingletInput(j job, addresses []string) (string, error) {
	y := j.fields()
	maps.Copy(y, j.asPrometheus)
	var urls []string
	for _, a := range addresses {
		urls = append(urls, "http://"+a+"/metrics")
	}
	y["urls"] = urls
	y["url_label_value"] = "{{.Host}}"
	y["url_label_pair"] = map[string]any{targetLabel: "{{.Host}}"}
	y["labels"] = map[string]any{"job": j.name}
	y["interval"], y["timeout"] = j.intervalText(), j.timeoutText()
	return tomlText(map[string]any{"instances": []any{y}})
}

func tomlText(root any) (string, error) {
	var text bytes.Buffer
	err := toml.NewEncoder(&text).Encode(root)
	return text.String(), err
}

// sortedKeys are the keys of m in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
