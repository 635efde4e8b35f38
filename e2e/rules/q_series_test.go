//go:build e2e

package rules

import (
	"fmt"
	"testing"
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
