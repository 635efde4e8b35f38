// Package queue keeps encoded blocks for one endpoint until it is done with
// them, in the order in which they came, within a bound in bytes. A queue opens
// no connection and never looks inside a block.
package queue

import (
	"context"
	"errors"
	"time"
)

// Block is the unit of queue, disk and wire: a remote-write 1.0 message of some
// time series, as snappy elements without the length that a snappy block begins
// with. Protobuf messages of repeated fields concatenate and snappy's copies
// are relative, so a request is the sum of the raw lengths as a uvarint,
// followed by the streams of its blocks.
//
// A block is never changed once made; endpoints that send the same share it.
type Block struct {
	Stream  []byte // snappy elements
	Lease   *Lease // memory of Stream, if it is lent: see Lends
	RawLen  int    // bytes of the message they decode to
	Samples int

	// Target is what the samples were scraped from and RowMs the timestamp of
	// that scrape in ms since the Unix epoch, as kinglet.Row has them. A block
	// holds samples of one row only.
	Target uint64
	RowMs  int64

	// Extended says that the message has fields beyond 1.0 (start timestamps,
	// metadata, custom buckets, any names), from which a 2.0 request is made;
	// to go out as 1.0 they are taken away first.
	Extended bool

	MinMs, MaxMs int64     // time range of the samples, ms since the Unix epoch
	Queued       time.Time // when it was appended; set by Append if zero
}

// Lends reports whether blocks whose memory is lent may be appended to q: that it
// holds them for as long as they are its, and no longer.
func Lends(q Queue) bool {
	switch q.(type) {
	case *Memory, *Log:
		return true
	}
	return false
}

// ErrClosed is what Next returns when the queue is closed and empty.
var ErrClosed = errors.New("queue is closed")

// Want says what the next request should be like.
type Want struct {
	// MaxSamples is the most samples of it, but for a single block that has more.
	MaxSamples int
	// Linger is how long the oldest block waits at most for the request to fill.
	Linger time.Duration
	// FreshShare is the share of requests that go to fresh samples while an
	// outage's backlog is being sent, 0 to 1. With 0 the oldest goes first,
	// always, as is needed where samples that come out of order are refused.
	FreshShare float64
	// OneRowPerTarget ends a request before a block of a target of which it has
	// a block of another row, so that no series is in it twice.
	OneRowPerTarget bool
}

// Queue is a queue with any number of producers and one consumer.
type Queue interface {
	// Append takes blocks, best all of a scrape at once; the slice stays the
	// caller's. It waits for nobody: where there is no room for a block the oldest
	// that are not in flight go, or the block itself if that is not enough, and
	// are counted. After Close blocks are only counted.
	Append(blocks ...Block)
	// Next returns the oldest blocks that make a request as wanted, one at
	// least, without removing them: they are in flight until Ack, or until Next
	// is called again, which begins with the same blocks. It blocks until the
	// request is full, until the oldest has waited for Linger, or until Close.
	// It returns ctx.Err() or ErrClosed, the latter once nothing is left. The
	// slice is valid until the next call.
	Next(ctx context.Context, want Want) ([]Block, error)
	// Ack removes the first n blocks in flight: the endpoint took them, or they
	// were given up, which the caller counts.
	Ack(n int)
	// Close ends waiting: nothing is appended any more, and Next returns what is
	// left without delay.
	Close()
	// Stats tells what waits, blocks in flight included.
	Stats() Stats
}

// Stats is the state of a queue.
type Stats struct {
	Blocks  int
	Samples int
	Bytes   int       // as bounded by the limit
	Oldest  time.Time // when the oldest block was appended; zero if the queue is empty
}

// Reasons of samples that a queue gives up.
const (
	ReasonFull    = "queue_full"    // there was no room
	ReasonAge     = "queue_max_age" // they waited for too long
	ReasonClosed  = "removed"       // they came after Close
	ReasonDamaged = "queue_damaged" // a log's record, or the whole file, can no longer be read
)

// OnDrop is told of samples that a queue gave up. It is called with the queue
// locked: it must not call the queue, nor block.
type OnDrop func(samples int, reason string)
