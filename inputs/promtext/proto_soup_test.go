package promtext

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	dto "github.com/prometheus/client_model/go"
)

// protoSoup makes families at random, most of them sensible.
type protoSoup struct {
	*rand.Rand
	native bool // histograms of this page
}

// maybe is f's result, three times of four.
func maybe[T any](s protoSoup, f func() *T) *T {
	if s.IntN(4) == 0 {
		return nil
	}
	return f()
}

func (s protoSoup) number() *float64 {
	return maybe(s, func() *float64 {
		numbers := []float64{0, 0, 1, 2, 0.5, -1, 1e300, math.Inf(1), math.Inf(-1), math.NaN(), math.Float64frombits(0x7ff0000000000002), math.Copysign(0, -1)}
		return new(numbers[s.IntN(len(numbers))])
	})
}

func (s protoSoup) count() *uint64 {
	return maybe(s, func() *uint64 { return new(s.Uint64N(6)) })
}

// time sets a timestamp, whose type is of a module that kinglet need not name.
func (s protoSoup) time(set func(seconds int64, nanos int32)) {
	if s.IntN(4) > 0 {
		set(s.Int64N(3), s.Int32N(2_000_000_000)-500_000_000)
	}
}

// fresh is a new value of the type that p points to.
func fresh[T any](*T) *T { return new(T) }

func (s protoSoup) labels() (out []*dto.LabelPair) {
	names := []string{"a", "b", "c.d", "le", "quantile", "a", "é"}
	for range s.IntN(3) {
		out = append(out, pairs(names[s.IntN(len(names))], []string{"", "1", "é\n", "x"}[s.IntN(4)])...)
	}
	if s.IntN(60) == 0 {
		out = append(out, pairs([]string{"", "__name__"}[s.IntN(2)], "1")...)
	}
	return out
}

func (s protoSoup) exemplar() *dto.Exemplar {
	return maybe(s, func() *dto.Exemplar {
		e := &dto.Exemplar{Label: s.labels(), Value: s.number()}
		s.time(func(seconds int64, nanos int32) {
			e.Timestamp = fresh(e.Timestamp)
			e.Timestamp.Seconds, e.Timestamp.Nanos = seconds, nanos
		})
		return e
	})
}

func (s protoSoup) side(h *dto.Histogram) (spans []*dto.BucketSpan, deltas []int64, counts []float64) {
	buckets := 0
	for i := range s.IntN(4) {
		span := &dto.BucketSpan{Offset: new(s.Int32N(4)), Length: new(s.Uint32N(4))}
		if i == 0 {
			*span.Offset -= 2
		}
		if s.IntN(40) == 0 {
			*span.Offset = -1
		}
		buckets += int(span.GetLength())
		spans = append(spans, span)
	}
	if s.IntN(40) == 0 {
		buckets++
	}
	var before int64
	for range buckets {
		count := s.Int64N(4) * s.Int64N(2)
		if s.IntN(80) == 0 {
			count = -1
		}
		deltas = append(deltas, count-before)
		counts = append(counts, float64(count)/2)
		before = count
		if s.IntN(80) > 0 {
			*h.SampleCount += uint64(count)
		}
	}
	return spans, deltas, counts
}

func (s protoSoup) histogram() *dto.Histogram {
	return maybe(s, func() *dto.Histogram {
		h := &dto.Histogram{SampleCount: new(uint64(0)), SampleSum: s.number()}
		s.time(func(seconds int64, nanos int32) {
			h.CreatedTimestamp = fresh(h.CreatedTimestamp)
			h.CreatedTimestamp.Seconds, h.CreatedTimestamp.Nanos = seconds, nanos
		})
		if s.native {
			schemas := []int32{-4, 0, 3, 8, 9, 20, 52, -5, 53}
			h.Schema = new(schemas[s.IntN(7+s.IntN(3))])
			h.ZeroThreshold = new([]float64{0, 0.001}[s.IntN(2)])
			h.ZeroCount = new(s.Uint64N(3))
			*h.SampleCount += *h.ZeroCount
			h.PositiveSpan, h.PositiveDelta, h.PositiveCount = s.side(h)
			h.NegativeSpan, h.NegativeDelta, h.NegativeCount = s.side(h)
			if s.IntN(3) == 0 {
				h.SampleCountFloat, h.ZeroCountFloat = s.number(), s.number()
			}
		}
		for range s.IntN(4) {
			h.Bucket = append(h.Bucket, &dto.Bucket{CumulativeCount: s.count(), CumulativeCountFloat: s.number(), UpperBound: s.number(), Exemplar: s.exemplar()})
		}
		for range s.IntN(3) {
			if e := s.exemplar(); e != nil {
				h.Exemplars = append(h.Exemplars, e)
			}
		}
		return h
	})
}

