package remotewrite

import (
	"encoding/binary"
	"math"

	"kinglet"
)

// Fields of the message Histogram (RW-93).
const (
	tagCountInt       = 1<<3 | wireVarint
	tagCountFloat     = 2<<3 | wireFixed64
	tagSum            = 3<<3 | wireFixed64
	tagSchema         = 4<<3 | wireVarint
	tagZeroThreshold  = 5<<3 | wireFixed64
	tagZeroCountInt   = 6<<3 | wireVarint
	tagZeroCountFloat = 7<<3 | wireFixed64
	tagNegativeSpans  = 8<<3 | wireBytes
	tagNegativeDeltas = 9<<3 | wireBytes
	tagNegativeCounts = 10<<3 | wireBytes
	tagPositiveSpans  = 11<<3 | wireBytes
	tagPositiveDeltas = 12<<3 | wireBytes
	tagPositiveCounts = 13<<3 | wireBytes
	tagResetHint      = 14<<3 | wireVarint
	tagHistogramTime  = 15<<3 | wireVarint
	tagCustomValues   = 16<<3 | wireBytes  // not in 1.0; two bytes
	tagHistogramStart = 17<<3 | wireVarint // likewise

	tagSpanOffset = 1<<3 | wireVarint
	tagSpanLength = 2<<3 | wireVarint

	resetHintGauge = 3 // RW-98
)

// StaleMarker is the stale marker of a histogram like h (RW-53), nil if that is
// the one of most: of integers, and with buckets that 1.0 can carry.
func StaleMarker(h *kinglet.Histogram) *kinglet.Histogram {
	switch {
	case h.Schema == schemaCustom:
		return &kinglet.Histogram{Sum: kinglet.Stale(), Float: h.Float, Schema: schemaCustom}
	case h.Float:
		return &kinglet.Histogram{Sum: kinglet.Stale(), Float: true}
	}
	return nil
}

// appendHistogram appends the message Histogram. Counts are always written,
// since which of the two forms they take tells the kind of histogram (RW-94).
func appendHistogram(dst []byte, h *kinglet.Histogram, atMs, startMs int64) []byte {
	if h.Float {
		dst = appendDouble(dst, tagCountFloat, h.CountFloat)
	} else {
		dst = appendVarint(dst, tagCountInt, h.Count)
	}
	dst = appendDouble(dst, tagSum, h.Sum)
	dst = appendVarint(dst, tagSchema, zigzag(int64(h.Schema)))
	dst = appendDouble(dst, tagZeroThreshold, h.ZeroThreshold)
	if h.Float {
		dst = appendDouble(dst, tagZeroCountFloat, h.ZeroCountFloat)
	} else {
		dst = appendVarint(dst, tagZeroCountInt, h.ZeroCount)
	}
	dst = appendSide(dst, h.NegativeSpans, h.NegativeDeltas, h.NegativeCounts, tagNegativeSpans, tagNegativeDeltas, tagNegativeCounts)
	dst = appendSide(dst, h.PositiveSpans, h.PositiveDeltas, h.PositiveCounts, tagPositiveSpans, tagPositiveDeltas, tagPositiveCounts)
	if h.Gauge {
		dst = appendVarint(dst, tagResetHint, resetHintGauge)
	}
	dst = appendVarint(dst, tagHistogramTime, uint64(atMs))
	if len(h.CustomValues) > 0 {
		dst = appendDoubles(dst, tagCustomValues, h.CustomValues)
	}
	if startMs != 0 {
		dst = binary.AppendUvarint(binary.AppendUvarint(dst, tagHistogramStart), uint64(startMs))
	}
	return dst
}

func appendSide(dst []byte, spans []kinglet.Span, deltas []int64, counts []float64, spanTag, deltaTag, countTag byte) []byte {
	for _, s := range spans {
		offset, length := zigzag(int64(s.Offset)), uint64(s.Length)
		dst = append(dst, spanTag, byte(2+varintSize(offset)+varintSize(length)))
		dst = appendVarint(dst, tagSpanOffset, offset)
		dst = appendVarint(dst, tagSpanLength, length)
	}
	if len(deltas) > 0 {
		size := 0
		for _, d := range deltas {
			size += varintSize(zigzag(d))
		}
		dst = binary.AppendUvarint(append(dst, deltaTag), uint64(size))
		for _, d := range deltas {
			dst = binary.AppendUvarint(dst, zigzag(d))
		}
	}
	return appendDoubles(dst, uint64(countTag), counts)
}

func appendDoubles(dst []byte, tag uint64, values []float64) []byte {
	if len(values) == 0 {
		return dst
	}
	dst = binary.AppendUvarint(binary.AppendUvarint(dst, tag), uint64(8*len(values)))
	for _, v := range values {
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(v))
	}
	return dst
}
