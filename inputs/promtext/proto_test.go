package promtext

import (
	"bytes"
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"kinglet"
)

// encode makes a page of families.
func encode(t testing.TB, families ...*dto.MetricFamily) []byte {
	t.Helper()
	var page bytes.Buffer
	encoder := expfmt.NewEncoder(&page, expfmt.NewFormat(expfmt.TypeProtoDelim).WithEscapingScheme(model.NoEscaping))
	for _, family := range families {
		if err := encoder.Encode(family); err != nil {
			t.Fatal(err)
		}
	}
	return page.Bytes()
}

func family(name string, typ dto.MetricType, metrics ...*dto.Metric) *dto.MetricFamily {
	return &dto.MetricFamily{Name: &name, Type: &typ, Help: new("Help of " + name + `\n.`), Metric: metrics}
}

func pairs(names ...string) (out []*dto.LabelPair) {
	for i := 0; i < len(names); i += 2 {
		out = append(out, &dto.LabelPair{Name: &names[i], Value: &names[i+1]})
	}
	return out
}

// instrumented is what a Go program with every kind of metric exposes.
func instrumented(t testing.TB) []byte {
	t.Helper()
	reg := prometheus.NewRegistry()
	counter := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "requests_total", Help: "x"}, []string{"code"})
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "temperature", Help: "x", ConstLabels: prometheus.Labels{"room": "é\n\""}})
	classic := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "classic_seconds", Help: "x", Buckets: []float64{0.1, 1, 10}})
	native := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "native_seconds", Help: "x", NativeHistogramBucketFactor: 1.1}, []string{"a"})
	both := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "both_seconds", Help: "x", Buckets: []float64{1, 2}, NativeHistogramBucketFactor: 1.5})
	summary := prometheus.NewSummary(prometheus.SummaryOpts{Name: "took_seconds", Help: "x", Objectives: map[float64]float64{0.5: 0.1, 1: 0}})
	empty := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "empty_seconds", Help: "x", NativeHistogramBucketFactor: 1.1, NativeHistogramZeroThreshold: prometheus.NativeHistogramZeroThresholdZero})
	reg.MustRegister(counter, gauge, classic, native, both, summary, empty)
	trace := prometheus.Labels{"trace_id": "abc", "a": "1"}
	counter.WithLabelValues("200").(prometheus.ExemplarAdder).AddWithExemplar(3, trace)
	counter.WithLabelValues("500").Inc()
	gauge.Set(-1.5)
	for _, v := range []float64{0.001, 0.5, 0.5, 3, 100, -4} {
		classic.(prometheus.ExemplarObserver).ObserveWithExemplar(v, trace)
		native.WithLabelValues("1").(prometheus.ExemplarObserver).ObserveWithExemplar(v, trace)
		native.WithLabelValues("2").Observe(v)
		both.(prometheus.ExemplarObserver).ObserveWithExemplar(v, trace)
		summary.Observe(v)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return encode(t, families...)
}

// strange is what no client library makes, but the format can hold.
func strange(t testing.TB) []byte {
	t.Helper()
	gaugeHistogram := &dto.Histogram{
		SampleCountFloat: new(7.5), SampleSum: new(1.0), Schema: new(int32(3)), ZeroThreshold: new(0.001), ZeroCountFloat: new(0.5),
		PositiveSpan:  []*dto.BucketSpan{{Offset: new(int32(-2)), Length: new(uint32(3))}, {Offset: new(int32(0)), Length: new(uint32(1))}, {Offset: new(int32(4)), Length: new(uint32(1))}},
		PositiveCount: []float64{1, 0, 2.5, 1, 2}, NegativeSpan: []*dto.BucketSpan{{Offset: new(int32(1)), Length: new(uint32(1))}}, NegativeCount: []float64{0.5},
	}
	fine := &dto.Histogram{
		SampleCount: new(uint64(4)), SampleSum: new(1.0), Schema: new(int32(1)), ZeroThreshold: new(0.001),
		PositiveSpan:  []*dto.BucketSpan{{Offset: new(int32(-3)), Length: new(uint32(2))}, {Offset: new(int32(2)), Length: new(uint32(1))}},
		PositiveDelta: []int64{1, 1, -1},
	}
	return encode(t,
		family("empty", dto.MetricType_GAUGE),
		family("at", dto.MetricType_GAUGE, &dto.Metric{Gauge: &dto.Gauge{Value: new(math.NaN())}, TimestampMs: new(int64(1234))}),
		family("my.metric", dto.MetricType_UNTYPED, &dto.Metric{Label: pairs("a.b", "c", "empty", ""), Untyped: &dto.Untyped{Value: new(2.0)}}),
		family("gh", dto.MetricType_GAUGE_HISTOGRAM, &dto.Metric{Histogram: gaugeHistogram}),
		family("fine", dto.MetricType_HISTOGRAM, &dto.Metric{Histogram: fine}),
		family("infinite", dto.MetricType_HISTOGRAM, &dto.Metric{Histogram: &dto.Histogram{
			SampleCount: new(uint64(4)), Bucket: []*dto.Bucket{{CumulativeCount: new(uint64(4)), UpperBound: new(math.Inf(1))}, {UpperBound: new(5.0)}}}}),
		family("quantiles", dto.MetricType_SUMMARY, &dto.Metric{Summary: &dto.Summary{}}),
	)
}

