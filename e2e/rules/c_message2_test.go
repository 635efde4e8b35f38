//go:build e2e

package rules

import (
	"fmt"
	"slices"
	"testing"

	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
)

// typedPage has a counter, a histogram and, after them, a series without TYPE.
const typedPage = "# HELP c_total a counter\n# TYPE c_total counter\nc_total{z=\"1\",a=\"2\"} 1\n" +
	"# HELP h a histogram\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n" +
	"# HELP s a summary\n# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_sum 1\ns_count 1\n" +
	"stranger 1\n"

// Section C: the 2.0 message.
func TestMessage2(t *testing.T) {
	t.Parallel()
	v2 := func(rule, claim string, want ...Want) {
		check(t, rule, claim, Case{
			Scrapes: text(typedPage), Writer: Writer{Message: "2.0", Exemplars: true}, Features: []string{"metadata"},
			Want: append([]Want{values("c_total", 1), everyRequest(isV2)}, want...),
		})
	}
	v2("RW-17", "2.0 uses the fields of the specification and no others", everyRequest(func(r Request) error {
		return onlyFields(r.Proto, "request", map[string][]int{
			"request": {4, 5}, "request.5": {1, 2, 3, 4, 5}, "request.5.2": {1, 2, 3}, "request.5.4": {1, 2, 3}, "request.5.5": {1, 3, 4},
		})
	}))
	v2("RW-18", "symbols begin with the empty string and hold each string once", everyRequest(func(r Request) error {
		if len(r.Symbols) == 0 || r.Symbols[0] != "" {
			return fmt.Errorf("symbols begin %q", r.Symbols)
		}
		sorted := slices.Clone(r.Symbols)
		slices.Sort(sorted)
		if len(slices.Compact(sorted)) != len(r.Symbols) {
			return fmt.Errorf("a string occurs twice in %q", r.Symbols)
		}
		return nil
	}))
	v2("RW-19", "every reference is valid", everySeries2(func(m *writev2.Request, ts writev2.TimeSeries) error {
		refs := append(slices.Clone(ts.LabelsRefs), ts.Metadata.HelpRef, ts.Metadata.UnitRef)
		for _, e := range ts.Exemplars {
			refs = append(refs, e.LabelsRefs...)
		}
		for _, ref := range refs {
			if int(ref) >= len(m.Symbols) {
				return fmt.Errorf("reference %d of %d symbols", ref, len(m.Symbols))
			}
		}
		return nil
	}))
	v2("RW-20", "label references come in pairs, ordered by name", everySeries2(func(m *writev2.Request, ts writev2.TimeSeries) error {
		if len(ts.LabelsRefs) == 0 || len(ts.LabelsRefs)%2 != 0 {
			return fmt.Errorf("%d references", len(ts.LabelsRefs))
		}
		return nil
	}), everySample(func(s Sample) error { return sortedUnique(s.Labels) }))
	v2("RW-21", "a series has samples or histograms, not both, not neither", everySeries2(func(_ *writev2.Request, ts writev2.TimeSeries) error {
		if (len(ts.Samples) == 0) == (len(ts.Histograms) == 0) {
			return fmt.Errorf("%d samples, %d histograms", len(ts.Samples), len(ts.Histograms))
		}
		return nil
	}))
	check(t, "RW-21", "an exemplar travels with a sample of its series", Case{
		Scrapes: openMetrics("# TYPE m counter\nm_total 1 # {trace_id=\"abc\"} 0.5\n"), Features: []string{"exemplars"},
		Job: Job{Protocols: []string{"OpenMetricsText1.0.0"}}, Writer: Writer{Message: "2.0", Exemplars: true},
		Want: []Want{hasExemplar("m_total", `{trace_id="abc"}`, 0.5), everySeries2(func(_ *writev2.Request, ts writev2.TimeSeries) error {
			if len(ts.Samples)+len(ts.Histograms) == 0 {
				return fmt.Errorf("exemplars alone")
			}
			return nil
		})},
	})
	v2("RW-22", "time goes forward across the series of a request", ordered)
	v2("RW-23", "series carry type and help", typed("c_total", "counter", "a counter"))
	v2("RW-24", "a family's metadata goes to all its series and no further",
		typed(`h_bucket{le="+Inf"}`, "histogram", "a histogram"), typed("h_sum", "histogram", "a histogram"),
		typed("h_count", "histogram", "a histogram"), typed("s", "summary", "a summary"), typed("s_sum", "summary", "a summary"),
		func(w *World) error {
			got, err := w.one("stranger")
			if err != nil {
				return err
			}
			if got[0].Type != "unspecified" && got[0].Type != "" || got[0].Help != "" {
				return fmt.Errorf("stranger has the type %q and help %q of the family before it", got[0].Type, got[0].Help)
			}
			return nil
		})
	v2("RW-25", "up and scrape_* are gauges", typed("up", "gauge", ""), typed("scrape_samples_scraped", "gauge", ""))
}

// spoken holds if every request was of that version.
func spoken(message string) Want {
	if message == "2.0" {
		return everyRequest(isV2)
	}
	return everyRequest(isV1)
}

func isV2(r Request) error {
	if !r.V2 {
		return fmt.Errorf("a 1.0 request, want 2.0")
	}
	return nil
}

// everySeries2 checks each series of each 2.0 request.
func everySeries2(f func(m *writev2.Request, ts writev2.TimeSeries) error) Want {
	return everyRequest(func(r Request) error {
		if err := isV2(r); err != nil {
			return err
		}
		var m writev2.Request
		if err := m.Unmarshal(r.Proto); err != nil {
			return err
		}
		for _, ts := range m.Timeseries {
			if err := f(&m, ts); err != nil {
				return err
			}
		}
		return nil
	})
}

// typed holds if the series carries this metadata in each request; help is not
// looked at if empty.
func typed(sel, kind, help string) Want {
	return func(w *World) error {
		got, err := w.one(sel)
		if err != nil {
			return err
		}
		for _, s := range got {
			if s.Type != kind || help != "" && s.Help != help {
				return fmt.Errorf("%s: type %q and help %q, want %q and %q", sel, s.Type, s.Help, kind, help)
			}
		}
		return nil
	}
}
