package leanhttp

import (
	"errors"
	"io"
)

// body is the body of an answer, as far as it has been read.
type body struct {
	kind          // left counts down, in chunks from the length of each
	ahead  []byte // read together with the head
	chunk  chunkState
	digits int  // of the chunk's length, so far
	over   bool // the end was reached
}

// chunkState is where in a chunked body the next byte stands.
type chunkState uint8

const (
	inSize    chunkState = iota // in the length of a chunk
	inExtra                     // behind it, up to the end of the line
	inData                      // in the chunk's bytes
	inDataEnd                   // in the line end behind them
	inTrailer                   // at the beginning of a line behind the last chunk
	inField                     // in such a line
)

var errChunk = errors.New("the chunks of the body are damaged")

// read fills p from what was read ahead, then from r, and gives what of it is
// body.
func (b *body) read(r io.Reader, p []byte) (int, error) {
	for {
		if b.over || b.framing == byLength && b.left == 0 {
			if len(b.ahead) > 0 {
				b.keep = false // more came than was announced
			}
			b.over = true
			return 0, io.EOF
		}
		if len(p) == 0 {
			return 0, nil
		}
		n, err := b.raw(r, p)
		if n > 0 {
			if n, chunkErr := b.take(p[:n]); n > 0 || chunkErr != nil {
				return n, chunkErr
			}
			continue // nothing but framing
		}
		if errors.Is(err, io.EOF) {
			b.over = true
			if b.framing == byClose {
				return 0, io.EOF
			}
			return 0, io.ErrUnexpectedEOF
		}
		if err != nil {
			return 0, err
		}
	}
}

// raw gives the next bytes as they came, and no byte behind a known length.
func (b *body) raw(r io.Reader, p []byte) (int, error) {
	if len(b.ahead) > 0 {
		n := copy(p, b.ahead)
		b.ahead = b.ahead[n:]
		if b.framing == byLength && int64(n) > b.left {
			n, b.keep = int(b.left), false
		}
		return n, nil
	}
	if b.framing == byLength && int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := r.Read(p)
	if n > 0 {
		err = nil // it comes again
	}
	return n, err
}

// take leaves in p what is body and gives its length.
func (b *body) take(p []byte) (int, error) {
	switch b.framing {
	case byClose:
		return len(p), nil
	case byLength:
		b.left -= int64(len(p))
		return len(p), nil
	}
	n := 0
	for i := 0; i < len(p); {
		if b.chunk == inData {
			m := int(min(b.left, int64(len(p)-i)))
			n += copy(p[n:], p[i:i+m])
			i += m
			if b.left -= int64(m); b.left == 0 {
				b.chunk = inDataEnd
			}
			continue
		}
		if err := b.step(p[i]); err != nil {
			return n, err
		}
		i++
		if b.over {
			if i < len(p) {
				b.keep = false // something came behind the end
			}
			break
		}
	}
	return n, nil
}

// step takes one byte of the framing of chunks.
func (b *body) step(c byte) error {
	switch b.chunk {
	case inSize:
		return b.size(c)
	case inExtra:
		if c == '\n' {
			b.startChunk()
		}
	case inDataEnd:
		switch c {
		case '\r':
		case '\n':
			b.chunk, b.left, b.digits = inSize, 0, 0
		default:
			return errChunk
		}
	case inTrailer:
		switch c {
		case '\r':
		case '\n':
			b.over = true
		default:
			b.chunk = inField
		}
	case inField:
		if c == '\n' {
			b.chunk = inTrailer
		}
	}
	return nil
}

// size takes one byte of the length of a chunk.
func (b *body) size(c byte) error {
	digit := int64(-1)
	switch {
	case '0' <= c && c <= '9':
		digit = int64(c - '0')
	case 'a' <= c && c <= 'f':
		digit = int64(c-'a') + 10
	case 'A' <= c && c <= 'F':
		digit = int64(c-'A') + 10
	}
	switch {
	case digit >= 0:
		if b.digits++; b.digits > 12 {
			return errChunk
		}
		b.left = b.left<<4 | digit
	case b.digits == 0:
		return errChunk
	case c == '\n':
		b.startChunk()
	case c == '\r' || c == ';' || c == ' ' || c == '\t':
		b.chunk = inExtra
	default:
		return errChunk
	}
	return nil
}

// startChunk begins the bytes of a chunk, or the trailer behind the last one.
func (b *body) startChunk() {
	b.chunk = inData
	if b.left == 0 {
		b.chunk = inTrailer
	}
}
