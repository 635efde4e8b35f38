//go:build e2e

package sidebyside

import (
	"fmt"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func histogramTargets() []*target {
	one := func(h func(s *request) *dto.Histogram, kind dto.MetricType) func(s *request) page {
		return func(s *request) page {
			if within(s.K, 30, 32) { // gone for a while
				return protobuf(family("other", dto.MetricType_GAUGE, &dto.Metric{Gauge: &dto.Gauge{Value: new(1.0)}}))
			}
			if s.K == 40 {
				return page{status: 500}
			}
			return protobuf(family("h", kind, &dto.Metric{Label: pairs("a", "b"), Histogram: h(s)}))
		}
	}
	native := job{native: true}
	return []*target{
		plain("native-int", native, one(nativeInt, dto.MetricType_HISTOGRAM)),
		plain("native-float", native, one(nativeFloat, dto.MetricType_HISTOGRAM)),
		plain("native-gauge", native, one(nativeInt, dto.MetricType_GAUGE_HISTOGRAM)),
		plain("native-gauge-float", native, one(nativeFloat, dto.MetricType_GAUGE_HISTOGRAM)),
		plain("native-and-classic", job{native: true, classic: true}, one(bothForms, dto.MetricType_HISTOGRAM)),
		plain("native-before-classic", native, one(bothForms, dto.MetricType_HISTOGRAM)),
		plain("native-not-wanted", job{}, one(bothForms, dto.MetricType_HISTOGRAM)),
		plain("native-limited", job{native: true, bucketLimit: 4}, one(nativeInt, dto.MetricType_HISTOGRAM)),
		plain("native-empty", native, one(func(s *request) *dto.Histogram {
			if s.K%10 < 5 { // no observation yet; a span without length makes it native
				return &dto.Histogram{SampleCount: new(uint64(0)), SampleSum: new(0.0), PositiveSpan: []*dto.BucketSpan{{Offset: new(int32(0)), Length: new(uint32(0))}}}
			}
			return nativeInt(s)
		}, dto.MetricType_HISTOGRAM)),
		plain("custom-buckets", job{native: true, nhcb: true}, customBuckets),
		plain("custom-buckets-and-classic", job{native: true, nhcb: true, classic: true}, customBuckets),
		plain("custom-buckets-openmetrics", job{native: true, nhcb: true, asPrometheus: map[string]any{"created_timestamps": true}}, openMetrics),
		plain("custom-buckets-protobuf", job{native: true, nhcb: true}, func(s *request) page { return protobuf(mixedFamilies(s)...) }),
		plain("native-stamped", native, func(s *request) page {
			return protobuf(family("stamped_h", dto.MetricType_HISTOGRAM, &dto.Metric{Histogram: nativeInt(s), TimestampMs: new(s.stamp(-500))}))
		}),
		plain("native-bad", native, func(s *request) page {
			h := nativeInt(s)
			switch s.K {
			case 10:
				h.Schema = new(int32(60))
			case 14:
				h.PositiveDelta = h.PositiveDelta[:1]
			}
			return protobuf(family("h", dto.MetricType_HISTOGRAM, &dto.Metric{Histogram: h}))
		}),
	}
}

// customBuckets is classic histograms to be turned into native ones.
func customBuckets(s *request) page {
	n, bounds := s.life(), []string{"0.1", "0.5", "2.5", "+Inf"}
	if within(s.K, 25, 35) { // the program was built with other buckets
		bounds = []string{"0.25", "1", "+Inf"}
	}
	lines := []string{"# TYPE latency histogram"}
	for _, path := range []string{"/a", "/b"} {
		for i, le := range bounds {
			lines = append(lines, fmt.Sprintf(`latency_bucket{path=%q,le=%q} %d`, path, le, n*(i+1)))
		}
		lines = append(lines, fmt.Sprintf("latency_sum{path=%q} %v", path, 0.3*float64(n)), fmt.Sprintf("latency_count{path=%q} %d", path, n*len(bounds)))
	}
	if s.K%8 < 4 {
		lines = append(lines, "# TYPE halves histogram", `halves_bucket{le="1"} 1.5`, `halves_bucket{le="+Inf"} 2.5`, "halves_sum 3", "halves_count 2.5")
	}
	return text(append(lines, counting(s.K)...)...)
}

// nativeInt is an integer native histogram that grows, gains buckets and
// starts anew.
func nativeInt(s *request) *dto.Histogram {
	n := int64(s.life())
	h := &dto.Histogram{
		Schema: new(int32(3)), ZeroThreshold: new(0.001), ZeroCount: new(uint64(n)),
		PositiveSpan: spans(2, 2, 3, 1), PositiveDelta: []int64{n, 1, -1},
		NegativeSpan: spans(-1, 2), NegativeDelta: []int64{n, 2},
		SampleSum: new(1.5 * float64(n)), CreatedTimestamp: timeOf(s.start), Exemplars: []*dto.Exemplar{exemplarOf(s, 1.75, -500)},
	}
	count := n + n + n + 1 + n + n + n + 2
	if n >= 7 {
		h.PositiveSpan, h.PositiveDelta = spans(1, 4, 2, 1), []int64{1, n - 1, 1, -1, 0}
		count += 1 + n
	}
	h.SampleCount = new(uint64(count))
	if s.K%6 == 0 { // without a time it is left out
		h.Exemplars = append(h.Exemplars, &dto.Exemplar{Label: pairs("trace_id", "timeless"), Value: new(2.0)})
	}
	return h
}

// nativeFloat is nativeInt with counts that are no integers.
func nativeFloat(s *request) *dto.Histogram {
	n := float64(s.life())
	return &dto.Histogram{
		Schema: new(int32(-1)), ZeroThreshold: new(2.938735877055719e-39), ZeroCountFloat: new(n / 2),
		PositiveSpan: spans(0, 3), PositiveCount: []float64{n, n + 0.5, 0.25},
		NegativeSpan: spans(4, 1), NegativeCount: []float64{n / 4},
		SampleCountFloat: new(n/2 + n + n + 0.75 + n/4), SampleSum: new(-3.25 * n),
	}
}

// bothForms is a histogram in its native and its classic form.
func bothForms(s *request) *dto.Histogram {
	h := nativeInt(s)
	h.Bucket = classicBuckets(s)
	return h
}

func classicBuckets(s *request) []*dto.Bucket {
	n := uint64(s.life())
	var buckets []*dto.Bucket
	for i, bound := range []float64{0.5, 1, 2.5} {
		e := exemplarOf(s, bound-0.1, -250)
		e.Label[0].Value = new(fmt.Sprintf("bucket %d of %d", i, s.K))
		buckets = append(buckets, &dto.Bucket{UpperBound: new(bound), CumulativeCount: new(n * uint64(i+1)), Exemplar: e})
	}
	return buckets
}

func spans(offsetsAndLengths ...int32) []*dto.BucketSpan {
	var all []*dto.BucketSpan
	for i := 0; i < len(offsetsAndLengths); i += 2 {
		all = append(all, &dto.BucketSpan{Offset: new(offsetsAndLengths[i]), Length: new(uint32(offsetsAndLengths[i+1]))})
	}
	return all
}

// exemplarOf is an exemplar of this request.
func exemplarOf(s *request, v float64, offsetMs int64) *dto.Exemplar {
	e := &dto.Exemplar{Label: pairs("trace_id", fmt.Sprintf("t%d", s.K)), Value: new(v)}
	e.Timestamp = timeOf(s.stamp(offsetMs))
	return e
}

// timeOf is a time in ms as protobuf has it.
func timeOf(ms int64) *timestamppb.Timestamp {
	return &timestamppb.Timestamp{Seconds: ms / 1000, Nanos: int32(ms%1000) * 1e6}
}
