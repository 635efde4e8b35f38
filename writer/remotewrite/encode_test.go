package remotewrite

import (
	"fmt"
	"math"
	"testing"

	"github.com/gogo/protobuf/proto"
	"github.com/golang/snappy"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/prompb"
	"go.uber.org/goleak"

	"kinglet"
	"kinglet/writer/queue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const nowMs = 1_790_000_000_123

// labels makes a final label set of name, value, name, value.
func labels(pairs ...string) []kinglet.Label {
	var out []kinglet.Label
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, kinglet.Label{Name: pairs[i], Value: pairs[i+1]})
	}
	return out
}

func newEncoder(maxSamples int) *Encoder {
	return &Encoder{MaxSamples: maxSamples, Exemplars: true, NativeHistograms: true}
}

// unpack decodes blocks as any receiver would, with the reference decoders.
func unpack(t testing.TB, body []byte) *prompb.WriteRequest {
	t.Helper()
	raw, err := snappy.Decode(nil, body)
	if err != nil {
		t.Fatalf("snappy: %v", err)
	}
	var request prompb.WriteRequest
	if err := proto.Unmarshal(raw, &request); err != nil {
		t.Fatalf("protobuf: %v", err)
	}
	return &request
}

// lines writes every sample as text, values as bits.
func lines(request *prompb.WriteRequest) []string {
	var out []string
	for _, series := range request.Timeseries {
		for _, s := range series.Samples {
			text := ""
			for _, l := range series.Labels {
				text += fmt.Sprintf("%q=%q ", l.Name, l.Value)
			}
			out = append(out, fmt.Sprintf("%s%016x @%d", text, math.Float64bits(s.Value), s.Timestamp))
		}
	}
	return out
}

// rowLines is what lines gives for row.
func rowLines(row *kinglet.Row) []string {
	var out []string
	for i, v := range row.Values {
		if kinglet.IsAbsent(v) {
			continue
		}
		at := row.TimestampMs
		if row.TimesMs != nil && row.TimesMs[i] != kinglet.NoTime {
			at = row.TimesMs[i]
		}
		text := ""
		for _, l := range row.Shape.AppendLabels(nil, i) {
			text += fmt.Sprintf("%q=%q ", l.Name, l.Value)
		}
		out = append(out, fmt.Sprintf("%s%016x @%d", text, math.Float64bits(v), at))
	}
	return out
}

func oddRow() *kinglet.Row {
	values := []float64{
		0, math.Copysign(0, -1), 1, -1, math.Inf(1), math.Inf(-1), math.MaxFloat64, math.SmallestNonzeroFloat64,
		kinglet.NaN(), kinglet.Stale(), kinglet.Absent(), 2.2250738585072014e-308,
	}
	var series []kinglet.Series
	times := make([]int64, len(values))
	for i := range values {
		series = append(series, kinglet.Series{Labels: labels("A", "before __name__", "__name__", "m", "i", fmt.Sprint(i), "text", "q\"\\\n\x00é🙂")})
		times[i] = kinglet.NoTime
	}
	times[0], times[1], times[2], times[3] = 0, -1, math.MaxInt64, nowMs-1
	return &kinglet.Row{Shape: kinglet.NewShape(series), TimestampMs: nowMs, Values: values, TimesMs: times}
}

func TestEncodeGivesExactlyTheRow(t *testing.T) {
	row := oddRow()
	blocks := newEncoder(1000).Encode(row)
	if len(blocks) != 1 || blocks[0].Samples != 11 || blocks[0].MinMs != -1 || blocks[0].MaxMs != math.MaxInt64 {
		t.Errorf("got %d blocks, the first of %d samples from %d to %d", len(blocks), blocks[0].Samples, blocks[0].MinMs, blocks[0].MaxMs)
	}
	if diff := cmp.Diff(rowLines(row), lines(unpack(t, AppendBody(nil, blocks)))); diff != "" {
		t.Error(diff)
	}
}

func TestEncodeCutsBlocksAndBlocksJoin(t *testing.T) {
	row := manyRow(2500, 0)
	up := manyRow(5, 1)
	blocks := newEncoder(1000).Encode(row, up)
	var samples []int
	for _, b := range blocks {
		samples = append(samples, b.Samples)
	}
	if diff := cmp.Diff([]int{1000, 1000, 505}, samples); diff != "" {
		t.Error(diff)
	}
	want := append(rowLines(row), rowLines(up)...)
	if diff := cmp.Diff(want, lines(unpack(t, AppendBody(nil, blocks)))); diff != "" {
		t.Error(diff)
	}
	for i := range blocks { // each stands alone, too
		if got := len(unpack(t, AppendBody(nil, blocks[i:i+1])).Timeseries); got != samples[i] {
			t.Errorf("block %d has %d series, want %d", i, got, samples[i])
		}
	}
}

