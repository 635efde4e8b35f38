package scrape

import (
	"compress/gzip"
	"io"
	"os"
	"slices"
	"testing"

	"kinglet"
	"kinglet/inputs/promtext"
)

func readPage(t *testing.T, l *layout, page []byte, format promtext.Format) ([]*kinglet.Row, *walk) {
	t.Helper()
	w := l.begin(1000)
	if err := w.page(page, format); err != nil {
		t.Fatal(err)
	}
	return w.commit(), w
}

func TestOtherFormatsKeepTheirShapesToo(t *testing.T) {
	file, err := os.Open("../promtext/testdata/kube-proxy.protobuf.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	page, err := io.ReadAll(unzipped)
	if err != nil {
		t.Fatal(err)
	}
	l := newLayout(testPage(200), nil)
	first, _ := readPage(t, l, page, promtext.Protobuf)
	again, w := readPage(t, l, page, promtext.Protobuf)
	checkLayout(t, l)
	if w.shapesMade != 0 || w.next != nil || w.scraped < 800 || len(first) != len(again) {
		t.Errorf("%d samples made %d shapes, %d and %d rows", w.scraped, w.shapesMade, len(first), len(again))
	}
}

func TestAFormatThatChangesKeepsTheSeries(t *testing.T) {
	l := newLayout(testPage(200), nil)
	readPage(t, l, []byte("m{a=\"1\",b=\"2\"} 1\n"), promtext.Text)
	rows, w := readPage(t, l, []byte("# TYPE m gauge\nm{b=\"2\",a=\"1\"} 1\n# EOF\n"), promtext.OpenMetrics)
	if w.shapesMade != 0 || len(rows) != 1 || rows[0].Values[0] != 1 {
		t.Errorf("%d shapes were made, rows %v", w.shapesMade, rowLines(t, rows))
	}
}

// Columns are sorted by labels, so le="+Inf" stands before le="1".
func TestExemplarsOfARowAreInTheOrderOfItsColumns(t *testing.T) {
	l := newLayout(testPage(200), nil)
	page := "# TYPE h histogram\n" +
		"h_bucket{le=\"1\"} 1 # {id=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2 # {id=\"+Inf\"} 2\nh_bucket{le=\"0.5\"} 0 # {id=\"0.5\"} 0.1\n# EOF\n"
	for range 2 { // of a shape that is made, and of one that stays
		rows, _ := readPage(t, l, []byte(page), promtext.OpenMetrics)
		if len(rows) != 1 || len(rows[0].Exemplars) != 3 {
			t.Fatalf("rows %+v", rows)
		}
		for i, e := range rows[0].Exemplars {
			labels := rows[0].Shape.AppendLabels(nil, i)
			if le := labels[indexOf(labels, "le")].Value; e.Column != i || e.Labels[0].Value != le {
				t.Errorf("exemplar %d is of column %d: %v, want that of le=%q", i, e.Column, e.Labels, le)
			}
		}
	}
}

func TestTheSampleThatAScrapeFailsByWasScraped(t *testing.T) {
	cfg := testPage(200)
	cfg.LabelLimit = 3
	_, w, err := read(newLayout(cfg, nil), "a 1\nb{x=\"1\",y=\"2\"} 1\nc 1\n", 0, 100)
	if err == nil || w.scraped != 2 || w.refused != 1 {
		t.Errorf("%d samples were scraped, %d refused, with error %v, want 2 and 1", w.scraped, w.refused, err)
	}
}

func TestNativeHistogramsEndAsHistograms(t *testing.T) { // RW-53
	l := newLayout(testPage(200), nil)
	w := l.begin(10)
	series := &fixed{discovery{labels: pairs("__name__", "h"), kind: kinglet.KindHistogram}}
	ref, err := w.sample([]byte("h"), 0, kinglet.NoTime, series)
	if err != nil {
		t.Fatal(err)
	}
	w.extras(ref, &promtext.Sample{
		Histogram: &kinglet.Histogram{Count: 3}, StartMs: 5, TimestampMs: kinglet.NoTime,
		Exemplars: []kinglet.Exemplar{{Value: 1, TimestampMs: kinglet.NoTime}},
	})
	rows := w.commit()
	if len(rows) != 1 || rows[0].Histograms[0].Count != 3 || rows[0].StartsMs[0] != 5 ||
		len(rows[0].Exemplars) != 1 || rows[0].Exemplars[0].TimestampMs != 10 {
		t.Errorf("rows %+v", rows)
	}
	checkEnded := func(rows []*kinglet.Row) {
		t.Helper()
		if len(rows) != 1 || !kinglet.IsStale(rows[0].Values[0]) || len(rows[0].Histograms) != 1 || rows[0].Histograms[0] != nil {
			t.Errorf("rows %+v", rows)
		}
	}
	gone, _, err := read(l, "", 20, 1) // a page without it
	if err != nil {
		t.Fatal(err)
	}
	checkEnded(gone)

	l = newLayout(testPage(200), nil)
	w = l.begin(10)
	series = &fixed{discovery{labels: pairs("__name__", "h"), kind: kinglet.KindHistogram}}
	if _, err := w.sample([]byte("h"), 0, kinglet.NoTime, series); err != nil {
		t.Fatal(err)
	}
	w.commit()
	checkEnded(l.fail(20))
}

func TestASeriesThatBecomesAHistogramGoesOn(t *testing.T) {
	cfg := testPage(200)
	cfg.NativeHistograms = true
	l := newLayout(cfg, nil)
	readPage(t, l, []byte("h 1\n"), promtext.Text)
	for round, want := range []string{"h 5", "h 7"} {
		w := l.begin(int64(2000 + round))
		h := &fixed{discovery{labels: pairs("__name__", "h"), kind: kinglet.KindHistogram}}
		if round == 1 {
			h.d.kind = kinglet.KindFloat
		}
		ref, err := w.sample([]byte(want), 0, kinglet.NoTime, h)
		if err != nil {
			t.Fatal(err)
		}
		if round == 0 {
			w.extras(ref, &promtext.Sample{Histogram: &kinglet.Histogram{Count: 5}})
		}
		for _, row := range w.commit() {
			if slices.ContainsFunc(row.Values, kinglet.IsStale) {
				t.Errorf("round %d ends the series", round)
			}
		}
		checkLayout(t, l)
	}
}

func TestAProtobufGaugeThatBecomesANativeHistogramIsOne(t *testing.T) {
	// The family h: a gauge of 7; and a histogram of 3 samples, schema 3, two
	// buckets of one each and one in the zero bucket.
	gauge := []byte("\x12\x0a\x01h\x18\x01\x22\x0b\x12\x09\x09\x00\x00\x00\x00\x00\x00\x1c\x40")
	histogram := []byte("\x19\x0a\x01h\x18\x04\x22\x12\x3a\x10\x08\x03\x28\x06\x38\x01\x62\x04\x08\x02\x10\x02\x6a\x02\x02\x00")
	cfg := testPage(200)
	cfg.NativeHistograms = true
	l := newLayout(cfg, nil)
	for round, page := range [][]byte{gauge, histogram, histogram, gauge} {
		rows, _ := readPage(t, l, page, promtext.Protobuf)
		samples := 0
		for _, row := range rows {
			samples += row.Samples()
			for i, v := range row.Values {
				if kinglet.IsAbsent(v) {
					continue
				}
				want := kinglet.KindFloat
				if round == 1 || round == 2 {
					want = kinglet.KindHistogram
				}
				if got := row.Shape.Kind(i); got != want || want == kinglet.KindFloat && v != 7 || want == kinglet.KindHistogram && row.Histograms[i].Count != 3 {
					t.Errorf("round %d: %v of kind %d", round, v, got)
				}
			}
		}
		if samples != 1 {
			t.Errorf("round %d: %d samples, want 1", round, samples)
		}
	}
}

func TestAStartInTheFutureIsNone(t *testing.T) { // RW-102
	cfg := testPage(200)
	cfg.CreatedTimestamps = true
	l := newLayout(cfg, nil)
	page := "# TYPE a counter\na_total 1\na_created 0.5\n# TYPE b counter\nb_total 1\nb_created 1.5\n# EOF\n"
	rows, w := readPage(t, l, []byte(page), promtext.OpenMetrics)
	if len(rows) != 1 || w.scraped != 2 || !slices.Equal(rows[0].StartsMs, []int64{500, 0}) {
		t.Errorf("%d samples, starts %v", w.scraped, rows[0].StartsMs)
	}
}

func TestDuplicatesChangeNothingOfTheFirst(t *testing.T) { // RW-124
	l := newLayout(testPage(200), nil)
	page := "# TYPE a counter\na_total 1 # {id=\"1\"} 1\na_total 2 # {id=\"2\"} 1\n# EOF\n"
	rows, w := readPage(t, l, []byte(page), promtext.OpenMetrics)
	if w.duplicates != 1 || len(rows[0].Exemplars) != 1 || rows[0].Exemplars[0].Labels[0].Value != "1" {
		t.Errorf("%d duplicates, exemplars %v", w.duplicates, rows[0].Exemplars)
	}
}

func TestExemplarsWithoutATimeTakeThatOfTheSampleAsSent(t *testing.T) { // RW-89
	page := "# TYPE a counter\na_total 1 2.5 # {id=\"1\"} 1\nb_total 1 # {id=\"2\"} 1\n# EOF\n"
	for honor, want := range map[bool][]int64{true: {2500, 1000}, false: {1000, 1000}} {
		cfg := testPage(200)
		cfg.HonorTimestamps = honor
		rows, _ := readPage(t, newLayout(cfg, nil), []byte(page), promtext.OpenMetrics)
		if e := rows[0].Exemplars; len(e) != 2 || e[0].TimestampMs != want[0] || e[1].TimestampMs != want[1] {
			t.Errorf("honor_timestamps %v: %v, want %d", honor, e, want)
		}
	}
}

func TestBucketLimit(t *testing.T) { // RW-153
	histogram := func() *promtext.Sample {
		return &promtext.Sample{Histogram: &kinglet.Histogram{
			Schema: 0, Count: 8, PositiveSpans: []kinglet.Span{{Length: 8}}, PositiveDeltas: []int64{1, 0, 0, 0, 0, 0, 0, 0},
		}}
	}
	for _, tt := range []struct {
		limit, schema, buckets int
		over                   bool
	}{{0, 0, 8, false}, {8, 0, 8, false}, {7, -1, 5, false}, {2, -3, 2, false}, {1, -4, 2, true}} {
		cfg := testPage(200)
		cfg.BucketLimit = tt.limit
		w := newLayout(cfg, nil).begin(10)
		got := w.bounded(histogram().Histogram)
		if int(got.Schema) != tt.schema || promtext.Buckets(got) != tt.buckets || (w.checkLimits() != nil) != tt.over {
			t.Errorf("limit %d: schema %d, %d buckets, %v", tt.limit, got.Schema, promtext.Buckets(got), w.checkLimits())
		}
	}
}

// fixed discovers one series.
type fixed struct{ d discovery }

func (f *fixed) discover() (discovery, error) { return f.d, nil }
