package promtext

import (
	"time"

	"kinglet"
)

// protoFamily is a MetricFamily, its metrics not decoded yet.
type protoFamily struct {
	name, help, unit []byte
	typ              int32
	metrics          [][]byte
}

// The values of the enum io.prometheus.client.MetricType.
const (
	protoCounter = iota
	protoGauge
	protoSummary
	protoUntyped
	protoHistogramType
	protoGaugeHistogram
)

// protoMetric is a Metric. Its slices are used again for the next one.
type protoMetric struct {
	labels      [][]byte // LabelPair messages
	timestampMs int64
	gauge       float64
	untyped     float64
	counter     protoValue
	summary     protoSummaryBody
	histogram   protoHistogram
	used        bool // histogram is not as reset leaves it
}

type protoValue struct {
	value             float64
	exemplar, created []byte
}

type protoSummaryBody struct {
	count     uint64
	sum       float64
	quantiles []protoQuantile
	created   []byte
}

type protoQuantile struct{ quantile, value float64 }

type protoHistogram struct {
	count              uint64
	countFloat, sum    float64
	buckets            []protoBucket
	created            []byte
	schema             int32
	zeroThreshold      float64
	zeroCount          uint64
	zeroCountFloat     float64
	negative, positive protoSide
	exemplars          [][]byte
}

// protoSide is the positive or negative half of a native histogram.
type protoSide struct {
	spans  []kinglet.Span
	deltas []int64
	counts []float64
}

type protoBucket struct {
	count      uint64
	countFloat float64
	bound      float64
	exemplar   []byte
}

// decode reads a MetricFamily, and reports whether it is well formed.
func (f *protoFamily) decode(b []byte) bool {
	*f = protoFamily{metrics: f.metrics[:0]}
	r := wireReader{rest: b}
	for r.next() {
		switch r.field {
		case 1:
			f.name = r.bytes()
		case 2:
			f.help = r.bytes()
		case 3:
			f.typ = int32(r.uint())
		case 4:
			f.metrics = append(f.metrics, r.bytes())
		case 5:
			f.unit = r.bytes()
		}
	}
	return !r.bad
}

// decode reads a Metric, and reports whether it is well formed.
func (m *protoMetric) decode(b []byte) bool {
	m.labels = m.labels[:0]
	m.timestampMs, m.gauge, m.untyped, m.counter = 0, 0, 0, protoValue{}
	m.summary = protoSummaryBody{quantiles: m.summary.quantiles[:0]}
	if m.used {
		m.histogram.reset()
		m.used = false
	}
	r := wireReader{rest: b}
	for r.next() {
		ok := true
		switch r.field {
		case 1:
			m.labels = append(m.labels, r.bytes())
		case 2:
			ok = decodeDouble(r.bytes(), &m.gauge)
		case 3:
			ok = m.counter.decode(r.bytes())
		case 4:
			ok = m.summary.decode(r.bytes())
		case 5:
			ok = decodeDouble(r.bytes(), &m.untyped)
		case 6:
			m.timestampMs = int64(r.uint())
		case 7:
			m.used = true
			ok = m.histogram.decode(r.bytes())
		}
		r.bad = r.bad || !ok
	}
	return !r.bad
}

// decodeDouble reads a message whose field 1 is its value.
func decodeDouble(b []byte, v *float64) bool {
	r := wireReader{rest: b}
	for r.next() {
		if r.field == 1 {
			*v = r.double()
		}
	}
	return !r.bad
}

func (c *protoValue) decode(b []byte) bool {
	r := wireReader{rest: b}
	for r.next() {
		switch r.field {
		case 1:
			c.value = r.double()
		case 2:
			c.exemplar = merged(c.exemplar, r.bytes())
			r.bad = r.bad || !wellFormedExemplar(r.data)
		case 3:
			c.created = merged(c.created, r.bytes())
			r.bad = r.bad || !wellFormedTime(r.data)
		}
	}
	return !r.bad
}

func (s *protoSummaryBody) decode(b []byte) bool {
	r := wireReader{rest: b}
	for r.next() {
		switch r.field {
		case 1:
			s.count = r.uint()
		case 2:
			s.sum = r.double()
		case 3:
			q := wireReader{rest: r.bytes()}
			var quantile protoQuantile
			for q.next() {
				switch q.field {
				case 1:
					quantile.quantile = q.double()
				case 2:
					quantile.value = q.double()
				}
			}
			s.quantiles = append(s.quantiles, quantile)
			r.bad = r.bad || q.bad
		case 4:
			s.created = merged(s.created, r.bytes())
			r.bad = r.bad || !wellFormedTime(r.data)
		}
	}
	return !r.bad
}

