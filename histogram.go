package kinglet

// Histogram is one native histogram sample (RW-93 to RW-98). An integer
// histogram uses Count, ZeroCount and the deltas; a float histogram has Float
// set and uses CountFloat, ZeroCountFloat and the absolute counts.
type Histogram struct {
	Float          bool
	Count          uint64
	CountFloat     float64
	Sum            float64
	Schema         int32 // -4 to 8, or -53 for custom buckets
	ZeroThreshold  float64
	ZeroCount      uint64
	ZeroCountFloat float64

	PositiveSpans, NegativeSpans   []Span
	PositiveDeltas, NegativeDeltas []int64
	PositiveCounts, NegativeCounts []float64

	Gauge        bool      // reset hint GAUGE; otherwise the hint is left unspecified
	CustomValues []float64 // upper bounds, strictly increasing, without +Inf; schema -53 only
}

// Span is a run of buckets that follow each other.
type Span struct {
	Offset int32 // gap to the span before; absolute for the first
	Length uint32
}

// Exemplar points from a sample to a trace.
type Exemplar struct {
	Column      int     // of the row it stands in
	Labels      []Label // sorted by name, unique; kept as the page has them
	Value       float64
	TimestampMs int64 // milliseconds since the Unix epoch
}
