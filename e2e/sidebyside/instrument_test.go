//go:build e2e

package sidebyside

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
)

// sampleRecord is a small record with a bit of everything.
func sampleRecord() *record {
	at := func(rounds ...int) (points []point) {
		for _, r := range rounds {
			points = append(points, point{moment{Round: r}, floatText(float64(r))})
		}
		return points
	}
	h := &histogram.Histogram{
		Schema: 3, Count: 7, Sum: 18.5, ZeroThreshold: 0.001, ZeroCount: 1,
		PositiveSpans: []histogram.Span{{Offset: 2, Length: 2}}, PositiveBuckets: []int64{1, 1},
	}
	stale := &histogram.Histogram{Sum: staleValue()}
	return &record{
		scrapes: map[string][]int64{"a": {1000, 2000, 3000, 4000}, "b": {1500, 2500, 3500}},
		series: map[id][]point{
			{"a", `{__name__="m"}`}:                       append(at(0, 1), point{moment{Round: 2}, staleText}),
			{"a", `{__name__="stamped"}`}:                 {{moment{Round: 1, Stamp: "-500ms"}, floatText(1)}},
			{"a", `{__name__="scrape_duration_seconds"}`}: at(0, 1, 2, 3),
			{"b", `{__name__="h"}`}:                       {{moment{Round: 0}, histogramText(h)}, {moment{Round: 1}, histogramText(stale)}},
		},
		starts:    map[id][]point{{"b", `{__name__="h"}`}: {{moment{Round: 0}, "round 0 start"}}},
		exemplars: map[id][]point{{"b", `{__name__="h"}`}: {{moment{Round: 0}, `{trace_id="x"} ` + floatText(1)}}},
	}
}

func staleValue() float64 { return math.Float64frombits(value.StaleNaN) }

func TestEqualRecordsHaveNoDifference(t *testing.T) {
	if found := compare(sampleRecord(), sampleRecord()); len(found) > 0 {
		t.Errorf("got %v", found)
	}
}

// TestEveryMutationIsFound changes one thing at a time in a record: the
// comparison must say so, and which.
func TestEveryMutationIsFound(t *testing.T) {
	m, stamped, h := id{"a", `{__name__="m"}`}, id{"a", `{__name__="stamped"}`}, id{"b", `{__name__="h"}`}
	edit := func(i id, n int, change func(p *point)) func(r *record) {
		return func(r *record) { change(&r.series[i][n]) }
	}
	replace := func(old, by string) func(p *point) {
		return func(p *point) { p.Text = strings.Replace(p.Text, old, by, 1) }
	}
	for _, tt := range []struct {
		name   string
		mutate func(r *record)
		want   string // in the first difference
	}{
		{"one bit of a value", edit(m, 1, replace("3ff0000000000000", "3ff0000000000001")), "3ff0000000000001"},
		{"the sign of zero", edit(m, 0, replace("(0000000000000000)", "(8000000000000000)")), "8000000000000000"},
		{"a sample is missing", func(r *record) { r.series[m] = r.series[m][1:] }, "got nothing"},
		{"a stale marker is missing", func(r *record) { r.series[m] = r.series[m][:2] }, "want stale, got nothing"},
		{"a stale marker is a NaN", edit(m, 2, func(p *point) { p.Text = "NaN (7ff8000000000001)" }), "want stale, got NaN"},
		{"a stale marker too many", func(r *record) { r.series[m] = append(r.series[m], point{moment{Round: 3}, staleText}) }, "want nothing, got stale"},
		{"a sample a round late", edit(m, 1, func(p *point) { p.At.Round = 3 }), "round"},
		{"a sample between scrapes", edit(m, 1, func(p *point) { p.At.Stray = "and 3 ms, at no scrape" }), "round"},
		{"two samples in one moment", func(r *record) { r.series[m] = append(r.series[m], r.series[m][0]) }, " and "},
		{"a timestamp of the page", edit(stamped, 0, func(p *point) { p.At.Stamp = "-499ms" }), "-500ms"},
		{"a label", func(r *record) {
			r.series[id{"a", `{__name__="m", x="y"}`}] = r.series[m]
			delete(r.series, m)
		}, "got nothing"},
		{"a series too many", func(r *record) { r.series[id{"b", `{__name__="m"}`}] = r.series[m] }, "want nothing"},
		{"a series of no target", func(r *record) { r.series[id{"", `{__name__="m"}`}] = r.series[m] }, "want nothing"},
		{"no duration", func(r *record) { delete(r.series, id{"a", `{__name__="scrape_duration_seconds"}`}) }, "a duration"},
		{"a bucket", edit(h, 0, replace("[1 1]", "[1 2]")), "[1 2]"},
		{"a span", edit(h, 0, replace("{2 2}", "{3 2}")), "{3 2}"},
		{"the sum of a histogram", edit(h, 0, replace("4032800000000000", "4032800000000001")), "4032800000000001"},
		{"the reset hint", edit(h, 0, replace("hint 0", "hint 1")), "hint 1"},
		{"a histogram's marker is a float's", edit(h, 1, func(p *point) { p.Text = staleText }), "want stale histogram, got stale"},
		{"an exemplar is missing", func(r *record) { delete(r.exemplars, h) }, "exemplar"},
		{"an exemplar's value", func(r *record) { r.exemplars[h][0].Text = `{trace_id="x"} ` + floatText(2) }, "exemplar"},
		{"a start timestamp is missing", func(r *record) { delete(r.starts, h) }, "start of b"},
		{"another start timestamp", func(r *record) { r.starts[h][0].Text = "round 20 start" }, "round 20 start"},
		{"a target never scraped", func(r *record) { delete(r.scrapes, "b") }, "scrapes of b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mutant := sampleRecord()
			tt.mutate(mutant)
			found := compare(sampleRecord(), mutant)
			if !slices.ContainsFunc(found, func(d difference) bool { return strings.Contains(d.String(), tt.want) }) {
				t.Errorf("got %v, want one with %q", found, tt.want)
			}
		})
	}
}