func (h *protoHistogram) reset() {
	*h = protoHistogram{
		buckets: h.buckets[:0], exemplars: h.exemplars[:0],
		negative: h.negative.emptied(), positive: h.positive.emptied(),
	}
}

func (s protoSide) emptied() protoSide {
	return protoSide{spans: s.spans[:0], deltas: s.deltas[:0], counts: s.counts[:0]}
}

func (h *protoHistogram) decode(b []byte) bool {
	r := wireReader{rest: b}
	for r.next() {
		switch r.field {
		case 1:
			h.count = r.uint()
		case 2:
			h.sum = r.double()
		case 3:
			r.bad = !h.addBucket(r.bytes()) || r.bad
		case 4:
			h.countFloat = r.double()
		case 5:
			h.schema = int32(zigzag(uint64(uint32(r.uint()))))
		case 6:
			h.zeroThreshold = r.double()
		case 7:
			h.zeroCount = r.uint()
		case 8:
			h.zeroCountFloat = r.double()
		case 9:
			r.bad = !h.negative.addSpan(r.bytes()) || r.bad
		case 10:
			h.negative.deltas = r.zigzags(h.negative.deltas)
		case 11:
			h.negative.counts = r.doubles(h.negative.counts)
		case 12:
			r.bad = !h.positive.addSpan(r.bytes()) || r.bad
		case 13:
			h.positive.deltas = r.zigzags(h.positive.deltas)
		case 14:
			h.positive.counts = r.doubles(h.positive.counts)
		case 15:
			h.created = merged(h.created, r.bytes())
			r.bad = r.bad || !wellFormedTime(r.data)
		case 16:
			h.exemplars = append(h.exemplars, r.bytes())
			r.bad = r.bad || !wellFormedExemplar(r.data)
		}
	}
	return !r.bad
}

func (h *protoHistogram) addBucket(b []byte) bool {
	var bucket protoBucket
	r := wireReader{rest: b}
	for r.next() {
		switch r.field {
		case 1:
			bucket.count = r.uint()
		case 2:
			bucket.bound = r.double()
		case 3:
			bucket.exemplar = merged(bucket.exemplar, r.bytes())
			r.bad = r.bad || !wellFormedExemplar(r.data)
		case 4:
			bucket.countFloat = r.double()
		}
	}
	h.buckets = append(h.buckets, bucket)
	return !r.bad
}

func (s *protoSide) addSpan(b []byte) bool {
	var span kinglet.Span
	r := wireReader{rest: b}
	for r.next() {
		switch r.field {
		case 1:
			span.Offset = int32(zigzag(uint64(uint32(r.uint()))))
		case 2:
			span.Length = uint32(r.uint())
		}
	}
	s.spans = append(s.spans, span)
	return !r.bad
}

// decodePair reads a LabelPair.
func decodePair(b []byte) (name, value []byte, ok bool) {
	r := wireReader{rest: b}
	for r.next() {
		switch r.field {
		case 1:
			name = r.bytes()
		case 2:
			value = r.bytes()
		}
	}
	return name, value, !r.bad
}

// decodeTime reads a google.protobuf.Timestamp, as milliseconds since the Unix
// epoch.
func decodeTime(b []byte) (ms int64, ok bool) {
	var seconds int64
	var nanos int32
	r := wireReader{rest: b}
	for r.next() {
		switch r.field {
		case 1:
			seconds = int64(r.uint())
		case 2:
			nanos = int32(r.uint())
		}
	}
	return seconds*1000 + int64(nanos)/int64(time.Millisecond), !r.bad
}

func wellFormedTime(b []byte) bool {
	_, ok := decodeTime(b)
	return ok
}

// wellFormedExemplar checks an Exemplar without making anything of it.
func wellFormedExemplar(b []byte) bool {
	r := wireReader{rest: b}
	for r.next() {
		switch r.field {
		case 1:
			_, _, ok := decodePair(r.bytes())
			r.bad = r.bad || !ok
		case 2:
			r.double()
		case 3:
			r.bad = !wellFormedTime(r.bytes()) || r.bad
		}
	}
	return !r.bad
}

// decodeExemplar reads an Exemplar that is well formed. One without a time of
// its own gets that of its sample.
func decodeExemplar(b []byte, sampleMs int64) (e kinglet.Exemplar, timed bool) {
	e.TimestampMs = sampleMs
	var at []byte
	r := wireReader{rest: b}
	for r.next() {
		switch r.field {
		case 1:
			name, value, _ := decodePair(r.bytes())
			e.Labels = append(e.Labels, kinglet.Label{Name: string(name), Value: string(value)})
		case 2:
			e.Value = canonical(r.double())
		case 3:
			timed = true
			at = merged(at, r.bytes())
		}
	}
	if timed {
		e.TimestampMs, _ = decodeTime(at)
	}
	return e, timed
}
