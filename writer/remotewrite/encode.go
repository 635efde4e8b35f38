// Package remotewrite speaks Prometheus remote write: it encodes rows into
// blocks, makes requests of blocks, posts them, and keeps trying until the
// endpoint has taken or refused them. It holds no queue of its own, and never
// changes a value or a timestamp.
package remotewrite

import (
	"encoding/binary"
	"math"

	"github.com/klauspost/compress/s2"

	"kinglet"
	"kinglet/writer/queue"
)

// Encoder turns rows into blocks in the plain way: it lays out the message and
// compresses it. It belongs to one goroutine and reuses its memory; the blocks
// it gives belong to the caller.
type Encoder struct {
	// MaxSamples is the most samples of one block.
	MaxSamples int
	// Exemplars and NativeHistograms say whether those are encoded.
	Exemplars, NativeHistograms bool
	// Extended makes blocks for endpoints that may be sent 2.0: with metadata,
	// start timestamps and custom buckets. See queue.Block.
	Extended bool
	// OnDrop is told of samples that the message cannot carry. It may be nil.
	OnDrop func(samples int, reason string)

	*encodeRoom
	idle   int         // calls without rows since the last one with some
	open   queue.Block // what raw holds, but for the stream
	blocks []queue.Block

	target uint64 // of the row that is being encoded
	rowMs  int64
}

// idleCalls of Encode without a row let its memory go: once all shapes have their
// stencils hardly any row is encoded plainly.
const idleCalls = 64

// encodeRoom is the memory that encoding takes.
type encodeRoom struct {
	raw, scratch, packed []byte
	labels               kinglet.LabelRoom
}

// Reasons of samples that are not encoded.
const (
	ReasonCustomBuckets    = "custom_buckets"    // 1.0 cannot carry them (RW-16)
	ReasonNativeHistograms = "native_histograms" // native_histograms = false
)

// schemaCustom marks native histograms with custom buckets.
const schemaCustom = -53

// maxRawBytes ends a block early, so that long labels do not make it huge.
const maxRawBytes = 4 << 20

// Encode gives the samples of rows as blocks of at most MaxSamples, in order.
// Rows of one target and time share blocks where they fit. The slice is valid until the next call.
func (e *Encoder) Encode(rows ...*kinglet.Row) []queue.Block {
	clear(e.blocks)
	e.blocks = e.blocks[:0]
	if len(rows) == 0 {
		if e.idle++; e.idle == idleCalls {
			e.encodeRoom = nil
		}
		return nil
	}
	e.idle = 0
	if e.encodeRoom == nil {
		e.encodeRoom = new(encodeRoom)
	}
	e.raw = e.raw[:0]
	e.open = queue.Block{}
	for _, row := range rows {
		e.row(row)
	}
	e.cut()
	return e.blocks
}

// point is one column of a row.
type point struct {
	labels    []byte // encoded
	atMs      int64
	startMs   int64 // 0: unknown, or not to be sent
	meta      *kinglet.Meta
	exemplars []kinglet.Exemplar
}

func (e *Encoder) row(row *kinglet.Row) {
	exemplars := row.Exemplars
	if !e.Exemplars {
		exemplars = nil
	}
	if e.target, e.rowMs = row.Target, row.TimestampMs; e.open.Samples > 0 && (e.open.Target != e.target || e.open.RowMs != e.rowMs) {
		e.cut()
	}
	there := func(i int) bool { return !kinglet.IsAbsent(row.Values[i]) }
	for i, labels := range row.Shape.Where(&e.labels, there) {
		v := row.Values[i]
		first := 0
		for first < len(exemplars) && exemplars[first].Column < i {
			first++
		}
		last := first
		for last < len(exemplars) && exemplars[last].Column == i {
			last++
		}
		mine := exemplars[first:last]
		exemplars = exemplars[last:]
		p := point{labels: labels, atMs: row.TimestampMs, exemplars: mine}
		if row.TimesMs != nil && row.TimesMs[i] != kinglet.NoTime {
			p.atMs = row.TimesMs[i]
		}
		if e.Extended {
			p.meta = row.Shape.Meta(i)
			if row.StartsMs != nil && row.StartsMs[i] <= p.atMs { // RW-102
				p.startMs = row.StartsMs[i]
			}
		}
		if row.Shape.Kind(i) != kinglet.KindHistogram {
			e.sample(p, v)
			continue
		}
		var h *kinglet.Histogram
		if row.Histograms != nil {
			h = row.Histograms[i]
		}
		e.histogram(p, h, v)
	}
}

