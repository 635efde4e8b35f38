//go:build e2e

package rules

import (
	"fmt"
	"testing"
	"time"
)

// What users expect of the process beside the numbered rules.
func TestProcess(t *testing.T) {
	t.Parallel()
	check(t, "START", "scraping begins within the first interval", Case{
		Scrapes: text("m 1\n"), Until: scrapes(1),
		Want: []Want{func(w *World) error {
			// The target's phase within the interval, and a machine that runs many
			// agents at once, come on top of the second that is promised.
			if took := w.targets[0].seen()[0].At.Sub(w.proc.started); took > 2500*time.Millisecond {
				return fmt.Errorf("the first scrape came %v after the start", took)
			}
			return nil
		}},
	})
	for _, answer := range []struct {
		name   string
		answer Answer
	}{
		{"refuses", Answer{Status: 400}}, {"fails", Answer{Status: 503}}, {"hangs", Answer{Hang: true}}, {"breaks off", Answer{Close: true}},
	} {
		check(t, "RUN", "scraping goes on while the endpoint "+answer.name, Case{
			Scrapes: text("m 1\n"), Writer: Writer{Timeout: time.Second, Rest: answer.answer}, Until: scrapes(8), Want: []Want{running},
		})
	}
	check(t, "STOP", "SIGINT ends it within seconds, exit 0, the last scrape sent", Case{
		Scrapes: []Page{counting}, Run: func(w *World) error {
			if err := w.wait(10*time.Second, rounds(2)); err != nil {
				return err
			}
			return w.Stop(5 * time.Second)
		},
		Want: []Want{noStale(""), func(w *World) error { return noneMissing(len(w.targets[0].seen()) - 1)(w) }},
	})
	check(t, "STOP", "a dead endpoint does not hold up the end for ever", Case{
		Scrapes: []Page{counting}, Writer: Writer{Timeout: time.Second, Rest: Answer{Status: 503}}, Run: func(w *World) error {
			if err := w.wait(10*time.Second, posts(2)); err != nil {
				return err
			}
			return w.Stop(20 * time.Second)
		},
	})
}
