package main

import (
	"flag"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"kinglet/inputs"
	"kinglet/inputs/catalog"
	"kinglet/writer"
	"kinglet/writer/heartbeat"
	"kinglet/writer/remotewrite"
)

var update = flag.Bool("update", false, "rewrite docs/metrics.md from what is registered")

// recorder is a Registerer that remembers what is registered.
type recorder struct {
	prometheus.Gatherer
	lines []string
}

var descText = regexp.MustCompile(`fqName: "([^"]+)", help: "(.*?)"(?:, unit: "[^"]*")?, constLabels: \{.*\}, variableLabels: \{(.*?)\}`)

func (r *recorder) Register(c prometheus.Collector) error {
	descs := make(chan *prometheus.Desc)
	go func() {
		c.Describe(descs)
		close(descs)
	}()
	for d := range descs {
		m := descText.FindStringSubmatch(d.String())
		if m == nil || !strings.HasPrefix(m[1], "kinglet_") {
			continue
		}
		r.lines = append(r.lines, fmt.Sprintf("| `%s` | %s | %s |", m[1], strings.ReplaceAll(m[3], ",", ", "), strings.ReplaceAll(m[2], `\"`, `"`)))
	}
	return nil
}

func (r *recorder) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		_ = r.Register(c) // it never fails
	}
}

func (r *recorder) Unregister(prometheus.Collector) bool { return false }

const metricsHead = `# Metrics of kinglet itself

Served at ` + "`/metrics`" + ` on ` + "`[serve] listen`" + `, and pushed with the rest by ` + "`input.self_metrics`" + `. Counters end in
` + "`_total`" + `; times are seconds, sizes bytes. ` + "`go_*` and `process_*`" + ` are those of the usual client library. This page is
made from what the program registers (` + "`make golden`" + `) and held equal to it by a test.

| metric | labels | what it says |
|---|---|---|
`

func TestDocumentedMetricsAreTheRegisteredOnes(t *testing.T) {
	r := &recorder{Gatherer: prometheus.NewRegistry()}
	log := slog.New(slog.DiscardHandler)
	newAgentMetrics(r)
	if _, err := writer.New(writer.DefaultConfig(), []remotewrite.Config{}, log, r); err != nil {
		t.Fatal(err)
	}
	if _, err := heartbeat.New("", log, r); err != nil {
		t.Fatal(err)
	}
	for _, e := range catalog.All() {
		if _, err := e.New([]any{e.Default()}, inputs.Settings{Interval: 1e9, Precision: 1e6, MaxColumns: 1}, log, r); err != nil {
			t.Fatalf("input %s: %v", e.Name, err)
		}
	}
	r.lines = append(r.lines, "| `kinglet_build_info` | goversion, version | 1; the labels say which build this is. |")
	slices.Sort(r.lines)
	want := metricsHead + strings.Join(slices.Compact(r.lines), "\n") + "\n"

	const path = "../../docs/metrics.md"
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Errorf("docs/metrics.md is not what is registered; run `make golden`:\n%s", d)
	}
}
