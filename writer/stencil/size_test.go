package stencil

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/golang/snappy"

	"kinglet"
	"kinglet/inputs/promtext"
)

// recorded reads the series and values of a recorded page, with the labels that
// kinglet adds to them.
func recorded(t testing.TB, name string) (series []kinglet.Series, values []float64) {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "inputs", "promtext", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(unzipped)
	if err != nil {
		t.Fatal(err)
	}
	err = promtext.Parse(text, promtext.Text, promtext.Options{}, func(s *promtext.Sample) error {
		labels, err := s.AppendLabels([]kinglet.Label{
			{Name: "agent_hostname", Value: "node-1"}, {Name: "instance", Value: "http://127.0.0.1:10249/metrics"}, {Name: "job", Value: "node"},
		})
		labels = slices.DeleteFunc(labels, func(l kinglet.Label) bool { return l.Value == "" })
		slices.SortFunc(labels, func(a, b kinglet.Label) int { return strings.Compare(a.Name, b.Name) })
		series, values = append(series, kinglet.Series{Labels: labels}), append(values, s.Value)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return series, values
}

// rowOf is a row of some of the series, in that order.
func rowOf(series []kinglet.Series, values []float64, order []int) *kinglet.Row {
	row := &kinglet.Row{TimestampMs: 1_790_000_000_123}
	picked := make([]kinglet.Series, len(order))
	for i, n := range order {
		picked[i] = series[n]
		row.Values = append(row.Values, values[n])
	}
	row.Shape = kinglet.NewShape(picked)
	return row
}

// withoutName orders series as shapes do: by their labels, the name last.
func withoutName(series []kinglet.Series) []int {
	keys := make([]string, len(series))
	order := make([]int, len(series))
	for i, s := range series {
		order[i] = i
		name := ""
		for _, l := range s.Labels {
			if l.Name == kinglet.MetricNameLabel {
				name = l.Value
				continue
			}
			keys[i] += l.Name + "\xff" + l.Value + "\xff"
		}
		keys[i] += "\x00" + name
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(keys[a], keys[b]) })
	return order
}

// TestSettledStencilsAreAsSmallAsSnappy compares, on pages recorded 15 s apart,
// what a settled shape sends with what golang/snappy makes of the same series
// in the order of the page, 2,000 a request.
func TestSettledStencilsAreAsSmallAsSnappy(t *testing.T) {
	for _, tt := range []struct {
		page, later string
		most        float64 // of golang/snappy's bytes
	}{
		{"kube-proxy.txt.gz", "kube-proxy.15s.txt.gz", 1},
		{"kubelet.txt.gz", "kubelet.15s.txt.gz", 1},
		{"kubelet-cadvisor.txt.gz", "kubelet-cadvisor.15s.txt.gz", 1},
		{"pods-80.kubelet-cadvisor.txt.gz", "", 0.5},
	} {
		t.Run(tt.page, func(t *testing.T) {
			series, values := recorded(t, tt.page)
			before := map[string]float64{}
			if tt.later != "" {
				for i, s := range series {
					before[string(kinglet.AppendEncodedLabels(nil, s.Labels))] = values[i]
				}
				series, values = recorded(t, tt.later)
			}
			exposed := make([]int, len(series))
			for i := range exposed {
				exposed[i] = i
			}
			usual := 0
			for part := range slices.Chunk(exposed, 2000) {
				usual += len(snappy.Encode(nil, plain(t, rowOf(series, values, part))))
			}
			ours, moved := 0, 0
			c := Cutter{Thorough: true}
			for part := range slices.Chunk(withoutName(series), 2000) {
				row := rowOf(series, values, part)
				// The first page's values, then those that moved: what a window shows.
				first := *row
				first.Values = slices.Clone(row.Values)
				for i, n := range part {
					if v, ok := before[string(kinglet.AppendEncodedLabels(nil, series[n].Labels))]; ok {
						first.Values[i] = v
					}
					if first.Values[i] != row.Values[i] {
						moved++
					}
				}
				s, err := c.Cut(&first, func(int) bool { return true })
				if err != nil {
					t.Fatal(err)
				}
				if _, ok := s.Fill(nil, row); !ok {
					t.Fatal("refused")
				}
				if s, err = c.Rebake(s, row); err != nil {
					t.Fatal(err)
				}
				block, ok := s.Fill(nil, row)
				if !ok {
					t.Fatal("refused")
				}
				checkSame(t, s, block, row)
				ours += len(block)
			}
			n := float64(len(series))
			t.Logf("%.0f series, %.0f %% moved: %.1f bytes a sample, golang/snappy %.1f", n, 100*float64(moved)/n, float64(ours)/n, float64(usual)/n)
			if float64(ours) > tt.most*float64(usual) {
				t.Errorf("%.1f bytes a sample, want at most %.2f of golang/snappy's %.1f", float64(ours)/n, tt.most, float64(usual)/n)
			}
		})
	}
}
