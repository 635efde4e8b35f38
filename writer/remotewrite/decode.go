package remotewrite

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/klauspost/compress/s2"

	"kinglet"
	"kinglet/writer/queue"
)

// Series is one decoded time series of a message.
type Series struct {
	Labels     []kinglet.Label
	Samples    []Sample
	Histograms []HistogramSample
	Exemplars  []kinglet.Exemplar // Column is 0
}

// Sample is one decoded value.
type Sample struct {
	Value       float64
	TimestampMs int64 // ms since the Unix epoch
}

// HistogramSample is one decoded native histogram.
type HistogramSample struct {
	Histogram   kinglet.Histogram
	TimestampMs int64
}

// maxDecoded is the most that Decode unpacks; it is what receivers take.
const maxDecoded = 32 << 20

// Decode reads the body of a 1.0 request: what AppendBody makes. It is for
// showing what would be sent, not for the path of samples.
func Decode(body []byte) ([]Series, error) {
	if n, err := s2.DecodedLen(body); err != nil || n > maxDecoded {
		return nil, fmt.Errorf("unpack request of %d bytes: too large or damaged", len(body))
	}
	raw, err := s2.Decode(nil, body)
	if err != nil {
		return nil, fmt.Errorf("unpack request of %d bytes: %w", len(body), err)
	}
	var all []Series
	for len(raw) > 0 {
		var f field
		if f, raw, err = cutField(raw); err != nil {
			return nil, err
		}
		if f.tag != tagTimeSeries {
			continue
		}
		s, err := decodeSeries(f.data)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

func decodeSeries(message []byte) (s Series, err error) {
	for len(message) > 0 {
		var f field
		if f, message, err = cutField(message); err != nil {
			return s, err
		}
		switch f.tag {
		case tagSeriesLabels:
			l, err := decodeLabel(f.data)
			if err != nil {
				return s, err
			}
			s.Labels = append(s.Labels, l)
		case tagSeriesSamples:
			x, err := decodeSample(f.data)
			if err != nil {
				return s, err
			}
			s.Samples = append(s.Samples, x)
		case tagSeriesExemplars:
			x, err := decodeExemplar(f.data)
			if err != nil {
				return s, err
			}
			s.Exemplars = append(s.Exemplars, x)
		case tagSeriesHistograms:
			h, err := decodeHistogram(f.data)
			if err != nil {
				return s, err
			}
			s.Histograms = append(s.Histograms, h)
		}
	}
	return s, nil
}

func decodeLabel(message []byte) (l kinglet.Label, err error) {
	for len(message) > 0 {
		var f field
		if f, message, err = cutField(message); err != nil {
			return l, err
		}
		switch f.tag {
		case tagLabelName:
			l.Name = string(f.data)
		case tagLabelValue:
			l.Value = string(f.data)
		}
	}
	return l, nil
}

func decodeSample(message []byte) (s Sample, err error) {
	for len(message) > 0 {
		var f field
		if f, message, err = cutField(message); err != nil {
			return s, err
		}
		switch f.tag {
		case tagSampleValue:
			s.Value = math.Float64frombits(f.number)
		case tagSampleTime:
			s.TimestampMs = int64(f.number)
		}
	}
	return s, nil
}

func decodeExemplar(message []byte) (x kinglet.Exemplar, err error) {
	for len(message) > 0 {
		var f field
		if f, message, err = cutField(message); err != nil {
			return x, err
		}
		switch f.tag {
		case tagExemplarLabels:
			l, err := decodeLabel(f.data)
			if err != nil {
				return x, err
			}
			x.Labels = append(x.Labels, l)
		case tagExemplarValue:
			x.Value = math.Float64frombits(f.number)
		case tagExemplarTime:
			x.TimestampMs = int64(f.number)
		}
	}
	return x, nil
}

func decodeHistogram(message []byte) (s HistogramSample, err error) {
	h := &s.Histogram
	for len(message) > 0 {
		var f field
		if f, message, err = cutField(message); err != nil {
			return s, err
		}
		switch f.tag {
		case tagCountInt:
			h.Count = f.number
		case tagCountFloat:
			h.Float, h.CountFloat = true, math.Float64frombits(f.number)
		case tagSum:
			h.Sum = math.Float64frombits(f.number)
		case tagSchema:
			h.Schema = int32(unzigzag(f.number))
		case tagZeroThreshold:
			h.ZeroThreshold = math.Float64frombits(f.number)
		case tagZeroCountInt:
			h.ZeroCount = f.number
		case tagZeroCountFloat:
			h.ZeroCountFloat = math.Float64frombits(f.number)
		case tagNegativeSpans:
			h.NegativeSpans, err = appendSpan(h.NegativeSpans, f.data)
		case tagPositiveSpans:
			h.PositiveSpans, err = appendSpan(h.PositiveSpans, f.data)
		case tagNegativeDeltas:
			h.NegativeDeltas, err = decodeDeltas(f.data)
		case tagPositiveDeltas:
			h.PositiveDeltas, err = decodeDeltas(f.data)
		case tagNegativeCounts:
			h.NegativeCounts, err = decodeDoubles(f.data)
		case tagPositiveCounts:
			h.PositiveCounts, err = decodeDoubles(f.data)
		case tagResetHint:
			h.Gauge = f.number == resetHintGauge
		case tagCustomValues:
			h.CustomValues, err = decodeDoubles(f.data)
		case tagHistogramTime:
			s.TimestampMs = int64(f.number)
		}
		if err != nil {
			return s, err
		}
	}
	return s, nil
}

func appendSpan(spans []kinglet.Span, message []byte) ([]kinglet.Span, error) {
	var s kinglet.Span
	for len(message) > 0 {
		f, rest, err := cutField(message)
		if err != nil {
			return nil, err
		}
		switch message = rest; f.tag {
		case tagSpanOffset:
			s.Offset = int32(unzigzag(f.number))
		case tagSpanLength:
			s.Length = uint32(f.number)
		}
	}
	return append(spans, s), nil
}

func decodeDeltas(packed []byte) (deltas []int64, err error) {
	for len(packed) > 0 {
		x, n := binary.Uvarint(packed)
		if n <= 0 {
			return nil, errDamaged
		}
		deltas, packed = append(deltas, unzigzag(x)), packed[n:]
	}
	return deltas, nil
}

func decodeDoubles(packed []byte) ([]float64, error) {
	if len(packed)%8 != 0 {
		return nil, errDamaged
	}
	values := make([]float64, len(packed)/8)
	for i := range values {
		values[i] = math.Float64frombits(binary.LittleEndian.Uint64(packed[8*i:]))
	}
	return values, nil
}

// halve cuts a block in two of as many series, in order. It fails on a block
// of one series.
func halve(b queue.Block) (first, second queue.Block, err error) {
	raw, err := s2.Decode(nil, AppendBody(nil, []queue.Block{b}))
	if err != nil {
		return first, second, fmt.Errorf("unpack block of %d bytes: %w", len(b.Stream), err)
	}
	var ends []int
	for rest := raw; len(rest) > 0; ends = append(ends, len(raw)-len(rest)) {
		if _, rest, err = cutField(rest); err != nil {
			return first, second, err
		}
	}
	if len(ends) < 2 {
		return first, second, fmt.Errorf("halve block of %d series: want 2 or more", len(ends))
	}
	mid := len(ends) / 2
	part := func(raw []byte, series int) queue.Block {
		out := b
		out.Stream, _ = compress(raw, nil)
		out.RawLen, out.Samples = len(raw), series
		return out
	}
	cut := ends[mid-1]
	return part(raw[:cut], mid), part(raw[cut:], len(ends)-mid), nil
}