func TestWhatBothHaveNotScrapedIsNotCompared(t *testing.T) {
	shorter := sampleRecord()
	shorter.scrapes["a"] = shorter.scrapes["a"][:3]
	i := id{"a", `{__name__="scrape_duration_seconds"}`}
	shorter.series[i] = shorter.series[i][:3]
	if found := compare(sampleRecord(), shorter); len(found) > 0 {
		t.Errorf("got %v", found)
	}
}

func TestJudgeWantsEveryDifferenceExplainedAndEveryExplanationUsed(t *testing.T) {
	d := difference{id: id{"a", `{__name__="m"}`}, What: "sample", Want: "1", Got: "2"}
	covers := explanation{why: "because", covers: func(d difference) bool { return d.of("a") && d.named("m") }}
	other := explanation{why: "elsewhere", only: kinglet2, covers: func(d difference) bool { return d.of("b") }}
	gone, come := d, d
	gone.Got, come.Want, come.Got = "", "", d.Want
	come.Series = `{__name__="m_"}`
	moves := explanation{why: "renamed", moves: true, covers: func(d difference) bool { return d.of("a") }}
	for _, tt := range []struct {
		name, side string
		found      []difference
		list       []explanation
		want       []string
	}{
		{"no difference, no explanation", kinglet1, nil, nil, nil},
		{"a difference without explanation", kinglet1, []difference{d}, nil, []string{d.String()}},
		{"two in one series are one complaint", kinglet1, []difference{d, d}, nil, []string{d.String() + "; and 1 more"}},
		{"an explained difference", kinglet1, []difference{d}, []explanation{covers}, nil},
		{"an explanation too many", kinglet1, nil, []explanation{covers}, []string{"no difference needs this explanation any more: because"}},
		{"an explanation of the other side", kinglet1, []difference{d}, []explanation{other, covers}, nil},
		{"a series of another name", kinglet1, []difference{gone, come}, []explanation{moves}, nil},
		{"a series lost on the way to another name", kinglet1, []difference{gone}, []explanation{moves}, []string{"round 0 sample of a: 1 is wanted +1 times, although: renamed"}},
		{"nothing is explained of Prometheus itself", twin, []difference{d}, []explanation{covers}, []string{d.String()}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, _ := judge(tt.side, tt.found, tt.list); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
