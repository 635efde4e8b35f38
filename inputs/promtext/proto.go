package promtext

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"kinglet"
)

// ParseProto is Parse for delimited protobuf. Classic histograms and summaries
// become the series that the text format has for them: _count, _sum, _bucket
// with le, and quantile, the numbers in labels written as floats ("1.0",
// "+Inf"). A message is read where it stands in the page, so that no length it
// claims makes the parser allocate.
//
// A histogram that has a native form is given as such, compacted and checked;
// see Options.ClassicOnly and ClassicToo. A faulty metric is a bad line in the sense of
// Options.BadLine; a page whose messages cannot be told apart is bad as a whole.
func ParseProto(page []byte, opts Options, emit func(*Sample) error) error {
	p := protoReader{opts: opts, emit: emit, meta: Metadata{plain: true}}
	p.sample.source, p.sample.family = &p, &p.meta
	for len(page) > 0 {
		length, width := varint(page)
		if width == 0 || width > binary.MaxVarintLen32 {
			return &SyntaxError{Problem: "want the length of a message"}
		}
		page = page[width:]
		if length > uint64(len(page)) {
			return &SyntaxError{Problem: "want a message of " + strconv.FormatUint(length, 10) + " bytes, but the page ends"}
		}
		if err := p.readFamily(page[:length]); err != nil {
			return err
		}
		page = page[length:]
	}
	return nil
}

// protoReader holds what is used again from metric to metric.
type protoReader struct {
	opts   Options
	emit   func(*Sample) error
	family protoFamily
	metric protoMetric
	meta   Metadata
	sample Sample
	key    []byte
	common int     // how much of key the samples of the metric in hand share
	suffix string  // of the sample in hand, behind the family's name
	bound  string  // "le", "quantile" or "": what the number in the label is
	limit  float64 // that number
}

const protoWanted = "want a well-formed protobuf message"

func (p *protoReader) readFamily(b []byte) error {
	f := &p.family
	if !f.decode(b) {
		return p.opts.badLine(syntax(f.name, protoWanted), 0, nil)
	}
	if len(f.metrics) == 0 {
		return nil
	}
	typ, known := protoType(f.typ)
	switch {
	case len(f.name) == 0 || !utf8.Valid(f.name):
		return p.opts.badLine(syntax(f.name, "want a metric name in UTF-8"), 0, nil)
	case !utf8.Valid(f.help):
		return p.opts.badLine(syntax(f.name, "want UTF-8 in the help text"), 0, nil)
	case !known:
		return p.opts.badLine(syntax(f.name, "want a known metric type, not "+strconv.Itoa(int(f.typ))), 0, nil)
	}
	p.meta.begin(f.name)
	p.meta.typ, p.meta.help, p.meta.unit = typ, f.help, f.unit
	for _, metric := range f.metrics {
		if !p.metric.decode(metric) {
			if err := p.opts.badLine(syntax(f.name, protoWanted), 0, nil); err != nil {
				return err
			}
			continue
		}
		if err := p.give(); err != nil {
			return err
		}
	}
	return nil
}

func protoType(typ int32) (kinglet.MetricType, bool) {
	switch typ {
	case protoCounter:
		return kinglet.TypeCounter, true
	case protoGauge:
		return kinglet.TypeGauge, true
	case protoSummary:
		return kinglet.TypeSummary, true
	case protoUntyped:
		return kinglet.TypeUnknown, true
	case protoHistogramType:
		return kinglet.TypeHistogram, true
	case protoGaugeHistogram:
		return kinglet.TypeGaugeHistogram, true
	}
	return kinglet.TypeUnknown, false
}

// give gives the samples of the metric in hand.
func (p *protoReader) give() error {
	m := &p.metric
	p.metricKey()
	p.sample.TimestampMs, p.sample.StartMs = kinglet.NoTime, 0
	if m.timestampMs != 0 { // the format cannot tell 0 from none
		p.sample.TimestampMs = m.timestampMs
	}
	switch p.family.typ {
	case protoCounter:
		p.start(m.counter.created)
		return p.float("", "", 0, m.counter.value, m.counter.exemplar)
	case protoGauge:
		return p.float("", "", 0, m.gauge, nil)
	case protoUntyped:
		return p.float("", "", 0, m.untyped, nil)
	case protoSummary:
		p.start(m.summary.created)
		return p.giveSummary(&m.summary)
	default:
		p.start(m.histogram.created)
		return p.giveHistogram(&m.histogram)
	}
}

func (p *protoReader) start(created []byte) {
	if created != nil {
		ms, _ := decodeTime(created)
		p.sample.StartMs = startMs(ms)
	}
}

