//go:build e2e

package sidebyside

import (
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// question is a query that both databases must answer alike at each scrape of
// a target.
type question struct {
	target, query string
	tolerance     float64 // relative; 0 = bit by bit
	needs2        bool    // asks for what only remote write 2.0 carries
}

func questions() []question {
	return []question{
		{"native-int", `histogram_quantile(0.9, h)`, 0, false},
		{"native-int", `histogram_quantile(0.1, h)`, 0, false},
		{"native-int", `histogram_count(h)`, 0, false},
		{"native-int", `histogram_fraction(-1, 2, h)`, 0, false},
		// Scrapes are not evenly spaced to the last bit, which scales all buckets
		// alike. The window ends between two scrapes.
		{"native-int", `histogram_quantile(0.9, rate(h[9500ms]))`, 1e-9, false},
		{"native-float", `histogram_quantile(0.75, h)`, 0, false},
		{"native-gauge", `histogram_avg(h)`, 0, false},
		{"custom-buckets", `histogram_quantile(0.9, latency)`, 0, true},
		{"native-and-classic", `histogram_quantile(0.9, h_bucket)`, 0, false},
		{"native-and-classic", `histogram_quantile(0.9, h)`, 0, false},
		{"openmetrics", `histogram_quantile(0.9, om_latency_seconds_bucket)`, 0, false},
		{"restarting", `histogram_quantile(0.5, latency_bucket)`, 0, false},
		{"restarting", `resets(requests_total[14500ms])`, 0, false},
		{"statuses", `up`, 0, false},
		{"statuses", `count({__name__=~".+"})`, 0, false},
		{"churning", `count({__name__=~".+"})`, 0, false},
	}
}

// checkQueries asks both databases everything.
func checkQueries(t *testing.T, want, got *side, records map[string]*record) {
	engine := promql.NewEngine(promql.EngineOpts{
		Logger: slog.New(slog.DiscardHandler), MaxSamples: 1_000_000, Timeout: time.Minute, Parser: parser.NewParser(parser.Options{}),
	})
	t.Cleanup(func() { _ = engine.Close() }) // nothing is left to lose
	for _, q := range questions() {
		if q.needs2 && got.name == kinglet1 {
			continue
		}
		a, b := ask(t, engine, q, want, records[want.name]), ask(t, engine, q, got, records[got.name])
		checkAnswers(t, q, a, b)
	}
	checkExemplarQuery(t, want, got)
}

// answer is what a query says at one scrape, by series.
type answer map[string]float64

// ask runs a query at every scrape of its target.
func ask(t *testing.T, engine *promql.Engine, q question, s *side, r *record) []answer {
	t.Helper()
	address := s.endpoints[q.target].address
	selected := selectTarget(q.query, address)
	var answers []answer
	for _, ms := range r.scrapes[q.target] {
		query, err := engine.NewInstantQuery(t.Context(), s.db, nil, selected, time.UnixMilli(ms))
		if err != nil {
			t.Fatalf("%s: %v", selected, err)
		}
		vector, err := query.Exec(t.Context()).Vector()
		if err != nil {
			t.Fatalf("%s: %v", selected, err)
		}
		at := answer{}
		for _, sample := range vector {
			at[strings.ReplaceAll(sample.Metric.String(), address, "address")] = sample.F
		}
		query.Close()
		answers = append(answers, at)
	}
	return answers
}

// selectTarget narrows every selector of a query to one target.
func selectTarget(query, address string) string {
	matcher := fmt.Sprintf("%s=%q", targetLabel, address)
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		return query // the engine will say so
	}
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if v, ok := node.(*parser.VectorSelector); ok {
			v.LabelMatchers = append(v.LabelMatchers, labels.MustNewMatcher(labels.MatchEqual, targetLabel, address))
		}
		return nil
	})
	if text := expr.String(); strings.Contains(text, matcher) {
		return text
	}
	return query
}

func checkAnswers(t *testing.T, q question, want, got []answer) {
	t.Helper()
	n := min(len(want), len(got))
	numbers, wrong := 0, 0
	for i := range n {
		for _, series := range union(sortedKeys(want[i]), sortedKeys(got[i])) {
			a, inA := want[i][series]
			b, inB := got[i][series]
			numbers++
			if inA == inB && near(a, b, q.tolerance) {
				continue
			}
			if wrong++; wrong <= 3 {
				t.Errorf("%s of %s at round %d: want %v (%v), got %v (%v), of %s", q.query, q.target, i, a, inA, b, inB, series)
			}
		}
	}
	if wrong > 3 {
		t.Errorf("%s of %s: %d of %d answers differ", q.query, q.target, wrong, numbers)
	}
	if numbers < n/2 {
		t.Errorf("%s of %s: only %d answers in %d rounds", q.query, q.target, numbers, n)
	}
}

func near(a, b, tolerance float64) bool {
	if math.Float64bits(a) == math.Float64bits(b) || math.IsNaN(a) && math.IsNaN(b) {
		return true
	}
	return math.Abs(a-b) <= tolerance*max(math.Abs(a), math.Abs(b))
}

// checkExemplarQuery asks for exemplars by series, as a dashboard does.
func checkExemplarQuery(t *testing.T, want, got *side) {
	t.Helper()
	for _, q := range []struct{ target, metric string }{
		{"openmetrics", "om_latency_seconds_bucket"}, {"openmetrics", "om_requests_total"}, {"native-int", "h"},
		{"native-and-classic", "h_bucket"}, {"protobuf", "pb_requests_total"},
	} {
		a, b := traces(t, want, q.target, q.metric), traces(t, got, q.target, q.metric)
		if len(a) == 0 {
			t.Errorf("%s has no exemplars of %s", want.name, q.metric)
		}
		for _, series := range union(sortedKeys(a), sortedKeys(b)) {
			x, y := a[series], b[series]
			// The last scrapes were cut off at different moments.
			if n := min(len(x), len(y)); n < 10 || len(x)-n > 5 || len(y)-n > 5 || !slices.Equal(x[:n], y[:n]) {
				t.Errorf("exemplars of %s: want %v, got %v", series, x, y)
			}
		}
	}
}

// traces are the labels and values of the exemplars of a metric, as queried,
// by series.
func traces(t *testing.T, s *side, target, metric string) map[string][]string {
	t.Helper()
	address := s.endpoints[target].address
	found, err := queryExemplars(t.Context(), s.db,
		labels.MustNewMatcher(labels.MatchEqual, labels.MetricName, metric), labels.MustNewMatcher(labels.MatchEqual, targetLabel, address))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for _, f := range found {
		series := strings.ReplaceAll(f.SeriesLabels.String(), address, "address")
		for _, e := range f.Exemplars {
			if e.Labels.Get("trace_id") == "t0" {
				continue // the handler of 1.0 drops the first of a series of histograms
			}
			all[series] = append(all[series], fmt.Sprintf("%s %v", e.Labels, e.Value))
		}
		all[series] = slices.Compact(all[series]) // one that stays on the page may be stored again
	}
	return all
}
