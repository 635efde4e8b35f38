//go:build e2e

package sidebyside

import (
	"slices"
	"strings"
)

// explanation is a difference that kinglet decides on, or that lies in remote
// write itself. Why names what differs and the reason; it is printed with the
// number of samples that differ so.
type explanation struct {
	why    string
	only   string // the one side where it holds; "" = both of kinglet's
	moves  bool   // what is missing of one series must be there, the same, of another of the target
	covers func(d difference) bool
}

func (e explanation) holdsFor(side string) bool {
	if e.only != "" {
		return side == e.only
	}
	return side == kinglet1 || side == kinglet2
}

// explanations is everything in which what kinglet stores differs from what
// Prometheus stores. One that explains nothing fails the test.
func explanations() []explanation {
	return []explanation{
		{
			why: "when a page fails after good lines, Prometheus leaves the series before the fault without a marker until later, " +
				"and marks new ones that it never stored; kinglet ends all that it sent, and nothing else (RW-46, RW-54)",
			covers: func(d difference) bool {
				return d.of("bad-late", "sample-limit", "openmetrics-bad") && d.What == "sample" &&
					(d.Want == "" && d.Got == staleText || d.Want == staleText && d.Got == "")
			},
		},
		{
			why: "scrape_series_added counts series that were not there before; Prometheus counts spellings, knows those of empty and failed pages, " +
				"and forgets all of a target that leaves and comes straight back (RW-145)",
			covers: func(d difference) bool {
				return d.of("conflicts", "duplicates", "relabeled", "shuffled", "empty-pages", "sample-limit", "bad-late", "flitter", "own-names") &&
					d.named("scrape_series_added")
			},
		},
		{
			why: "a page that breaks off was read up to there, as it came, which scrape_samples_* say; Prometheus reads it afterwards, not at all (RW-143)",
			covers: func(d difference) bool {
				return d.of("hanging", "truncated", "zipped") && d.named("scrape_samples_scraped", "scrape_samples_post_metric_relabeling") && strings.HasPrefix(d.Want, "0 ")
			},
		},
		{
			why:   "le and quantile stay as the page has them (RW-126)",
			moves: true,
			covers: func(d difference) bool {
				return d.of("typed-le") && d.named("h_bucket", "q") || d.of("custom-buckets-and-classic") && d.named("halves_bucket", "latency_bucket")
			},
		},
		{
			why:    "a series that gains a timestamp goes on, so that kinglet does not end it; Prometheus does (RW-45)",
			covers: func(d difference) bool { return d.of("stamped") && d.named("stamped_at_times") && d.Want == staleText },
		},
		{
			why:   "unless told otherwise, names are rewritten with _ to those that every receiver takes (RW-31)",
			moves: true,
			covers: func(d difference) bool {
				return d.of("utf8-rewritten", "protobuf", "custom-buckets-protobuf") && d.oddName()
			},
		},
		{
			why:    "the series of a job that is removed as a whole end too; Prometheus marks those of single targets only (RW-48)",
			covers: func(d difference) bool { return d.of("dismissed") && d.At.Round == 16 && d.Got == staleText },
		},
		{
			why: "where a page has a series that the agent sends itself, kinglet's own is kept, Prometheus' is not (RW-147)",
			covers: func(d difference) bool {
				return d.of("own-names") && (d.named("up") && strings.HasPrefix(d.Want, "7 ") || d.named("scrape_samples_scraped") && strings.HasPrefix(d.Want, "8 "))
			},
		},
		{
			why: "an exemplar without timestamp that stays on the page is stored at each scrape, as remote write gives it one (RW-89, RW-91)",
			covers: func(d difference) bool {
				return d.of("openmetrics", "custom-buckets-openmetrics") && d.What == "exemplar" && d.named("om_requests_total") && d.Want == ""
			},
		},
		{
			why: "a line with a label twice, or a histogram with a schema that nobody knows, is no sample in scrape_samples_scraped (RW-143)",
			covers: func(d difference) bool {
				return (d.of("bad-lines") && d.At.Round == 16 || d.of("native-bad") && d.At.Round == 10) && d.named("scrape_samples_scraped")
			},
		},
		{
			why:    "1.0 has no place for names beyond ASCII: they are rewritten with _ (RW-31)",
			only:   kinglet1,
			moves:  true,
			covers: func(d difference) bool { return d.of("utf8") && d.oddName() },
		},
		{
			why:  "1.0 has no place for native histograms with custom buckets (RW-16)",
			only: kinglet1,
			covers: func(d difference) bool {
				return strings.HasPrefix(d.Target, "custom-buckets") && d.named("latency", "halves", "om_latency_seconds", "pb_classic") && d.What != "start" && d.Got == ""
			},
		},
		{
			why:    "1.0 has no place for start timestamps (RW-16)",
			only:   kinglet1,
			covers: func(d difference) bool { return d.What == "start" && d.Got == "" },
		},
		{
			why:  "the handler of 1.0 takes a new series' exemplars before its histograms, and drops those of a series it does not know yet",
			only: kinglet1,
			covers: func(d difference) bool {
				return strings.HasPrefix(d.Target, "native-") && d.What == "exemplar" && d.At.Round == 0 && d.Got == ""
			},
		},
	}
}

// of reports whether the difference is in one of these targets.
func (d difference) of(targets ...string) bool { return slices.Contains(targets, d.Target) }

// named reports whether its series has one of these metric names.
func (d difference) named(metrics ...string) bool {
	return slices.ContainsFunc(metrics, func(m string) bool { return strings.HasPrefix(d.Series, `{__name__="`+m+`"`) })
}

// oddName reports whether a name of its series is, or was, one that only UTF-8
// has.
func (d difference) oddName() bool {
	return slices.ContainsFunc([]string{`"dotted.`, "dotted_", `"größe"`, `"gr__e"`, `"pb.dotted"`, `"pb_dotted"`}, func(s string) bool {
		return strings.Contains(d.Series, s)
	})
}