func (p *protoReader) giveSummary(s *protoSummaryBody) error {
	if err := p.float("_count", "", 0, float64(s.count), nil); err != nil {
		return err
	}
	if err := p.float("_sum", "", 0, s.sum, nil); err != nil {
		return err
	}
	for _, q := range s.quantiles {
		if err := p.float("", "quantile", q.quantile, q.value, nil); err != nil {
			return err
		}
	}
	return nil
}

func (p *protoReader) giveHistogram(h *protoHistogram) error {
	if h.native() && !p.opts.ClassicOnly {
		err := p.giveNative(h)
		if err != nil || !p.opts.ClassicToo || len(h.buckets) == 0 {
			return err
		}
	}
	count := floatOr(h.countFloat, h.count)
	if err := p.float("_count", "", 0, count, nil); err != nil {
		return err
	}
	if err := p.float("_sum", "", 0, h.sum, nil); err != nil {
		return err
	}
	for _, b := range h.buckets {
		err := p.float("_bucket", "le", b.bound, floatOr(b.countFloat, b.count), b.exemplar)
		if err != nil || math.IsInf(b.bound, 1) {
			return err
		}
	}
	return p.float("_bucket", "le", math.Inf(1), count, nil)
}

// floatOr is a count that may be given as a float.
func floatOr(f float64, n uint64) float64 {
	if f != 0 {
		return f
	}
	return float64(n)
}

// float gives one sample that is a number.
func (p *protoReader) float(suffix, bound string, limit, value float64, exemplar []byte) error {
	p.name(suffix, bound, limit)
	p.sample.Value, p.sample.Histogram = canonical(value), nil
	p.sample.Exemplars = p.sample.Exemplars[:0]
	if exemplar != nil && !p.opts.NoExemplars {
		e, _ := decodeExemplar(exemplar, p.sample.TimestampMs)
		if finishExemplar(&e) {
			p.sample.Exemplars = append(p.sample.Exemplars, e)
		}
	}
	return p.emit(&p.sample)
}

// metricKey begins the key of a metric's samples: the family, and the label
// messages as they stand in the page.
func (p *protoReader) metricKey() {
	p.key = append(p.key[:0], p.family.name...)
	for _, pair := range p.metric.labels {
		p.key = append(binary.AppendUvarint(append(p.key, 0xff), uint64(len(pair))), pair...)
	}
	p.common = len(p.key)
}

// name ends the key of the next sample: the suffix and the bits of the limit.
func (p *protoReader) name(suffix, bound string, limit float64) {
	p.suffix, p.bound, p.limit = suffix, bound, limit
	p.key = append(append(p.key[:p.common], 0xfe), suffix...)
	if bound != "" {
		p.key = binary.LittleEndian.AppendUint64(append(p.key, 0xff), math.Float64bits(limit))
	}
	p.sample.Series = p.key
}

// familyName: a sample is of the family it stands in, whatever its suffix.
func (p *protoReader) familyName([]byte) string { return string(p.family.name) }

// appendLabels makes the labels of the sample in hand.
func (p *protoReader) appendLabels(dst []kinglet.Label, _ []byte) ([]kinglet.Label, error) {
	first := len(dst)
	out := append(dst, kinglet.Label{Name: kinglet.MetricNameLabel, Value: string(p.family.name) + p.suffix})
	for _, pair := range p.metric.labels {
		name, value, ok := decodePair(pair)
		if !ok {
			return dst, syntax(p.family.name, protoWanted)
		}
		if len(name) == 0 || !utf8.Valid(name) || !utf8.Valid(value) {
			return dst, syntax(p.family.name, "want label names that are not empty, and UTF-8 in names and values")
		}
		out = append(out, kinglet.Label{Name: string(name), Value: string(value)})
	}
	if p.bound != "" {
		out = append(out, kinglet.Label{Name: p.bound, Value: formatFloat(p.limit)})
	}
	if name := repeatedName(out[first:]); name != "" {
		return dst, syntax(p.family.name, "label "+name+" occurs twice")
	}
	return out, nil
}

// formatFloat writes a float as OpenMetrics has it in labels: with a point or
// an exponent.
func formatFloat(f float64) string {
	text := strconv.FormatFloat(f, 'g', -1, 64)
	if strings.ContainsAny(text, ".eIN") { // I and N: Inf and NaN
		return text
	}
	return text + ".0"
}

// canonical makes every NaN the one quiet NaN (RW-38): in protobuf, a page can
// hold any bits, those of the stale marker too.
func canonical(v float64) float64 {
	if math.IsNaN(v) {
		return kinglet.NaN()
	}
	return v
}
