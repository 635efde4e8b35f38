package scrape

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"kinglet"
)

func TestMergedColumnsAreAsSortedAtOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 5))
	some := func(n, from int) []column {
		columns := make([]column, n)
		for i := range columns {
			labels := []kinglet.Label{{Name: kinglet.MetricNameLabel, Value: "m" + strconv.Itoa(r.IntN(3))}, {Name: "a", Value: strconv.Itoa(r.IntN(20))}}
			columns[i] = column{kinglet.EncodedSeries{Labels: kinglet.AppendEncodedLabels(nil, labels)}, int32(from + i)}
		}
		slices.SortStableFunc(columns, byLabelsThenName)
		return columns
	}
	for range 200 {
		first := some(r.IntN(30), 0)
		second := some(r.IntN(30), len(first))
		want := slices.Concat(first, second)
		slices.SortStableFunc(want, byLabelsThenName)
		got := mergeColumns(nil, first, second)
		if !slices.EqualFunc(got, want, func(a, b column) bool { return a.old == b.old }) {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}
