package remotewrite

import (
	"encoding/binary"
	"fmt"

	"github.com/klauspost/compress/s2"

	"kinglet"
	"kinglet/writer/queue"
)

// Field tags of the remote-write 2.0 messages (RW-17) where they differ.
const (
	tag2Symbols    = 4<<3 | wireBytes // Request
	tag2TimeSeries = 5<<3 | wireBytes

	tag2SeriesRefs       = 1<<3 | wireBytes // TimeSeries
	tag2SeriesSamples    = 2<<3 | wireBytes
	tag2SeriesHistograms = 3<<3 | wireBytes
	tag2SeriesExemplars  = 4<<3 | wireBytes
	tag2SeriesMeta       = 5<<3 | wireBytes

	tag2ExemplarRefs = 1<<3 | wireBytes

	tag2MetaHelp = 3<<3 | wireVarint
	tag2MetaUnit = 4<<3 | wireVarint
)

// unpackBlocks gives the messages of blocks as one.
func unpackBlocks(blocks []queue.Block) ([]byte, error) {
	raw, err := s2.Decode(nil, AppendBody(nil, blocks))
	if err != nil {
		return nil, fmt.Errorf("unpack %d blocks: %w", len(blocks), err)
	}
	return raw, nil
}

// eachSeries calls do with each time series of a 1.0 message.
func eachSeries(raw []byte, do func(series []byte) error) error {
	for len(raw) > 0 {
		f, rest, err := cutField(raw)
		if err != nil {
			return err
		}
		if raw = rest; f.tag != tagTimeSeries {
			continue
		}
		if err := do(f.data); err != nil {
			return err
		}
	}
	return nil
}

// eachField calls do with each field of a message.
func eachField(message []byte, do func(field) error) error {
	for len(message) > 0 {
		f, rest, err := cutField(message)
		if err != nil {
			return err
		}
		message = rest
		if err := do(f); err != nil {
			return err
		}
	}
	return nil
}

// contents is how much a 2.0 request holds, to compare with what the receiver
// says it wrote.
type contents struct{ samples, histograms, exemplars int }

// transcoder makes a 2.0 request of a 1.0 message with our extensions: samples
// and histograms are copied as they are, text goes into the table of symbols.
type transcoder struct {
	symbols map[string]uint32
	table   []byte // the symbols field of the request
	series  []byte // its timeseries field
	one     []byte // the series at hand
	refs    []byte
	holds   contents
}

// transcode gives the 2.0 message of a 1.0 message.
func transcode(raw []byte) (message []byte, holds contents, err error) {
	t := &transcoder{symbols: map[string]uint32{"": 0}, table: []byte{tag2Symbols, 0}, series: make([]byte, 0, len(raw)/2)}
	if err := eachSeries(raw, t.timeSeries); err != nil {
		return nil, contents{}, fmt.Errorf("make a 2.0 request: %w", err)
	}
	return append(t.table, t.series...), t.holds, nil
}

// ref is the number of a symbol.
func (t *transcoder) ref(text []byte) uint64 {
	if n, ok := t.symbols[string(text)]; ok {
		return uint64(n)
	}
	n := uint32(len(t.symbols))
	t.symbols[string(text)] = n
	t.table = appendBytes(t.table, tag2Symbols, text)
	return uint64(n)
}

func (t *transcoder) timeSeries(series []byte) error {
	t.one, t.refs = t.one[:0], t.refs[:0]
	err := eachField(series, func(f field) error {
		switch f.tag {
		case tagSeriesLabels:
			return t.label(f.data)
		case tagSeriesSamples:
			t.holds.samples++
			t.one = appendBytes(t.one, tag2SeriesSamples, f.data)
		case tagSeriesHistograms:
			t.holds.histograms++
			t.one = appendBytes(t.one, tag2SeriesHistograms, f.data)
		case tagSeriesExemplars:
			t.holds.exemplars++
			return t.exemplar(f.data)
		case tagSeriesMeta:
			return t.meta(f.data)
		}
		return nil
	})
	refs := 1 + varintSize(uint64(len(t.refs))) + len(t.refs)
	t.series = binary.AppendUvarint(append(t.series, tag2TimeSeries), uint64(refs+len(t.one)))
	t.series = appendBytes(t.series, tag2SeriesRefs, t.refs)
	t.series = append(t.series, t.one...)
	return err
}

