package scrape

import (
	"compress/gzip"
	"io"
	"os"
	"testing"

	"kinglet"
	"kinglet/inputs/promtext"
)

func readPage(t *testing.T, l *layout, page []byte, format promtext.Format) ([]*kinglet.Row, *walk) {
	t.Helper()
	w := l.begin(1000)
	if err := w.page(page, format, promtext.Options{}); err != nil {
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

func TestNativeHistogramsEndAsHistograms(t *testing.T) {
	l := newLayout(testPage(200), nil)
	w := l.begin(1)
	series := &fixed{discovery{labels: pairs("__name__", "h"), kind: kinglet.KindHistogram}}
	ref, err := w.sample([]byte("h"), 0, kinglet.NoTime, series)
	if err != nil {
		t.Fatal(err)
	}
	w.extras(ref, &promtext.Sample{
		Histogram: &kinglet.Histogram{Count: 3}, StartMs: 5,
		Exemplars: []kinglet.Exemplar{{Value: 1, TimestampMs: kinglet.NoTime}},
	})
	rows := w.commit()
	if len(rows) != 1 || rows[0].Histograms[0].Count != 3 || rows[0].StartsMs[0] != 5 ||
		len(rows[0].Exemplars) != 1 || rows[0].Exemplars[0].TimestampMs != 1 {
		t.Errorf("rows %+v", rows)
	}
	ended := l.fail(2)
	if len(ended) != 1 || !kinglet.IsStale(ended[0].Values[0]) || ended[0].Histograms[0] != nil {
		t.Errorf("rows %+v", ended)
	}
}

// fixed discovers one series.
type fixed struct{ d discovery }

func (f *fixed) discover() (discovery, error) { return f.d, nil }
