//go:build e2e

package rules

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

// Section I: batching and size.
func TestBatches(t *testing.T) {
	t.Parallel()
	check(t, "RW-84", "a request holds at most the configured number of samples", Case{
		Scrapes: text(lines("s", 250, 1)), Writer: Writer{Batch: 100}, Until: rounds(3),
		Want: []Want{arrived("s", 250), everyRequest(func(r Request) error {
			if len(r.Samples) > 100 {
				return fmt.Errorf("%d samples", len(r.Samples))
			}
			return nil
		})},
	})
	check(t, "RW-84", "a sample waits no longer than the deadline for its request to fill", Case{
		Scrapes: text("m 1\n"), Writer: Writer{Batch: 10000, Deadline: time.Second}, Until: rounds(4),
		Want: []Want{values("m", 1), everyRequest(func(r Request) error {
			for _, s := range r.Samples {
				if waited := r.At.Sub(time.UnixMilli(s.T)); waited > 3*time.Second {
					return fmt.Errorf("a sample waited %v", waited)
				}
			}
			return nil
		})},
	})
	check(t, "RW-85", "a scrape of 12000 series is split", Case{
		Scrapes: text(lines("s", 12000, 1)), Until: rounds(1),
		Want: []Want{arrived("s", 12000), everyRequest(func(r Request) error {
			if r.Series > 10000 {
				return fmt.Errorf("%d series", r.Series)
			}
			return nil
		})},
	})
	check(t, "RW-86", "the series of a scrape share a request with its up", Case{
		Scrapes: text(lines("s", 300, 1)), Until: rounds(4),
		Want: []Want{func(w *World) error {
			together, apart := 0, 0
			for _, r := range w.requests(0) {
				at := map[int64]int{}
				for _, s := range r.Samples {
					at[s.T]++
				}
				for _, n := range at {
					if n >= 305 {
						together++
					} else {
						apart++
					}
				}
			}
			if together < 2 || apart > together {
				return fmt.Errorf("%d scrapes came whole, %d in parts", together, apart)
			}
			return nil
		}},
	})
	check(t, "RW-87", "a request stays below 32 MiB, compressed and decoded", Case{
		Scrapes: text(strings.ReplaceAll(lines("s", 900, 1), "{", `{long="`+strings.Repeat("v", 50<<10)+`",`)),
		Job:     Job{Interval: 4 * time.Second, Timeout: 4 * time.Second, BodyLimit: "200MB"}, Writer: Writer{Timeout: 20 * time.Second},
		Until: rounds(1), Within: 40 * time.Second,
		Want: []Want{arrived("s", 900), everyRequest(func(r Request) error {
			if len(r.Raw) > 32<<20 || len(r.Proto) > 32<<20 {
				return fmt.Errorf("%d bytes, %d decoded", len(r.Raw), len(r.Proto))
			}
			return nil
		})},
	})
	tooLarge := Writer{Reply: func(r *Request) Answer {
		if len(r.Samples) > 60 {
			return Answer{Status: 413}
		}
		return Answer{}
	}}
	check(t, "RW-88", "after 413 the same request is not repeated", Case{
		Scrapes: text(lines("s", 200, 1), "s 1\n"), Writer: tooLarge, Until: scrapes(4),
		Want: []Want{running, func(w *World) error {
			all := w.requests(0)
			for i := range all {
				for _, b := range all[i+1:] {
					if all[i].Status == 413 && bytes.Equal(all[i].Proto, b.Proto) {
						return fmt.Errorf("requests %d and %d are the same", i, b.N)
					}
				}
			}
			return nil
		}},
	})
	check(t, "RW-88", "its data comes in smaller requests", Case{
		Scrapes: text(lines("s", 200, 1)), Writer: tooLarge, Until: scrapes(4), Want: []Want{arrived("s", 200)},
		Unless: map[string]Deviation{"prometheus": {Claim: "it drops them, as it may", Want: []Want{running}}},
	})
}

// arrived holds if n series of that name did.
func arrived(name string, n int) Want {
	return func(w *World) error {
		found, err := w.find(name)
		if err != nil {
			return err
		}
		if len(found) != n {
			return fmt.Errorf("%d series %s, want %d", len(found), name, n)
		}
		return nil
	}
}
