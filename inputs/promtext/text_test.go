package promtext

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kinglet"
)

// series makes labels from name, value, name, value, with the metric name first.
func series(name string, pairs ...string) []kinglet.Label {
	out := []kinglet.Label{{Name: "__name__", Value: name}}
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, kinglet.Label{Name: pairs[i], Value: pairs[i+1]})
	}
	return out
}

func TestParseSeriesReadsWhatThePageSpells(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     []kinglet.Label
	}{
		{"name alone", `up`, series("up")},
		{"name with colons and digits", `job:rate5m:sum`, series("job:rate5m:sum")},
		{"no labels in braces", `up{}`, series("up")},
		{"blanks and tabs between all tokens (RW-116)", "up \t{ a\t= \"1\" ,\tb = \"2\" }", series("up", "a", "1", "b", "2")},
		{"trailing comma (RW-116)", `up{a="1",}`, series("up", "a", "1")},
		{"labels without commas between, as Prometheus", `up{a="1"b="2"}`, series("up", "a", "1", "b", "2")},
		{"order of the page (RW-125 is the caller's)", `up{b="1",a="2"}`, series("up", "b", "1", "a", "2")},
		{"quoted name (RW-117)", `{"my.metric",a="1"}`, series("my.metric", "a", "1")},
		{"quoted name alone (RW-117)", `{"my.metric"}`, series("my.metric")},
		{"quoted name last (RW-117)", `{a="1","my.metric"}`, series("my.metric", "a", "1")},
		{"quoted label name (RW-117)", `up{"a.b"="1"}`, series("up", "a.b", "1")},
		{"escapes in quoted names (RW-117)", `{"a\"b","c\\d"="e"}`, series(`a"b`, `c\d`, "e")},
		{"the three escapes (RW-118)", `up{a="x\\y\"z\nw"}`, series("up", "a", "x\\y\"z\nw")},
		{"other backslashes stay (RW-118)", `up{a="\d+\."}`, series("up", "a", `\d+\.`)},
		{"backslash before n is one of two (RW-118)", `up{a="c:\\new"}`, series("up", "a", `c:\new`)},
		{"braces, commas and hashes in values", `up{a="}{,=#"}`, series("up", "a", "}{,=#")},
		{"any UTF-8 in values (RW-32)", `up{a="日本 🐑"}`, series("up", "a", "日本 🐑")},
		{"NUL in a value (RW-120)", "up{a=\"x\x00y\"}", series("up", "a", "x\x00y")},
		{"empty value is kept for the caller", `up{a=""}`, series("up", "a", "")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseSeries(nil, []byte(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseSeriesRefuses(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"braces without a name (RW-117)", `{a="1"}`, "want a metric name before or in the braces"},
		{"empty braces", `{}`, "want a metric name before or in the braces"},
		{"nothing", ``, "want a metric name before or in the braces"},
		{"empty quoted name", `{""}`, "want a metric name that is not empty"},
		{"two names", `up{"down"}`, "want one metric name, not two"},
		{"__name__ as a label (RW-120)", `up{__name__="down"}`, "label __name__ occurs twice"},
		{"label twice (RW-120)", `up{a="1",b="2",a="1"}`, "label a occurs twice"},
		{"label twice among many (RW-120)", manyLabels(40) + `,l7="x"}`, "label l7 occurs twice"},
		{"empty label name (RW-120)", `up{""="1"}`, "want a label name that is not empty"},
		{"not UTF-8 (RW-120)", "up{a=\"\xff\"}", "want UTF-8 in names and label values"},
		{"name not UTF-8 (RW-120)", "{\"\xff\"}", "want UTF-8 in names and label values"},
		{"unclosed braces", `up{a="1"`, "want a label name or }"},
		{"unclosed quote", `up{a="1}`, "want a closing quote"},
		{"quote closed by an escape only", `up{a="1\"}`, "want a closing quote"},
		{"no value", `up{a}`, "want = after a label name"},
		{"unquoted value", `up{a=1}`, "want a quoted label value after ="},
		{"colon in a label name", `up{a:b="1"}`, "want = after a label name"},
		{"digit first in a label name", `up{1a="1"}`, "want a label name or }"},
		{"comma first", `up{,a="1"}`, "want a label name or }"},
		{"two commas", `up{a="1",,}`, "want a label name or }"},
		{"text behind the labels", `up{a="1"} 1 }`, "want a value after the labels"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			labels, err := ParseSeries(nil, []byte(tt.in))
			fault, ok := errors.AsType[*SyntaxError](err)
			if !ok || fault.Problem != tt.want {
				t.Errorf("got %v, %v, want %q", labels, err, tt.want)
			}
		})
	}
}

func manyLabels(n int) string {
	var b strings.Builder
	b.WriteString(`up{l0="x"`)
	for i := 1; i < n; i++ {
		b.WriteString(`,l` + strconv.Itoa(i) + `="x"`)
	}
	return b.String()
}

func TestParseLineTakesALineApart(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     Line
	}{
		{"empty (RW-116)", "", Line{Kind: Blank}},
		{"blanks (RW-116)", " \t", Line{Kind: Blank}},
		{"CR alone", "\r", Line{Kind: Blank}},
		{"value", "up 1", Line{Kind: SampleLine, Series: []byte("up"), Value: []byte("1")}},
		{"value behind CR", "up 1\r", Line{Kind: SampleLine, Series: []byte("up"), Value: []byte("1")}},
		{"timestamp, blanks everywhere (RW-116)", " \tup\t 1 \t 123 ", Line{Kind: SampleLine, Series: []byte("up"), Value: []byte("1"), Time: []byte("123")}},
		{"labels", `up{a="}"} 1`, Line{Kind: SampleLine, Series: []byte(`up{a="}"}`), Value: []byte("1")}},
		{"blank before braces", `up {a="b"}1`, Line{Kind: SampleLine, Series: []byte(`up {a="b"}`), Value: []byte("1")}},
		{"comment", "# a word", Line{Kind: Comment}},
		{"comment without blank", "#HELP up x", Line{Kind: Comment}},
		{"EOF is a comment here", "# EOF", Line{Kind: Comment}},
		{"word that begins like HELP", "# HELPER up", Line{Kind: Comment}},
		{"HELP", `# HELP up Is it\n up?`, Line{Kind: Help, Family: []byte("up"), Text: []byte(`Is it\n up?`)}},
		{"HELP keeps its inner blanks", "#\tHELP  up  x ", Line{Kind: Help, Family: []byte("up"), Text: []byte(" x ")}},
		{"HELP without text", "# HELP up", Line{Kind: Help, Family: []byte("up")}},
		{"HELP of a quoted name", `# HELP "a b" x`, Line{Kind: Help, Family: []byte("a b"), Text: []byte("x")}},
		{"TYPE (RW-121)", "# TYPE up histogram", Line{Kind: Type, Family: []byte("up"), Text: []byte("histogram"), Type: kinglet.TypeHistogram}},
		{"TYPE behind CR", "# TYPE up gauge\r", Line{Kind: Type, Family: []byte("up"), Text: []byte("gauge"), Type: kinglet.TypeGauge}},
		{"TYPE untyped (RW-121)", "# TYPE up untyped", Line{Kind: Type, Family: []byte("up"), Text: []byte("untyped")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got Line
			if err := ParseLine([]byte(tt.in), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTextPageRefuses(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"no value", "up 1\nup\n", `line 2: want a value after the series: "up"`},
		{"three numbers", "up 1 2 3\n", `line 1: want the end of the line after the timestamp: "up 1 2 3"`},
		{"word as value (RW-119)", "up true\n", `line 1: want a decimal number, NaN or Inf as the value: "up true"`},
		{"hexadecimal (RW-119)", "up 0x1p-2\n", `line 1: want a decimal number, NaN or Inf as the value: "up 0x1p-2"`},
		{"underscore (RW-119)", "up 1_000\n", `line 1: want a decimal number, NaN or Inf as the value: "up 1_000"`},
		{"StaleNaN (RW-119)", "up StaleNaN\n", `line 1: want a decimal number, NaN or Inf as the value: "up StaleNaN"`},
		{"float timestamp", "up 1 1.5\n", `line 1: want a timestamp in milliseconds, digits only: "up 1 1.5"`},
		{"timestamp too large", "up 1 99999999999999999999\n", `line 1: want a timestamp in milliseconds, digits only: "up 1 99999999999999999999"`},
		{"value too large", "up 1e999\n", `line 1: want a decimal number, NaN or Inf as the value: "up 1e999"`},
		{"unknown type (RW-121)", "# TYPE up thing\n", `line 1: want counter, gauge, histogram, summary or untyped as the type: "# TYPE up thing"`},
		{"OpenMetrics type (RW-121)", "# TYPE up info\n", `line 1: want counter, gauge, histogram, summary or untyped as the type: "# TYPE up info"`},
		{"HELP without name", "# HELP 1\n", `line 1: want a metric name after HELP: "# HELP 1"`},
		{"HELP not UTF-8 (RW-120)", "# HELP up \xff\n", "line 1: want UTF-8 in the help text: \"# HELP up \\xff\""},
		{"unclosed braces", "up{ 1\n", `line 1: want } after the labels: "up{ 1"`},
		{"label twice (RW-120)", "\n\nup{a=\"1\",a=\"1\"} 1\n", `line 3: label a occurs twice: "up{a=\"1\",a=\"1\"}"`},
		{"HTML", "<html>\n", `line 1: want a metric name: "<html>"`},
		{"long line is quoted in part", "up{" + strings.Repeat("é", 150) + "\n",
			`line 1: want } after the labels: "up{` + strings.Repeat("é", 98) + `..."`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := collect([]byte(tt.in), Text, Options{})
			if err == nil || err.Error() != tt.want {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestBadLinesAreSkippedIfAskedFor(t *testing.T) {
	var bad []int
	page := "a 1\nb x\n# TYPE c d\nc 2\n"
	got, err := collect([]byte(page), Text, Options{BadLine: func(e *SyntaxError) { bad = append(bad, e.Line) }})
	if err != nil || len(got) != 2 || !cmp.Equal(bad, []int{2, 3}) {
		t.Errorf("got %d samples, bad lines %v, %v; want 2 samples, bad lines 2 and 3", len(got), bad, err)
	}
}

func TestMetadataDoesNotLeakToAnotherFamily(t *testing.T) { // RW-24
	const page = `x_before 1
# HELP x Time\n taken.
# TYPE x histogram
x_bucket{le="1"} 1
x_sum 1
x_count 1
x_max 1
xy 1
# TYPE y summary
y{quantile="0.5"} 1
y_count 1
y_bucket 1
# TYPE z counter
z 1
z_total 1
z_sum 1
# TYPE "q\"r" gauge
{"q\"r"} 1
`
	want := map[string]string{
		"x_bucket": "x histogram", "x_sum": "x histogram", "x_count": "x histogram",
		"y": "y summary", "y_count": "y summary", "z": "z counter", "z_total": "z counter", `q"r`: `q"r gauge`,
	}
	words := map[kinglet.MetricType]string{
		kinglet.TypeHistogram: "histogram", kinglet.TypeSummary: "summary",
		kinglet.TypeCounter: "counter", kinglet.TypeGauge: "gauge",
	}
	got := map[string]string{}
	metas := map[*kinglet.Meta]bool{}
	err := Parse([]byte(page), Text, Options{}, func(s *Sample) error {
		labels, err := s.AppendLabels(nil)
		if meta := s.Meta(); meta != nil {
			got[labels[0].Value] = meta.Family + " " + words[meta.Type]
			metas[meta] = true
			if meta.Family == "x" && meta.Help != "Time\n taken." {
				t.Errorf("help is %q", meta.Help)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(metas) != 4 {
		t.Errorf("%d metas for 4 families", len(metas))
	}
}

func TestMetadataIsOneAcrossPages(t *testing.T) {
	var m Metadata
	page := func(help string) *kinglet.Meta {
		m.Reset()
		m.Observe(&Line{Kind: Help, Family: []byte("x"), Text: []byte(help)})
		m.Observe(&Line{Kind: Type, Family: []byte("x"), Type: kinglet.TypeGauge})
		return m.Of("x")
	}
	first, again, other := page("a"), page("a"), page("b")
	if first != again || first == other || first.Help != "a" || other.Help != "b" {
		t.Errorf("got %p %p %p: want the first two to be one", first, again, other)
	}
}

func TestReadSampleReadsWhatFollowsASeries(t *testing.T) {
	value, timeMs, err := ReadSample([]byte(" 1.5 1700000000123\r"))
	if value != 1.5 || timeMs != 1700000000123 || err != nil {
		t.Errorf("got %v %v %v", value, timeMs, err)
	}
	value, timeMs, err = ReadSample([]byte(" nan"))
	if math.Float64bits(value) != kinglet.NaNBits || timeMs != kinglet.NoTime || err != nil { // RW-38
		t.Errorf("got %x %v %v", math.Float64bits(value), timeMs, err)
	}
	if _, _, err = ReadSample([]byte(" 1 2 3")); err == nil {
		t.Error("a third number was accepted")
	}
}
