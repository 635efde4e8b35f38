package promtext

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kinglet"
)

func TestOpenMetricsPageIsRead(t *testing.T) { // RW-122
	const page = `# HELP http_requests_seconds Say \"hi\"\n.
# TYPE http_requests_seconds counter
# UNIT http_requests_seconds seconds
http_requests_seconds_total{code="200"} 3 1.5 # {trace_id="a\"b",span="1"} 0.25 1.125
http_requests_seconds_total{code="500"} 4 2 # {} 1
http_requests_seconds_created{code="200"} 1.25
# TYPE build info
build_info{v="1"} 1
# TYPE on stateset
on{on="a"} 1
# TYPE h gaugehistogram
h_bucket{le="+Inf"} 2 # {a="b"} 2
h_gsum -0.5
# TYPE u unknown
u nan
# EOF
`
	at := func(ms int64, value float64, labels ...kinglet.Label) kinglet.Exemplar {
		return kinglet.Exemplar{TimestampMs: ms, Value: value, Labels: labels}
	}
	requests := &kinglet.Meta{Family: "http_requests_seconds", Type: kinglet.TypeCounter, Help: "Say \"hi\"\n.", Unit: "seconds"}
	h := &kinglet.Meta{Family: "h", Type: kinglet.TypeGaugeHistogram}
	want := []kept{
		{Labels: series("http_requests_seconds_total", "code", "200"), Value: 3, TimestampMs: 1500, Meta: requests,
			Exemplars: []kinglet.Exemplar{at(1125, 0.25, kinglet.Label{Name: "span", Value: "1"}, kinglet.Label{Name: "trace_id", Value: `a"b`})}},
		{Labels: series("http_requests_seconds_total", "code", "500"), Value: 4, TimestampMs: 2000, Meta: requests,
			Exemplars: []kinglet.Exemplar{at(2000, 1)}}, // RW-89: the sample's time
		{Labels: series("http_requests_seconds_created", "code", "200"), Value: 1.25, TimestampMs: kinglet.NoTime}, // RW-103
		{Labels: series("build_info", "v", "1"), Value: 1, TimestampMs: kinglet.NoTime, Meta: &kinglet.Meta{Family: "build", Type: kinglet.TypeInfo}},
		{Labels: series("on", "on", "a"), Value: 1, TimestampMs: kinglet.NoTime, Meta: &kinglet.Meta{Family: "on", Type: kinglet.TypeStateset}},
		{Labels: series("h_bucket", "le", "+Inf"), Value: 2, TimestampMs: kinglet.NoTime, Meta: h,
			Exemplars: []kinglet.Exemplar{at(kinglet.NoTime, 2, kinglet.Label{Name: "a", Value: "b"})}},
		{Labels: series("h_gsum"), Value: -0.5, TimestampMs: kinglet.NoTime, Meta: h},
		{Labels: series("u"), Value: kinglet.NaN(), TimestampMs: kinglet.NoTime, Meta: &kinglet.Meta{Family: "u"}},
	}
	got, err := collect([]byte(page), OpenMetrics, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(sameFloat), cmp.Transformer("empty", func(e []kinglet.Exemplar) int { return len(e) })); diff != "" {
		t.Error(diff)
	}
	for i := range want {
		for j := range want[i].Exemplars {
			if diff := cmp.Diff(want[i].Exemplars[j], got[i].Exemplars[j]); diff != "" {
				t.Error(diff)
			}
		}
	}
	checkOpenMetrics(t, []byte(page))
}

