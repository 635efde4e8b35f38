//go:build e2e

package rules

import (
	"fmt"
	"slices"
	"testing"
)

// Section B: the 1.0 message.
func TestMessage1(t *testing.T) {
	t.Parallel()
	check(t, "RW-13", "1.0 uses the fields of the specification and no others", Case{
		Scrapes: text("# TYPE m counter\nm{a=\"1\"} 1\n"), Writer: Writer{Message: "1.0"},
		Want: []Want{everyRequest(func(r Request) error {
			return onlyFields(r.Proto, "request", map[string][]int{"request": {1, 3}, "request.1": {1, 2}, "request.1.1": {1, 2}, "request.1.2": {1, 2}, "request.3": {1, 2, 4, 5}})
		})},
	})
	check(t, "RW-14", "1.0 carries exemplars when configured", Case{
		Scrapes: openMetrics("# TYPE m counter\nm_total 1 # {trace_id=\"abc\"} 0.5\n"),
		Job:     Job{Protocols: []string{"OpenMetricsText1.0.0"}}, Writer: Writer{Message: "1.0", Exemplars: true},
		Features: []string{"exemplars"},
		Want:     []Want{hasExemplar("m_total", `{trace_id="abc"}`, 0.5), values("m_total", 1)},
	})
	check(t, "RW-15", "1.0 sends metadata by family, in requests of its own", Case{
		Scrapes: text("# HELP h a histogram\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n# TYPE c counter\n# HELP c a counter\nc 1\n"),
		Writer:  Writer{Message: "1.0", MetadataNow: true},
		Want: []Want{values("c", 1), func(w *World) error {
			var got []FamilyMetadata
			for _, r := range w.requests(0) {
				if len(r.Metadata) > 0 && r.Series > 0 {
					return fmt.Errorf("request %d mixes metadata and samples", r.N)
				}
				if len(r.Metadata) > 2000 {
					return fmt.Errorf("request %d has %d entries", r.N, len(r.Metadata))
				}
				got = append(got, r.Metadata...)
			}
			for _, want := range []FamilyMetadata{{"h", "histogram", "a histogram", ""}, {"c", "counter", "a counter", ""}} {
				if !slices.Contains(got, want) {
					return fmt.Errorf("no metadata %v in %v", want, got)
				}
			}
			return nil
		}},
	})
	check(t, "RW-15", "metadata that is refused blocks no samples", Case{
		Scrapes: []Page{{Make: func(n int, _ int64) string { return fmt.Sprintf("# TYPE m counter\n# HELP m x\nm %d\n", n+1) }}},
		Writer: Writer{Message: "1.0", MetadataNow: true, Reply: func(r *Request) Answer {
			if len(r.Metadata) > 0 {
				return Answer{Status: 400}
			}
			return Answer{}
		}},
		Until: rounds(4), Want: []Want{noneMissing(4)},
	})
	check(t, "RW-16", "1.0 sends no histogram with custom buckets and no start timestamp", Case{
		Scrapes: text("# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 1\nh_count 2\n# TYPE m counter\nm 1\n"),
		Job:     Job{ToNHCB: true}, Writer: Writer{Message: "1.0", Native: true}, Features: []string{"native-histograms"},
		Want: []Want{values("m", 1), everySample(func(s Sample) error {
			if s.Hist != nil && s.Hist.Schema == -53 {
				return fmt.Errorf("a histogram with schema -53 in a 1.0 request")
			}
			return nil
		})},
	})
}

// hasExemplar holds if a series that the selector picks carries the exemplar.
func hasExemplar(sel, labels string, value float64) Want {
	return func(w *World) error {
		match, err := parseSelector(w.expand(sel))
		if err != nil {
			return err
		}
		wanted, err := parseSelector(labels)
		if err != nil {
			return err
		}
		var seen []string
		for _, s := range w.samples(0) {
			if !match.matches(s) {
				continue
			}
			for _, e := range s.Exemplars {
				if labelText(e.Labels) == labelText(wanted) && e.Value == value {
					return sortedUnique(e.Labels)
				}
				seen = append(seen, fmt.Sprintf("%s %v", labelText(e.Labels), e.Value))
			}
		}
		return fmt.Errorf("%s: no exemplar %s %v; saw %v", sel, labels, value, seen)
	}
}
