//go:build e2e

package rules

import (
	"fmt"
	"slices"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/prometheus/prompb"
)

// nativeJob scrapes protobuf and takes native histograms.
var nativeJob = Job{Protocols: []string{"PrometheusProto", "OpenMetricsText1.0.0", "PrometheusText0.0.4"}, Native: true}

// Section K: native histograms.
func TestHistograms(t *testing.T) {
	t.Parallel()
	for _, message := range []string{"1.0", "2.0"} {
		scene := func(rule, claim string, f *dto.MetricFamily, want ...Want) {
			check(t, rule, claim+", in "+message, Case{
				Scrapes: []Page{protobufPage(f)}, Job: nativeJob, Writer: Writer{Message: message, Native: true},
				Features: []string{"native-histograms"}, Want: append(want, spoken(message)),
			})
		}
		ints, floats := histogramFamily(dto.MetricType_HISTOGRAM, nativeInt()), histogramFamily(dto.MetricType_HISTOGRAM, nativeFloat())
		scene("RW-93", "a native histogram arrives field by field", ints, histogram(func(h *prompb.Histogram) error {
			ok := h.GetCountInt() == 7 && h.Sum == 18.5 && h.Schema == 3 && h.ZeroThreshold == 0.001 && h.GetZeroCountInt() == 1 &&
				slices.Equal(h.PositiveDeltas, []int64{1, 1, -1}) && slices.Equal(h.NegativeDeltas, []int64{1, 0}) &&
				len(h.PositiveSpans) == 2 && h.PositiveSpans[0].Offset == 2 && h.PositiveSpans[1].Offset == 3 && h.NegativeSpans[0].Offset == -1
			if !ok {
				return fmt.Errorf("got %+v", h)
			}
			return nil
		}), everyRequest(func(r Request) error {
			fields := map[string][]int{"request": {1, 3}, "request.1": {1, 2, 4}, "request.1.4": upTo(16)}
			if r.V2 {
				fields = map[string][]int{"request": {4, 5}, "request.5": {1, 2, 3, 5}, "request.5.3": upTo(17)}
			}
			return onlyFields(r.Proto, "request", fields)
		}))
		scene("RW-94", "an integer histogram has counts and deltas as integers", ints, histogram(func(h *prompb.Histogram) error {
			_, count := h.Count.(*prompb.Histogram_CountInt)
			_, zero := h.ZeroCount.(*prompb.Histogram_ZeroCountInt)
			if !count || !zero || len(h.PositiveCounts)+len(h.NegativeCounts) > 0 {
				return fmt.Errorf("mixed: %+v", h)
			}
			return nil
		}))
		scene("RW-94", "a float histogram has absolute counts", floats, histogram(func(h *prompb.Histogram) error {
			ok := h.GetCountFloat() == 7.5 && h.GetZeroCountFloat() == 1.5 && slices.Equal(h.PositiveCounts, []float64{1, 2, 1}) &&
				slices.Equal(h.NegativeCounts, []float64{1, 1}) && len(h.PositiveDeltas)+len(h.NegativeDeltas) == 0
			if !ok {
				return fmt.Errorf("got %+v", h)
			}
			return nil
		}))
		odd := nativeInt()
		odd.Schema = ptr[int32](60)
		scene("RW-95", "an unknown schema fails the scrape", histogramFamily(dto.MetricType_HISTOGRAM, odd), values("up", 0, 0), none("h"))
		scene("RW-96", "spans cover exactly the buckets", ints, histogram(func(h *prompb.Histogram) error {
			length := func(spans []prompb.BucketSpan) (n int) {
				for _, s := range spans {
					n += int(s.Length)
				}
				return n
			}
			if length(h.PositiveSpans) != len(h.PositiveDeltas) || length(h.NegativeSpans) != len(h.NegativeDeltas) {
				return fmt.Errorf("got %+v", h)
			}
			return nil
		}))
		scene("RW-98", "a gauge histogram says so", histogramFamily(dto.MetricType_GAUGE_HISTOGRAM, nativeInt()), histogram(func(h *prompb.Histogram) error {
			if h.ResetHint != prompb.Histogram_GAUGE {
				return fmt.Errorf("reset hint %v", h.ResetHint)
			}
			return nil
		}))
		scene("RW-98", "another leaves the hint unspecified", ints, histogram(func(h *prompb.Histogram) error {
			if h.ResetHint != prompb.Histogram_UNKNOWN {
				return fmt.Errorf("reset hint %v", h.ResetHint)
			}
			return nil
		}))
		scene("RW-100", "of both forms the native one is taken", histogramFamily(dto.MetricType_HISTOGRAM, withClassic(nativeInt())),
			isHistogram("h"), none("h_bucket", "h_count"))
		scene("RW-100", "without span and zero bucket it is a classic one",
			histogramFamily(dto.MetricType_HISTOGRAM, withClassic(&dto.Histogram{SampleCount: ptr[uint64](7), SampleSum: ptr(18.5)})),
			values(`h_bucket{le="2.5"}`, 5), values("h_count", 7), values("h_sum", 18.5), values(`h_bucket{le="+Inf"}`, 7), none("h"))
		noOp := &dto.Histogram{
			SampleCount: ptr[uint64](0), SampleSum: ptr(0.0), Schema: ptr[int32](3),
			PositiveSpan: []*dto.BucketSpan{{Offset: ptr[int32](0), Length: ptr[uint32](0)}},
		}
		scene("RW-100", "an empty span makes it native", histogramFamily(dto.MetricType_HISTOGRAM, noOp), isHistogram("h"), none("h_count"))
	}
	customBuckets(t)
}

