package remotewrite

import (
	"cmp"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"slices"
	"testing"

	"github.com/golang/snappy"
	promlabels "github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"

	"kinglet"
)

// pageRow is a recorded page as a row, with the labels a target adds. Sorted is
// the order in which shapes are made: by labels without the name.
func pageRow(b *testing.B, file string, sorted bool) *kinglet.Row {
	b.Helper()
	f, err := os.Open(file)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		b.Fatal(err)
	}
	page, err := io.ReadAll(unzipped)
	if err != nil {
		b.Fatal(err)
	}
	type column struct {
		series kinglet.Series
		key    string
		value  float64
	}
	var columns []column
	parser := textparse.NewPromParser(page, promlabels.NewSymbolTable(), false)
	for {
		entry, err := parser.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			b.Fatal(err)
		}
		if entry != textparse.EntrySeries {
			continue
		}
		var set promlabels.Labels
		parser.Labels(&set)
		builder := promlabels.NewBuilder(set)
		builder.Set("agent_hostname", "node-1").Set("instance", "http://127.0.0.1:10249/metrics").Set("job", "kube-proxy")
		_, _, value := parser.Series()
		c := column{value: value, key: builder.Labels().MatchLabels(false, kinglet.MetricNameLabel).String()}
		builder.Labels().Range(func(l promlabels.Label) {
			c.series.Labels = append(c.series.Labels, kinglet.Label{Name: l.Name, Value: l.Value})
		})
		columns = append(columns, c)
	}
	if sorted {
		slices.SortStableFunc(columns, func(a, b column) int { return cmp.Compare(a.key, b.key) })
	}
	row := &kinglet.Row{TimestampMs: nowMs}
	var series []kinglet.Series
	for _, c := range columns {
		series, row.Values = append(series, c.series), append(row.Values, c.value)
	}
	row.Shape = kinglet.NewShape(series)
	return row
}

func BenchmarkEncode(b *testing.B) {
	for _, bb := range []struct {
		name, file string
		sorted     bool
	}{
		{"kube-proxy/as-exposed", "testdata/kube-proxy.txt.gz", false},
		{"kube-proxy/sorted", "testdata/kube-proxy.txt.gz", true},
		{"cadvisor/as-exposed", "testdata/kubelet-cadvisor.txt.gz", false},
		{"cadvisor/sorted", "testdata/kubelet-cadvisor.txt.gz", true},
	} {
		b.Run(bb.name, func(b *testing.B) {
			row := pageRow(b, bb.file, bb.sorted)
			e := newEncoder(1000)
			bytes, samples := 0, row.Samples()
			b.ReportAllocs()
			for b.Loop() {
				bytes = 0
				for _, block := range e.Encode(row) {
					bytes += len(block.Stream)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*samples), "ns/sample")
			b.ReportMetric(float64(bytes)/float64(samples), "B/sample")
			raw, err := snappy.Decode(nil, AppendBody(nil, e.Encode(row)))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(len(snappy.Encode(nil, raw)))/float64(samples), "golang-snappy-B/sample")
		})
	}
}

// BenchmarkBody is what a request costs beyond its blocks.
func BenchmarkBody(b *testing.B) {
	blocks := slices.Repeat(newEncoder(100).Encode(manyRow(100, 1)), 10)
	scratch := make([]byte, 32<<10)
	b.ReportAllocs()
	for b.Loop() {
		r := NewBody(blocks).reader()
		for {
			if _, err := r.Read(scratch); err != nil {
				break
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*1000), "ns/sample")
}
