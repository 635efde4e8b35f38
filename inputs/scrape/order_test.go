package scrape

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"kinglet"
	"kinglet/conf/relabel"
	"kinglet/inputs/promtext"
)

func TestTimestampsOfAPageNeverGoBack(t *testing.T) {
	m := func(value float64, timeMs int64) string {
		return sampleText(`{__name__="m",instance="i"}`, value, timeMs)
	}
	for _, tt := range []struct {
		name       string
		pages      []string // scraped at 10000, 20000, ...
		want       [][]string
		outOfOrder int // of the last page
	}{
		{"forward", []string{"m 1 9000\n", "m 2 9001\n"}, [][]string{{m(1, 9000)}, {m(2, 9001)}}, 0},
		{"back", []string{"m 1 9000\n", "m 2 8999\n"}, [][]string{{m(1, 9000)}, nil}, 1},
		{"still, another value", []string{"m 1 9000\n", "m 2 9000\n"}, [][]string{{m(1, 9000)}, nil}, 1},
		{"still, as it was", []string{"m 1 9000\n", "m 1 9000\n"}, [][]string{{m(1, 9000)}, nil}, 0},
		{"back and on", []string{"m 1 9000\n", "m 2 8000\n", "m 3 8500\n", "m 4 9500\n"}, [][]string{{m(1, 9000)}, nil, nil, {m(4, 9500)}}, 0},
		{"before the last scrape", []string{"m 1\n", "m 2 9999\n"}, [][]string{{m(1, 10000)}, nil}, 1},
		{"after the last scrape", []string{"m 1\n", "m 2 10001\n"}, [][]string{{m(1, 10000)}, {m(2, 10001)}}, 0},
		{"none after one in the future", []string{"m 1 25000\n", "m 2\n", "m 3\n"}, [][]string{{m(1, 25000)}, nil, {m(3, 30000)}}, 0},
		{"twins", []string{"m 1 8000\nm 2 9000\n", "m 3 8500\nm 4 9500\n"}, [][]string{{m(1, 8000), m(2, 9000)}, {m(4, 9500)}}, 1},
		{"a twin that went was the newest", []string{"m 1 8000\nm 2 9000\n", "m 3 8500\n", "m 4 8600\n"}, [][]string{{m(1, 8000), m(2, 9000)}, nil, nil}, 1},
		{"before a marker", []string{"m 1\n", "bad line{\n", "m 2 19999\n"}, [][]string{{m(1, 10000)}, {m(kinglet.Stale(), 20000)}, nil}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLayout(testPage(10), nil)
			var w *walk
			for i, page := range tt.pages {
				var rows []*kinglet.Row
				rows, w, _ = read(l, page, 10_000*int64(i+1), 100)
				if diff := cmp.Diff(tt.want[i], rowLines(t, rows)); diff != "" {
					t.Errorf("page %d: %s", i, diff)
				}
				checkLayout(t, l)
			}
			if w.outOfOrder != tt.outOfOrder {
				t.Errorf("%d samples were out of order, want %d", w.outOfOrder, tt.outOfOrder)
			}
		})
	}
}

func TestAHeldSeriesIsNotEnded(t *testing.T) {
	cfg := testPage(10)
	cfg.TrackTimestampsStaleness = true
	l := newLayout(cfg, nil)
	for i, want := range []string{"m", "", "", "stale"} {
		page := []string{"m 1 9000\nn 1\n", "m 1 9000\nn 1\n", "m 1 9000\nn 1\n", "n 1\n"}[i]
		rows, _, _ := read(l, page, int64(10_000+i), 100)
		lines := rowLines(t, rows)
		if got := slices.Contains(lines, sampleText(`{__name__="m",instance="i"}`, kinglet.Stale(), int64(10_000+i))); got != (want == "stale") {
			t.Errorf("page %d: %v", i, lines)
		}
	}
}

func TestExemplarsOfHeldSamplesAreHeldToo(t *testing.T) {
	l := newLayout(testPage(10), nil)
	page := []byte("# TYPE c counter\nc_total 1 9 # {id=\"1\"} 1\nd_total 1 # {id=\"2\"} 1\n# EOF\n")
	for i, want := range []int{2, 1} {
		w := l.begin(int64(10_000 * (i + 1)))
		if err := w.page(page, promtext.OpenMetrics); err != nil {
			t.Fatal(err)
		}
		got := 0
		for _, row := range w.commit() {
			got += len(row.Exemplars)
		}
		if got != want {
			t.Errorf("%d exemplars, want %d", got, want)
		}
	}
}

