//go:build e2e

package rules

import (
	"bytes"
	"fmt"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

const protoType = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"

// protobufPage is a page in the delimited protobuf format.
func protobufPage(families ...*dto.MetricFamily) Page {
	var buf bytes.Buffer
	enc := expfmt.NewEncoder(&buf, expfmt.NewFormat(expfmt.TypeProtoDelim))
	for _, f := range families {
		if err := enc.Encode(f); err != nil {
			panic(fmt.Sprintf("encode %s: %v", f.GetName(), err)) // the page is a constant of the test
		}
	}
	return Page{Body: buf.String(), Type: protoType}
}

// histogramFamily is a family of one histogram without labels.
func histogramFamily(kind dto.MetricType, h *dto.Histogram) *dto.MetricFamily {
	return &dto.MetricFamily{
		Name: ptr("h"), Help: ptr("a histogram"), Type: kind.Enum(),
		Metric: []*dto.Metric{{Histogram: h}},
	}
}

// nativeInt is an integer native histogram of seven observations.
func nativeInt() *dto.Histogram {
	return &dto.Histogram{
		SampleCount: ptr[uint64](7), SampleSum: ptr[float64](18.5), Schema: ptr[int32](3),
		ZeroThreshold: ptr[float64](0.001), ZeroCount: ptr[uint64](1),
		PositiveSpan:  []*dto.BucketSpan{{Offset: ptr[int32](2), Length: ptr[uint32](2)}, {Offset: ptr[int32](3), Length: ptr[uint32](1)}},
		PositiveDelta: []int64{1, 1, -1},
		NegativeSpan:  []*dto.BucketSpan{{Offset: ptr[int32](-1), Length: ptr[uint32](2)}},
		NegativeDelta: []int64{1, 0},
	}
}

// nativeFloat is the same as a float histogram.
func nativeFloat() *dto.Histogram {
	h := nativeInt()
	h.SampleCount, h.ZeroCount, h.PositiveDelta, h.NegativeDelta = nil, nil, nil, nil
	h.SampleCountFloat, h.ZeroCountFloat = ptr[float64](7.5), ptr[float64](1.5)
	h.PositiveCount, h.NegativeCount = []float64{1, 2, 1}, []float64{1, 1}
	return h
}

// withClassic adds the classic form to a histogram.
func withClassic(h *dto.Histogram) *dto.Histogram {
	h.Bucket = []*dto.Bucket{
		{UpperBound: ptr[float64](1), CumulativeCount: ptr[uint64](3)},
		{UpperBound: ptr[float64](2.5), CumulativeCount: ptr[uint64](5)},
	}
	return h
}

// createdCounter is a counter that knows its start.
func createdCounter(startMs int64) *dto.MetricFamily {
	counter := &dto.Counter{Value: ptr[float64](5)}
	created := fresh(&counter.CreatedTimestamp)
	created.Seconds, created.Nanos = startMs/1000, int32(startMs%1000)*1e6
	return &dto.MetricFamily{
		Name: ptr("c_total"), Help: ptr("a counter"), Type: dto.MetricType_COUNTER.Enum(), Metric: []*dto.Metric{{Counter: counter}},
	}
}

// fresh points p at a new zero value.
func fresh[T any](p **T) *T {
	*p = new(T)
	return *p
}