// label appends the references of a label to refs.
func (t *transcoder) label(message []byte) error {
	var name, value []byte
	err := eachField(message, func(f field) error {
		switch f.tag {
		case tagLabelName:
			name = f.data
		case tagLabelValue:
			value = f.data
		}
		return nil
	})
	t.refs = binary.AppendUvarint(t.refs, t.ref(name))
	t.refs = binary.AppendUvarint(t.refs, t.ref(value))
	return err
}

func (t *transcoder) exemplar(message []byte) error {
	outer := t.refs
	t.refs = nil
	var rest []byte
	err := eachField(message, func(f field) error {
		if f.tag == tagExemplarLabels {
			return t.label(f.data)
		}
		rest = appendField(rest, f) // value and timestamp have the same numbers
		return nil
	})
	t.one = appendBytes(t.one, tag2SeriesExemplars, append(appendBytes(nil, tag2ExemplarRefs, t.refs), rest...))
	t.refs = outer
	return err
}

func (t *transcoder) meta(message []byte) error {
	var out []byte
	err := eachField(message, func(f field) error {
		switch f.tag {
		case tagMetaType:
			out = appendField(out, f)
		case tagMetaHelp:
			out = appendVarint(out, tag2MetaHelp, t.ref(f.data))
		case tagMetaUnit:
			out = appendVarint(out, tag2MetaUnit, t.ref(f.data))
		}
		return nil
	})
	t.one = appendBytes(t.one, tag2SeriesMeta, out)
	return err
}

// plain takes away from an extended block what 1.0 does not know (RW-16,
// RW-31), and tells how many samples that cost. Other blocks stay as they are.
func plain(b queue.Block) (out queue.Block, lost int, err error) {
	if !b.Extended {
		return b, 0, nil
	}
	raw, err := unpackBlocks([]queue.Block{b})
	if err != nil {
		return b, 0, err
	}
	var all []plainOne
	own := map[string]bool{} // series that keep their names
	err = eachSeries(raw, func(series []byte) error {
		one, err := plainSeries(series)
		all = append(all, one)
		if !one.renamed {
			own[string(one.labels)] = true
		}
		return err
	})
	if err != nil {
		return b, 0, fmt.Errorf("make a 1.0 request: %w", err)
	}
	out = b
	out.Extended, out.Samples = false, 0
	kept := make([]byte, 0, len(raw))
	for _, one := range all {
		if one.impossible || one.renamed && own[string(one.labels)] {
			lost++
			continue
		}
		own[string(one.labels)] = true
		kept = binary.AppendUvarint(append(kept, tagTimeSeries), uint64(len(one.labels)+len(one.rest)))
		kept = append(append(kept, one.labels...), one.rest...)
		out.Samples++
	}
	out.RawLen = len(kept)
	out.Stream, _ = compress(kept, nil)
	return out, lost, nil
}

// plainOne is a series as 1.0 can carry it.
type plainOne struct {
	labels, rest []byte
	renamed      bool // its names had to change
	impossible   bool // 1.0 cannot carry it
}

func plainSeries(series []byte) (one plainOne, err error) {
	var set []kinglet.Label
	err = eachField(series, func(f field) error {
		switch f.tag {
		case tagSeriesLabels:
			l, err := decodeLabel(f.data)
			set = append(set, l)
			return err
		case tagSeriesSamples:
			sample, err := without(f.data, tagSampleStart)
			one.rest = appendBytes(one.rest, tagSeriesSamples, sample)
			return err
		case tagSeriesHistograms:
			h, err := decodeHistogram(f.data)
			one.impossible = one.impossible || h.Histogram.Schema == schemaCustom
			one.rest = appendBytes(one.rest, tagSeriesHistograms, appendHistogram(nil, &h.Histogram, h.TimestampMs, 0))
			return err
		case tagSeriesMeta:
		default:
			one.rest = appendField(one.rest, f)
		}
		return nil
	})
	one.labels = kinglet.AppendEncodedLabels(nil, set)
	if one.renamed = !kinglet.LegacyNames(one.labels); one.renamed {
		one.labels = kinglet.AppendEncodedLabels(nil, legacyLabels(set))
	}
	return one, err
}

// without is message without the fields of that tag.
func without(message []byte, tag uint64) (out []byte, err error) {
	err = eachField(message, func(f field) error {
		if f.tag != tag {
			out = appendField(out, f)
		}
		return nil
	})
	return out, err
}
