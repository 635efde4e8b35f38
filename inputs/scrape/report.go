package scrape

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"kinglet/conf/httpclient"
	"kinglet/inputs"
	"kinglet/inputs/promtext"
)

// status is how a target is doing, for status pages and logs.
type status struct {
	mu      sync.Mutex
	target  inputs.Target
	leaving bool
	downAt  time.Time // start of the first of a row of failures; zero if up
}

func (s *status) snapshot() (inputs.Target, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.target, s.leaving
}

// reset describes a new target, or the same one with new settings.
func (s *status) reset(input string, t *Target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaving = false
	s.target.Input, s.target.URL, s.target.Labels, s.target.Interval = input, shownURL(t.URL), t.Labels, t.Interval
}

func (s *status) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaving = true
}

// change says what a finished scrape changed.
type change uint8

const (
	unchanged change = iota
	wentUp
	wentDown
	firstUp
)

// finish notes a finished scrape. DownFor is how long the target was down, if
// it went up.
func (s *status) finish(start time.Time, took time.Duration, samples int, err error) (what change, downFor time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.target.LastScrape.IsZero()
	s.target.LastScrape, s.target.Duration, s.target.Samples = start, took, samples
	s.target.Up, s.target.Error = err == nil, ""
	if err != nil {
		s.target.Error = err.Error()
		if s.downAt.IsZero() {
			s.downAt = start
			return wentDown, 0
		}
		return unchanged, 0
	}
	if s.downAt.IsZero() {
		if first {
			return firstUp, 0
		}
		return unchanged, 0
	}
	downFor = start.Sub(s.downAt)
	s.downAt = time.Time{}
	return wentUp, downFor
}

// A panicError is a bug that a target brought to light.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string {
	return fmt.Sprintf("kinglet failed on this target (%v): please report it", e.value)
}

// errTargetLimit is the fault of every target of an input that has too many.
type targetLimitError struct{ targets, limit int }

func (e *targetLimitError) Error() string {
	return fmt.Sprintf("target_limit: %d targets, want at most %d", e.targets, e.limit)
}

// TargetLimit is Target.Refused of all targets of an input that has more than
// it may (RW-152).
func TargetLimit(targets, limit int) error { return &targetLimitError{targets, limit} }

// reasonOf is the value of the label `reason` for an error of a scrape: one of
// a fixed list.
func reasonOf(err error) string {
	for _, r := range reasons() {
		if r.is(err) {
			return r.name
		}
	}
	return "other"
}

type reason struct {
	name string
	is   func(error) bool
}

func reasons() []reason {
	return []reason{
		{"timeout", is[*TimeoutError]},
		{"timeout", func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }},
		{"status", is[*StatusError]},
		{"status", is[*httpclient.SwitchingError]},
		{"content_type", is[*ContentTypeError]},
		{"parse", is[*promtext.SyntaxError]},
		{sizeLimitName, limitIs(sizeLimitName)},
		{bucketLimitName, limitIs(bucketLimitName)},
		{sampleLimitName, limitIs(sampleLimitName)},
		{memoryLimitName, limitIs(memoryLimitName)},
		{"label_limit", is[*LimitError]},
		{"target_limit", is[*targetLimitError]},
		{"no_metric_name", func(err error) bool { return errors.Is(err, errNoName) }},
		{"panic", is[*panicError]},
		{"credentials", is[*httpclient.FileError]},
		{"refused", func(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }},
		{"dns", is[*net.DNSError]},
		{"tls", is[*tls.CertificateVerificationError]},
		{"tls", is[tls.RecordHeaderError]},
		{"tls", is[x509.UnknownAuthorityError]},
		{"tls", is[tls.AlertError]},
		{"connection", func(err error) bool {
			return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || is[*net.OpError](err)
		}},
	}
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func limitIs(limit string) func(error) bool {
	return func(err error) bool {
		e, ok := errors.AsType[*LimitError](err)
		return ok && e.Limit == limit
	}
}