func customBuckets(t *testing.T) {
	page := text("# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"5\"} 3\nh_bucket{le=\"+Inf\"} 4\nh_sum 12\nh_count 4\n")
	check(t, "RW-97", "custom buckets carry their bounds without +Inf, positive side only", Case{
		Scrapes: page, Job: Job{ToNHCB: true, Native: true}, Writer: Writer{Message: "2.0", Native: true}, Features: []string{"native-histograms"},
		Want: []Want{histogram(func(h *prompb.Histogram) error {
			ok := h.Schema == -53 && slices.Equal(h.CustomValues, []float64{1, 5}) && len(h.NegativeSpans) == 0 && h.GetZeroCountInt() == 0 &&
				h.GetCountInt() == 4 && h.Sum == 12
			if !ok {
				return fmt.Errorf("got %+v", h)
			}
			return nil
		})},
	})
	check(t, "RW-99", "turned into custom buckets, the classic series are gone", Case{
		Scrapes: page, Job: Job{ToNHCB: true, Native: true}, Writer: Writer{Message: "2.0", Native: true}, Features: []string{"native-histograms"},
		Want: []Want{isHistogram("h"), none("h_bucket", "h_sum", "h_count")},
	})
	check(t, "RW-99", "unless they are wanted beside", Case{
		Scrapes: page, Job: Job{ToNHCB: true, Native: true, Classic: true}, Writer: Writer{Message: "2.0", Native: true}, Features: []string{"native-histograms"},
		Want: []Want{isHistogram("h"), values("h_count", 4), values(`h_bucket{le="+Inf"}`, 4)},
	})
	check(t, "RW-99", "off by default", Case{
		Scrapes: page, Writer: Writer{Message: "2.0"}, Want: []Want{none("h"), values("h_count", 4), values(`h_bucket{le="+Inf"}`, 4)},
	})
}

// histogram holds if h arrived as native histograms that f accepts.
func histogram(f func(h *prompb.Histogram) error) Want {
	return func(w *World) error {
		got, err := w.one("h")
		if err != nil {
			return err
		}
		for _, s := range got {
			if s.Hist == nil {
				return fmt.Errorf("h has a float sample")
			}
			if err := f(s.Hist); err != nil {
				return err
			}
		}
		return nil
	}
}

// isHistogram holds if the selected series arrived as native histograms.
func isHistogram(selector string) Want {
	return func(w *World) error {
		got, err := w.one(selector)
		if err != nil {
			return err
		}
		if got[0].Hist == nil {
			return fmt.Errorf("%s is no native histogram", selector)
		}
		return nil
	}
}

func upTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i + 1
	}
	return all
}