func TestOneScrapeIsSentForATimestamp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, out := newManager(t), &collector{}
		s := &script{pages: []string{"a 1\nb 1\n", "a 2\n", "!", "a 4\nc 4\n", "a 5\n"}}
		target := s.target("t")
		target.Page.PrecisionMs, target.Interval = 60_000, 15*time.Second
		target.Page.Labels = NewLabeler(LabelConfig{Target: pairs("instance", "i")})
		m.Update([]Target{target})
		ctx, cancel := context.WithCancel(t.Context())
		var run sync.WaitGroup
		run.Go(func() { m.Run(ctx, out) })
		after(10 * time.Minute)
		m.Update(nil)
		after(time.Minute)
		cancel()
		run.Wait()
		seen := map[string]bool{}
		stale := 0
		for _, rows := range out.take() {
			for _, line := range rowLines(t, rows) {
				series, at, _ := strings.Cut(line, " @")
				if strings.HasSuffix(series, " stale") {
					stale++
				}
				name, _, _ := strings.Cut(series, "} ")
				if seen[name+at] {
					t.Errorf("a second sample for its time: %s", line)
				}
				seen[name+at] = true
			}
		}
		// b, when the first page that is sent lacks it, and a and up at the end;
		// c came and went between two that are.
		if stale != 3 || len(seen) < 20 {
			t.Errorf("%d markers among %d samples", stale, len(seen))
		}
		if n := testutil.ToFloat64(m.metrics.dropped.WithLabelValues("test", "out_of_order")); n < 25 {
			t.Errorf("%v samples counted as held back", n)
		}
		if n := testutil.ToFloat64(m.metrics.dropped.WithLabelValues("test", "failed_scrape")); n != 0 {
			t.Errorf("%v samples of failed scrapes", n)
		}
	})
}

func TestOwnSeriesThatRulesMakeEqualAreSentOnce(t *testing.T) {
	m, s := newManager(t), &script{pages: []string{"a 1\n"}}
	target := s.target("t")
	target.ScrapeMeta = true
	to := "x"
	rules, err := relabel.Compile([]relabel.Rule{{TargetLabel: "__name__", Replacement: &to}})
	if err != nil {
		t.Fatal(err)
	}
	target.Page.Labels = NewLabeler(LabelConfig{Relabel: rules})
	m.Update([]Target{target})
	out := &collector{}
	if down, err := m.Once(t.Context(), out); down != 0 || err != nil {
		t.Fatalf("%d down, %v", down, err)
	}
	samples := 0
	for _, rows := range out.take() {
		samples += len(rowLines(t, rows))
	}
	if samples != 1 { // up; the page's series is the same one
		t.Errorf("%d samples", samples)
	}
	if n := testutil.ToFloat64(m.metrics.dropped.WithLabelValues("test", "duplicate")); n != 4 {
		t.Errorf("%v counted", n)
	}
}

func TestSamplesOfASeriesLeaveInTheOrderOfTime(t *testing.T) {
	l := newLayout(testPage(10), nil)
	for n, page := range []string{
		"m 3 9000\nm 1 7000\nn 1\nm 2 8000\n",       // first seen
		"m 6 12000\nm 4 10000\nn 2\nm 5 11000\n",    // in columns of their own
		"m 9 15000\nm 7 13000\nm 8 14000\n",         // and beside one that goes
		"m 12 18000\nm 13 19000\nm 10 16000\no 1\n", // and comes; one twin is later than before
	} {
		rows, _, _ := read(l, page, 10_000*int64(n+1), 100)
		var values, times []float64
		for _, row := range rows {
			for i := range row.Values {
				if labels := row.Shape.AppendLabels(nil, i); labels[0].Value == "m" && row.TimesMs != nil && row.TimesMs[i] != kinglet.NoTime && !kinglet.IsAbsent(row.Values[i]) {
					values, times = append(values, row.Values[i]), append(times, float64(row.TimesMs[i]))
				}
			}
		}
		if len(values) != 3 || !slices.IsSorted(values) || !slices.IsSorted(times) {
			t.Errorf("page %d: values %v at %v, want three in order", n, values, times)
		}
		checkLayout(t, l)
	}
}
