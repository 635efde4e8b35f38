//go:build e2e

package rules

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
)

const openMetricsType = "application/openmetrics-text; version=1.0.0; charset=utf-8"

// good is a page that must be read; bad is one that fails its scrape whole.
func good(t *testing.T, rule, claim string, page Page, want ...Want) {
	t.Helper()
	check(t, rule, claim, Case{Scrapes: []Page{page}, Want: append([]Want{values("up", 1, 1)}, want...)})
}

func bad(t *testing.T, rule, claim string, page Page) {
	t.Helper()
	check(t, rule, claim, Case{Scrapes: []Page{page, {Body: "fine 1\n"}}, Want: []Want{
		values("up", 0, 1), noValue("m"), values("fine", 1), values("scrape_samples_post_metric_relabeling", anyValue, 1),
	}})
}

// Section N: reading the exposition.
func TestFormats(t *testing.T) {
	t.Parallel()
	choice(t)
	textFormat(t)
	openMetricsFormat(t)
	duplicates(t)
	check(t, "RW-126", "classic histograms and summaries arrive as exposed", Case{
		Scrapes: text("# TYPE h histogram\nh_bucket{le=\"0.5\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3.5\nh_count 2\n" +
			"# TYPE s summary\ns{quantile=\"0.99\"} NaN\ns_sum 1\ns_count 1\n"),
		Want: []Want{
			values(`h_bucket{le="0.5"}`, 1), values(`h_bucket{le="+Inf"}`, 2), values("h_sum", 3.5), values("h_count", 2),
			values(`s{quantile="0.99"}`, nan), values("s_sum", 1), values("s_count", 1), arrived("h_bucket", 2),
		},
	})
	check(t, "RW-126", "le and quantile of typed families take float form", Case{
		Scrapes: text("x{le=\"1\"} 1\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"1e3\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n"),
		Want:    []Want{values(`h_bucket{le="1.0"}`, 1), values(`h_bucket{le="1000.0"}`, 1), values(`x{le="1"}`, 1)},
		Unless: map[string]Deviation{"kinglet": {
			Claim: "le and quantile keep the text of the page, as agents before it sent them",
			Want:  []Want{values(`h_bucket{le="1"}`, 1), values(`h_bucket{le="1e3"}`, 1), values(`x{le="1"}`, 1)},
		}},
	})
	check(t, "RW-127", "a scrape has one timestamp: its start", Case{
		Scrapes: []Page{{Body: "m 1\nn 2\n", Wait: 300 * time.Millisecond}},
		Want: []Want{
			sameTime("m", 0, "up", 0), sameTime("n", 0, "up", 0), sameTime("scrape_duration_seconds", 0, "up", 0), sameTime("m", 1, "up", 1),
			func(w *World) error {
				times, err := w.scrapeTimes()
				if err != nil {
					return err
				}
				if late := times[0] - w.targets[0].seen()[0].At.UnixMilli(); late > 100 {
					return fmt.Errorf("stamped %d ms after the start of the scrape", late)
				}
				return nil
			},
		},
	})
}

func choice(t *testing.T) {
	good(t, "RW-113", "OpenMetrics is read as such, asked for or not", Page{Type: openMetricsType, Body: "# TYPE m unknown\nm 1\n# EOF\n"}, values("m", 1))
	bad(t, "RW-113", "OpenMetrics without its end is not read as text", Page{Type: openMetricsType, Body: "m 1\n"})
	good(t, "RW-113", "text is read as such, whatever its parameters", Page{Type: "text/plain; version=0.0.9; escaping=values", Body: "m 1\n"}, values("m", 1))
	good(t, "RW-113", "protobuf is read as such", protobufPage(createdCounter(1)), values("c_total", 5))
	for kind, which := range map[string]string{"-": "no", "application/json": "an unknown", ";;=,": "an unreadable"} {
		for _, job := range []Job{{}, {Fallback: "none"}} {
			c := Case{Scrapes: []Page{{Type: kind, Body: "m 1\n"}, {Body: "fine 1\n"}}, Job: job, Want: []Want{values("up", 0, 1), noValue("m"), values("fine", 1)}}
			claim := which + " Content-Type fails"
			if job.Fallback == "" {
				c.Unless = map[string]Deviation{"kinglet": {
					Claim: "a page with " + which + " Content-Type is text, unless told otherwise", Want: []Want{values("up", 1, 1), values("m", 1), values("fine", 1)},
				}}
			} else {
				claim += ", when nothing is fallen back to"
			}
			check(t, "RW-114", claim, c)
		}
	}
	for _, kind := range []string{"-", "text/html"} {
		check(t, "RW-114", "with a fallback protocol, Content-Type "+kind+" is read", Case{
			Scrapes: []Page{{Type: kind, Body: "m 1\n"}}, Job: Job{Fallback: "PrometheusText0.0.4"}, Want: []Want{values("m", 1), values("up", 1)},
		})
	}
	good(t, "RW-114", "an empty body needs no Content-Type", Page{Type: "-"})
	bad(t, "RW-115", "a parse error at the end sends nothing of the page", Page{Body: "m 1\nm{a=\"1\"} 2\nm{a= 3\n"})
	bad(t, "RW-115", "a parse error at the beginning likewise", Page{Body: "{ 3\nm 1\n"})
	if f := histogramFamily(dto.MetricType_HISTOGRAM, withClassic(nativeInt())); f != nil {
		cut := protobufPage(createdCounter(1), f)
		cut.Body = cut.Body[:len(cut.Body)-3]
		check(t, "RW-115", "a cut protobuf body sends nothing", Case{Scrapes: []Page{cut}, Want: []Want{values("up", 0), none("c_total", "h", "h_count")}})
	}
}

func textFormat(t *testing.T) {
	good(t, "RW-116", "a last line without line end counts", Page{Body: "n 1\nm 2"}, values("m", 2))
	good(t, "RW-116", "blanks, tabs, empty lines and comments are skipped",
		Page{Body: "\n# just words\n#\n  m \t 1  \n\tn\t{ a = \"1\" , b = \"2\" , }\t2\t\n# NOTE x y\n"}, values("m", 1), values(`n{a="1",b="2"}`, 2))
	check(t, "RW-117", "name, labels, value and timestamp in milliseconds", Case{
		Scrapes: []Page{{Make: func(_ int, now int64) string { return fmt.Sprintf("m{a=\"1\"} 1 %d\n", now-now%1000) }}},
		Want: []Want{values(`m{a="1"}`, 1), func(w *World) error {
			got, err := w.one("m")
			if err != nil {
				return err
			}
			if got[0].T%1000 != 0 || got[0].T < w.targets[0].started.UnixMilli()-1000 {
				return fmt.Errorf("at %d, want the whole second on the page", got[0].T)
			}
			return nil
		}},
	})
	good(t, "RW-117", "names in quotes", Page{Body: "{\"m\",a=\"1\"} 1\nn{\"b\"=\"2\"} 2\n"}, values(`m{a="1"}`, 1), values(`n{b="2"}`, 2))
	bad(t, "RW-117", "braces without a name fail", Page{Body: "{a=\"1\"} 1\n"})
	good(t, "RW-118", "escapes in label values", Page{Body: `m{a="x\\y",b="x\"y",c="x\ny",d="x\dy"} 1` + "\n"},
		values(`m{a="x\\y",b="x\"y",c="x\ny",d="x\\dy"}`, 1))
	good(t, "RW-119", "values in all spellings",
		Page{Body: "a 1\nb +1.5e3\nc -2E-2\nd .5\ne 1.\nf inf\ng +INF\nh -Inf\ni nan\nj Inf\nk +Infinity\n"},
		values("a", 1), values("b", 1500), values("c", -0.02), values("d", 0.5), values("e", 1), values("f", math.Inf(1)), values("g", math.Inf(1)),
		values("h", math.Inf(-1)), values("i", nan), values("j", math.Inf(1)))
	for _, v := range []string{"0x1p-2", "1_000", "StaleNaN", "true", "1,5", "1e", "", "1 2 3"} {
		bad(t, "RW-119", fmt.Sprintf("the value %q fails", v), Page{Body: "m " + v + "\n"})
	}
	bad(t, "RW-120", "invalid UTF-8 in a label value fails", Page{Body: "m{a=\"\xff\"} 1\n"})
	bad(t, "RW-120", "invalid UTF-8 in a quoted name fails", Page{Body: "{\"m\xff\"} 1\n"})
	bad(t, "RW-120", "a label twice on a line fails", Page{Body: "m{a=\"1\",a=\"2\"} 1\n"})
	bad(t, "RW-120", "an empty label name fails", Page{Body: "m{=\"1\"} 1\n"})
	bad(t, "RW-120", "an empty quoted label name fails", Page{Body: "m{\"\"=\"1\"} 1\n"})
	good(t, "RW-120", "a NUL byte in a label value is data", Page{Body: "m{a=\"x\x00y\"} 1\n"}, values(`m{a="x\x00y"}`, 1))
	good(t, "RW-121", "the five types, and HELP again", Page{Body: "# HELP a x\n# HELP a y\n# TYPE a counter\na 1\n# TYPE b gauge\nb 1\n# TYPE c histogram\n# TYPE d summary\n# TYPE e untyped\ne 1\n"},
		values("a", 1), values("b", 1), values("e", 1))
	bad(t, "RW-121", "another type fails", Page{Body: "# TYPE m stateset\nm 1\n"})
}

func openMetricsFormat(t *testing.T) {
	om := func(body string) Page { return Page{Type: openMetricsType, Body: body} }
	good(t, "RW-122", "types, units, seconds and exemplars of OpenMetrics", om("# HELP m_seconds x\n# TYPE m_seconds counter\n# UNIT m_seconds seconds\n"+
		"m_seconds_total 1 # {trace_id=\"a\"} 1 1520879607.789\n# TYPE i info\ni_info{v=\"1\"} 1\n# TYPE s stateset\ns{s=\"on\"} 1\n# TYPE g gaugehistogram\n"+
		"g_bucket{le=\"+Inf\"} 1\ng_gcount 1\ng_gsum 1\n# TYPE u unknown\nu 1\n# EOF\n"),
		values("m_seconds_total", 1), values("i_info", 1), values("s", 1), values("g_gcount", 1), values("u", 1))
	check(t, "RW-122", "timestamps are seconds", Case{
		Scrapes: []Page{{Type: openMetricsType, Make: func(_ int, now int64) string { return fmt.Sprintf("m 1 %.3f\n# EOF\n", float64(now-now%100+1)/1000) }}},
		Want: []Want{values("m", 1), func(w *World) error {
			got, err := w.one("m")
			if err != nil {
				return err
			}
			if got[0].T%100 != 1 {
				return fmt.Errorf("at %d, want 1 ms after a tenth of a second", got[0].T)
			}
			return nil
		}},
	})
	good(t, "RW-122", "the end without line end", om("m 1\n# EOF"), values("m", 1))
	bad(t, "RW-122", "without the end it fails", om("m 1\n"))
	bad(t, "RW-122", "what follows the end fails", om("m 1\n# EOF\nm 2\n"))
	good(t, "RW-123", "a counter without _total", om("# TYPE m counter\nm 1\n# EOF\n"), values("m", 1))
	good(t, "RW-123", "a counter that is NaN", om("# TYPE a counter\na_total NaN\n# EOF\n"), values("a_total", nan))
	good(t, "RW-123", "families that interleave", om("# TYPE a gauge\na{x=\"1\"} 1\n# TYPE b gauge\nb 1\na{x=\"2\"} 2\n# EOF\n"), values(`a{x="2"}`, 2), values("b", 1))
}

func duplicates(t *testing.T) {
	good(t, "RW-124", "of two equal lines the first is kept", Page{Body: "m 1\nm 2\n"}, values("m", 1, 1), oneValuePerTime)
	check(t, "RW-124", "with timestamps of their own all are kept", Case{
		Scrapes: []Page{{Make: func(_ int, now int64) string { return fmt.Sprintf("m 1 %d\nm 2 %d\nm 3 %d\n", now-60, now-40, now-20) }}},
		Want:    []Want{values("up", 1), values("m", 1, 2, 3), ordered},
	})
	good(t, "RW-125", "the order of labels makes no other series", Page{Body: "m{a=\"1\",b=\"1\"} 1\nm{b=\"1\",a=\"1\"} 2\n"},
		arrived("m", 1), values("m", 1, 1), oneValuePerTime)
	good(t, "RW-124", "many lines, one series twice", Page{Body: lines("s", 50, 1) + strings.Repeat("s{i=\"7\"} 9\n", 3)}, arrived("s", 50), values(`s{i="7"}`, 1))
}
