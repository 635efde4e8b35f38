//go:build e2e

package rules

import (
	"fmt"
	"testing"
	"time"
)

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
				if gap := all[i].At.Sub(all[i-1].At); gap < 500*time.Millisecond {
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
