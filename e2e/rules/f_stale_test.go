//go:build e2e

package rules

import (
	"fmt"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// Section F: stale markers.
func TestStaleMarkers(t *testing.T) {
	t.Parallel()
	check(t, "RW-45", "a series that left the page gets one marker, at the time of the scrape that missed it", Case{
		Scrapes: text("a{x=\"1\"} 1\nb 1\n", "b 2\n", "b 3\n"),
		Want:    []Want{only(`a{x="1"}`, 1, stale), sameTime("a", 1, "up", 1), values("b", 1, 2, 3), noStale("b")},
	})
	check(t, "RW-45", "a change of one label value ends the old series and begins the new", Case{
		Scrapes: text("m{v=\"1\"} 1\n", "m{v=\"2\"} 2\n"),
		Want:    []Want{only(`m{v="1"}`, 1, stale), values(`m{v="2"}`, 2, 2), sameTime(`m{v="1"}`, 1, `m{v="2"}`, 0)},
	})
	failing(t)
	check(t, "RW-46", "a target that refuses connections ends its series", Case{
		Scrapes: text("m 1\n"), Run: func(w *World) error {
			if err := w.wait(10*time.Second, rounds(2)); err != nil {
				return err
			}
			w.targets[0].server.CloseClientConnections()
			w.targets[0].server.Close()
			return nil
		},
		Until: rounds(5), Want: []Want{endsStale("m"), noStale("up")},
	})
	bad := Page{Status: 500}
	check(t, "RW-47", "five failures in a row give one marker, and a series can end again", Case{
		Scrapes: append(append(text("m 1\n"), bad, bad, bad, bad, bad), text("m 2\n", "n 1\n")...),
		Want:    []Want{only("m", 1, stale, 2, stale), values("up", 1, 0, 0, 0, 0, 0, 1, 1)},
	})
	check(t, "RW-48", "a target that is taken away ends all its series, its own too, some two intervals later", Case{
		Scrapes: text("keep 1\n"), Jobs: []Job{{Name: "gone", Scrapes: text("m 1\n")}},
		Run: func(w *World) error {
			if err := w.wait(10*time.Second, func(w *World) error { return values("m", 1, 1)(w) }); err != nil {
				return err
			}
			return w.Reload(func(s *Setup) { s.Jobs = s.Jobs[:1] })
		},
		Until: rounds(7), Want: []Want{
			endsStale("m"), endsStale(`up{job="gone"}`), endsStale(`scrape_duration_seconds{job="gone"}`),
			endsStale(`scrape_samples_scraped{job="gone"}`), endsStale(`scrape_series_added{job="gone"}`), noStale(`{job="j"}`),
		},
	})
	check(t, "RW-48", "a target that leaves its job ends likewise", Case{
		Scrapes: text("keep 1\n"), Targets: [][]Page{text("m 1\n")},
		Run: func(w *World) error {
			if err := w.wait(10*time.Second, func(w *World) error { return values("m", 1, 1)(w) }); err != nil {
				return err
			}
			return w.Reload(func(s *Setup) { s.Jobs[0].targets = s.Jobs[0].targets[:1] })
		},
		Until: rounds(7), Want: []Want{
			endsStale("m"), endsStale(`up{instance="$host1"}`), endsStale(`scrape_duration_seconds{instance="$host1"}`), noStale(`{instance="$host"}`),
		},
	})
	check(t, "RW-48", "a target that comes straight back is not marked", Case{
		Scrapes: text("keep 1\n"), Jobs: []Job{{Name: "back", Scrapes: text("m 1\n")}},
		Run: func(w *World) error {
			if err := w.wait(10*time.Second, func(w *World) error { return values("m", 1, 1)(w) }); err != nil {
				return err
			}
			jobs := w.setup.Jobs
			if err := w.Reload(func(s *Setup) { s.Jobs = jobs[:1] }); err != nil {
				return err
			}
			seen := len(w.targets[0].seen())
			if err := w.wait(5*time.Second, scrapes(seen+1)); err != nil {
				return err
			}
			return w.Reload(func(s *Setup) { s.Jobs = jobs })
		},
		Until: rounds(9), Want: []Want{values("m", 1, 1, 1, 1), noStale("")},
	})
	check(t, "RW-49", "a stop writes no markers", Case{
		Scrapes: text("m 1\n"), Run: func(w *World) error {
			if err := w.wait(10*time.Second, rounds(3)); err != nil {
				return err
			}
			return w.Stop(15 * time.Second)
		},
		Want: []Want{values("m", 1, 1, 1), noStale("")},
	})
	check(t, "RW-50", "a reload that changes nothing writes no markers and leaves no gap", Case{
		Scrapes: []Page{counting}, Run: func(w *World) error {
			if err := w.wait(10*time.Second, rounds(2)); err != nil {
				return err
			}
			return w.Reload(func(*Setup) {})
		},
		Until: rounds(6), Want: []Want{noStale(""), noneMissing(5), evenlySpaced(1000, 900)},
	})
	explicit := []Page{{Make: func(_ int, now int64) string { return fmt.Sprintf("m 1 %d\nn 1\n", now-40) }}, {Body: "n 2\n"}}
	check(t, "RW-51", "a series with its own timestamp gets no marker", Case{
		Scrapes: explicit, Want: []Want{values("n", 1, 2), only("m", 1)},
	})
	check(t, "RW-51", "with track_timestamps_staleness it does, at the scrape's time", Case{
		Scrapes: explicit, Job: Job{TrackStaleness: true}, Want: []Want{only("m", 1, stale), sameTime("m", 1, "up", 1)},
	})
	check(t, "RW-52", "a failed scrape still says so: up 0 and scrape_* with values", Case{
		Scrapes: append(text("m 1\n"), bad, bad),
		Want: []Want{
			values("up", 1, 0, 0), noStale("up"), values("scrape_samples_scraped", 1, 0, 0), noStale("scrape_samples_scraped"),
			noStale("scrape_duration_seconds"), noStale("scrape_series_added"), noStale("scrape_samples_post_metric_relabeling"),
		},
	})
	for _, message := range []string{"1.0", "2.0"} {
		check(t, "RW-53", "a native histogram ends with stale bits in its sum, in "+message, Case{
			Scrapes: append([]Page{protobufPage(histogramFamily(dto.MetricType_HISTOGRAM, nativeInt()))}, text("n 1\n")...),
			Job:     Job{Protocols: []string{"PrometheusProto", "PrometheusText0.0.4"}, Native: true}, Features: []string{"native-histograms"},
			Writer: Writer{Message: message, Native: true},
			Want: []Want{spoken(message), endsStale("h"), func(w *World) error {
				got, err := w.one("h")
				if err != nil {
					return err
				}
				last := got[len(got)-1]
				if last.Hist == nil || last.Hist.GetCountInt() != 0 || len(last.Hist.PositiveSpans)+len(last.Hist.NegativeSpans) != 0 {
					return fmt.Errorf("the marker is %+v", last)
				}
				return nil
			}},
		})
	}
	check(t, "RW-54", "what a failed scrape would have introduced gets no marker", Case{
		Scrapes: text("m 1\nnever 1\n{ bad\n", "m 2\n", "n 1\n"), Want: []Want{none("never"), values("up", 0, 1, 1), only("m", 2, stale)},
	})
	check(t, "RW-55", "markers do not count against the sample limit", Case{
		Scrapes: text("a 1\nb 1\n", "c 1\nd 1\n"), Job: Job{SampleLimit: 2}, Want: []Want{values("up", 1, 1), only("a", 1, stale), values("c", 1)},
	})
	check(t, "RW-56", "markers carry the labels of the samples they end", Case{
		Scrapes: text("m 1\nn 1\n", "n 1\n"),
		Writer: Writer{
			External: map[string]string{"zone": "ext"}, Answers: statuses(204, 503, 503),
			Relabel: []Rule{{Source: []string{"__name__"}, Regex: ptr("(m)"), Target: "was"}},
		},
		Want: []Want{only(`m{was="m",zone="ext"}`, 1, stale), exactly("m", `{__name__="m",instance="$host",job="j",was="m",zone="ext"}`)},
	})
}

// failing runs RW-46 for each way in which a scrape fails.
func failing(t *testing.T) {
	limits := Job{Timeout: 500 * time.Millisecond, SampleLimit: 4, BodyLimit: "10KB"}
	for _, tt := range []struct {
		name string
		page Page
	}{
		{"status 500", Page{Status: 500, Body: "m 1\n"}},
		{"status 404", Page{Status: 404}},
		{"no answer in time", Page{Hang: true}},
		{"a broken connection", Page{Reset: true}},
		{"a cut body", Page{Body: "m 1\n", Cut: true}},
		{"a body that never ends in time", Page{Body: "m 1\n", Dribble: true}},
		{"a broken gzip stream", Page{Body: "m 1\n", Header: map[string]string{"Content-Encoding": "gzip"}}},
		{"a parse error", Page{Body: "x{ 1\n"}},
		{"too many samples", Page{Body: lines("x", 5, 1)}},
		{"a body over its limit", Page{Body: "n 1\n#" + strings.Repeat("x", 20<<10) + "\n"}},
		{"an endless body", Page{Body: lines("x", 100, 1), Endless: true}},
	} {
		check(t, "RW-46", tt.name+" ends the series of the last good scrape", Case{
			Scrapes: []Page{{Body: "m 1\n"}, tt.page, {Body: "m 2\n"}}, Job: limits,
			Want: []Want{values("m", 1, stale, 2), values("up", 1, 0, 1), sameTime("m", 1, "up", 1)},
		})
	}
}

// endsStale holds if the series has one marker, and it is the last sample.
func endsStale(selector string) Want {
	return func(w *World) error {
		got, err := w.one(selector)
		if err != nil {
			return err
		}
		for i, s := range got {
			if s.IsStale() != (i == len(got)-1) {
				return fmt.Errorf("%s: values %s, want one marker, at the end", selector, printSamples(got))
			}
		}
		return nil
	}
}

// evenlySpaced holds if up came every intervalMs, give or take slackMs.
func evenlySpaced(intervalMs, slackMs int64) Want {
	return func(w *World) error {
		times, err := w.scrapeTimes()
		if err != nil {
			return err
		}
		for i := 1; i < len(times); i++ {
			if gap := times[i] - times[i-1]; gap < intervalMs-slackMs || gap > intervalMs+slackMs {
				return fmt.Errorf("scrape %d came %d ms after the one before, want %d ± %d", i, gap, intervalMs, slackMs)
			}
		}
		return nil
	}
}
