package queue

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// segment is one file of a log: records of rising sequence numbers.
type segment struct {
	first uint64 // its name; no record of it has a lower number
	next  uint64 // no record of it has this number or a higher one
	bytes int64  // up to the end of its last whole record

	// When its first and last block were appended. Of a segment from before this
	// start that is reckoned from what the clock said then and at the start; from
	// then on a clock that is set does not change it.
	firstAt, lastAt time.Time

	// What is not acknowledged.
	blocks, samples int
	pending         int64 // bytes
	held            int   // blocks that a span holds

	unknown bool // it could not be looked through at the start: what waits is counted as it is read
	scanned bool // from before this start: damaged headers were counted then
	faults  int  // times that it could not be read
}

const segmentSuffix = ".seg"

func segmentName(dir string, first uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%016x%s", first, segmentSuffix))
}

// parseSegmentName is the first number of a segment's file.
func parseSegmentName(name string) (first uint64, ok bool) {
	text, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(text) != 16 {
		return 0, false
	}
	first, err := strconv.ParseUint(text, 16, 64)
	return first, err == nil
}

// add counts a record that waits.
func (s *segment) add(b *Block) {
	s.blocks++
	s.samples += b.Samples
	s.pending += recordSize(b)
}

// done counts a record that waits no more.
func (s *segment) done(b *Block) {
	s.blocks--
	s.samples -= b.Samples
	s.pending -= recordSize(b)
}

// forget counts all of it as done.
func (s *segment) forget() { s.blocks, s.samples, s.pending = 0, 0, 0 }

// isDone reports whether nothing waits in it, as far as is known without knowing
// what was read.
func (s *segment) isDone() bool { return s.blocks == 0 && s.held == 0 && !s.unknown }

// segments are those of a log, by rising numbers.
type segments []*segment

// of is the first segment that may have that record or a later one, or nil.
func (all segments) of(seq uint64) *segment {
	i, _ := slices.BinarySearchFunc(all, seq, func(s *segment, seq uint64) int {
		if s.next <= seq {
			return -1
		}
		return 1
	})
	if i == len(all) {
		return nil
	}
	return all[i]
}

// window reads a file in pieces of at least size bytes. What it returns is
// never written again, so that blocks may keep it.
type window struct {
	file file
	size int
	at   int64
	data []byte
}

// peek is the n bytes at that place, which are before end.
func (w *window) peek(at int64, n int, end int64) ([]byte, error) {
	if at < w.at || at+int64(n) > w.at+int64(len(w.data)) {
		data := make([]byte, min(int64(max(n, w.size)), end-at))
		if got, err := w.file.ReadAt(data, at); err != nil && (got < len(data) || !errors.Is(err, io.EOF)) {
			return nil, err
		}
		w.at, w.data = at, data
	}
	return w.data[at-w.at:][:n:n], nil
}

// resync is where the next record begins at or behind that place, or end. Only
// a header that is sound in itself and has a number in [lowest, next) is one.
func (w *window) resync(at, end int64, lowest, next uint64) (int64, error) {
	for at+headerSize <= end {
		n := int(min(int64(max(w.size, 2*headerSize)), end-at))
		data, err := w.peek(at, n, end)
		if err != nil {
			return at, err
		}
		i := bytes.Index(data, recordMagic)
		switch {
		case i < 0:
			at += int64(n - len(recordMagic) + 1)
			continue
		case i+headerSize > n:
			at += int64(i)
			continue
		}
		if h, ok := parseHeader(data[i : i+headerSize]); ok && h.seq >= lowest && h.seq < next && at+int64(i)+h.size() <= end {
			return at + int64(i), nil
		}
		at += int64(i) + 1
	}
	return end, nil
}

// scanWindow is the piece in which segments are looked through at the start,
// header by header: a disk's unit.
const scanWindow = 4 << 10

// scan looks through a segment's file and tells each of every record, in order.
// It returns how many records are damaged, as far as that can be known. Records
// from number limit on are not looked at: they are in the next segment, too.
//
// Where no end is marked the segment ends before what is no record: before one
// that is cut off, because its append never came to an end, or before what the
// file has of an earlier use, which lower numbers tell.
func (s *segment) scan(f file, size int64, limit uint64, each func(h *header, at int64)) (damaged uint64, err error) {
	w := window{file: f, size: scanWindow}
	at, lost := int64(0), false
	s.next, s.scanned = s.first, true
	for at+headerSize <= size {
		head, err := w.peek(at, headerSize, size)
		if err != nil {
			return damaged, fmt.Errorf("read %d bytes at %d: %w", headerSize, at, err)
		}
		h, ok := parseHeader(head)
		if !ok || h.seq < s.next {
			lost = true
			if at, err = w.resync(at+1, size, s.next, forever); err != nil {
				return damaged, fmt.Errorf("read on from %d: %w", at, err)
			}
			continue
		}
		if lost {
			damaged += max(1, h.seq-s.next)
		}
		if lost = false; h.end || h.seq >= limit || at+h.size() > size {
			s.next = min(h.seq, limit)
			return damaged, nil
		}
		each(&h, at)
		at += h.size()
		s.next, s.bytes = h.seq+1, at
	}
	return damaged, nil
}

// isTorn reports whether a record, which is the last of its segment, was being
// written when the process ended or the disk failed: it is not sound, and no end
// is marked behind it. size is that of the file.
func isTorn(f file, h *header, at, size int64) bool {
	w := window{file: f, size: int(h.size()) + headerSize}
	stream, err := w.peek(at+headerSize, h.length, size)
	if err != nil || h.sound(stream) {
		return false
	}
	end := at + h.size()
	if end+headerSize > size {
		return true
	}
	behind, err := w.peek(end, headerSize, size)
	if err != nil {
		return false
	}
	mark, ok := parseHeader(behind)
	return !ok || !mark.end || mark.seq != h.seq+1
}

// gone reports whether an error says that a file is not there.
func gone(err error) bool { return errors.Is(err, os.ErrNotExist) }
