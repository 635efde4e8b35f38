// Package kinglet holds the words that every room of the program shares: a
// label, a series, a shape (the list of series a target exposes), a row (one
// value per series of a shape) and the sink that takes rows. It has no
// behaviour beyond keeping these values well formed, and depends on the
// standard library and a compressor alone.
package kinglet

import (
	"context"
	"math"
)

// Label is one name and value of a series.
type Label struct{ Name, Value string }

// MetricNameLabel is the name of the label that holds a series' metric name.
const MetricNameLabel = "__name__"

// The float64 bit patterns that carry a meaning of their own. They are told
// apart by their bits, never by "is NaN", and must not pass through arithmetic.
const (
	// NaNBits is the one quiet NaN that every NaN of a page becomes (RW-38).
	NaNBits uint64 = 0x7ff8000000000001
	// StaleBits ends a series (RW-39).
	StaleBits uint64 = 0x7ff0000000000002
	// AbsentBits says that a column has no sample in this row. It never leaves
	// the writer.
	AbsentBits uint64 = 0x7ff0000000000003
)

// NaN is the canonical quiet NaN.
func NaN() float64 { return math.Float64frombits(NaNBits) }

// Stale is the marker that ends a series.
func Stale() float64 { return math.Float64frombits(StaleBits) }

// Absent stands in a row where a column has no sample.
func Absent() float64 { return math.Float64frombits(AbsentBits) }

// IsStale reports whether v is the stale marker.
func IsStale(v float64) bool { return math.Float64bits(v) == StaleBits }

// IsAbsent reports whether v says "no sample".
func IsAbsent(v float64) bool { return math.Float64bits(v) == AbsentBits }

// NoTime, in Row.TimesMs, says that a column takes the row's own timestamp.
const NoTime int64 = math.MinInt64

// Row is one round of values of a shape: what a scrape found, or a part of it.
// Whoever holds a row owns its slices; the shape is shared and immutable.
type Row struct {
	Shape       *Shape
	TimestampMs int64     // milliseconds since the Unix epoch; the start of the scrape
	Values      []float64 // one per column of the shape; see Stale and Absent

	// Target tells what was scraped from all else that is, and is the same after
	// a restart; 0 if nothing was. Rows of one target and one timestamp are one
	// scrape.
	Target uint64

	// TimesMs is nil, or holds for each column the timestamp that the page gave
	// (milliseconds since the Unix epoch), or NoTime.
	TimesMs []int64
	// Histograms is nil, or holds for each column of kind KindHistogram its
	// native histogram; nil with a stale value is a stale histogram.
	Histograms []*Histogram
	// StartsMs is nil, or holds for each column the start ("created")
	// timestamp in milliseconds since the Unix epoch, 0 for unknown.
	StartsMs []int64
	// Exemplars of this round, in column order.
	Exemplars []Exemplar
}

// Samples is the number of samples in the row: its columns less the absent ones.
func (r *Row) Samples() int {
	n := len(r.Values)
	for _, v := range r.Values {
		if IsAbsent(v) {
			n--
		}
	}
	return n
}

// Sink takes finished rows from the inputs.
type Sink interface {
	// Push takes ownership of rows, which are the parts of one scrape and are
	// kept next to each other on the wire where they fit; the caller must not
	// touch them again. It blocks while the buffer is full and returns
	// ctx.Err() if ctx ends first, in which case none of the rows was taken.
	// More rows than the buffer holds are taken when it is empty.
	Push(ctx context.Context, rows ...*Row) error
}
