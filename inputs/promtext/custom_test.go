package promtext

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"

	"kinglet"
)

// customOracle turns classic histograms as Prometheus does.
func customOracle(t *testing.T, page []byte, contentType string, classicToo bool) []kept {
	t.Helper()
	p, err := textparse.New(page, contentType, labels.NewSymbolTable(), textparse.ParserOptions{
		ConvertClassicHistogramsToNHCB: true, KeepClassicOnClassicAndNativeHistograms: classicToo,
	})
	if err != nil {
		t.Fatal(err)
	}
	var out []kept
	for {
		entry, err := p.Next()
		switch {
		case err != nil:
			return out
		case entry != textparse.EntrySeries && entry != textparse.EntryHistogram:
			continue
		}
		var lset labels.Labels
		p.Labels(&lset)
		k := kept{TimestampMs: kinglet.NoTime}
		if k.Labels, err = checkedLabels(lset); err != nil {
			t.Fatal(err)
		}
		if entry == textparse.EntrySeries {
			_, _, k.Value = p.Series()
		} else {
			_, _, ints, floats := p.Histogram()
			if ints != nil {
				ints.Compact(0)
			}
			k.Histogram = fromPrometheus(ints, floats)
			if k.Histogram.Float {
				k.Histogram.CustomValues = floats.CustomValues
			} else {
				k.Histogram.CustomValues = ints.CustomValues
			}
		}
		out = append(out, k)
	}
}

func TestClassicHistogramsBecomeWhatPrometheusMakesOfThem(t *testing.T) { // RW-97, RW-99
	pages, err := filepath.Glob("testdata/*.gz")
	if err != nil || len(pages) == 0 {
		t.Fatal("no pages", err)
	}
	for _, name := range pages {
		name = filepath.Base(name)
		format, contentType := Text, "text/plain"
		if strings.Contains(name, "protobuf") {
			format, contentType = Protobuf, "application/vnd.google.protobuf"
		}
		page := readPage(t, name)
		if bytes.Contains(page, []byte("container_cpu")) {
			continue // no histograms, and timestamps
		}
		for _, classicToo := range []bool{false, true} {
			bad := 0
			got, err := collect(page, format, Options{CustomBuckets: true, ClassicToo: classicToo, BadHistogram: func(*SyntaxError) { bad++ }})
			if err != nil || bad > 0 {
				t.Fatalf("%s: %v, %d bad", name, err, bad)
			}
			for i := range got {
				got[i].TimestampMs, got[i].StartMs, got[i].Exemplars = kinglet.NoTime, 0, nil
			}
			want := customOracle(t, page, contentType, classicToo)
			for i := range want {
				want[i].Exemplars = nil
			}
			compareSamples(t, got, want)
		}
	}
}

