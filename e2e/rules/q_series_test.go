//go:build e2e

package rules

import (
	"fmt"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// ownSeries are what every scrape adds.
var ownSeries = []string{"up", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling", "scrape_series_added"}

// Section Q: the agent's own series per scrape.
func TestOwnSeries(t *testing.T) {
	t.Parallel()
	bad := Page{Status: 500}
	var everywhere []Want
	for _, name := range ownSeries {
		everywhere = append(everywhere, sameTime(name, 0, "up", 0), sameTime(name, 1, "up", 1),
			exactly(name, fmt.Sprintf(`{__name__="%s",instance="$host",job="j",zone="z"}`, name)))
	}
	check(t, "RW-142", "five series of its own after every scrape, good or bad", Case{
		Scrapes: []Page{{Body: "m 1\n"}, bad}, Job: Job{Labels: map[string]string{"zone": "z"}}, Want: append(everywhere, values("up", 1, 0)),
	})
	check(t, "RW-142", "up is 0 for a target that nobody listens at", Case{
		Scrapes: text("m 1\n"), Jobs: []Job{{Name: "dead", URLs: []string{"http://127.0.0.1:1"}}},
		Want: []Want{values(`up{job="dead"}`, 0, 0), values(`scrape_samples_scraped{job="dead"}`, 0, 0), values(`up{job="j"}`, 1)},
	})
	dropM := []Rule{{Source: []string{"__name__"}, Regex: ptr("m"), Action: "drop"}}
	check(t, "RW-143", "scrape_samples_scraped counts before relabeling, 0 for nothing", Case{
		Scrapes: []Page{{Body: "m 1\nn 1\no 1\n"}, bad, {Body: ""}}, Job: Job{MetricRelabel: dropM}, Want: []Want{values("scrape_samples_scraped", 3, 0, 0)},
	})
	check(t, "RW-143", "it is true on a limit error too", Case{
		Scrapes: text(lines("s", 9, 1)), Job: Job{SampleLimit: 5}, Want: []Want{values("up", 0), values("scrape_samples_scraped", 9)},
	})
	check(t, "RW-144", "scrape_samples_post_metric_relabeling counts after", Case{
		Scrapes: []Page{{Body: "m 1\nn 1\no 1\no 1\n"}, bad}, Job: Job{MetricRelabel: dropM}, Want: []Want{values("scrape_samples_post_metric_relabeling", 3, 0)},
	})
	check(t, "RW-144", "what is over the limit counts", Case{
		Scrapes: text("m 1\n" + lines("s", 9, 1)), Job: Job{SampleLimit: 5, MetricRelabel: dropM}, Want: []Want{values("scrape_samples_post_metric_relabeling", 9)},
	})
	check(t, "RW-145", "scrape_series_added is all at first, then what is new", Case{
		Scrapes: text("m 1\nn 1\n", "m 1\nn 1\n", "m 1\nn 1\no 1\np 1\n", "m 1\n"), Want: []Want{values("scrape_series_added", 2, 0, 2, 0)},
	})
	check(t, "RW-146", "they are not relabelled and count against no limit", Case{
		Scrapes: text("m 1\n"), Job: Job{SampleLimit: 1, MetricRelabel: []Rule{{Source: []string{"__name__"}, Regex: ptr("up|scrape_.*"), Action: "drop"}}},
		Want: []Want{values("up", 1, 1), values("scrape_samples_scraped", 1, 1), values("m", 1)},
	})
	check(t, "RW-147", "one value per time goes out when the page has the same series", Case{
		Scrapes: text("up 7\nscrape_samples_scraped 77\nm 1\n"), Until: scrapes(4),
		Want: []Want{values("m", 1), oneValuePerTime},
	})
	check(t, "RW-148", "further series are an option", Case{
		Scrapes: text("m 1\n", lines("s", 400, 1)), Job: Job{Extra: true, SampleLimit: 500, BodyLimit: "1KB"},
		Want: []Want{values("scrape_timeout_seconds", 1, 1), values("scrape_sample_limit", 500), values("scrape_body_size_bytes", 4, -1)},
	})
}

// Section R: limits.
func TestLimits(t *testing.T) {
	t.Parallel()
	// refused: the page that breaks the limit, between two that do not.
	refused := func(rule, claim string, job Job, page string) {
		check(t, rule, claim, Case{
			Scrapes: text("m 1\n", page, "m 3\n"), Job: job,
			Want: []Want{values("up", 1, 0, 1), values("m", 1, stale, 3), noValue("x"), noValue("y"), noValue("s")},
		})
	}
	kept := func(rule, claim string, job Job, page string, want ...Want) {
		check(t, rule, claim, Case{Scrapes: text(page), Job: job, Want: append([]Want{values("up", 1, 1)}, want...)})
	}
	refused("RW-149", "more samples than sample_limit fail the scrape", Job{SampleLimit: 5}, lines("s", 6, 1))
	kept("RW-149", "exactly sample_limit is allowed", Job{SampleLimit: 5}, lines("s", 5, 1), arrived("s", 5))
	kept("RW-149", "what relabeling drops does not count", Job{SampleLimit: 1, MetricRelabel: []Rule{{Source: []string{"__name__"}, Regex: ptr("s"), Action: "drop"}}},
		lines("s", 6, 1)+"m 1\n", values("m", 1))
	refused("RW-150", "a label too many fails the scrape", Job{LabelLimit: 4}, `x{a="1",b="2"} 1`+"\n")
	kept("RW-150", "target labels and __name__ count", Job{LabelLimit: 4}, `x{a="1"} 1`+"\n", values("x", 1))
	refused("RW-150", "a label name too long fails the scrape", Job{NameLimit: 10}, `x{abcdefghijk="1"} 1`+"\n")
	kept("RW-150", "a name of the very length is allowed", Job{NameLimit: 10}, `x{abcdefghij="1"} 1`+"\n", values("x", 1))
	refused("RW-150", "a label value too long fails the scrape", Job{ValueLimit: 30}, `x{a="`+fmt.Sprintf("%031d", 1)+`"} 1`+"\n")
	kept("RW-150", "lengths are bytes", Job{ValueLimit: 30}, `x{a="ääääääääääääääa"} 1`+"\n", values("x", 1))
	check(t, "RW-150", "the length limit holds for target labels too", Case{
		Scrapes: text("x 1\n"), Job: Job{ValueLimit: 40, Labels: map[string]string{"zone": fmt.Sprintf("%041d", 1)}}, Until: scrapes(4),
		Want: []Want{noValue("x")},
	})
	big := "y 1\n# " + fmt.Sprintf("%02000d", 1) + "\n"
	refused("RW-151", "a body over body_size_limit fails the scrape", Job{BodyLimit: "1KB"}, big)
	check(t, "RW-151", "the limit is on the uncompressed body", Case{
		Scrapes: []Page{{Body: "m 1\n"}, {Body: big, Gzip: true}, {Body: "m 3\n"}}, Job: Job{BodyLimit: "1KB"},
		Want: []Want{values("up", 1, 0, 1), values("m", 1, stale, 3), noValue("y")},
	})
	check(t, "RW-152", "more targets than target_limit are all failed unasked", Case{
		Scrapes: text("m 1\n"), Targets: [][]Page{text("n 1\n")}, Job: Job{TargetLimit: 1}, Until: roundsAt(0, 3),
		Want: []Want{values(`up{instance="$host"}`, 0, 0), values(`up{instance="$host1"}`, 0, 0), none("m", "n"), func(w *World) error {
			if n := len(w.targets[0].seen()) + len(w.targets[1].seen()); n > 0 {
				return fmt.Errorf("%d requests", n)
			}
			return nil
		}},
	})
	check(t, "RW-152", "exactly target_limit is allowed", Case{
		Scrapes: text("m 1\n"), Targets: [][]Page{text("n 1\n")}, Job: Job{TargetLimit: 2}, Want: []Want{values("m", 1), values("n", 1)},
	})
	bucketLimit := nativeJob
	bucketLimit.BucketLimit = 4
	check(t, "RW-153", "a native histogram over the bucket limit is made coarser", Case{
		Scrapes: []Page{protobufPage(histogramFamily(dto.MetricType_HISTOGRAM, nativeInt()))}, Job: bucketLimit,
		Writer: Writer{Native: true}, Features: []string{"native-histograms"},
		Want: []Want{values("up", 1), isHistogram("h"), func(w *World) error {
			got, err := w.one("h")
			if err != nil {
				return err
			}
			h := got[0].Hist
			if n := len(h.PositiveDeltas) + len(h.NegativeDeltas); n > 4 || h.Schema >= 3 || h.GetCountInt() != 7 {
				return fmt.Errorf("%d buckets, schema %d, count %d", n, h.Schema, h.GetCountInt())
			}
			return nil
		}},
	})
	bucketLimit.BucketLimit = 1
	check(t, "RW-153", "if it cannot be, the scrape fails", Case{
		Scrapes: []Page{protobufPage(histogramFamily(dto.MetricType_HISTOGRAM, nativeInt()))}, Job: bucketLimit,
		Writer: Writer{Native: true}, Features: []string{"native-histograms"}, Want: []Want{values("up", 0), noValue("h")},
	})
	kept("RW-154", "without limits a large page with many labels is read", Job{},
		lines("s", 5000, 1)+`x{a="1",b="2",c="3",d="4",e="5",f="6",g="7",h="8",i="9",abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz="x"} 1`+"\n", arrived("s", 5000), values("x", 1))
}

// Section S: when to scrape.
func TestSchedule(t *testing.T) {
	t.Parallel()
	var many [][]Page
	for range 9 {
		many = append(many, text("m 1\n"))
	}
	check(t, "RW-155", "targets are spread over the interval and keep their phase through a restart", Case{
		Scrapes: text("m 1\n"), Targets: many, Run: func(w *World) error {
			if err := w.wait(15*time.Second, allScraped(3)); err != nil {
				return err
			}
			before := w.phases(0)
			if lo, hi := minMax(before); hi-lo < 200 {
				return fmt.Errorf("ten targets are scraped within %d ms of each other", hi-lo)
			}
			if err := w.Stop(20 * time.Second); err != nil {
				return err
			}
			counts := make([]int, len(w.targets))
			for i, tg := range w.targets {
				counts[i] = len(tg.seen())
			}
			if err := w.start(); err != nil {
				return err
			}
			if err := w.wait(15*time.Second, func(w *World) error {
				for i, tg := range w.targets {
					if len(tg.seen()) < counts[i]+3 {
						return fmt.Errorf("target %d is not scraped again", i)
					}
				}
				return nil
			}); err != nil {
				return err
			}
			moved := 0
			for i, phase := range w.phases(1) {
				if d := (phase - before[i] + 1500) % 1000; d < 350 || d > 650 {
					moved++
				}
			}
			if moved > 2 { // a machine under load may hold up one or two
				return fmt.Errorf("%d of ten targets changed their phase: %v became %v", moved, before, w.phases(1))
			}
			return nil
		},
	})
	check(t, "RW-156", "one scrape of a target at a time; ticks that a slow one missed are not made up", Case{
		Scrapes: []Page{{Body: "m 1\n", Wait: 950 * time.Millisecond}}, Until: scrapes(6),
		Want: []Want{func(w *World) error {
			if w.targets[0].overlap {
				return fmt.Errorf("two scrapes at once")
			}
			all := w.targets[0].seen()
			for i := 1; i < len(all); i++ {
				if gap := all[i].At.Sub(all[i-1].At); gap < 800*time.Millisecond {
					return fmt.Errorf("scrape %d came %v after the one before", i, gap)
				}
			}
			return nil
		}},
	})
	check(t, "RW-157", "timestamps are evenly spaced", Case{
		Scrapes: text("m 1\n"), Until: rounds(8),
		Want: []Want{func(w *World) error {
			times, err := w.scrapeTimes()
			if err != nil {
				return err
			}
			even := 0
			for i := 1; i < len(times); i++ {
				if times[i]-times[i-1] == 1000 {
					even++
				}
			}
			if even < 3 { // the machine may be too busy to be within 2 ms every time
				return fmt.Errorf("%d of %d gaps are 1000 ms exactly: %v", even, len(times)-1, times)
			}
			return nil
		}},
	})
	check(t, "RW-158", "a hanging target delays no other", Case{
		Scrapes: []Page{counting}, Targets: [][]Page{{{Hang: true}}, {{Body: "n 1\n", Dribble: true}}}, Until: rounds(6),
		Want: []Want{noneMissing(6), evenlySpaced(1000, 500)},
	})
	check(t, "RW-159", "a scrape in progress when a reload comes is finished", Case{
		Scrapes: []Page{{Body: "m 1\n"}, {Body: "m 2\n", Wait: 700 * time.Millisecond}, {Body: "m 3\n"}},
		Run: func(w *World) error {
			if err := w.wait(10*time.Second, scrapes(2)); err != nil {
				return err
			}
			return w.Reload(func(s *Setup) {
				s.Jobs = append(s.Jobs, Job{Name: "more", Path: "/metrics", Interval: time.Second, Timeout: time.Second, URLs: []string{"http://127.0.0.1:1"}})
			})
		},
		Until: rounds(4), Want: []Want{values("m", 1, 2, 3), values(`up{job="j"}`, 1, 1, 1), noStale("m")},
	})
}

// allScraped holds when every target was asked n times.
func allScraped(n int) Want {
	return func(w *World) error {
		for i, tg := range w.targets {
			if len(tg.seen()) < n {
				return fmt.Errorf("target %d was scraped %d times, want %d", i, len(tg.seen()), n)
			}
		}
		return nil
	}
}

// phases are the offsets, in ms within the second, of each target's third
// scrape in the given run of the agent.
func (w *World) phases(run int) []int64 {
	since := w.proc.started
	if run == 0 && len(w.before) > 0 {
		since = w.before[0].started
	}
	var phases []int64
	for _, tg := range w.targets {
		n := 0
		for _, s := range tg.seen() {
			if s.At.After(since) {
				if n++; n == 3 {
					phases = append(phases, s.At.UnixMilli()%1000)
				}
			}
		}
	}
	return phases
}

func minMax(v []int64) (lo, hi int64) {
	lo, hi = v[0], v[0]
	for _, x := range v {
		lo, hi = min(lo, x), max(hi, x)
	}
	return lo, hi
}
