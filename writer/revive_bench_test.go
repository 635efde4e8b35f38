package writer

import (
	"fmt"
	"hash/maphash"
	"log/slog"
	"testing"
	"time"

	"kinglet"
	"kinglet/writer/queue"
	"kinglet/writer/remotewrite"
)

// BenchmarkStart is what a start takes to learn what was alive: 50 targets of
// 1,000 series, with labels as those of a container.
func BenchmarkStart(b *testing.B) {
	now, n := time.Now(), 0
	e := remotewrite.Encoder{MaxSamples: 1000}
	dir := b.TempDir()
	open := func() *queue.Log {
		l, err := queue.OpenLog(queue.LogConfig{Dir: dir, MaxBytes: 1 << 30, MemoryBytes: 16 << 20}, nil, slog.New(slog.DiscardHandler))
		if err != nil {
			b.Fatal(err)
		}
		return l
	}
	l := open()
	for scrape := range 3 {
		for target := range 50 {
			row := &kinglet.Row{Target: uint64(target + 1), TimestampMs: now.UnixMilli() + int64(scrape)*15_000}
			var series []kinglet.Series
			for i := range 1000 {
				series = append(series, kinglet.Series{Labels: []kinglet.Label{
					{Name: "__name__", Value: fmt.Sprint("container_network_receive_bytes_", i%40)}, {Name: "container", Value: fmt.Sprint("container-", i/40)},
					{Name: "id", Value: fmt.Sprintf("/kubepods/burstable/pod%08d-1111-2222-3333-444444444444/0123456789abcdef", i/40*7919)},
					{Name: "instance", Value: fmt.Sprint("10.0.0.1:", target)}, {Name: "job", Value: "kubelet"}, {Name: "namespace", Value: "default"},
				}})
				row.Values = append(row.Values, float64(i*scrape))
			}
			row.Shape = kinglet.NewShape(series)
			for _, block := range e.Encode(row) {
				l.Append(block)
			}
		}
	}
	l.Release()
	l = open()
	defer l.Release()
	b.ReportAllocs()
	for b.Loop() {
		found := formers(l, maphash.MakeSeed(), now)
		n = 0
		bytes := 0
		for _, f := range found {
			n += f.series()
			for _, p := range f.parts {
				bytes += p.shape.LabelBytes()
			}
		}
		b.ReportMetric(float64(bytes)/float64(max(n, 1)), "labelbytes/series")
	}
	b.ReportMetric(float64(n), "series")
}