func (s protoSoup) metric() *dto.Metric {
	m := &dto.Metric{Label: s.labels(), Histogram: s.histogram()}
	m.Gauge = maybe(s, func() *dto.Gauge { return &dto.Gauge{Value: s.number()} })
	m.Untyped = maybe(s, func() *dto.Untyped { return &dto.Untyped{Value: s.number()} })
	m.Counter = maybe(s, func() *dto.Counter {
		c := &dto.Counter{Value: s.number(), Exemplar: s.exemplar()}
		s.time(func(seconds int64, nanos int32) {
			c.CreatedTimestamp = fresh(c.CreatedTimestamp)
			c.CreatedTimestamp.Seconds, c.CreatedTimestamp.Nanos = seconds, nanos
		})
		return c
	})
	m.Summary = maybe(s, func() *dto.Summary {
		out := &dto.Summary{SampleCount: s.count(), SampleSum: s.number()}
		s.time(func(seconds int64, nanos int32) {
			out.CreatedTimestamp = fresh(out.CreatedTimestamp)
			out.CreatedTimestamp.Seconds, out.CreatedTimestamp.Nanos = seconds, nanos
		})
		for range s.IntN(3) {
			out.Quantile = append(out.Quantile, &dto.Quantile{Quantile: s.number(), Value: s.number()})
		}
		return out
	})
	if s.IntN(3) == 0 {
		m.TimestampMs = new(s.Int64N(3) - 1)
	}
	return m
}

func (s protoSoup) page(t testing.TB) []byte {
	f := family([]string{"a", "b.c", "le"}[s.IntN(3)], dto.MetricType(s.IntN(6)))
	if s.IntN(2) == 0 {
		f.Type = new(dto.MetricType_HISTOGRAM)
	}
	s.native = s.IntN(3) > 0
	for range s.IntN(4) {
		f.Metric = append(f.Metric, s.metric())
	}
	page := encode(t, f)
	if s.IntN(4) > 0 {
		return page
	}
	_, width := varint(page)
	message := page[width:] // garble some bytes, and say how many there are
	for range 1 + s.IntN(3) {
		at := s.IntN(len(message))
		switch s.IntN(3) {
		case 0:
			message[at] = byte(s.Uint32())
		case 1:
			message[at] ^= 1 << s.IntN(8)
		case 2:
			message = append(message[:at:at], message[min(at+1+s.IntN(3), len(message)):]...)
		}
		if len(message) == 0 {
			break
		}
	}
	return append(binary.AppendUvarint(nil, uint64(len(message))), message...)
}

func TestGarbledProtobufReadsAsPrometheusReadsIt(t *testing.T) {
	soup := protoSoup{Rand: rand.New(rand.NewPCG(7, 8))}
	for range 4_000 {
		checkProto(t, soup.page(t))
	}
}

func TestEqualKeysAreEqualLabelsAndKinds(t *testing.T) {
	soup := protoSoup{Rand: rand.New(rand.NewPCG(13, 14))}
	known := map[string]string{}
	for range 3_000 {
		err := Parse(soup.page(t), Protobuf, Options{ClassicToo: true}, func(s *Sample) error {
			labels, err := s.AppendLabels(nil)
			if err != nil {
				return err
			}
			text := fmt.Sprint(labelText(labels), " a histogram: ", s.Histogram != nil)
			if before, ok := known[string(s.Series)]; ok && before != text {
				t.Errorf("key %q is of %s and of %s", s.Series, before, text)
			}
			known[string(s.Series)] = text
			return nil
		})
		if err == nil && len(known) == 0 {
			t.Fatal("no samples")
		}
	}
}
