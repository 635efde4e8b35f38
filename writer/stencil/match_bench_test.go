package stencil

import (
	"testing"

	"github.com/klauspost/compress/s2"
)

// BenchmarkMatch encodes the message of 1,000 series with care, and as the best
// encoder of the library does, in nanoseconds and encoded bytes a sample.
func BenchmarkMatch(b *testing.B) {
	for _, page := range []string{"kube-proxy", "kubelet-cadvisor", "pods-80.kubelet-cadvisor"} {
		series, values := recorded(b, page+".txt.gz")
		order := withoutName(series)
		order = order[:min(1000, len(order))]
		raw := plain(b, rowOf(series, values, order))
		n := float64(len(order))
		var m matcher
		for _, tt := range []struct {
			name   string
			encode func(dst []byte) []byte
		}{
			{"ours", func(dst []byte) []byte { return m.encode(dst[:0], raw) }},
			{"library", func(dst []byte) []byte { return s2.EncodeSnappyBest(dst, raw) }},
		} {
			b.Run(page+"/"+tt.name, func(b *testing.B) {
				dst := make([]byte, s2.MaxEncodedLen(len(raw)))
				size := 0
				for b.Loop() {
					size = len(tt.encode(dst))
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/sample")
				b.ReportMetric(float64(size)/n, "B/sample")
			})
		}
	}
}
