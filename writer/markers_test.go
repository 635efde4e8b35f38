package writer

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/model/histogram"

	"kinglet"
	"kinglet/writer/queue"
	"kinglet/writer/remotewrite"
)

// histogramShape has an integer, a float and two histograms with custom
// buckets, and a sample.
func histogramShape() *kinglet.Shape {
	var series []kinglet.Series
	for _, name := range []string{"custom", "custom_float", "float", "integer"} {
		series = append(series, kinglet.Series{Labels: []kinglet.Label{{Name: "__name__", Value: name}}, Kind: kinglet.KindHistogram})
	}
	return kinglet.NewShape(append(series, kinglet.Series{Labels: []kinglet.Label{{Name: "__name__", Value: "up"}}}))
}

func TestMarkersAreOfTheKindThatEnds(t *testing.T) {
	shape, stale := histogramShape(), kinglet.Stale()
	alive := &kinglet.Row{Shape: shape, TimestampMs: 1000, Values: []float64{0, 0, 0, 0, 1}, Histograms: []*kinglet.Histogram{
		{Schema: -53, Count: 1, CustomValues: []float64{1}, PositiveSpans: []kinglet.Span{{Length: 1}}, PositiveDeltas: []int64{1}},
		{Schema: -53, Float: true, CountFloat: 1, CustomValues: []float64{1}, PositiveSpans: []kinglet.Span{{Length: 1}}, PositiveCounts: []float64{1}},
		{Float: true, CountFloat: 2}, {Count: 3}, nil,
	}}
	ended := &kinglet.Row{Shape: shape, TimestampMs: 2000, Values: []float64{stale, stale, stale, stale, 0}}
	for name, tt := range map[string]struct {
		extended bool
		want     []string
		lost     int
	}{
		"1.0 has no marker of what it could not carry": {false, []string{"float float", "integer integer"}, 2},
		"2.0 has all": {true, []string{"custom integer -53", "custom_float float -53", "float float", "integer integer"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			lost := 0
			e := remotewrite.Encoder{MaxSamples: 100, NativeHistograms: true, Extended: tt.extended, OnDrop: func(n int, _ string) { lost += n }}
			e.Encode(typedMarkers([]*kinglet.Row{alive})...)
			var got []string
			for _, b := range e.Encode(typedMarkers([]*kinglet.Row{ended})...) {
				b.Extended = false // Decode reads what it has
				got = append(got, markersOf(t, b)...)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if lost != tt.lost {
				t.Errorf("%d samples were counted as lost, want %d", lost, tt.lost)
			}
			if ended.Histograms != nil {
				t.Error("the row was changed")
			}
		})
	}
}

// markersOf is the name, form and schema of each marker in a block.
func markersOf(t *testing.T, b queue.Block) (out []string) {
	t.Helper()
	series, err := remotewrite.Decode(remotewrite.AppendBody(nil, []queue.Block{b}))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range series {
		for _, h := range s.Histograms {
			if !kinglet.IsStale(h.Histogram.Sum) {
				t.Errorf("%v is no marker", s)
			}
			text := s.Labels[0].Value + " integer"
			if h.Histogram.Float {
				text = s.Labels[0].Value + " float"
			}
			if h.Histogram.Schema != 0 {
				text += fmt.Sprint(" ", h.Histogram.Schema)
			}
			out = append(out, text)
		}
	}
	return out
}

func TestMarkersAreHistogramsThatPrometheusTakes(t *testing.T) {
	stale := kinglet.Stale()
	for _, err := range []error{
		(&histogram.Histogram{Schema: -53, Sum: stale}).Validate(), (&histogram.FloatHistogram{Schema: -53, Sum: stale}).Validate(),
		(&histogram.FloatHistogram{Sum: stale}).Validate(),
	} {
		if err != nil {
			t.Error(err)
		}
	}
}

func TestMarkersFollowAChangeOfKind(t *testing.T) {
	shape, stale := histogramShape(), kinglet.Stale()
	row := func(h *kinglet.Histogram) *kinglet.Row {
		return &kinglet.Row{Shape: shape, Values: []float64{0, 0, 0, 0, 1}, Histograms: []*kinglet.Histogram{h, nil, nil, nil, nil}}
	}
	ended := &kinglet.Row{Shape: shape, Values: []float64{stale, 0, 0, 0, 1}}
	typedMarkers([]*kinglet.Row{row(&kinglet.Histogram{Float: true})})
	if got := typedMarkers([]*kinglet.Row{ended})[0]; got.Histograms == nil || !got.Histograms[0].Float {
		t.Errorf("the marker is %v, want that of floats", got.Histograms)
	}
	typedMarkers([]*kinglet.Row{row(&kinglet.Histogram{Count: 1})})
	if got := typedMarkers([]*kinglet.Row{ended})[0]; got != ended {
		t.Errorf("the marker is %v, want that of integers", got.Histograms[0])
	}
}