func TestCustomBuckets(t *testing.T) {
	custom := func(bounds []float64, spans []kinglet.Span, deltas []int64, count uint64, sum float64) *kinglet.Histogram {
		return &kinglet.Histogram{Schema: -53, CustomValues: bounds, PositiveSpans: spans, PositiveDeltas: deltas, Count: count, Sum: sum}
	}
	for _, tt := range []struct {
		name, page string
		want       *kinglet.Histogram
		bad        string
	}{
		{"bounds without +Inf, counts apart", "h_bucket{le=\"1\"} 1\nh_bucket{le=\"5\"} 3\nh_bucket{le=\"+Inf\"} 4\nh_sum 12\nh_count 4\n",
			custom([]float64{1, 5}, []kinglet.Span{{Length: 3}}, []int64{1, 1, -1}, 4, 12), ""},
		{"in any order, empty buckets left out", "h_count 4\nh_bucket{le=\"+Inf\"} 4\nh_bucket{le=\"5\"} 1\nh_bucket{le=\"1.0\"} 1\nh_sum 1\n",
			custom([]float64{1, 5}, []kinglet.Span{{Length: 1}, {Offset: 1, Length: 1}}, []int64{1, 2}, 4, 1), ""},
		{"no +Inf, no count", "h_bucket{le=\"1\"} 2\n", custom([]float64{1}, []kinglet.Span{{Length: 1}}, []int64{2}, 2, 0), ""},
		{"counts that are no integers", "h_bucket{le=\"1\"} 0.5\nh_bucket{le=\"+Inf\"} 2\nh_count 2\n", &kinglet.Histogram{
			Schema: -53, Float: true, CountFloat: 2, CustomValues: []float64{1}, PositiveSpans: []kinglet.Span{{Length: 2}}, PositiveCounts: []float64{0.5, 1.5},
		}, ""},
		{"buckets that fall", "h_bucket{le=\"1\"} 2\nh_bucket{le=\"2\"} 1\n", nil, `line 2: want a classic histogram whose buckets do not fall: "h"`},
		{"NaN", "h_bucket{le=\"1\"} NaN\n", nil, `line 2: want a classic histogram whose buckets do not fall: "h"`},
		{"another count", "h_bucket{le=\"+Inf\"} 2\nh_count 3\n", nil, `line 2: want a classic histogram whose last bucket is its count: "h"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bad := ""
			got, err := collect([]byte("# TYPE h histogram\n"+tt.page), Text, Options{CustomBuckets: true, BadHistogram: func(e *SyntaxError) { bad = e.Error() }})
			if err != nil || bad != tt.bad || len(got) > 1 || (len(got) == 0) != (tt.want == nil) {
				t.Fatalf("%v, %d samples, bad %q", err, len(got), bad)
			}
			if tt.want == nil {
				return
			}
			if diff := gocmp.Diff(tt.want, got[0].Histogram, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
			if m := got[0].Meta; m == nil || m.Family != "h" || m.Type != kinglet.TypeHistogram {
				t.Errorf("metadata %v", m)
			}
		})
	}
}

func TestCustomBucketsLeaveOtherSeriesAlone(t *testing.T) {
	page := "h_bucket{le=\"1\"} 1\n# TYPE h histogram\nh_bucket{le=\"x\"} 1\nh_bucket{a=\"1\",le=\"1\"} 1\nh_count{a=\"1\"} 1\nh_other 1\n" +
		"h_sum{a=\"2\"} 5\n# TYPE s summary\ns_sum 1\ns_count 2\n"
	got, err := collect([]byte(page), Text, Options{CustomBuckets: true})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, k := range got {
		name := labelText(k.Labels)
		if k.Histogram != nil {
			name = "native " + name
		}
		names = append(names, name)
	}
	want := []string{
		`__name__=h_bucket,le=1,`, `__name__=h_bucket,le=x,`, `native __name__=h,a=1,`, `__name__=h_other,`,
		`native __name__=h,a=2,`, `__name__=s_sum,`, `__name__=s_count,`,
	}
	if diff := gocmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
}

func TestCustomBucketsKeepExemplarsThatHaveATime(t *testing.T) {
	page := "# TYPE h histogram\nh_bucket{le=\"1\"} 1 # {a=\"1\"} 0.5 2.5\nh_bucket{le=\"+Inf\"} 2 # {a=\"2\"} 3\n# EOF\n"
	got, err := collect([]byte(page), OpenMetrics, Options{CustomBuckets: true})
	if err != nil || len(got) != 1 || len(got[0].Exemplars) != 1 || got[0].Exemplars[0].TimestampMs != 2500 {
		t.Errorf("%v, %+v", err, got)
	}
}

func TestANativeHistogramIsNotTurnedToo(t *testing.T) {
	native := instrumented(t)
	got, err := collect(native, Protobuf, Options{CustomBuckets: true, ClassicToo: true})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, k := range got {
		if key := labelText(k.Labels); k.Histogram != nil {
			if seen[key] {
				t.Errorf("%s came twice", key)
			}
			seen[key] = true
		}
	}
}

func TestCoarsenIsWhatPrometheusDoes(t *testing.T) { // RW-153
	got := &kinglet.Histogram{
		Schema: 2, Count: 21, Sum: 5, ZeroThreshold: 0.001, ZeroCount: 1,
		PositiveSpans: []kinglet.Span{{Offset: -3, Length: 4}, {Offset: 2, Length: 2}}, PositiveDeltas: []int64{1, 1, 1, 1, -3, 1},
		NegativeSpans: []kinglet.Span{{Offset: 1, Length: 3}}, NegativeDeltas: []int64{2, 0, 1},
	}
	reference := &histogram.Histogram{Schema: 2}
	for _, s := range got.PositiveSpans {
		reference.PositiveSpans = append(reference.PositiveSpans, histogram.Span{Offset: s.Offset, Length: s.Length})
	}
	for _, s := range got.NegativeSpans {
		reference.NegativeSpans = append(reference.NegativeSpans, histogram.Span{Offset: s.Offset, Length: s.Length})
	}
	reference.PositiveBuckets, reference.NegativeBuckets = slices.Clone(got.PositiveDeltas), slices.Clone(got.NegativeDeltas)
	for schema := int32(1); schema >= -4; schema-- {
		if !Coarsen(got) {
			t.Fatalf("schema %d cannot be made coarser", got.Schema)
		}
		if err := reference.ReduceResolution(schema); err != nil {
			t.Fatal(err)
		}
		want := fromPrometheus(reference.Copy().Compact(0), nil)
		want.Count, want.Sum, want.ZeroThreshold, want.ZeroCount = got.Count, got.Sum, got.ZeroThreshold, got.ZeroCount
		if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("schema %d: %s", schema, diff)
		}
	}
	if Coarsen(got) || Coarsen(&kinglet.Histogram{Schema: -53}) {
		t.Error("there is no schema below -4, and none below custom buckets")
	}
	floats := &kinglet.Histogram{Schema: 0, Float: true, PositiveSpans: []kinglet.Span{{Offset: 0, Length: 3}}, PositiveCounts: []float64{1, 2, 3.5}}
	if !Coarsen(floats) || Buckets(floats) != 2 || floats.PositiveCounts[1] != 5.5 || floats.Schema != -1 {
		t.Errorf("got %+v", floats)
	}
}

func TestClassicOnlyGivesNoNativeForm(t *testing.T) {
	got, err := collect(instrumented(t), Protobuf, Options{ClassicOnly: true})
	if err != nil || len(got) == 0 {
		t.Fatal(err)
	}
	for _, k := range got {
		if k.Histogram != nil {
			t.Errorf("%s is native", labelText(k.Labels))
		}
	}
}
