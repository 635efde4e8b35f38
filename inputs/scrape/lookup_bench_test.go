package scrape

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// BenchmarkLookup reads a page, without what comes of it: one that the layout
// knows, others with new lines here and there, and one with all lines moved.
func BenchmarkLookup(b *testing.B) {
	for _, lines := range []int{500, 5_000, 20_000} {
		known := make([]string, lines)
		for i := range known {
			known[i] = fmt.Sprintf("m{pod=\"some-%d\"} 1\n", i)
		}
		for _, fresh := range []int{0, 1, 4, 40, 400} {
			b.Run(fmt.Sprintf("%d lines, %d new", lines, fresh), func(b *testing.B) {
				page := append([]string(nil), known...)
				for i := range fresh {
					page[i*lines/fresh] = fmt.Sprintf("m{pod=\"new-%d\"} 1\n", i)
				}
				benchmarkLookup(b, known, page)
			})
		}
		b.Run(fmt.Sprintf("%d lines, all moved", lines), func(b *testing.B) {
			page := append([]string(nil), known...)
			rand.New(rand.NewPCG(1, 2)).Shuffle(lines, func(i, j int) { page[i], page[j] = page[j], page[i] })
			benchmarkLookup(b, known, page)
		})
	}
}

func benchmarkLookup(b *testing.B, known, page []string) {
	l := newLayout(testPage(1000), nil)
	l.rooms = &rooms{}
	if _, _, err := read(l, strings.Join(known, ""), 0, 1<<30); err != nil {
		b.Fatal(err)
	}
	text := []byte(strings.Join(page, ""))
	b.ReportAllocs()
	for b.Loop() {
		w := l.begin(1)
		if rest, err := w.feed(text); err != nil || len(rest) > 0 {
			b.Fatal(err)
		}
		w.abandon()
		w.done()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "us/page")
}
