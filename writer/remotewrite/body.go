package remotewrite

import (
	"encoding/binary"
	"io"

	"kinglet/writer/queue"
)

// Body is the body of one request, ready for the wire, kept as the parts it is
// joined from. It is never changed, so that every attempt sends the same.
type Body struct {
	parts   [][]byte
	size    int // bytes
	samples int
}

// NewBody joins blocks into the body of a 1.0 request with snappy. Nothing is
// copied: the streams of the blocks follow the sum of their raw lengths.
func NewBody(blocks []queue.Block) Body {
	raw := uint64(0)
	for i := range blocks {
		raw += uint64(blocks[i].RawLen)
	}
	head := binary.AppendUvarint(make([]byte, 0, binary.MaxVarintLen64), raw)
	b := Body{parts: make([][]byte, 0, 1+len(blocks)), size: len(head)}
	b.parts = append(b.parts, head)
	for i := range blocks {
		b.parts = append(b.parts, blocks[i].Stream)
		b.size += len(blocks[i].Stream)
		b.samples += blocks[i].Samples
	}
	return b
}

// AppendBody appends the body of a 1.0 request of blocks to dst.
func AppendBody(dst []byte, blocks []queue.Block) []byte {
	for _, part := range NewBody(blocks).parts {
		dst = append(dst, part...)
	}
	return dst
}

// reader reads b from its beginning; each call gives a reader of its own.
func (b Body) reader() io.ReadCloser { return &bodyReader{parts: b.parts} }

type bodyReader struct {
	parts [][]byte
	part  int // being read
	at    int // within the part
}

func (r *bodyReader) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if r.part == len(r.parts) {
			if n == 0 && len(p) > 0 {
				return 0, io.EOF
			}
			return n, nil
		}
		c := copy(p[n:], r.parts[r.part][r.at:])
		n += c
		if r.at += c; r.at == len(r.parts[r.part]) {
			r.part, r.at = r.part+1, 0
		}
	}
	return n, nil
}

// Close does nothing: the parts belong to others.
func (r *bodyReader) Close() error { return nil }