func TestProtobufPagesReadAsPrometheusReadsThem(t *testing.T) {
	pages, err := filepath.Glob("testdata/*.protobuf.gz")
	if err != nil || len(pages) == 0 {
		t.Fatal("no pages", err)
	}
	for _, page := range pages {
		t.Run(filepath.Base(page), func(t *testing.T) { checkProto(t, readPage(t, filepath.Base(page))) })
	}
	t.Run("instrumented", func(t *testing.T) { checkProto(t, instrumented(t)) })
	t.Run("strange", func(t *testing.T) { checkProto(t, strange(t)) })
}

func TestProtobufAndTextPagesSayTheSame(t *testing.T) { // one component, two formats, two requests apart
	for _, page := range []string{"kubelet-resource", "kubelet-cadvisor"} {
		text, err := collect(readPage(t, page+".txt.gz"), Text, Options{})
		if err != nil {
			t.Fatal(err)
		}
		proto, err := collect(readPage(t, page+".protobuf.gz"), Protobuf, Options{})
		if err != nil {
			t.Fatal(err)
		}
		series := map[string]bool{}
		for _, s := range text {
			series[labelText(s.Labels)] = true
		}
		missing := 0
		for _, s := range proto {
			if !series[labelText(s.Labels)] {
				missing++
			}
		}
		if missing > len(proto)/50 {
			t.Errorf("%s: %d of %d series of the protobuf page are not in the text", page, missing, len(proto))
		}
	}
}

func labelText(labels []kinglet.Label) string {
	var b strings.Builder
	for _, l := range labels {
		b.WriteString(l.Name + "=" + l.Value + ",")
	}
	return b.String()
}

