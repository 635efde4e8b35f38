package queue

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// A record is a block on disk: a header of headerSize bytes and the stream.
//
//	 0  2  "KQ"
//	 2  1  version
//	 3  1  flags
//	 4  4  CRC-32C of the header without these four bytes
//	 8  4  CRC-32C of the stream
//	12  4  length of the stream
//	16  8  sequence number
//	24  8  Block.Target
//	32  8  Block.RowMs
//	40  8  Block.MinMs
//	48  8  Block.MaxMs
//	56  4  Block.Samples
//	60  4  Block.RawLen
//
// All numbers are little endian. The header has a sum of its own, so that a
// damaged stream can be stepped over and its samples be counted, and so that the
// next record can be found behind a damaged header.
//
// Behind the last record stands a header with flagEnd and the number of the
// record to come, which is written together with the record and is overwritten by
// the next one. Without it the last record was not written to its end.
const (
	headerSize    = 64
	recordVersion = 1
	flagExtended  = 1
	flagEnd       = 2

	// maxStream bounds what is believed of a header, in bytes.
	maxStream = 64 << 20
)

var recordMagic = []byte{'K', 'Q', recordVersion}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header is what precedes a stream on disk.
type header struct {
	block  Block // without its stream
	seq    uint64
	length int
	sum    uint32 // of the stream
	end    bool   // it is no record's, but that of the end
}

// size is the length of the whole record.
func (h *header) size() int64 { return headerSize + int64(h.length) }

func recordSize(b *Block) int64 { return headerSize + int64(len(b.Stream)) }

// appendRecord appends b as a record.
func appendRecord(dst []byte, seq uint64, b *Block) []byte {
	flags := byte(0)
	if b.Extended {
		flags = flagExtended
	}
	return append(appendHeader(dst, flags, seq, b), b.Stream...)
}

// appendEnd appends what stands behind the last record; next is the number of
// the record to come.
func appendEnd(dst []byte, next uint64) []byte {
	return appendHeader(dst, flagEnd, next, &Block{})
}

func appendHeader(dst []byte, flags byte, seq uint64, b *Block) []byte {
	start := len(dst)
	dst = append(append(dst, recordMagic...), flags, 0, 0, 0, 0)
	le := binary.LittleEndian
	dst = le.AppendUint32(dst, crc32.Checksum(b.Stream, castagnoli))
	dst = le.AppendUint32(dst, uint32(len(b.Stream)))
	for _, n := range []uint64{seq, b.Target, uint64(b.RowMs), uint64(b.MinMs), uint64(b.MaxMs)} {
		dst = le.AppendUint64(dst, n)
	}
	dst = le.AppendUint32(dst, uint32(b.Samples))
	dst = le.AppendUint32(dst, uint32(b.RawLen))
	le.PutUint32(dst[start+4:], headerSum(dst[start:start+headerSize]))
	return dst
}

func headerSum(h []byte) uint32 {
	return crc32.Update(crc32.Checksum(h[:4], castagnoli), castagnoli, h[8:headerSize])
}

// parseHeader reads a header, which must be headerSize bytes.
func parseHeader(b []byte) (h header, ok bool) {
	le := binary.LittleEndian
	if !bytes.HasPrefix(b, recordMagic) || le.Uint32(b[4:]) != headerSum(b[:headerSize]) {
		return h, false
	}
	h = header{
		block: Block{
			Extended: b[3]&flagExtended != 0,
			Target:   le.Uint64(b[24:]), RowMs: int64(le.Uint64(b[32:])),
			MinMs: int64(le.Uint64(b[40:])), MaxMs: int64(le.Uint64(b[48:])),
			Samples: int(le.Uint32(b[56:])), RawLen: int(le.Uint32(b[60:])),
		},
		end: b[3]&flagEnd != 0,
		seq: le.Uint64(b[16:]), length: int(le.Uint32(b[12:])), sum: le.Uint32(b[8:]),
	}
	return h, h.length <= maxStream
}

// sound reports whether stream is what was written.
func (h *header) sound(stream []byte) bool {
	return crc32.Checksum(stream, castagnoli) == h.sum
}
