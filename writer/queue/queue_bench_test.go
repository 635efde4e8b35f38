package queue

import (
	"log/slog"
	"testing"
	"time"
)

// BenchmarkAppend appends blocks of 50 KB and acknowledges them, as while the
// endpoint keeps up.
func BenchmarkAppend(b *testing.B) {
	quiet := slog.New(slog.DiscardHandler)
	for _, kind := range []struct {
		name string
		open func() Queue
	}{
		{"memory", func() Queue { return NewMemory(16<<20, nil) }},
		{"log", func() Queue {
			l, err := OpenLog(LogConfig{Dir: b.TempDir(), MaxBytes: 1 << 30, MemoryBytes: 16 << 20}, nil, quiet)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { l.Release() })
			return l
		}},
		{"log read back", func() Queue {
			l, err := OpenLog(LogConfig{Dir: b.TempDir(), MaxBytes: 1 << 30, MemoryBytes: 16 << 20, tailBytes: 1}, nil, quiet)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { l.Release() })
			return l
		}},
	} {
		b.Run(kind.name, func(b *testing.B) {
			q := kind.open()
			block := Block{Stream: make([]byte, 50_000), RawLen: 300_000, Samples: 1250, Target: 1, RowMs: time.Now().UnixMilli()}
			b.ReportAllocs()
			b.SetBytes(int64(len(block.Stream)))
			for b.Loop() {
				q.Append(block)
				blocks, err := q.Next(b.Context(), Want{MaxSamples: 1000})
				if err != nil {
					b.Fatal(err)
				}
				q.Ack(len(blocks))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*block.Samples), "ns/sample")
		})
	}
}
