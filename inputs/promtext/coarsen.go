package promtext

import "kinglet"

// Buckets is how many buckets a native histogram holds, the zero bucket not
// counted.
func Buckets(h *kinglet.Histogram) int {
	return len(h.PositiveDeltas) + len(h.PositiveCounts) + len(h.NegativeDeltas) + len(h.NegativeCounts)
}

// Coarsen makes the buckets of h, which must be well formed, twice as wide. It
// reports false, and leaves h alone, if there is no coarser schema: below -4,
// and for custom buckets.
func Coarsen(h *kinglet.Histogram) bool {
	if h.Schema <= minSchema {
		return false
	}
	h.Schema--
	if h.Float {
		h.PositiveSpans, h.PositiveCounts = coarser(h.PositiveSpans, h.PositiveCounts)
		h.NegativeSpans, h.NegativeCounts = coarser(h.NegativeSpans, h.NegativeCounts)
		return true
	}
	positive, negative := deltaCounts(h.PositiveDeltas), deltaCounts(h.NegativeDeltas)
	h.PositiveSpans, positive = coarser(h.PositiveSpans, positive)
	h.NegativeSpans, negative = coarser(h.NegativeSpans, negative)
	h.PositiveDeltas, h.NegativeDeltas = deltas(positive), deltas(negative)
	return true
}

func coarser[N int64 | float64](spans []kinglet.Span, counts []N) ([]kinglet.Span, []N) {
	half, _ := compact(spans, counts, 1) // which finds no fault in what it made
	return half.spans, half.counts
}
