package promtext

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"

	"kinglet"
)

// customSchema is that of native histograms whose buckets have any bounds.
const customSchema = -53

// customBuckets stands between a parser and the one it gives samples to, and
// turns the series of classic histograms into native histograms.
type customBuckets struct {
	opts   Options
	emit   func(*Sample) error
	labels []kinglet.Label // of the sample in hand
	bound  float64         // of the sample in hand, if it is a bucket
	key    []byte          // of the histogram that the sample in hand belongs to
	native []byte          // key of the last histogram that came in a native form

	open bool   // a histogram is being collected
	out  Sample // what it becomes
	base []kinglet.Label
	customHistogram
}

// customHistogram is a classic histogram as its series tell it.
type customHistogram struct {
	buckets    []customBucket // by bound
	count, sum float64
	counted    bool
	problem    string
}

type customBucket struct{ bound, count float64 }

// take is the emit of the parser.
func (c *customBuckets) take(s *Sample) error {
	suffix := c.suffixOf(s)
	if suffix == "" || string(c.key) == string(c.native) {
		if err := c.flush(); err != nil {
			return err
		}
		if s.Histogram != nil {
			c.native = append(c.native[:0], c.key...)
		}
		return c.emit(s)
	}
	if !c.open || string(c.key) != string(c.out.Series) {
		if err := c.flush(); err != nil {
			return err
		}
		c.begin(s)
	}
	c.collect(suffix, s)
	if c.opts.ClassicToo {
		return c.emit(s)
	}
	return nil
}

// suffixOf says which series of a classic histogram s is, "" for none, and
// makes the key of its histogram. Of other samples it makes nothing, but for
// those that are native histograms themselves.
func (c *customBuckets) suffixOf(s *Sample) string {
	c.key = c.key[:0]
	if s.family.typ != kinglet.TypeHistogram {
		return ""
	}
	meta := s.Meta()
	if meta == nil {
		return ""
	}
	labels, err := s.AppendLabels(c.labels[:0])
	if err != nil {
		return "" // for the receiver to find
	}
	c.labels = labels
	suffix := strings.TrimPrefix(labels[0].Value, meta.Family)
	switch {
	case s.Histogram != nil:
	case suffix == "_bucket":
		if c.bound, err = boundOf(labels); err != nil {
			return "" // as Prometheus: an ordinary series
		}
	case suffix == "_count", suffix == "_sum":
	default:
		return ""
	}
	c.labels = slices.DeleteFunc(labels, func(l kinglet.Label) bool { return suffix == "_bucket" && l.Name == "le" || l.Value == "" })
	c.labels[0].Value = meta.Family
	slices.SortFunc(c.labels[1:], func(a, b kinglet.Label) int { return cmp.Compare(a.Name, b.Name) })
	c.key = append(c.key, 0xfd) // no name of a series begins so
	for _, l := range c.labels {
		c.key = append(append(append(append(c.key, l.Name...), 0xff), l.Value...), 0xff)
	}
	if s.Histogram != nil {
		return ""
	}
	return suffix
}

// boundOf is the number in the label le.
func boundOf(labels []kinglet.Label) (float64, error) {
	i := slices.IndexFunc(labels, func(l kinglet.Label) bool { return l.Name == "le" })
	if i < 0 {
		return 0, strconv.ErrSyntax
	}
	bound, err := strconv.ParseFloat(labels[i].Value, 64)
	if err == nil && math.IsNaN(bound) {
		return 0, strconv.ErrRange
	}
	return bound, err
}

// begin starts to collect the histogram that s belongs to.
func (c *customBuckets) begin(s *Sample) {
	c.open = true
	c.customHistogram = customHistogram{buckets: c.buckets[:0]}
	c.base = append(c.base[:0], c.labels...)
	c.out = Sample{
		Series: append(c.out.Series[:0], c.key...), TimestampMs: s.TimestampMs, StartMs: s.StartMs,
		Exemplars: c.out.Exemplars[:0], Line: s.Line, source: c, family: s.family, meta: s.Meta(),
	}
}

// collect takes what one series says. An exemplar without a time is dropped,
// as of every native histogram (RW-89).
func (c *customBuckets) collect(suffix string, s *Sample) {
	for _, e := range s.Exemplars {
		if e.TimestampMs != kinglet.NoTime {
			c.out.Exemplars = append(c.out.Exemplars, e)
		}
	}
	switch suffix {
	case "_sum":
		c.sum = s.Value
	case "_count":
		c.count, c.counted = s.Value, true
	case "_bucket":
		c.addBucket(c.bound, s.Value)
	}
}

// addBucket puts a bucket in its place. Of two with one bound the first counts.
func (h *customHistogram) addBucket(bound, count float64) {
	i, found := slices.BinarySearchFunc(h.buckets, bound, func(b customBucket, bound float64) int { return cmp.Compare(b.bound, bound) })
	if !found {
		h.buckets = slices.Insert(h.buckets, i, customBucket{bound, count})
	}
}

// flush gives the histogram that was collected.
func (c *customBuckets) flush() error {
	if !c.open {
		return nil
	}
	c.open = false
	if c.out.Histogram = c.build(); c.problem != "" {
		if c.opts.BadHistogram != nil {
			c.opts.BadHistogram(&SyntaxError{Line: c.out.Line, Text: c.base[0].Value, Problem: c.problem})
		}
		return nil
	}
	return c.emit(&c.out)
}

// build makes the histogram, or says in h.problem why it cannot.
func (h *customHistogram) build() *kinglet.Histogram {
	if n := len(h.buckets); n > 0 && !h.counted {
		h.count = h.buckets[n-1].count
	}
	if n := len(h.buckets); n == 0 || !math.IsInf(h.buckets[n-1].bound, 1) {
		h.buckets = append(h.buckets, customBucket{math.Inf(1), h.count})
	}
	out := &kinglet.Histogram{Schema: customSchema, Sum: h.sum}
	counts, whole, before := make([]float64, len(h.buckets)), true, 0.0
	for i, b := range h.buckets {
		if b.count < before || math.IsNaN(b.count) {
			h.problem = "want a classic histogram whose buckets do not fall"
			return nil
		}
		counts[i] = b.count - before
		whole = whole && b.count < 1<<53 && b.count == math.Trunc(b.count)
		before = b.count
		if !math.IsInf(b.bound, 1) {
			out.CustomValues = append(out.CustomValues, b.bound)
		}
	}
	if h.count != before {
		h.problem = "want a classic histogram whose last bucket is its count"
		return nil
	}
	spans := []kinglet.Span{{Length: uint32(len(counts))}}
	if !whole {
		side, _ := compact(spans, counts, 0)
		out.Float, out.CountFloat = true, h.count
		out.PositiveSpans, out.PositiveCounts = side.spans, side.counts
		return out
	}
	integers := make([]int64, len(counts))
	for i, count := range counts {
		integers[i] = int64(count)
	}
	side, _ := compact(spans, integers, 0)
	out.Count = uint64(h.count)
	out.PositiveSpans, out.PositiveDeltas = side.spans, deltas(side.counts)
	return out
}

// appendLabels: the histogram has the labels of its series but for le.
func (c *customBuckets) appendLabels(dst []kinglet.Label, _ []byte) ([]kinglet.Label, error) {
	return append(dst, c.base...), nil
}

// familyName is not asked: the metadata is with the sample.
func (c *customBuckets) familyName([]byte) string { return c.base[0].Value }
