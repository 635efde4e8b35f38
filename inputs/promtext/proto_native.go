package promtext

import (
	"math"

	"kinglet"
)

// Schemas of native histograms. Finer ones than the highest that receivers
// take are reduced to it (RW-95).
const (
	minSchema      = -4
	maxSchema      = 8
	reservedSchema = 52
)

const (
	indexWanted    = "want bucket indexes of a native histogram that fit 32 bits"
	spansWanted    = "want spans of a native histogram that fit its buckets"
	negativeWanted = "want a native histogram without negative counts"
)

// native reports whether the message has a native form (RW-100).
func (h *protoHistogram) native() bool {
	return len(h.positive.spans) > 0 || len(h.negative.spans) > 0 || h.zeroThreshold > 0 || h.zeroCount > 0
}

// giveNative gives the native form, with its exemplars: those of its own, or
// else those of the classic buckets. One without a time is dropped (RW-89).
func (p *protoReader) giveNative(h *protoHistogram) error {
	histogram, problem := h.build(p.family.typ == protoGaugeHistogram)
	if problem != "" {
		return p.opts.badLine(syntax(p.family.name, problem), 0, nil)
	}
	p.name("", "", 0)
	p.key = append(p.key, 0xfc) // not the key of a number with these labels
	p.sample.Series = p.key
	p.sample.Value, p.sample.Histogram = 0, histogram
	p.sample.Exemplars = p.sample.Exemplars[:0]
	for _, e := range h.exemplars {
		p.addTimed(e)
	}
	if len(h.exemplars) == 0 {
		for _, b := range h.buckets {
			p.addTimed(b.exemplar)
		}
	}
	return p.emit(&p.sample)
}

func (p *protoReader) addTimed(exemplar []byte) {
	if exemplar == nil || p.opts.NoExemplars {
		return
	}
	if e, timed := decodeExemplar(exemplar, kinglet.NoTime); timed && finishExemplar(&e) {
		p.sample.Exemplars = append(p.sample.Exemplars, e)
	}
}

// build makes the histogram, and says what is wrong with it, or "". The
// histogram shares no memory with the message.
func (h *protoHistogram) build(gauge bool) (*kinglet.Histogram, string) {
	shift := 0
	if h.schema > maxSchema && h.schema <= reservedSchema {
		shift = int(h.schema - maxSchema)
	} else if h.schema < minSchema || h.schema > maxSchema {
		return nil, "want a native histogram of schema -4 to 8"
	}
	out := &kinglet.Histogram{
		Schema: h.schema - int32(shift), Sum: canonical(h.sum), ZeroThreshold: h.zeroThreshold, Gauge: gauge,
	}
	if h.countFloat > 0 || h.zeroCountFloat > 0 {
		return out, h.buildFloat(out, shift)
	}
	out.Count, out.ZeroCount = h.count, h.zeroCount
	positive, problem := compact(h.positive.spans, deltaCounts(h.positive.deltas), shift)
	if problem != "" {
		return nil, problem
	}
	negative, problem := compact(h.negative.spans, deltaCounts(h.negative.deltas), shift)
	if problem != "" {
		return nil, problem
	}
	total := uint64(positive.total) + uint64(negative.total) + h.zeroCount
	if total > h.count || total < h.count && !math.IsNaN(h.sum) {
		return nil, "want a native histogram whose buckets add up to its count"
	}
	out.PositiveSpans, out.PositiveDeltas = positive.spans, deltas(positive.counts)
	out.NegativeSpans, out.NegativeDeltas = negative.spans, deltas(negative.counts)
	return out, ""
}

func (h *protoHistogram) buildFloat(out *kinglet.Histogram, shift int) string {
	out.Float, out.CountFloat, out.ZeroCountFloat = true, h.countFloat, h.zeroCountFloat
	if h.countFloat < 0 || h.zeroCountFloat < 0 {
		return negativeWanted
	}
	positive, problem := compact(h.positive.spans, h.positive.counts, shift)
	if problem != "" {
		return problem
	}
	negative, problem := compact(h.negative.spans, h.negative.counts, shift)
	if problem != "" {
		return problem
	}
	out.PositiveSpans, out.PositiveCounts = positive.spans, positive.counts
	out.NegativeSpans, out.NegativeCounts = negative.spans, negative.counts
	return ""
}

// deltaCounts turns differences between buckets into counts.
func deltaCounts(deltas []int64) []int64 {
	counts := make([]int64, len(deltas))
	var count int64
	for i, d := range deltas {
		count += d
		counts[i] = count
	}
	return counts
}

// deltas turns counts into differences between buckets, in place.
func deltas(counts []int64) []int64 {
	var before int64
	for i, count := range counts {
		counts[i] = count - before
		before = count
	}
	return counts
}

// side is one half of a native histogram without its empty buckets.
type side[N int64 | float64] struct {
	spans  []kinglet.Span
	counts []N
	total  N
	last   int64 // index of the last bucket
}

// compact checks that spans and counts fit (RW-96), leaves out the empty
// buckets, joins spans that touch, and makes buckets 2^shift times as wide. It
// says what is wrong, or "".
func compact[N int64 | float64](spans []kinglet.Span, counts []N, shift int) (side[N], string) {
	var out side[N]
	var described uint64
	for _, span := range spans {
		described += uint64(span.Length)
	}
	if described != uint64(len(counts)) {
		return out, spansWanted
	}
	var index int64                // of the bucket in hand
	before := int64(math.MinInt64) // index of the last one that was not empty
	for _, span := range spans {
		index += int64(span.Offset)
		for _, count := range counts[:span.Length] {
			switch {
			case count < 0:
				return out, negativeWanted
			case count != 0 && index <= before:
				return out, "want spans of a native histogram that do not overlap"
			case count != 0 && index != int64(int32(index)):
				return out, indexWanted
			case count != 0:
				out.add(wider(index, shift), count)
				before = index
			}
			index++
		}
		counts = counts[span.Length:]
	}
	return out, ""
}

// add puts a bucket behind those there are.
func (s *side[N]) add(index int64, count N) {
	s.total += count
	switch {
	case len(s.spans) == 0:
		s.spans = append(s.spans, kinglet.Span{Offset: int32(index), Length: 1})
	case index == s.last:
		s.counts[len(s.counts)-1] += count
		return
	case index == s.last+1:
		s.spans[len(s.spans)-1].Length++
	default:
		s.spans = append(s.spans, kinglet.Span{Offset: int32(index - s.last - 1), Length: 1})
	}
	s.counts = append(s.counts, count)
	s.last = index
}

// wider is the bucket that holds the bucket of that index when each is 2^shift
// times as wide: bucket i ends at base^i, itself included.
func wider(index int64, shift int) int64 {
	if shift == 0 {
		return index
	}
	return (index-1)>>shift + 1
}