func TestCreatedSeriesBecomeStarts(t *testing.T) { // RW-101, RW-103
	const page = `# TYPE a counter
a_total{x="1",y="2"} 3
a_total{x="2"} 3
a_created{y="2",x="1"} 1.5
# TYPE h histogram
h_bucket{x="1",le="1"} 1
h_bucket{x="1",le="+Inf"} 2
h_sum{x="1"} 2
h_count{x="1"} 2
h_created{x="1"} 0
# TYPE s summary
s{quantile="0.5"} 1
s_count 1
s_created 2.25
# TYPE g gauge
g_created 7
g 1
# TYPE n counter
n_total 1
n_created NaN
# EOF
`
	samples, err := collect([]byte(page), OpenMetrics, Options{Created: true})
	if err != nil {
		t.Fatal(err)
	}
	var got []int64
	for _, s := range samples {
		got = append(got, s.StartMs)
	}
	want := []int64{1500, 0, 1, 1, 1, 1, 2250, 2250, 0, 0, 0} // a true 0 is 1; g_created is a gauge, and stays
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAFaultyExemplarCostsOnlyItself(t *testing.T) { // RW-92
	for name, exemplar := range map[string]string{
		"name twice": `{a="1",a="2"} 1`, "empty name": `{""="1"} 1`, "too long": `{a="` + strings.Repeat("é", 128) + `"} 1`,
	} {
		samples, err := collect([]byte("a 1 # "+exemplar+"\n# EOF\n"), OpenMetrics, Options{})
		if err != nil || len(samples) != 1 || len(samples[0].Exemplars) != 0 {
			t.Errorf("%s: %v, %v", name, samples, err)
		}
	}
	samples, err := collect([]byte(`a 1 # {a="`+strings.Repeat("é", 127)+"\"} 1\n# EOF\n"), OpenMetrics, Options{})
	if err != nil || len(samples[0].Exemplars) != 1 {
		t.Errorf("128 characters: %v, %v", samples, err)
	}
}

func TestExemplarsCanBeLeftOut(t *testing.T) {
	samples, err := collect([]byte("a 1 # {} 1\n# EOF\n"), OpenMetrics, Options{NoExemplars: true})
	if err != nil || len(samples) != 1 || len(samples[0].Exemplars) != 0 {
		t.Errorf("got %v, %v", samples, err)
	}
	if _, err = collect([]byte("a 1 # {} x\n# EOF\n"), OpenMetrics, Options{NoExemplars: true}); err == nil {
		t.Error("a bad exemplar was accepted")
	}
}

func TestOpenMetricsRefuses(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"no EOF (RW-122)", "a 1\n", "want # EOF at the end of an OpenMetrics page"},
		{"nothing (RW-122)", "", "want # EOF at the end of an OpenMetrics page"},
		{"text after EOF (RW-122)", "# EOF\na 1\n", `line 2: want nothing after # EOF: "a 1\n"`},
		{"last line without LF", "a 1", `line 1: want a line feed at the end of the line, and # EOF: "a 1"`},
		{"blank line", "\n# EOF\n", `line 1: want a metric name, # HELP, # TYPE, # UNIT or # EOF`},
		{"comment", "# hello\n# EOF\n", `line 1: want # HELP, # TYPE, # UNIT or # EOF: "# hello"`},
		{"two blanks", "a  1\n# EOF\n", `line 1: want one blank and a value after the series: "a  1"`},
		{"blank in braces", "a{ b=\"c\"} 1\n# EOF\n", `line 1: want a label name or }: "a{ b=\"c\"}"`},
		{"no comma", "a{b=\"c\"d=\"e\"} 1\n# EOF\n", `line 1: want , or } after a label: "a{b=\"c\"d=\"e\"}"`},
		{"blank at the end", "a 1 \n# EOF\n", `line 1: want a timestamp, an exemplar or the end of the line after the value: "a 1 "`},
		{"CR", "a 1\r\n# EOF\n", `line 1: want a decimal number, NaN or Inf as the value: "a 1\r"`},
		{"NaN as timestamp", "a 1 NaN\n# EOF\n", `line 1: want a timestamp in seconds: "a 1 NaN"`},
		{"timestamp out of range", "a 1 1e17\n# EOF\n", `line 1: want a timestamp in seconds: "a 1 1e17"`},
		{"untyped (RW-122)", "# TYPE a untyped\n# EOF\n", `line 1: want counter, gauge, histogram, gaugehistogram, summary, info, stateset or unknown as the type: "# TYPE a untyped"`},
		{"unit that is no suffix (RW-122)", "# UNIT a_seconds meters\n# EOF\n", `line 1: want a unit that the metric name ends with, behind _: "# UNIT a_seconds meters"`},
		{"HELP without blank", "# HELP a\n# EOF\n", `line 1: want one blank and a text after the metric name: "# HELP a"`},
		{"exemplar without value", "a 1 # {}\n# EOF\n", `line 1: want one blank and a value after the exemplar's labels: "a 1 # {}"`},
		{"exemplar with four numbers", "a 1 # {} 1 2 3\n# EOF\n", `line 1: want a timestamp or the end of the line after the exemplar's value: "a 1 # {} 1 2 3"`},
		{"name in an exemplar", "a 1 # {\"b\"} 1\n# EOF\n", `line 1: want = after a label name: "a 1 # {\"b\"} 1"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := collect([]byte(tt.in), OpenMetrics, Options{})
			if err == nil || err.Error() != tt.want {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestOpenMetricsIsAsLenientAsPrometheus(t *testing.T) { // RW-123
	for _, page := range []string{
		"# TYPE a counter\na 1\n# EOF\n", "# TYPE a counter\na_total NaN\n# EOF\n", "# TYPE a counter\na_total -1\n# EOF",
		"# TYPE a gauge\na 1\n# TYPE b gauge\nb 1\na{c=\"d\"} 1\n# EOF\n", "a 1 # {b=\"c\"} 1\n# EOF\n", "a{b=\"c\",} 1\n# EOF\n", "# UNIT a \na 1\n# EOF\n",
	} {
		if _, err := collect([]byte(page), OpenMetrics, Options{}); err != nil {
			t.Errorf("%q: %v", page, err)
		}
		checkOpenMetrics(t, []byte(page))
	}
}