func TestEncodeLeavesNothingOfNothing(t *testing.T) {
	row := &kinglet.Row{Shape: manyRow(1, 0).Shape, TimestampMs: nowMs, Values: []float64{kinglet.Absent()}}
	if blocks := newEncoder(10).Encode(row); len(blocks) != 0 {
		t.Errorf("got %d blocks of a row without samples", len(blocks))
	}
	if blocks := newEncoder(10).Encode(); len(blocks) != 0 {
		t.Errorf("got %d blocks of no rows", len(blocks))
	}
}

// manyRow makes a row of n series with some text in common.
func manyRow(n, seed int) *kinglet.Row {
	series := make([]kinglet.Series, n)
	values := make([]float64, n)
	for i := range n {
		series[i].Labels = labels("__name__", fmt.Sprintf("metric_%d_%d", seed, i%7), "container", "main", "pod", fmt.Sprintf("app-%06d", i))
		values[i] = float64(i*seed) / 3
	}
	return &kinglet.Row{Shape: kinglet.NewShape(series), TimestampMs: nowMs, Values: values}
}

func TestHalveKeepsOrderAndValues(t *testing.T) {
	row := manyRow(101, 3)
	block := newEncoder(1000).Encode(row)[0]
	first, second, err := halve(block)
	if err != nil {
		t.Fatal(err)
	}
	if first.Samples != 50 || second.Samples != 51 {
		t.Errorf("got %d and %d samples", first.Samples, second.Samples)
	}
	if diff := cmp.Diff(rowLines(row), lines(unpack(t, AppendBody(nil, []queue.Block{first, second})))); diff != "" {
		t.Error(diff)
	}
	one := newEncoder(1).Encode(manyRow(1, 0))[0]
	if _, _, err := halve(one); err == nil {
		t.Error("a block of one series was halved")
	}
}

func TestExemplarsAndHistogramsArrive(t *testing.T) {
	shape := kinglet.NewShape([]kinglet.Series{
		{Labels: labels("__name__", "requests_total")},
		{Labels: labels("__name__", "latency_seconds"), Kind: kinglet.KindHistogram},
		{Labels: labels("__name__", "float_seconds"), Kind: kinglet.KindHistogram},
		{Labels: labels("__name__", "gone_seconds"), Kind: kinglet.KindHistogram},
		{Labels: labels("__name__", "custom_seconds"), Kind: kinglet.KindHistogram},
	})
	integer := &kinglet.Histogram{
		Count: 12, Sum: 3.5, Schema: 3, ZeroThreshold: 1e-128, ZeroCount: 2,
		PositiveSpans:  []kinglet.Span{{Offset: -4, Length: 2}, {Offset: 3, Length: 1}},
		PositiveDeltas: []int64{3, -2, 4}, NegativeSpans: []kinglet.Span{{Offset: 1, Length: 1}}, NegativeDeltas: []int64{1},
		Gauge: true,
	}
	float := &kinglet.Histogram{
		Float: true, CountFloat: 2.5, Sum: math.Inf(1), Schema: -4, ZeroCountFloat: 0.5,
		PositiveSpans: []kinglet.Span{{Length: 1}}, PositiveCounts: []float64{2},
	}
	custom := &kinglet.Histogram{Schema: schemaCustom, CustomValues: []float64{1, 2}}
	row := &kinglet.Row{
		Shape: shape, TimestampMs: nowMs, Values: []float64{7, 0, 0, kinglet.Stale(), 0},
		Histograms: []*kinglet.Histogram{nil, integer, float, nil, custom},
		Exemplars: []kinglet.Exemplar{
			{Column: 0, Labels: labels("trace_id", "abc"), Value: 0.25, TimestampMs: nowMs - 5},
			{Column: 1, Labels: labels("span_id", "1", "trace_id", "def"), Value: 4, TimestampMs: nowMs - 6},
		},
	}
	lost := map[string]int{}
	e := newEncoder(1000)
	e.OnDrop = func(n int, reason string) { lost[reason] += n }
	body := AppendBody(nil, e.Encode(row))

	got := unpack(t, body)
	if len(got.Timeseries) != 4 {
		t.Fatalf("got %d series, want 4", len(got.Timeseries))
	}
	wantHistogram := prompb.Histogram{
		Count: &prompb.Histogram_CountInt{CountInt: 12}, Sum: 3.5, Schema: 3, ZeroThreshold: 1e-128,
		ZeroCount:     &prompb.Histogram_ZeroCountInt{ZeroCountInt: 2},
		PositiveSpans: []prompb.BucketSpan{{Offset: -4, Length: 2}, {Offset: 3, Length: 1}}, PositiveDeltas: []int64{3, -2, 4},
		NegativeSpans: []prompb.BucketSpan{{Offset: 1, Length: 1}}, NegativeDeltas: []int64{1},
		ResetHint: prompb.Histogram_GAUGE, Timestamp: nowMs,
	}
	if diff := cmp.Diff(wantHistogram, got.Timeseries[1].Histograms[0]); diff != "" {
		t.Error(diff)
	}
	wantFloat := prompb.Histogram{
		Count: &prompb.Histogram_CountFloat{CountFloat: 2.5}, Sum: math.Inf(1), Schema: -4,
		ZeroCount:     &prompb.Histogram_ZeroCountFloat{ZeroCountFloat: 0.5},
		PositiveSpans: []prompb.BucketSpan{{Length: 1}}, PositiveCounts: []float64{2}, Timestamp: nowMs,
	}
	if diff := cmp.Diff(wantFloat, got.Timeseries[2].Histograms[0]); diff != "" {
		t.Error(diff)
	}
	stale := got.Timeseries[3].Histograms[0]
	if math.Float64bits(stale.Sum) != kinglet.StaleBits || stale.GetCountInt() != 0 || len(stale.PositiveSpans) != 0 {
		t.Errorf("stale histogram is %v (RW-53)", stale)
	}
	wantExemplar := prompb.Exemplar{
		Labels: []prompb.Label{{Name: "span_id", Value: "1"}, {Name: "trace_id", Value: "def"}}, Value: 4, Timestamp: nowMs - 6,
	}
	if diff := cmp.Diff(wantExemplar, got.Timeseries[1].Exemplars[0]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]int{ReasonCustomBuckets: 1}, lost); diff != "" {
		t.Error(diff)
	}
	checkDecoded(t, body, integer, row.Exemplars)
}

