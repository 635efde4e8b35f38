package kinglet

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// containerSeries are n series as those of containers, of ten each.
func containerSeries(n int) []EncodedSeries {
	series := make([]EncodedSeries, n)
	for i := range series {
		pod := strings.Repeat(fmt.Sprintf("%08x", uint32(i/10+1)*0x9e3779b9), 8)
		series[i].Labels = AppendEncodedLabels(nil, []Label{
			{"__name__", "container_metric_" + strconv.Itoa(i%10)},
			{"id", "/kubepods/burstable/pod" + pod[:32] + "/" + pod},
			{"namespace", "some-namespace"},
			{"pod", "some-deployment-" + pod[:10]},
		})
		series[i].Names = NamesLegacy
	}
	return series
}

// BenchmarkShape makes a shape, and reads all of its label sets.
func BenchmarkShape(b *testing.B) {
	for _, n := range []int{4, 40, 100, 1000} {
		series, room := containerSeries(n), new(LabelRoom)
		b.Run(fmt.Sprintf("make/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			size := 0
			for b.Loop() {
				size = NewShapeFromEncoded(room, series).LabelBytes()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/column")
			b.ReportMetric(float64(size)/float64(n), "B/column")
		})
		b.Run(fmt.Sprintf("read/%d", n), func(b *testing.B) {
			s, size := NewShapeFromEncoded(room, series), 0
			b.ReportAllocs()
			for b.Loop() {
				for _, labels := range s.Where(room, func(int) bool { return true }) {
					size += len(labels)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/column")
		})
	}
}