// sample appends one series with one sample.
func (e *Encoder) sample(p point, v float64) {
	size := 1 + 8 + 1 + varintSize(uint64(p.atMs))
	if p.startMs != 0 {
		size += 1 + varintSize(uint64(p.startMs))
	}
	e.scratch = appendMeta(appendExemplars(e.scratch[:0], p.exemplars), p.meta)
	e.begin(len(p.labels) + 1 + 1 + size + len(e.scratch))
	e.raw = append(e.raw, p.labels...)
	e.raw = append(e.raw, tagSeriesSamples, byte(size), tagSampleValue)
	e.raw = binary.LittleEndian.AppendUint64(e.raw, math.Float64bits(v))
	e.raw = appendVarint(e.raw, tagSampleTime, uint64(p.atMs))
	if p.startMs != 0 {
		e.raw = appendVarint(e.raw, tagSampleStart, uint64(p.startMs))
	}
	e.raw = append(e.raw, e.scratch...)
	e.count(p.atMs)
}

// histogram appends one series with one native histogram. A nil h is a stale
// marker if v is one (RW-53), else nothing.
func (e *Encoder) histogram(p point, h *kinglet.Histogram, v float64) {
	switch {
	case h == nil && kinglet.IsStale(v):
		h = &kinglet.Histogram{Sum: kinglet.Stale()}
	case h == nil:
		return
	}
	reason := ""
	switch {
	case !e.NativeHistograms:
		reason = ReasonNativeHistograms
	case h.Schema == schemaCustom && !e.Extended:
		reason = ReasonCustomBuckets
	}
	if reason != "" {
		if !kinglet.IsStale(h.Sum) { // the end of what was never sent is no loss (RW-54)
			e.drop(reason)
		}
		return
	}
	e.scratch = appendHistogram(e.scratch[:0], h, p.atMs, p.startMs)
	size := len(e.scratch)
	header := 1 + varintSize(uint64(size))
	e.scratch = appendMeta(appendExemplars(e.scratch, p.exemplars), p.meta)
	e.begin(len(p.labels) + header + len(e.scratch))
	e.raw = append(e.raw, p.labels...)
	e.raw = binary.AppendUvarint(append(e.raw, tagSeriesHistograms), uint64(size))
	e.raw = append(e.raw, e.scratch...)
	e.count(p.atMs)
}

func appendExemplars(dst []byte, exemplars []kinglet.Exemplar) []byte {
	for _, x := range exemplars {
		size := kinglet.EncodedLabelsSize(x.Labels) + 1 + 8 + 1 + varintSize(uint64(x.TimestampMs))
		dst = binary.AppendUvarint(append(dst, tagSeriesExemplars), uint64(size))
		dst = kinglet.AppendEncodedLabels(dst, x.Labels)
		dst = appendDouble(dst, tagExemplarValue, x.Value)
		dst = appendVarint(dst, tagExemplarTime, uint64(x.TimestampMs))
	}
	return dst
}

// appendMeta appends the metadata of an extended series.
func appendMeta(dst []byte, meta *kinglet.Meta) []byte {
	if meta == nil {
		return dst
	}
	size := 2 + 1 + varintSize(uint64(len(meta.Help))) + len(meta.Help) + 1 + varintSize(uint64(len(meta.Unit))) + len(meta.Unit)
	dst = binary.AppendUvarint(append(dst, tagSeriesMeta), uint64(size))
	dst = append(dst, tagMetaType, byte(meta.Type))
	dst = append(binary.AppendUvarint(append(dst, tagMetaHelp), uint64(len(meta.Help))), meta.Help...)
	return append(binary.AppendUvarint(append(dst, tagMetaUnit), uint64(len(meta.Unit))), meta.Unit...)
}

// begin opens a series of size bytes, in a new block if the open one is full.
func (e *Encoder) begin(size int) {
	if e.open.Samples >= e.MaxSamples || len(e.raw) > 0 && len(e.raw)+size > maxRawBytes {
		e.cut()
	}
	e.raw = binary.AppendUvarint(append(e.raw, tagTimeSeries), uint64(size))
}

func (e *Encoder) count(atMs int64) {
	if e.open.Samples == 0 {
		e.open.MinMs, e.open.MaxMs = atMs, atMs
		e.open.Target, e.open.RowMs = e.target, e.rowMs
	}
	e.open.Samples++
	e.open.MinMs, e.open.MaxMs = min(e.open.MinMs, atMs), max(e.open.MaxMs, atMs)
}

func (e *Encoder) drop(reason string) {
	if e.OnDrop != nil {
		e.OnDrop(1, reason)
	}
}

// cut makes a block of what is open.
func (e *Encoder) cut() {
	if e.open.Samples > 0 {
		b := e.open
		b.RawLen, b.Extended = len(e.raw), e.Extended
		b.Stream, e.packed = compress(e.raw, e.packed)
		e.blocks = append(e.blocks, b)
	}
	e.raw = e.raw[:0]
	e.open = queue.Block{}
}

// compress gives raw as snappy elements in memory of their own. Scratch is
// reused and given back.
func compress(raw, scratch []byte) (stream, grown []byte) {
	if need := s2.MaxEncodedLen(len(raw)); cap(scratch) < need {
		scratch = make([]byte, need)
	}
	packed := s2.EncodeSnappy(scratch[:cap(scratch)], raw)
	_, n := binary.Uvarint(packed)
	return append(make([]byte, 0, len(packed)-n), packed[n:]...), scratch
}
