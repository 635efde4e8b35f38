package scrape

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// freshPage has n series of the size that pods have, of which every one differs.
func freshPage(n int) []byte {
	var page strings.Builder
	page.WriteString("# TYPE m counter\n")
	for i := range n {
		fmt.Fprintf(&page, "m{container=\"c%d\",id=\"/kubepods/burstable/pod%032x/%064x\",namespace=\"ns%d\",pod=\"pod-%d\"} %d\n", i%7, i/50, i/5, i%11, i/5, i)
	}
	return []byte(page.String())
}

// heap is the memory that cannot be let go, in bytes.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkFirstSight is the memory of a page that was never seen: what is held
// when it was read to its end, and what of it stays.
func BenchmarkFirstSight(b *testing.B) {
	for _, n := range []int{1_000, 20_000, 200_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			page := freshPage(n)
			cfg := testPage(2000)
			var read, kept float64
			for b.Loop() {
				before := heap()
				l := newLayout(cfg, nil)
				w := l.begin(0)
				if rest, err := w.feed(page); err != nil || len(rest) > 0 {
					b.Fatal(err)
				}
				read = float64(heap()-before) / float64(n)
				if len(w.commit()) == 0 {
					b.Fatal("no row")
				}
				kept = float64(heap()-before) / float64(n)
				runtime.KeepAlive(l)
			}
			b.ReportMetric(read, "read-B/series")
			b.ReportMetric(kept, "kept-B/series")
		})
	}
}

// encodedBytes is the mean length of the labels of a layout's series.
func encodedBytes(l *layout) int {
	total := 0
	for _, p := range l.parts {
		for _, encoded := range p.shape.All() {
			total += len(encoded)
		}
	}
	return total / max(l.columns(), 1)
}

func TestAFreshSeriesTakesLittleMoreThanItsLabels(t *testing.T) {
	const n = 50_000
	page := freshPage(n)
	before := heap()
	l := newLayout(testPage(2000), nil)
	w := l.begin(0)
	if _, err := w.feed(page); err != nil {
		t.Fatal(err)
	}
	perSeries := int(heap()-before) / n
	w.commit()
	runtime.KeepAlive(page)
	if limit := encodedBytes(l) + 250; perSeries > limit {
		t.Errorf("%d bytes a series when the page was read, want at most %d", perSeries, limit)
	}
}
