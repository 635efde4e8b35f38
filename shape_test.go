package kinglet

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/prometheus/prompb"
)

// someSeries are n series whose neighbours share more or less of their labels.
func someSeries(n int) []Series {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	series := make([]Series, n)
	for i := range series {
		series[i].Labels = []Label{{"__name__", "metric_" + strconv.Itoa(r.IntN(3))}}
		if r.IntN(4) > 0 {
			series[i].Labels = append(series[i].Labels, Label{"id", strings.Repeat("é/", r.IntN(200)) + strconv.Itoa(i/7)})
		}
		if r.IntN(9) == 0 {
			series[i].Labels = append(series[i].Labels, Label{"z", "\x00\n\""})
		}
		if i%5 == 0 {
			series[i].Meta = &Meta{Family: "metric", Type: TypeCounter}
		}
		if i%11 == 3 {
			series[i].Kind = KindHistogram
		}
	}
	return series
}

func TestShapeGivesBackItsSeries(t *testing.T) {
	for _, n := range []int{
		0, 1, 2, blockColumns - 1, blockColumns, blockColumns + 1, 3*blockColumns - 7, 3 * blockColumns,
		compressedShape - 1, compressedShape, compressedShape + 1, largeShape - 1, largeShape,
	} {
		series := someSeries(n)
		s := NewShape(series)
		if s.Len() != n {
			t.Fatalf("%d columns, want %d", s.Len(), n)
		}
		seen := 0
		for i, encoded := range s.All() {
			if i != seen {
				t.Fatalf("column %d comes after %d", i, seen-1)
			}
			seen++
			if d := cmp.Diff(series[i].Labels, AppendDecodedLabels(nil, encoded)); d != "" {
				t.Fatalf("column %d of All:\n%s", i, d)
			}
			if d := cmp.Diff(series[i].Labels, s.AppendLabels(nil, i)); d != "" {
				t.Fatalf("column %d:\n%s", i, d)
			}
			if s.Kind(i) != series[i].Kind || s.Meta(i) != series[i].Meta {
				t.Fatalf("column %d is of kind %v, its meta %v", i, s.Kind(i), s.Meta(i))
			}
		}
		if seen != n {
			t.Fatalf("All gives %d columns, want %d", seen, n)
		}
	}
}

func TestWhereGivesTheColumnsThatAreWanted(t *testing.T) {
	t.Run("of a small shape", func(t *testing.T) { checkWhere(t, someSeries(compressedShape-1)) })
	t.Run("of another", func(t *testing.T) { checkWhere(t, someSeries(3*blockColumns+5)) })
}