func TestNativeHistogramsAreCompactedAndReduced(t *testing.T) { // RW-94, RW-95, RW-96, RW-98
	samples, err := collect(strange(t), Protobuf, Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]*kinglet.Histogram{}
	for _, s := range samples {
		if s.Histogram != nil {
			got[s.Labels[0].Value] = s.Histogram
		}
	}
	want := map[string]*kinglet.Histogram{
		"gh": {
			Float: true, Gauge: true, CountFloat: 7.5, Sum: 1, Schema: 3, ZeroThreshold: 0.001, ZeroCountFloat: 0.5,
			PositiveSpans:  []kinglet.Span{{Offset: -2, Length: 1}, {Offset: 1, Length: 2}, {Offset: 4, Length: 1}},
			PositiveCounts: []float64{1, 2.5, 1, 2},
			NegativeSpans:  []kinglet.Span{{Offset: 1, Length: 1}}, NegativeCounts: []float64{0.5},
		},
		"fine": {
			Count: 4, Sum: 1, Schema: 1, ZeroThreshold: 0.001,
			PositiveSpans: []kinglet.Span{{Offset: -3, Length: 2}, {Offset: 2, Length: 1}}, PositiveDeltas: []int64{1, 1, -1},
		},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

func TestSchemaBeyondEightIsReduced(t *testing.T) { // RW-95
	h := &dto.Histogram{
		SampleCount: new(uint64(10)), Schema: new(int32(10)), ZeroThreshold: new(0.001),
		PositiveSpan:  []*dto.BucketSpan{{Offset: new(int32(-1)), Length: new(uint32(4))}},
		PositiveDelta: []int64{1, 1, 1, 1}, // buckets -1, 0, 1, 2: with a quarter of the resolution 0, 0, 1, 1
	}
	samples, err := collect(encode(t, family("x", dto.MetricType_HISTOGRAM, &dto.Metric{Histogram: h})), Protobuf, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := &kinglet.Histogram{Count: 10, Schema: 8, ZeroThreshold: 0.001,
		PositiveSpans: []kinglet.Span{{Offset: 0, Length: 2}}, PositiveDeltas: []int64{3, 4}}
	if diff := cmp.Diff(want, samples[0].Histogram, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

func TestClassicTooGivesBothForms(t *testing.T) { // RW-100
	names := func(opts Options) (out []string) {
		samples, err := collect(instrumented(t), Protobuf, opts)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range samples {
			for _, l := range s.Labels {
				if l.Name == "__name__" && strings.HasPrefix(l.Value, "both") {
					out = append(out, l.Value)
				}
			}
		}
		return out
	}
	if diff := cmp.Diff([]string{"both_seconds"}, names(Options{})); diff != "" {
		t.Error(diff)
	}
	want := []string{"both_seconds", "both_seconds_count", "both_seconds_sum", "both_seconds_bucket", "both_seconds_bucket", "both_seconds_bucket"}
	if diff := cmp.Diff(want, names(Options{ClassicToo: true})); diff != "" {
		t.Error(diff)
	}
}

func TestProtobufCarriesStartsExemplarsAndMetadata(t *testing.T) { // RW-24, RW-90, RW-103
	samples, err := collect(instrumented(t), Protobuf, Options{})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UnixMilli()
	exemplars := 0
	for _, s := range samples {
		if s.Meta == nil || s.Meta.Help != "x" {
			t.Fatalf("%v has metadata %v", s.Labels, s.Meta)
		}
		if wants := s.Meta.Type != kinglet.TypeGauge; wants != (s.StartMs > now-60_000 && s.StartMs <= now) {
			t.Errorf("%v started at %d", s.Labels, s.StartMs)
		}
		for _, e := range s.Exemplars {
			exemplars++
			if e.TimestampMs < now-60_000 || e.TimestampMs > now || e.Labels[0].Name != "a" || e.Labels[1].Value != "abc" {
				t.Errorf("%v has exemplar %v", s.Labels, e)
			}
		}
	}
	if exemplars < 6 {
		t.Errorf("%d exemplars", exemplars)
	}
}

func TestProtobufRefuses(t *testing.T) {
	histogram := func(h *dto.Histogram) []byte {
		return encode(t, family("x", dto.MetricType_HISTOGRAM, &dto.Metric{Histogram: h}))
	}
	gauge := func(labels ...string) []byte {
		return encode(t, family("x", dto.MetricType_GAUGE, &dto.Metric{Gauge: &dto.Gauge{}, Label: pairs(labels...)}))
	}
	for _, tt := range []struct {
		name string
		page []byte
		want string
	}{
		{"page cut short", gauge()[:8], "want a message of 23 bytes, but the page ends"},
		{"length without end", bytes.Repeat([]byte{0xff}, 12), "want the length of a message"},
		{"text", []byte("\x04up 1"), protoWanted},
		{"label twice (RW-120)", gauge("a", "1", "a", "2"), `label a occurs twice: "x"`},
		{"__name__ as a label (RW-120)", gauge("__name__", "1"), `label __name__ occurs twice: "x"`},
		{"empty label name (RW-120)", gauge("", "1"), `want label names that are not empty, and UTF-8 in names and values: "x"`},
		{"schema of custom buckets (RW-95)", histogram(&dto.Histogram{Schema: new(int32(-53)), ZeroThreshold: new(1.0)}), `want a native histogram of schema -4 to 8: "x"`},
		{"schema beyond what can be reduced (RW-95)", histogram(&dto.Histogram{Schema: new(int32(53)), ZeroThreshold: new(1.0)}), `want a native histogram of schema -4 to 8: "x"`},
		{"spans without buckets (RW-96)", histogram(&dto.Histogram{PositiveSpan: []*dto.BucketSpan{{Length: new(uint32(4e9))}}}), `want spans of a native histogram that fit its buckets: "x"`},
		{"spans that overlap (RW-96)", histogram(&dto.Histogram{SampleCount: new(uint64(2)), PositiveSpan: []*dto.BucketSpan{{Length: new(uint32(1))}, {Offset: new(int32(-1)), Length: new(uint32(1))}}, PositiveDelta: []int64{1, 0}}), `want spans of a native histogram that do not overlap: "x"`},
		{"buckets below zero", histogram(&dto.Histogram{PositiveSpan: []*dto.BucketSpan{{Length: new(uint32(1))}}, PositiveDelta: []int64{-1}}), `want a native histogram without negative counts: "x"`},
		{"buckets beyond the count", histogram(&dto.Histogram{PositiveSpan: []*dto.BucketSpan{{Length: new(uint32(1))}}, PositiveDelta: []int64{1}}), `want a native histogram whose buckets add up to its count: "x"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := collect(tt.page, Protobuf, Options{})
			if _, ok := errors.AsType[*SyntaxError](err); !ok || err.Error() != tt.want {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestKnownProtobufSeriesAllocateNothing(t *testing.T) {
	page := readPage(t, "kube-proxy.protobuf.gz")
	samples := 0
	read := func() {
		err := Parse(page, Protobuf, Options{}, func(*Sample) error { samples++; return nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	allocs := testing.AllocsPerRun(1, read) // a few, for the buffers of the page
	if perSample := allocs / float64(samples/2); perSample > 0.1 {
		t.Errorf("%v allocations a sample", perSample)
	}
}
