//go:build e2e

package rules

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// Section E: samples, time and order.
func TestSamples(t *testing.T) {
	t.Parallel()
	check(t, "RW-36", "timestamps are milliseconds", Case{
		Scrapes: text("m 1\n"), Want: []Want{values("m", 1), everySample(func(s Sample) error {
			if d := time.Since(time.UnixMilli(s.T)); d < -time.Minute || d > time.Minute {
				return fmt.Errorf("at %d, which is not now in milliseconds", s.T)
			}
			return nil
		})},
	})
	check(t, "RW-37", "values arrive bit for bit", Case{
		Scrapes: text("a +Inf\nb -Inf\nc 0\nd -12.5\ne 1.7976931348623157e+308\nf 2.2250738585072014e-308\ng 0.1\nh 5e-324\ni 9007199254740993\nj 1e-7\n"),
		Want: []Want{
			values("a", math.Inf(1)), values("b", math.Inf(-1)), values("c", 0), values("d", -12.5), values("e", math.MaxFloat64),
			values("f", 2.2250738585072014e-308), values("g", 0.1), values("h", 5e-324), values("i", 9007199254740993), values("j", 1e-7),
		},
	})
	check(t, "RW-38", "every NaN becomes the canonical one", Case{
		Scrapes: text("a NaN\nb nan\nc NAN\n"), Want: []Want{values("a", nan, nan), values("b", nan), values("c", nan)},
	})
	check(t, "RW-39", "the stale bits end a series and stand for nothing else", Case{
		Scrapes: text("a NaN\nb 1\n", "a NaN\n"), Want: []Want{values("a", nan, nan), only("b", 1, stale)},
	})
	check(t, "RW-40", "samples of a series go out oldest first", Case{
		Scrapes: []Page{{Make: func(n int, _ int64) string { return lines("s", 50, float64(n)) }}},
		Writer:  Writer{Batch: 20}, Until: rounds(6), Want: []Want{ordered, func(w *World) error { return orderedWhenSent(w) }},
	})
	check(t, "RW-41", "requests in flight together share no series", Case{
		Scrapes: []Page{{Make: func(n int, _ int64) string { return lines("s", 60, float64(n)) }}},
		Writer:  Writer{Batch: 20, Rest: Answer{Wait: 150 * time.Millisecond}}, Until: rounds(5),
		Want: []Want{func(w *World) error {
			all := w.requests(0)
			for i, a := range all {
				for _, b := range all[i+1:] {
					if a.Done.IsZero() || b.At.Before(a.Done) && shareSeries(a, b) {
						return fmt.Errorf("requests %d and %d overlap in time and in series", a.N, b.N)
					}
				}
				if i+2 >= len(all) {
					break // the last may be on its way
				}
			}
			return nil
		}},
	})
	check(t, "RW-42", "later samples wait while a request is retried", Case{
		Scrapes: []Page{counting}, Writer: Writer{Answers: statuses(500, 500, 500, 500, 500, 500)}, Until: rounds(4),
		Want: []Want{noneMissing(3), ordered, orderedWhenSent},
	})
	check(t, "RW-43", "no series has two values at one time", Case{
		Scrapes: text("m 1\nm 2\nup 7\nscrape_samples_scraped 9\n"), Until: rounds(3), Want: []Want{values("m", 1), oneValuePerTime},
	})
	check(t, "RW-44", "a sample far in the future does not fail its scrape", Case{
		Scrapes: []Page{{Make: func(_ int, now int64) string { return fmt.Sprintf("far 1 %d\nm 1\n", now+11*60*1000) }}},
		Want:    []Want{values("m", 1), values("up", 1, 1)},
	})
}

// orderedWhenSent is ordered over all requests: a sample sent first, taken or
// not, may come again but never after a younger one was tried.
func orderedWhenSent(w *World) error {
	last := map[string]int64{}
	for _, r := range w.requests(0) {
		for _, s := range r.Samples {
			if s.T == math.MinInt64 {
				continue
			}
			key := s.Key()
			if s.T < last[key] {
				return fmt.Errorf("request %d: %s at %d after %d", r.N, key, s.T, last[key])
			}
			last[key] = s.T
		}
	}
	return nil
}

func shareSeries(a, b Request) bool {
	keys := map[string]bool{}
	for _, s := range a.Samples {
		keys[s.Key()] = true
	}
	for _, s := range b.Samples {
		if keys[s.Key()] {
			return true
		}
	}
	return false
}
