package remotewrite

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"kinglet/writer/queue"
)

// form is what a body is: which message, how compressed.
type form uint8

const (
	formPlain    form = iota // 1.0, snappy: blocks joined
	formMessage2             // 2.0, snappy: made anew, since tables of symbols do not join
	formZstd                 // 1.0, zstd, as VictoriaMetrics takes it
)

func (f form) String() string {
	return [...]string{"remote write 1.0", "remote write 2.0", "remote write 1.0 with zstd"}[f]
}

// Body is the body of one request, ready for the wire, kept as the parts it is
// joined from. It is never changed, so that every attempt sends the same.
type Body struct {
	form    form
	parts   [][]byte
	blocks  []queue.Block // whose memory parts are
	size    int           // bytes
	samples int           // histograms included
	lost    int           // samples that this form cannot carry
	holds   contents
}

// NewBody joins blocks, which are not extended, into the body of a 1.0 request
// with snappy. Nothing is copied: the streams of the blocks follow the sum of
// their raw lengths.
func NewBody(blocks []queue.Block) Body {
	raw := uint64(0)
	for i := range blocks {
		raw += uint64(blocks[i].RawLen)
	}
	head := binary.AppendUvarint(make([]byte, 0, binary.MaxVarintLen64), raw)
	b := Body{parts: make([][]byte, 0, 1+len(blocks)), size: len(head), blocks: blocks}
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

// newBody makes a body of blocks in that form.
func newBody(f form, blocks []queue.Block) (Body, error) {
	if f == formMessage2 {
		return newBody2(blocks)
	}
	kept, lost := blocks, 0
	if slices.ContainsFunc(blocks, func(b queue.Block) bool { return b.Extended }) {
		kept = make([]queue.Block, 0, len(blocks))
		for _, b := range blocks {
			p, n, err := plain(b)
			if err != nil {
				return Body{}, err
			}
			kept, lost = append(kept, p), lost+n
		}
	}
	if f == formPlain {
		b := NewBody(kept)
		b.lost = lost
		return b, nil
	}
	raw, err := unpackBlocks(kept)
	if err != nil {
		return Body{}, err
	}
	b := oneBody(formZstd, zstdEncoder().EncodeAll(raw, nil), kept)
	b.lost = lost
	return b, nil
}

// newBody2 makes the 2.0 request of blocks.
func newBody2(blocks []queue.Block) (Body, error) {
	raw, err := unpackBlocks(blocks)
	if err != nil {
		return Body{}, err
	}
	message, holds, err := transcode(raw)
	if err != nil {
		return Body{}, err
	}
	b := oneBody(formMessage2, s2.EncodeSnappy(nil, message), blocks)
	b.holds = holds
	return b, nil
}

func oneBody(f form, body []byte, blocks []queue.Block) Body {
	b := Body{form: f, parts: [][]byte{body}, size: len(body)}
	for i := range blocks {
		b.samples += blocks[i].Samples
	}
	return b
}

// zstdEncoder is one for all senders; EncodeAll may be called by several at once.
// A window of 512 KiB and one worker keep it at about 2 MiB.
var zstdEncoder = sync.OnceValue(func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(512<<10), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic(fmt.Sprintf("remotewrite: zstd refuses its options: %v", err)) // they are constants
	}
	return e
})

// reader reads b from its beginning; each call gives a reader of its own, which
// holds the memory of b until it is closed: net/http may go on reading when it
// has given the answer.
func (b Body) reader() io.ReadCloser {
	r := &bodyReader{parts: b.parts}
	for i := range b.blocks {
		if lease := b.blocks[i].Lease; lease != nil {
			lease.Hold()
			r.leases = append(r.leases, lease)
		}
	}
	return r
}

type bodyReader struct {
	parts  [][]byte
	part   int // being read
	at     int // within the part
	leases []*queue.Lease
	closed atomic.Bool
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

// Close lets go of the memory.
func (r *bodyReader) Close() error {
	if !r.closed.Swap(true) {
		for _, lease := range r.leases {
			lease.Done()
		}
	}
	return nil
}
