package remotewrite

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/klauspost/compress/s2"

	"kinglet"
	"kinglet/writer/queue"
)

// Last is the newest sample of a series of a block, as far as its end goes.
type Last struct {
	Labels []byte // as kinglet.Shape has them
	AtMs   int64  // ms since the Unix epoch
	Stale  bool   // it is a stale marker
	Kind   kinglet.Kind
	Marker *kinglet.Histogram // of a histogram: what StaleMarker gives
}

// Rereader tells what blocks hold, extended or not, as a log gives them back
// after a restart. It reuses its memory and belongs to one goroutine; the zero
// value is ready.
type Rereader struct{ packed, raw []byte }

// Each calls visit with each series of b, in order. Labels are valid during the
// call. A block that does not decode is an error, and so is a label set that is
// not final; visit may have been called by then.
func (r *Rereader) Each(b queue.Block, visit func(Last)) error {
	if b.RawLen > maxDecoded {
		return fmt.Errorf("unpack block of %d bytes: too large", len(b.Stream))
	}
	r.packed = append(binary.AppendUvarint(r.packed[:0], uint64(b.RawLen)), b.Stream...)
	if cap(r.raw) < b.RawLen {
		r.raw = make([]byte, b.RawLen)
	}
	raw, err := s2.Decode(r.raw[:cap(r.raw)], r.packed)
	if err != nil {
		return fmt.Errorf("unpack block of %d bytes: %w", len(b.Stream), err)
	}
	for len(raw) > 0 {
		var f field
		if f, raw, err = cutField(raw); err != nil {
			return err
		}
		if f.tag != tagTimeSeries {
			continue
		}
		last, err := lastOf(f.data)
		if err != nil {
			return err
		}
		visit(last)
	}
	return nil
}

// lastOf reads a series, whose labels come first.
func lastOf(message []byte) (last Last, err error) {
	rest := message
	var name []byte
	for len(rest) > 0 && rest[0] == tagSeriesLabels {
		if name, rest, err = cutFinal(rest, name); err != nil {
			return last, err
		}
	}
	last.Labels = message[:len(message)-len(rest)]
	for len(rest) > 0 {
		var f field
		if f, rest, err = cutField(rest); err != nil {
			return last, err
		}
		switch f.tag {
		case tagSeriesLabels:
			return last, errDamaged
		case tagSeriesSamples:
			s, err := decodeSample(f.data)
			if err != nil {
				return last, err
			}
			last.AtMs, last.Stale = s.TimestampMs, kinglet.IsStale(s.Value)
		case tagSeriesHistograms:
			h, err := decodeHistogram(f.data)
			if err != nil {
				return last, err
			}
			last.AtMs, last.Stale = h.TimestampMs, kinglet.IsStale(h.Histogram.Sum)
			last.Kind, last.Marker = kinglet.KindHistogram, StaleMarker(&h.Histogram)
		}
	}
	return last, nil
}

// cutFinal takes the first label off a series, which sorts after the one before
// and is as a shape takes it.
func cutFinal(message, before []byte) (name, rest []byte, err error) {
	label, rest, err := cutField(message)
	if err != nil {
		return nil, nil, err
	}
	n, inner, err := cutField(label.data)
	if err != nil {
		return nil, nil, err
	}
	v, inner, err := cutField(inner)
	if err != nil {
		return nil, nil, err
	}
	final := n.tag == tagLabelName && v.tag == tagLabelValue && len(inner) == 0 &&
		len(n.data) > 0 && len(v.data) > 0 && bytes.Compare(before, n.data) < 0
	if !final {
		return nil, nil, errDamaged
	}
	return n.data, rest, nil
}