// checkDecoded checks that Decode sees what the reference decoder saw.
func checkDecoded(t *testing.T, body []byte, h *kinglet.Histogram, exemplars []kinglet.Exemplar) {
	t.Helper()
	series, err := Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	want := Series{
		Labels: labels("__name__", "latency_seconds"), Histograms: []HistogramSample{{*h, nowMs}},
		Exemplars: []kinglet.Exemplar{{Labels: exemplars[1].Labels, Value: 4, TimestampMs: nowMs - 6}},
	}
	if diff := cmp.Diff(want, series[1]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]Sample{{7, nowMs}}, series[0].Samples); diff != "" {
		t.Error(diff)
	}
}

func TestExemplarsAndHistogramsCanBeLeftOut(t *testing.T) {
	shape := kinglet.NewShape([]kinglet.Series{
		{Labels: labels("__name__", "a")},
		{Labels: labels("__name__", "b"), Kind: kinglet.KindHistogram},
	})
	row := &kinglet.Row{
		Shape: shape, TimestampMs: nowMs, Values: []float64{1, 0}, Histograms: []*kinglet.Histogram{nil, {Count: 1}},
		Exemplars: []kinglet.Exemplar{{Column: 0, Value: 1, TimestampMs: nowMs}},
	}
	lost := map[string]int{}
	e := &Encoder{MaxSamples: 10, OnDrop: func(n int, reason string) { lost[reason] += n }}
	got := unpack(t, AppendBody(nil, e.Encode(row)))
	if len(got.Timeseries) != 1 || len(got.Timeseries[0].Exemplars) != 0 {
		t.Errorf("got %v", got)
	}
	if diff := cmp.Diff(map[string]int{ReasonNativeHistograms: 1}, lost); diff != "" {
		t.Error(diff)
	}
}

func FuzzEncode(f *testing.F) {
	f.Add("name", "label", "value", uint64(1), int64(nowMs), 3, 2)
	f.Add("a.b", "ü", "\n\"", kinglet.StaleBits, int64(-1), 1, 1)
	f.Fuzz(func(t *testing.T, name, label, value string, bits uint64, atMs int64, n, maxSamples int) {
		if n < 1 || n > 200 || maxSamples < 1 || name == "" || value == "" || label <= kinglet.MetricNameLabel || atMs == kinglet.NoTime {
			return
		}
		row := &kinglet.Row{TimestampMs: atMs}
		var series []kinglet.Series
		for i := range n {
			series = append(series, kinglet.Series{Labels: labels(kinglet.MetricNameLabel, name, label, value+fmt.Sprint(i))})
			row.Values = append(row.Values, math.Float64frombits(bits+uint64(i)))
		}
		row.Shape = kinglet.NewShape(series)
		blocks := newEncoder(maxSamples).Encode(row)
		for _, b := range blocks {
			if b.Samples > maxSamples {
				t.Fatalf("block of %d samples, want at most %d", b.Samples, maxSamples)
			}
		}
		if len(blocks) == 0 {
			return
		}
		body := AppendBody(nil, blocks)
		if diff := cmp.Diff(rowLines(row), lines(unpack(t, body))); diff != "" {
			t.Fatal(diff)
		}
		if series, err := Decode(body); err != nil || len(series) != len(rowLines(row)) {
			t.Fatalf("Decode: %d series, %v", len(series), err)
		}
	})
}
