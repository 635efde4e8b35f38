package queue

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// Lease is the memory of a block's stream, which is used again when everyone who
// holds it is done. Whoever keeps a block calls Hold before its owner calls
// Done, and Done when the stream is not read any more. One Done too few costs a
// buffer that the garbage collector takes instead. All methods may be called on
// nil, which is the lease of a stream that is nobody's in particular.
type Lease struct {
	stream  []byte
	holders atomic.Int32
	home    *sync.Pool
}

// Memory returns what was lent, empty.
func (l *Lease) Memory() []byte { return l.stream[:0] }

// Hold makes the caller one more holder.
func (l *Lease) Hold() {
	if l != nil {
		l.holders.Add(1)
	}
}

// Done ends what Hold or Lend began. It panics if there is no holder, which is a
// bug of ours that would send samples over others.
func (l *Lease) Done() {
	if l == nil {
		return
	}
	switch left := l.holders.Add(-1); {
	case left == 0:
		l.home.Put(l)
	case left < 0:
		panic("queue: a lease is ended twice")
	}
}

// Lender lends memory for streams. What nobody has asked for in a while goes to
// the garbage collector. It may be used by several goroutines; the zero value is
// ready.
type Lender struct {
	shelves [4 * (maxLentBits + 1)]sync.Pool
}

const (
	minLent     = 512 // bytes; less is not worth it
	maxLentBits = 20
)

// Lend lends memory of size bytes at least, and at most a quarter more, to its
// first holder.
func (l *Lender) Lend(size int) *Lease {
	if size < minLent || size > 1<<maxLentBits {
		lease := &Lease{stream: make([]byte, 0, size), home: new(sync.Pool)}
		lease.holders.Store(1)
		return lease
	}
	capacity := roundUp(size)
	shelf := &l.shelves[shelfOf(capacity)]
	lease, ok := shelf.Get().(*Lease)
	if !ok {
		lease = &Lease{stream: make([]byte, 0, capacity), home: shelf}
	}
	lease.holders.Store(1)
	return lease
}

// roundUp gives one of four sizes between two powers of two.
func roundUp(size int) int {
	step := 1 << (bits.Len(uint(size-1)) - 3)
	return (size + step - 1) &^ (step - 1)
}

// shelfOf numbers the sizes that roundUp gives.
func shelfOf(capacity int) int {
	width := bits.Len(uint(capacity - 1))
	return 4*width + (capacity-1)>>(width-3)&3
}
