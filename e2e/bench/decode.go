package main

import (
	"encoding/binary"
	"errors"
	"hash/maphash"
	"math"
)

// errMessage says that a request is not the protobuf message it should be.
var errMessage = errors.New("malformed protobuf message")

// sample is one value and its time.
type sample struct {
	value       float64
	timestampMs int64
}

// received is one series of a request. Its slices are good until the next.
type received struct {
	hash    uint64 // over all labels, whatever their order
	name    []byte
	target  []byte // value of the label bench_target, if there is one
	samples []sample
}

// decoder reads the two remote-write messages, series by series, building no
// objects: the receiver shares the machine with the agent that is measured. It
// is written from the public protocol definitions; a test holds it to the
// generated code. Series hash alike in both messages. Not for concurrent use.
type decoder struct {
	seed     maphash.Seed
	series   received
	symbols  [][]byte
	hashes   []uint64 // of symbols
	metadata int64    // descriptions seen
}

func newDecoder() *decoder { return &decoder{seed: maphash.MakeSeed()} }

// field is one field of a message: a number, or bytes.
type field struct {
	id     int
	number uint64
	data   []byte
}

// nextField takes the first field off b.
func nextField(b []byte) (f field, rest []byte, err error) {
	key, b, err := uvarint(b)
	if err != nil {
		return field{}, nil, err
	}
	f.id = int(key >> 3)
	switch key & 7 {
	case 0:
		f.number, b, err = uvarint(b)
		return f, b, err
	case 1:
		if len(b) < 8 {
			return f, nil, errMessage
		}
		f.number = binary.LittleEndian.Uint64(b)
		return f, b[8:], nil
	case 2:
		n, b, err := uvarint(b)
		if err != nil || n > uint64(len(b)) {
			return f, nil, errMessage
		}
		f.data = b[:n]
		return f, b[n:], nil
	default:
		return f, nil, errMessage
	}
}

func uvarint(b []byte) (uint64, []byte, error) {
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, errMessage
	}
	return v, b[n:], nil
}

// v1 reads a prometheus.WriteRequest and hands each series to take.
func (d *decoder) v1(message []byte, take func(*received)) error {
	for len(message) > 0 {
		f, rest, err := nextField(message)
		if err != nil {
			return err
		}
		message = rest
		switch f.id {
		case 1:
			if err := d.seriesV1(f.data); err != nil {
				return err
			}
			take(&d.series)
		case 3:
			d.metadata++
		}
	}
	return nil
}

func (d *decoder) seriesV1(b []byte) error {
	d.series = received{samples: d.series.samples[:0]}
	for len(b) > 0 {
		f, rest, err := nextField(b)
		if err != nil {
			return err
		}
		b = rest
		switch f.id {
		case 1:
			var pair [2][]byte
			for label := f.data; len(label) > 0; {
				var part field
				if part, label, err = nextField(label); err != nil {
					return err
				}
				if part.id == 1 || part.id == 2 {
					pair[part.id-1] = part.data
				}
			}
			d.label(pair[0], pair[1], d.hash(pair[0]), d.hash(pair[1]))
		case 2:
			if err := d.sample(f.data); err != nil {
				return err
			}
		}
	}
	return nil
}

// v2 reads an io.prometheus.write.v2.Request and hands each series to take.
func (d *decoder) v2(message []byte, take func(*received)) error {
	d.symbols, d.hashes = d.symbols[:0], d.hashes[:0]
	for rest := message; len(rest) > 0; {
		f, after, err := nextField(rest)
		if err != nil {
			return err
		}
		if rest = after; f.id == 4 {
			d.symbols, d.hashes = append(d.symbols, f.data), append(d.hashes, d.hash(f.data))
		}
	}
	for rest := message; len(rest) > 0; {
		f, after, err := nextField(rest)
		if err != nil {
			return err
		}
		if rest = after; f.id != 5 {
			continue
		}
		if err := d.seriesV2(f.data); err != nil {
			return err
		}
		take(&d.series)
	}
	return nil
}

func (d *decoder) seriesV2(b []byte) error {
	d.series = received{samples: d.series.samples[:0]}
	for len(b) > 0 {
		f, rest, err := nextField(b)
		if err != nil {
			return err
		}
		b = rest
		switch f.id {
		case 1:
			for refs := f.data; len(refs) > 0; {
				var name, value uint64
				if name, refs, err = uvarint(refs); err != nil {
					return err
				}
				if value, refs, err = uvarint(refs); err != nil {
					return err
				}
				if max(name, value) >= uint64(len(d.symbols)) {
					return errMessage
				}
				d.label(d.symbols[name], d.symbols[value], d.hashes[name], d.hashes[value])
			}
		case 2:
			if err := d.sample(f.data); err != nil {
				return err
			}
		case 5:
			d.metadata++
		}
	}
	return nil
}

// label adds one label to the series. Sums do not depend on the order.
func (d *decoder) label(name, value []byte, nameHash, valueHash uint64) {
	mixed := nameHash*0x9E3779B97F4A7C15 ^ valueHash
	mixed = (mixed ^ mixed>>32) * 0xD6E8FEB86659FD93
	d.series.hash += mixed ^ mixed>>29
	switch string(name) {
	case "__name__":
		d.series.name = value
	case targetLabel:
		d.series.target = value
	}
}

func (d *decoder) hash(b []byte) uint64 { return maphash.Bytes(d.seed, b) }

func (d *decoder) sample(b []byte) error {
	var s sample
	for len(b) > 0 {
		f, rest, err := nextField(b)
		if err != nil {
			return err
		}
		b = rest
		switch f.id {
		case 1:
			s.value = math.Float64frombits(f.number)
		case 2:
			s.timestampMs = int64(f.number)
		}
	}
	d.series.samples = append(d.series.samples, s)
	return nil
}
