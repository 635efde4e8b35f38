package queue

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math"
)

// bounds are the sequence numbers [from, to).
type bounds struct{ from, to uint64 }

// forever ends the last of a log's bounds.
const forever = math.MaxUint64

// maxSpans bounds the ranges of records that wait: each outage that begins
// before the backlog of the one before has drained adds one.
const maxSpans = 8

// The file of the mark holds what is not acknowledged, in two slots that are
// written in turns: one that is torn leaves the other.
//
//	 0  4  "KQM1"
//	 4  4  CRC-32C of what follows
//	 8  8  generation; the higher one counts
//	16  8  number of bounds
//	24     bounds, from and to
const (
	markMagic = "KQM1"
	markSlot  = 512 // a disk's sector
	markSize  = 24 + 16*maxSpans
)

// writeMark puts waiting into the slot of that generation.
func writeMark(f file, generation uint64, waiting []bounds) error {
	var slot [markSize]byte
	le := binary.LittleEndian
	copy(slot[:], markMagic)
	le.PutUint64(slot[8:], generation)
	le.PutUint64(slot[16:], uint64(len(waiting)))
	for i, b := range waiting {
		le.PutUint64(slot[24+16*i:], b.from)
		le.PutUint64(slot[32+16*i:], b.to)
	}
	le.PutUint32(slot[4:], crc32.Checksum(slot[8:], castagnoli))
	_, err := f.WriteAt(slot[:], int64(generation%2)*markSlot)
	return err
}

// readMark gives what the file holds. Without a sound slot everything waits, and
// the generation is 0.
func readMark(f file) (generation uint64, waiting []bounds, err error) {
	waiting = []bounds{{0, forever}}
	for i := range int64(2) {
		var slot [markSize]byte
		if _, err := f.ReadAt(slot[:], i*markSlot); err != nil {
			if errors.Is(err, io.EOF) {
				continue
			}
			return generation, waiting, err
		}
		if g, w, ok := parseMark(slot[:]); ok && g > generation {
			generation, waiting = g, w
		}
	}
	return generation, waiting, nil
}

func parseMark(slot []byte) (generation uint64, waiting []bounds, ok bool) {
	le := binary.LittleEndian
	n := le.Uint64(slot[16:])
	if string(slot[:4]) != markMagic || le.Uint32(slot[4:]) != crc32.Checksum(slot[8:], castagnoli) || n < 1 || n > maxSpans {
		return 0, nil, false
	}
	after := uint64(0)
	for i := range n {
		b := bounds{le.Uint64(slot[24+16*i:]), le.Uint64(slot[32+16*i:])}
		if b.from < after || b.to < b.from {
			return 0, nil, false
		}
		after = b.to
		waiting = append(waiting, b)
	}
	return le.Uint64(slot[8:]), waiting, after == forever
}
