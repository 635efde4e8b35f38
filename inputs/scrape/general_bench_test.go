package scrape

import (
	"strings"
	"testing"

	"kinglet/inputs/promtext"
)

// BenchmarkSteadyPage reads one page of a format that is not read line by line,
// again and again.
func BenchmarkSteadyPage(b *testing.B) {
	text := recorded(b, "kube-proxy")
	openMetrics := strings.ReplaceAll(text, " untyped\n", " unknown\n") + "# EOF\n"
	for _, tt := range []struct {
		name   string
		page   []byte
		format promtext.Format
		edit   func(*PageConfig)
	}{
		{"openmetrics", []byte(openMetrics), promtext.OpenMetrics, func(*PageConfig) {}},
		{"protobuf", []byte(recordedFile(b, "kube-proxy.protobuf.gz")), promtext.Protobuf, func(*PageConfig) {}},
		{"protobuf,native", []byte(recordedFile(b, "kube-proxy.protobuf.gz")), promtext.Protobuf, func(c *PageConfig) { c.NativeHistograms = true }},
		{"text,custom-buckets", []byte(text), promtext.Text, func(c *PageConfig) { c.CustomBuckets = true }},
	} {
		b.Run(tt.name, func(b *testing.B) {
			cfg := testPage(1000)
			tt.edit(&cfg)
			l, samples, turn := newLayout(cfg, nil), 0, int64(0)
			b.ReportAllocs()
			for b.Loop() {
				turn++
				w := l.begin(turn)
				if err := w.page(tt.page, tt.format); err != nil {
					b.Fatal(err)
				}
				w.commit()
				samples += w.scraped
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(samples), "ns/sample")
		})
	}
}
