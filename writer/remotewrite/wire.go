package remotewrite

import (
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
)

// Wire types of protobuf.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

// Field tags of the remote-write 1.0 messages (RW-13, RW-14, RW-93). All field
// numbers below 16 make one byte.
const (
	tagTimeSeries = 1<<3 | wireBytes // WriteRequest.timeseries

	tagSeriesLabels     = 1<<3 | wireBytes // TimeSeries
	tagSeriesSamples    = 2<<3 | wireBytes
	tagSeriesExemplars  = 3<<3 | wireBytes
	tagSeriesHistograms = 4<<3 | wireBytes
	tagSeriesMeta       = 5<<3 | wireBytes // our own, in extended blocks

	tagMetaType = 1<<3 | wireVarint // as MetricMetadata of 1.0 and Metadata of 2.0
	tagMetaHelp = 3<<3 | wireBytes
	tagMetaUnit = 4<<3 | wireBytes

	tagLabelName  = 1<<3 | wireBytes
	tagLabelValue = 2<<3 | wireBytes

	tagSampleValue = 1<<3 | wireFixed64
	tagSampleTime  = 2<<3 | wireVarint
	tagSampleStart = 3<<3 | wireVarint // not in 1.0

	tagExemplarLabels = 1<<3 | wireBytes
	tagExemplarValue  = 2<<3 | wireFixed64
	tagExemplarTime   = 3<<3 | wireVarint
)

var errDamaged = errors.New("message is damaged")

// field is one field of a message: data for length-delimited fields, number for
// the others (a double is its bits).
type field struct {
	tag    uint64
	data   []byte
	number uint64
}

// cutField takes the first field off message.
func cutField(message []byte) (f field, rest []byte, err error) {
	tag, n := binary.Uvarint(message)
	if n <= 0 {
		return f, nil, errDamaged
	}
	f.tag, message = tag, message[n:]
	switch tag & 7 {
	case wireVarint:
		if f.number, n = binary.Uvarint(message); n <= 0 {
			return f, nil, errDamaged
		}
		return f, message[n:], nil
	case wireFixed64:
		if len(message) < 8 {
			return f, nil, errDamaged
		}
		f.number = binary.LittleEndian.Uint64(message)
		return f, message[8:], nil
	case wireFixed32:
		if len(message) < 4 {
			return f, nil, errDamaged
		}
		f.number = uint64(binary.LittleEndian.Uint32(message))
		return f, message[4:], nil
	case wireBytes:
		size, n := binary.Uvarint(message)
		if n <= 0 || size > uint64(len(message)-n) {
			return f, nil, errDamaged
		}
		f.data = message[n : n+int(size)]
		return f, message[n+int(size):], nil
	}
	return f, nil, errDamaged
}

func varintSize(x uint64) int { return (bits.Len64(x|1) + 6) / 7 }

func appendDouble(dst []byte, tag byte, v float64) []byte {
	return binary.LittleEndian.AppendUint64(append(dst, tag), math.Float64bits(v))
}

func appendBytes(dst []byte, tag byte, b []byte) []byte {
	return append(binary.AppendUvarint(append(dst, tag), uint64(len(b))), b...)
}

// appendField appends f as it was. Its field number is below 16.
func appendField(dst []byte, f field) []byte {
	switch tag := byte(f.tag); tag & 7 {
	case wireVarint:
		return appendVarint(dst, tag, f.number)
	case wireFixed64:
		return binary.LittleEndian.AppendUint64(append(dst, tag), f.number)
	case wireFixed32:
		return binary.LittleEndian.AppendUint32(append(dst, tag), uint32(f.number))
	default:
		return appendBytes(dst, tag, f.data)
	}
}

func appendVarint(dst []byte, tag byte, x uint64) []byte {
	return binary.AppendUvarint(append(dst, tag), x)
}

func zigzag(x int64) uint64 { return uint64(x<<1) ^ uint64(x>>63) }

func unzigzag(x uint64) int64 { return int64(x>>1) ^ -int64(x&1) }
