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

// walk goes through the fields of a message, one after the other. What it is
// at is a number, or bytes.
type walk struct {
	rest []byte
	err  error // that ended it too early

	id     int
	number uint64
	data   []byte
}

// next goes on to the next field, until there is none or an error.
func (w *walk) next() bool {
	if len(w.rest) == 0 {
		return false
	}
	key, b, err := uvarint(w.rest)
	if err != nil {
		return w.fail()
	}
	w.id, w.number, w.data = int(key>>3), 0, nil
	switch key & 7 {
	case 0:
		if w.number, w.rest, err = uvarint(b); err != nil {
			return w.fail()
		}
	case 1:
		if len(b) < 8 {
			return w.fail()
		}
		w.number, w.rest = binary.LittleEndian.Uint64(b), b[8:]
	case 2:
		n, b, err := uvarint(b)
		if err != nil || n > uint64(len(b)) {
			return w.fail()
		}
		w.data, w.rest = b[:n], b[n:]
	default:
		return w.fail()
	}
	return true
}

func (w *walk) fail() bool {
	w.rest, w.err = nil, errMessage
	return false
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
	w := walk{rest: message}
	for w.next() {
		switch w.id {
		case 1:
			if err := d.seriesV1(w.data); err != nil {
				return err
			}
			take(&d.series)
		case 3:
			d.metadata++
		}
	}
	return w.err
}

func (d *decoder) seriesV1(message []byte) error {
	d.series = received{samples: d.series.samples[:0]}
	w := walk{rest: message}
	for w.next() {
		var err error
		switch w.id {
		case 1:
			err = d.labelV1(w.data)
		case 2:
			err = d.sample(w.data)
		}
		if err != nil {
			return err
		}
	}
	return w.err
}

func (d *decoder) labelV1(message []byte) error {
	var pair [2][]byte
	w := walk{rest: message}
	for w.next() {
		if w.id == 1 || w.id == 2 {
			pair[w.id-1] = w.data
		}
	}
	d.label(pair[0], pair[1], d.hash(pair[0]), d.hash(pair[1]))
	return w.err
}

// v2 reads an io.prometheus.write.v2.Request and hands each series to take.
func (d *decoder) v2(message []byte, take func(*received)) error {
	d.symbols, d.hashes = d.symbols[:0], d.hashes[:0]
	w := walk{rest: message}
	for w.next() {
		if w.id == 4 {
			d.symbols, d.hashes = append(d.symbols, w.data), append(d.hashes, d.hash(w.data))
		}
	}
	if w.err != nil {
		return w.err
	}
	w = walk{rest: message}
	for w.next() {
		if w.id != 5 {
			continue
		}
		if err := d.seriesV2(w.data); err != nil {
			return err
		}
		take(&d.series)
	}
	return w.err
}

func (d *decoder) seriesV2(message []byte) error {
	d.series = received{samples: d.series.samples[:0]}
	w := walk{rest: message}
	for w.next() {
		var err error
		switch w.id {
		case 1:
			err = d.labelsV2(w.data)
		case 2:
			err = d.sample(w.data)
		case 5:
			d.metadata++
		}
		if err != nil {
			return err
		}
	}
	return w.err
}

// labelsV2 reads pairs of places in the symbols.
func (d *decoder) labelsV2(refs []byte) error {
	for len(refs) > 0 {
		name, after, err := uvarint(refs)
		if err != nil {
			return err
		}
		value, after, err := uvarint(after)
		if err != nil {
			return err
		}
		if max(name, value) >= uint64(len(d.symbols)) {
			return errMessage
		}
		d.label(d.symbols[name], d.symbols[value], d.hashes[name], d.hashes[value])
		refs = after
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

func (d *decoder) sample(message []byte) error {
	var s sample
	w := walk{rest: message}
	for w.next() {
		switch w.id {
		case 1:
			s.value = math.Float64frombits(w.number)
		case 2:
			s.timestampMs = int64(w.number)
		}
	}
	d.series.samples = append(d.series.samples, s)
	return w.err
}
