package promtext

import (
	"bytes"
	"testing"

	"kinglet"
)

// benchPages are pages of a real node.
var benchPages = []string{"kube-proxy.txt.gz", "kubelet-cadvisor.txt.gz", "pods-80.kubelet-cadvisor.txt.gz"}

// perSample runs read over each page, and reports what a sample costs.
func perSample(b *testing.B, read func(b *testing.B, page []byte) (samples int)) {
	for _, name := range benchPages {
		b.Run(name, func(b *testing.B) {
			page := readPage(b, name)
			b.ReportAllocs()
			b.SetBytes(int64(len(page)))
			samples := 0
			for b.Loop() {
				samples += read(b, page)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(samples), "ns/sample")
			b.ReportMetric(float64(len(page))*float64(b.N)/float64(samples), "B/sample")
		})
	}
}

// BenchmarkParseLine takes lines apart and reads their numbers: what a line
// costs that is not where it was.
func BenchmarkParseLine(b *testing.B) {
	perSample(b, func(b *testing.B, page []byte) (samples int) {
		var l Line
		for len(page) > 0 {
			var line []byte
			line, page, _ = bytes.Cut(page, newline)
			if err := ParseLine(line, &l); err != nil {
				b.Fatal(err)
			}
			if l.Kind != SampleLine {
				continue
			}
			if _, err := ParseValue(l.Value); err != nil {
				b.Fatal(err)
			}
			samples++
		}
		return samples
	})
}

// BenchmarkReadSample reads what follows series that are known: what a line
// costs that is where it was, besides the comparison.
func BenchmarkReadSample(b *testing.B) {
	for _, name := range benchPages {
		b.Run(name, func(b *testing.B) {
			rests := restsOf(b, readPage(b, name))
			b.ReportAllocs()
			samples := 0
			for b.Loop() {
				for _, rest := range rests {
					if _, _, err := ReadSample(rest); err != nil {
						b.Fatal(err)
					}
				}
				samples += len(rests)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(samples), "ns/sample")
		})
	}
}

func restsOf(b *testing.B, page []byte) (rests [][]byte) {
	for line := range bytes.SplitSeq(page, newline) {
		var l Line
		if err := ParseLine(line, &l); err != nil {
			b.Fatal(err)
		}
		if l.Kind == SampleLine {
			rests = append(rests, line[len(l.Series):])
		}
	}
	return rests
}

// BenchmarkParseSeries reads everything, labels too: what a line costs that was
// never seen.
func BenchmarkParseSeries(b *testing.B) {
	var labels []kinglet.Label
	perSample(b, func(b *testing.B, page []byte) (samples int) {
		err := Parse(page, Text, Options{}, func(s *Sample) error {
			samples++
			var err error
			labels, err = s.AppendLabels(labels[:0])
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
		return samples
	})
}

func TestAKnownLineAllocatesNothing(t *testing.T) {
	var lines, rests [][]byte
	for _, name := range benchPages {
		for line := range bytes.SplitSeq(readPage(t, name), newline) {
			lines = append(lines, line)
		}
	}
	rests = append(rests, []byte(" 1.5 1700000000123"), []byte(" 0.30000000000000004"), []byte(" +Inf"), []byte(" NaN"))
	var l Line
	allocs := testing.AllocsPerRun(2, func() {
		for _, line := range lines {
			if ParseLine(line, &l) != nil {
				t.Fatal("bad line")
			}
			if l.Kind == SampleLine {
				if _, err := ParseValue(l.Value); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, rest := range rests {
			if _, _, err := ReadSample(rest); err != nil {
				t.Fatal(err)
			}
		}
	})
	if allocs > 0 {
		t.Errorf("%v allocations for %d lines", allocs, len(lines))
	}
}

// BenchmarkParseProto reads a protobuf page whose series are known.
func BenchmarkParseProto(b *testing.B) {
	for _, name := range []string{"kube-proxy.protobuf.gz", "kubelet-cadvisor.protobuf.gz"} {
		b.Run(name, func(b *testing.B) {
			page := readPage(b, name)
			b.ReportAllocs()
			samples := 0
			for b.Loop() {
				if err := ParseProto(page, Options{}, func(*Sample) error { samples++; return nil }); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(samples), "ns/sample")
		})
	}
}
