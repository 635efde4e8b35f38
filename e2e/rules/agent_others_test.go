//go:build e2e

package rules

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
)

// vmagentAgent reads Prometheus' scrape_configs; the writers are flags.
type vmagentAgent struct{ bin string }

func (a vmagentAgent) Kind() string { return "vmagent" }
func (a vmagentAgent) Name() string { return "vmagent" }

func (a vmagentAgent) Configure(s Setup) ([]string, error) {
	var jobs []any
	for _, j := range s.Jobs {
		if j.Protocols != nil || j.Fallback != "" || j.Native || j.ToNHCB || j.TrackStaleness || j.NameLimit > 0 || j.TargetLimit > 0 {
			return nil, noOption("protocols, native histograms, further limits")
		}
		y, err := scrapeConfig(j)
		if err != nil {
			return nil, err
		}
		delete(y, "body_size_limit")
		delete(y, "label_value_length_limit")
		jobs = append(jobs, y)
	}
	file := filepath.Join(s.Dir, "scrape.yml")
	if err := writeYAML(file, map[string]any{"scrape_configs": jobs}); err != nil {
		return nil, err
	}
	first := s.Writers[0]
	args := []string{
		a.bin, "-promscrape.config=" + file, "-promscrape.config.strictParse=false", "-httpListenAddr=127.0.0.1:0",
		"-remoteWrite.tmpDataPath=" + filepath.Join(s.Dir, "queue"), "-remoteWrite.queues=1",
		"-remoteWrite.flushInterval=" + duration(first.Deadline), "-remoteWrite.maxRowsPerBlock=" + strconv.Itoa(first.Batch),
	}
	for i, w := range s.Writers {
		if w.Message == "2.0" || w.Message == "auto" || w.Native || w.Exemplars || w.MetadataNow {
			return nil, noOption("remote write beyond samples of 1.0")
		}
		args = append(args, "-remoteWrite.url="+w.URL, "-remoteWrite.sendTimeout="+duration(w.Timeout))
		for k, v := range w.External {
			args = append(args, fmt.Sprintf("-remoteWrite.label=%s=%s", k, v))
		}
		for k, v := range w.Headers {
			args = append(args, fmt.Sprintf("-remoteWrite.headers=%s:%s", k, v))
		}
		if w.Relabel != nil {
			rules := filepath.Join(s.Dir, fmt.Sprintf("relabel%d.yml", i))
			if err := writeYAML(rules, relabelYAML(w.Relabel)); err != nil {
				return nil, err
			}
			args = append(args, "-remoteWrite.urlRelabelConfig="+rules)
		}
	}
	if slices.ContainsFunc(s.Jobs, func(j Job) bool { return j.BodyLimit != "" || j.ValueLimit > 0 || j.BucketLimit > 0 }) {
		return nil, noOption("body_size_limit, label_value_length_limit")
	}
	return args, nil
}

// categrafAgent writes only keys that Categraf has. Its prometheus input takes
// the interval of the input, not of an instance.
type categrafAgent struct{ bin string }

func (a categrafAgent) Kind() string { return "categraf" }
func (a categrafAgent) Name() string { return "categraf" }

func (a categrafAgent) Configure(s Setup) ([]string, error) {
	for _, w := range s.Writers {
		if w.Message == "2.0" || w.Message == "auto" || w.External != nil || w.Relabel != nil || w.Native || w.Exemplars || w.MetadataNow {
			return nil, noOption("per-writer labels and relabeling, remote write 2.0")
		}
	}
	jobs := map[string]any{}
	for _, j := range s.Jobs {
		if j.HonorLabels != nil || j.HonorTimestamps != nil || j.Protocols != nil || j.Fallback != "" || j.TargetRelabel != nil ||
			j.SampleLimit+j.LabelLimit+j.NameLimit+j.ValueLimit+j.TargetLimit+j.BucketLimit > 0 || j.BodyLimit != "" ||
			j.TrackStaleness || j.NoRedirect || j.Native || j.ToNHCB || j.Classic {
			return nil, noOption("honor_*, limits, protocols, target relabeling")
		}
		instance := categrafInstance(j)
		set(instance, "relabel_configs", relabelYAML(j.MetricRelabel), j.MetricRelabel != nil)
		jobs[j.Name] = map[string]any{"interval": duration(j.Interval), "instances": []any{instance}}
	}
	return []string{a.bin, "--configs", s.Dir}, writeTree(s.Dir, categrafRoot(s), jobs)
}
