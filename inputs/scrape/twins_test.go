package scrape

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"kinglet"
)

// Receivers want the samples of a series oldest first (RW-40), in whatever order
// the page has them, and however its columns are merged and moved.
func TestSamplesOfASeriesGoOutOldestFirst(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 3))
		l := newLayout(testPage(1+r.IntN(6)), nil)
		l.plainBytes = []int{0, 300, plainBytes}[seed%3]
		for round := range int64(20) {
			var page strings.Builder
			for range 1 + r.IntN(20) {
				fmt.Fprintf(&page, "m%d{a=\"%d\"} %d %d\n", r.IntN(2), r.IntN(4), r.IntN(9), 1_000_000+10_000*round+1000*r.Int64N(9))
			}
			rows, w, err := read(l, page.String(), 1_009_000+10_000*round, 1000)
			if err != nil {
				t.Fatal(err)
			}
			w.done()
			last := map[string]int64{}
			for _, row := range rows {
				for i, v := range row.Values {
					if kinglet.IsAbsent(v) || kinglet.IsStale(v) {
						continue
					}
					series, at := textOf(row.Shape.AppendLabels(nil, i)), row.TimestampMs
					if row.TimesMs != nil && row.TimesMs[i] != kinglet.NoTime {
						at = row.TimesMs[i]
					}
					if before, ok := last[series]; ok && before >= at {
						t.Fatalf("seed %d round %d: %s at %d after %d", seed, round, series, at, before)
					}
					last[series] = at
				}
			}
		}
	}
}
