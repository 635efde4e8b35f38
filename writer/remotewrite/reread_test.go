package remotewrite

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kinglet"
	"kinglet/writer/queue"
)

// rereadRow has a sample, one that ended, one with a time of its own, and native
// histograms, with all that an extended block holds beside.
func rereadRow() *kinglet.Row {
	series := []kinglet.Series{
		{Labels: []kinglet.Label{{Name: "__name__", Value: "a"}, {Name: "über", Value: "x"}}, Meta: &kinglet.Meta{Family: "a", Type: kinglet.TypeCounter, Help: "h"}},
		{Labels: []kinglet.Label{{Name: "__name__", Value: "b"}}},
		{Labels: []kinglet.Label{{Name: "__name__", Value: "c"}}},
		{Labels: []kinglet.Label{{Name: "__name__", Value: "h"}}, Kind: kinglet.KindHistogram},
		{Labels: []kinglet.Label{{Name: "__name__", Value: "i"}}, Kind: kinglet.KindHistogram},
	}
	return &kinglet.Row{
		Shape: kinglet.NewShape(series), TimestampMs: 5000, Values: []float64{1, kinglet.Stale(), 3, 0, kinglet.Stale()},
		TimesMs:    []int64{kinglet.NoTime, kinglet.NoTime, 4000, kinglet.NoTime, kinglet.NoTime},
		StartsMs:   []int64{1000, 0, 0, 1000, 0},
		Histograms: []*kinglet.Histogram{nil, nil, nil, {Float: true, CountFloat: 1}, nil},
		Exemplars:  []kinglet.Exemplar{{Column: 0, Value: 1, TimestampMs: 1, Labels: []kinglet.Label{{Name: "t", Value: "1"}}}},
	}
}

func rereadBlocks(extended bool) []queue.Block {
	e := Encoder{MaxSamples: 3, Exemplars: true, NativeHistograms: true, Extended: extended}
	return e.Encode(rereadRow())
}

func TestBlocksAreReadAgain(t *testing.T) {
	for _, extended := range []bool{false, true} {
		t.Run(fmt.Sprintf("extended %v", extended), func(t *testing.T) {
			var r Rereader
			var got []string
			for _, b := range rereadBlocks(extended) {
				if err := r.Each(b, func(l Last) {
					got = append(got, fmt.Sprintf("%v at %d stale %v kind %d marker %v", kinglet.AppendDecodedLabels(nil, l.Labels), l.AtMs, l.Stale, l.Kind, l.Marker != nil))
				}); err != nil {
					t.Fatal(err)
				}
			}
			want := []string{
				"[{__name__ a} {über x}] at 5000 stale false kind 0 marker false",
				"[{__name__ b}] at 5000 stale true kind 0 marker false",
				"[{__name__ c}] at 4000 stale false kind 0 marker false",
				"[{__name__ h}] at 5000 stale false kind 1 marker true",
				"[{__name__ i}] at 5000 stale true kind 1 marker false",
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Whatever a file has become: what is read is fit for a shape.
func FuzzReread(f *testing.F) {
	for _, extended := range []bool{false, true} {
		for _, b := range rereadBlocks(extended) {
			f.Add(b.RawLen, b.Stream)
		}
	}
	f.Fuzz(func(t *testing.T, rawLen int, stream []byte) {
		if rawLen < 0 || rawLen > 1<<20 {
			return
		}
		var r Rereader
		_ = r.Each(queue.Block{RawLen: rawLen, Stream: stream}, func(l Last) { // an error is fine
			kinglet.NewShapeFromEncoded(new(kinglet.LabelRoom), []kinglet.EncodedSeries{{Labels: l.Labels, Kind: l.Kind}})
		})
	})
}

func TestDamagedBlocksAreNotReadAgain(t *testing.T) {
	unsorted := kinglet.AppendEncodedLabels(nil, []kinglet.Label{{Name: "b", Value: "x"}, {Name: "a", Value: "x"}})
	for name, raw := range map[string][]byte{
		"a series that is cut off": {tagTimeSeries, 9, 1},
		"labels out of order":      appendBytes(nil, tagTimeSeries, unsorted),
		"labels behind the sample": appendBytes(nil, tagTimeSeries, append([]byte{tagSeriesSamples, 0}, kinglet.AppendEncodedLabels(nil, []kinglet.Label{{Name: "a", Value: "x"}})...)),
		"a label without a value":  appendBytes(nil, tagTimeSeries, []byte{tagSeriesLabels, 5, tagLabelName, 1, 'a', tagLabelValue, 0}),
	} {
		t.Run(name, func(t *testing.T) {
			stream, _ := compress(raw, nil)
			var r Rereader
			if err := r.Each(queue.Block{RawLen: len(raw), Stream: stream}, func(Last) { t.Error("a series was read") }); err == nil {
				t.Error("no error")
			}
		})
	}
	var r Rereader
	if err := r.Each(queue.Block{RawLen: maxDecoded + 1}, nil); err == nil {
		t.Error("a block of any size is unpacked")
	}
}
