//go:build e2e

package rules

import (
	"fmt"
	"testing"
)

// Section O: target labels, conflicts, timestamps.
func TestTargetLabels(t *testing.T) {
	t.Parallel()
	check(t, "RW-128", "every series of a target has the target's labels", Case{
		Scrapes: text("m 1\n"), Job: Job{Labels: map[string]string{"zone": "z"}},
		Want: []Want{
			exactly("m", `{__name__="m",instance="$host",job="j",zone="z"}`), exactly("up", `{__name__="up",instance="$host",job="j",zone="z"}`),
			exactly("scrape_series_added", `{__name__="scrape_series_added",instance="$host",job="j",zone="z"}`),
		},
	})
	conflict := text(`m{job="mine",zone="page"} 1` + "\n")
	check(t, "RW-129", "on a conflict the exposed label is renamed", Case{
		Scrapes: conflict, Job: Job{HonorLabels: ptr(false), Labels: map[string]string{"zone": "z"}},
		Want: []Want{exactly("m", `{__name__="m",exported_job="mine",exported_zone="page",instance="$host",job="j",zone="z"}`)},
	})
	check(t, "RW-129", "until the name is free, shortest name first", Case{
		Scrapes: text(`m{job="a",exported_job="b",exported_exported_job="c"} 1` + "\n"),
		Job:     Job{HonorLabels: ptr(false), Labels: map[string]string{"exported_job": "t"}},
		Want: []Want{func(w *World) error {
			got, err := w.one("m")
			if err != nil {
				return err
			}
			s := got[0]
			if s.Get("job") != "j" || s.Get("exported_job") != "t" || len(s.Labels) != 7 {
				return fmt.Errorf("labels %s", s.Key())
			}
			kept := map[string]bool{}
			for _, l := range s.Labels {
				kept[l.Value] = true
			}
			if !kept["a"] || !kept["b"] || !kept["c"] {
				return fmt.Errorf("a value is lost: %s", s.Key())
			}
			return nil
		}},
	})
	check(t, "RW-129", "renaming is the default", Case{
		Scrapes: conflict, Want: []Want{exactly("m", `{__name__="m",exported_job="mine",instance="$host",job="j",zone="page"}`)},
		Unless: map[string]Deviation{"kinglet": {
			Claim: "by default the instance's labels win and nothing is renamed, as in Categraf",
			Want:  []Want{exactly("m", `{__name__="m",instance="$host",job="j",zone="page"}`)},
		}},
	})
	check(t, "RW-130", "honor_labels keeps what the page says", Case{
		Scrapes: conflict, Job: Job{HonorLabels: ptr(true), Labels: map[string]string{"zone": "z", "rack": "r"}},
		Want: []Want{exactly("m", `{__name__="m",instance="$host",job="mine",rack="r",zone="page"}`)},
	})
	check(t, "RW-130", "an exposed empty value counts as said", Case{
		Scrapes: text(`m{job="",instance=""} 1` + "\n"), Job: Job{HonorLabels: ptr(true)}, Want: []Want{exactly("m", `{__name__="m"}`)},
	})
	stamped := []Page{{Make: func(_ int, now int64) string { return fmt.Sprintf("m 1 %d\n", now-now%1000+3) }}}
	check(t, "RW-131", "the page's timestamp is used", Case{
		Scrapes: stamped, Want: []Want{values("m", 1), func(w *World) error {
			got, err := w.one("m")
			if err != nil {
				return err
			}
			if got[0].T%1000 != 3 {
				return fmt.Errorf("at %d, want 3 ms after a whole second", got[0].T)
			}
			return nil
		}},
	})
	check(t, "RW-131", "honor_timestamps false takes the scrape's", Case{
		Scrapes: append(stamped, Page{Body: "n 1\n"}), Job: Job{HonorTimestamps: ptr(false)},
		Want: []Want{sameTime("m", 0, "up", 0), only("m", 1, stale)},
	})
	check(t, "RW-132", "relabeling sees labels after conflict resolution", Case{
		Scrapes: conflict,
		Job: Job{HonorLabels: ptr(false), MetricRelabel: []Rule{
			{Source: []string{"job", "exported_job"}, Target: "both"}, {Source: []string{"__name__"}, Regex: ptr("scrape_.*|up"), Action: "drop"},
		}},
		Want: []Want{values(`m{both="j;mine"}`, 1), values("up", 1)},
	})
	check(t, "RW-132", "limits are checked after relabeling", Case{
		Scrapes: text(`m{a="1",b="2",c="3"} 1` + "\nx 1\ny 1\n"),
		Job: Job{LabelLimit: 4, SampleLimit: 1, MetricRelabel: []Rule{
			{Regex: ptr("b|c"), Action: "labeldrop"}, {Source: []string{"__name__"}, Regex: ptr("x|y"), Action: "drop"},
		}},
		Want: []Want{values("up", 1), values(`m{a="1"}`, 1), none("x")},
	})
	check(t, "RW-132", "labels that relabeling empties are removed", Case{
		Scrapes: text(`m{a="1"} 1` + "\n"), Job: Job{MetricRelabel: []Rule{{Target: "a", Replacement: ptr("")}}},
		Want: []Want{exactly("m", `{__name__="m",instance="$host",job="j"}`)},
	})
	check(t, "RW-133", "a sample that loses its name fails the scrape", Case{
		Scrapes: text("n 1\nm 1\n"), Job: Job{MetricRelabel: []Rule{{Source: []string{"__name__"}, Regex: ptr("m"), Target: "__name__", Replacement: ptr("")}}},
		Want: []Want{values("up", 0, 0), none("m")},
	})
	check(t, "RW-133", "a sample that is dropped is just left out", Case{
		Scrapes: text("m 1\nn 1\n"), Job: Job{MetricRelabel: []Rule{{Source: []string{"__name__"}, Regex: ptr("m"), Action: "drop"}}},
		Want: []Want{values("up", 1, 1), none("m"), values("n", 1)},
	})
}