func checkWhere(t *testing.T, series []Series) {
	s := NewShape(series)
	for name, wanted := range map[string]func(int) bool{
		"none":       func(int) bool { return false },
		"all":        func(int) bool { return true },
		"one":        func(i int) bool { return i == blockColumns+7 },
		"block ends": func(i int) bool { return i%blockColumns == 0 || (i+1)%blockColumns == 0 },
		"the last":   func(i int) bool { return i == len(series)-1 },
	} {
		t.Run(name, func(t *testing.T) {
			var got, want []int
			for i, encoded := range s.Where(new(LabelRoom), wanted) {
				got = append(got, i)
				if d := cmp.Diff(series[i].Labels, AppendDecodedLabels(nil, encoded)); d != "" {
					t.Errorf("column %d:\n%s", i, d)
				}
			}
			for i := range series {
				if wanted(i) {
					want = append(want, i)
				}
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestEncodedLabelsAreThoseOfRemoteWrite(t *testing.T) {
	series := someSeries(50)
	for i, encoded := range NewShape(series).All() {
		var m prompb.TimeSeries
		if err := m.Unmarshal(encoded); err != nil {
			t.Fatal(err)
		}
		var got []Label
		for _, l := range m.Labels {
			got = append(got, Label{l.Name, l.Value})
		}
		if d := cmp.Diff(series[i].Labels, got); d != "" {
			t.Fatalf("prompb reads column %d as\n%s", i, d)
		}
		if n := EncodedLabelsSize(series[i].Labels); n != len(encoded) {
			t.Errorf("column %d: EncodedLabelsSize is %d, the labels take %d", i, n, len(encoded))
		}
	}
}

func TestLabelsThatAreNotFinalAreABug(t *testing.T) {
	for name, labels := range map[string][]Label{
		"unsorted":    {{"b", "1"}, {"a", "1"}},
		"twice":       {{"a", "1"}, {"a", "2"}},
		"empty name":  {{"", "1"}},
		"empty value": {{"a", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("NewShape takes them")
				}
			}()
			NewShape([]Series{{Labels: labels}})
		})
	}
}

func TestSamplesAreTheColumnsThatAreNotAbsent(t *testing.T) {
	r := Row{Values: []float64{1, Absent(), Stale(), NaN()}}
	if r.Samples() != 3 {
		t.Errorf("%d samples, want 3", r.Samples())
	}
	if !IsStale(Stale()) || IsStale(NaN()) || !IsAbsent(Absent()) || IsAbsent(Stale()) {
		t.Error("the bit patterns are not told apart")
	}
}

func TestAShapeOfEncodedLabelsIsTheSame(t *testing.T) {
	for _, n := range []int{0, 1, compressedShape - 1, compressedShape, 500} {
		series := someSeries(n)
		encoded := make([]EncodedSeries, n)
		for i, s := range series {
			encoded[i] = EncodedSeries{Labels: AppendEncodedLabels(nil, s.Labels), Kind: s.Kind, Meta: s.Meta}
		}
		want, got := NewShape(series), NewShapeFromEncoded(new(LabelRoom), encoded)
		if d := cmp.Diff(want, got, cmp.AllowUnexported(Shape{}), cmpopts.IgnoreFields(Shape{}, "attached"), cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%d series: %s", n, d)
		}
	}
}

func TestAShapeRefusesEncodedLabelsThatAreNotFinal(t *testing.T) {
	for _, labels := range [][]Label{{{"a", ""}}, {{"", "a"}}, {{"b", "1"}, {"a", "1"}}, {{"a", "1"}, {"a", "2"}}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%v was taken", labels)
				}
			}()
			NewShapeFromEncoded(new(LabelRoom), []EncodedSeries{{Labels: AppendEncodedLabels(nil, labels)}})
		}()
	}
}

func TestAShapeKnowsWhetherItsNamesAreOfTheOldAlphabet(t *testing.T) {
	label := func(name, value string) []Label { return []Label{{MetricNameLabel, "m"}, {name, value}} }
	for name, test := range map[string]struct {
		labels []Label
		want   Names
	}{
		"all are":          {label("job", "é"), NamesLegacy},
		"a label is not":   {label("k8s.pod", "a"), NamesUnknown},
		"a label's colon":  {label("a:b", "a"), NamesUnknown},
		"a digit in front": {[]Label{{MetricNameLabel, "1m"}}, NamesUnknown},
		"a metric's colon": {[]Label{{MetricNameLabel, "a:b"}}, NamesLegacy},
		"a metric is not":  {[]Label{{MetricNameLabel, "a.b"}}, NamesUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			legal := Series{Labels: label("a", "b")}
			if got := NewShape([]Series{legal, {Labels: test.labels}}).Names(); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
			encoded := EncodedSeries{Labels: AppendEncodedLabels(nil, test.labels)}
			if got := NewShapeFromEncoded(new(LabelRoom), []EncodedSeries{encoded}).Names(); got != test.want {
				t.Errorf("encoded: got %v, want %v", got, test.want)
			}
		})
	}
}

func TestNamesAreMadeLegacy(t *testing.T) {
	for _, tt := range []struct {
		name   string
		metric bool
		want   string
	}{
		{"a:b_1", true, "a:b_1"}, {"a:b", false, "a_b"}, {"1a", true, "_a"}, {"k8s.pod/é", false, "k8s_pod__"}, {"a\xffb", true, "a_b"}, {"", true, ""},
	} {
		if got := ToLegacyName(tt.name, tt.metric); got != tt.want {
			t.Errorf("%q becomes %q, want %q", tt.name, got, tt.want)
		}
	}
}
