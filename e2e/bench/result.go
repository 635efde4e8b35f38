package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// report is the file of one or several runs.
type report struct {
	Date    string   `json:"date"`
	Machine string   `json:"machine"`
	Cores   int      `json:"cores"`
	Go      string   `json:"go"`
	Version string   `json:"kinglet"` // "" if not told
	Results []result `json:"results"`
}

func newReport(now time.Time, version string) report {
	return report{
		Date: now.UTC().Format(time.DateOnly), Machine: machine(), Cores: runtime.NumCPU(), Go: runtime.Version(), Version: version,
	}
}

// result is one agent in one scenario. Per-sample figures divide by the samples
// of the targets that were received in the window; the bytes include what the
// agent sends beside them.
type result struct {
	Scenario  string  `json:"scenario"`
	Title     string  `json:"title"`
	Agent     string  `json:"agent"`
	Kind      string  `json:"kind"`
	Args      string  `json:"args,omitempty"`
	Failed    string  `json:"failed,omitempty"`
	Targets   int     `json:"targets"`
	Series    int     `json:"series"`
	IntervalS float64 `json:"interval_s"`

	// over the measurement
	MeasuredS    float64 `json:"measured_s"`
	CPUS         float64 `json:"cpu_s"`
	CPUUserS     float64 `json:"cpu_user_s"`
	CPUSysS      float64 `json:"cpu_sys_s"`
	CPUMicros    float64 `json:"cpu_us_per_sample"`
	OtherCPUS    float64 `json:"other_cpu_s"` // of all but the agent and this program
	RSSMean      int64   `json:"rss_mean_bytes"`
	RSSPeak      int64   `json:"rss_peak_bytes"`                 // VmHWM: since the agent started
	RSSOver      []int64 `json:"rss_each_5_min_bytes,omitempty"` // means, of runs that long
	BodyBytes    float64 `json:"body_bytes_per_sample"`
	WireBytes    float64 `json:"wire_bytes_per_sample"` // with headers
	RawBytes     float64 `json:"unpacked_bytes_per_sample"`
	PageBytes    float64 `json:"page_bytes_per_sample"`
	Received     int64   `json:"samples_received"`
	Requests     int64   `json:"requests"`
	Scrapes      int64   `json:"scrapes"`
	OwnSamples   int64   `json:"own_samples"`
	Metadata     int64   `json:"metadata"`
	LatencyP50Ms float64 `json:"latency_p50_ms"`
	LatencyP95Ms float64 `json:"latency_p95_ms"`
	LatencyMaxMs float64 `json:"latency_max_ms"`
	DiskBytes    int64   `json:"disk_bytes"`

	// over the whole run, after what was due was waited for
	Due        int64            `json:"samples_due"`
	Lost       int64            `json:"samples_lost"`
	Duplicates int64            `json:"samples_duplicate"`
	Late       int64            `json:"samples_out_of_order"`
	Stale      int64            `json:"stale_markers"`
	Refused    int64            `json:"requests_refused"`
	DrainS     float64          `json:"drain_s"`
	Protocols  map[string]int64 `json:"requests_by_protocol,omitempty"`

	// of cold starts
	FirstMs []float64 `json:"first_sample_ms,omitempty"`
	AllMs   []float64 `json:"all_targets_ms,omitempty"`
}

func newResult(a agent, s scenario) result {
	r := result{Scenario: s.Name, Title: s.Title, Agent: a.Name, Kind: a.Kind, Args: strings.Join(a.Args, " "), IntervalS: s.Interval.Seconds()}
	for _, g := range s.Groups {
		r.Targets += g.N
	}
	return r
}

// window fills in the measurement from the counts at its beginning and end.
func (r *result) window(used cpuTime, t0, t1 traffic, s0, s1 served) {
	r.Received = t1.samples - t0.samples
	per := func(n int64) float64 { return float64(n) / float64(max(1, r.Received)) }
	r.CPUS, r.CPUUserS, r.CPUSysS = used.total.Seconds(), used.user.Seconds(), used.sys.Seconds()
	r.CPUMicros = per(used.total.Nanoseconds()) / 1000
	r.BodyBytes, r.WireBytes, r.RawBytes = per(t1.body-t0.body), per(t1.conn-t0.conn), per(t1.raw-t0.raw)
	r.Requests, r.OwnSamples, r.Metadata = t1.requests-t0.requests, t1.own-t0.own, t1.metadata-t0.metadata
	r.Scrapes = s1.scrapes - s0.scrapes
	r.PageBytes = float64(s1.bytes-s0.bytes) / float64(max(1, s1.samples-s0.samples))
}

// total fills in the whole run. due is the samples of all scrapes that were
// answered whole.
func (r *result) total(due int64, t traffic) {
	r.Due, r.Lost, r.Duplicates, r.Late, r.Stale = due, due-t.distinct, t.duplicates, t.late, t.stale
	r.Refused, r.Protocols = t.refused, t.protocols
}

// readReport reads a file that write wrote.
func readReport(path string) (report, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return report{}, fmt.Errorf("read results: %w", err)
	}
	var r report
	if err := json.Unmarshal(text, &r); err != nil {
		return report{}, fmt.Errorf("read results %s: %w", path, err)
	}
	return r, nil
}

// write replaces the file.
func (r report) write(path string) error {
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("encode results: %w", err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return nil
}
