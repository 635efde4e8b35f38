package remotewrite

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"kinglet/writer/queue"
)

// Observer is told what becomes of requests and samples. It must not block.
type Observer interface {
	// Requested: one attempt was made and took that long; status is "200",
	// "429", ..., "other", or "error" if no answer came.
	Requested(status string, took time.Duration)
	// Retried: an attempt failed and will be repeated; class is "429", "499",
	// "5xx", "other" or "error".
	Retried(class string)
	// Sent: the endpoint took samples, in a body of that many bytes.
	Sent(samples, bytes int)
	// Dropped: the endpoint refused samples for good.
	Dropped(samples int, reason string)
}

// Reasons of samples that an endpoint refused.
const (
	ReasonRejected     = "rejected"     // 4xx but those below
	ReasonUnauthorized = "unauthorized" // 401 or 403, twice
	ReasonTooLarge     = "too_large"    // 413 to a single series
	ReasonRedirect     = "redirect"     // 3xx
	ReasonOddStatus    = "odd_status"   // a status that HTTP does not know
)

// Sender takes the blocks of one queue to one endpoint, one request at a time,
// so that the samples of a series keep their order (RW-40 to RW-42).
type Sender struct {
	queue      queue.Queue
	client     *Client
	observer   Observer
	faults     faultLog
	maxSamples int
	linger     time.Duration
	retry      []int
	backoff    backoff

	mu    sync.Mutex
	state State
}

// State is how an endpoint is doing.
type State struct {
	LastSuccess time.Time // the last 2xx; zero before the first
	LastError   string    // the last failure, without secrets
	LastErrorAt time.Time
	Failing     bool      // the latest attempt failed
	NextAttempt time.Time // while backing off
	InFlight    bool      // a request is on its way
}

// Batching says when a request is made of what waits in the queue.
type Batching struct {
	MaxSamples int           // of one request
	Linger     time.Duration // a sample waits at most so long for its request to fill
}

// NewSender makes a sender; it does nothing before Run.
func NewSender(cfg Config, batching Batching, q queue.Queue, client *Client, observer Observer, log *slog.Logger) *Sender {
	return &Sender{
		queue: q, client: client, observer: observer, faults: faultLog{log: log},
		maxSamples: batching.MaxSamples, linger: batching.Linger, retry: cfg.RetryStatus,
		backoff: backoff{min: cfg.MinBackoff.Duration, max: cfg.MaxBackoff.Duration},
	}
}

// Run sends until ctx ends, or until the queue is closed and empty. What was
// not acknowledged stays in the queue.
func (s *Sender) Run(ctx context.Context) {
	for {
		blocks, err := s.queue.Next(ctx, s.maxSamples, s.linger)
		if err != nil {
			return // closed and empty, or ctx
		}
		if err := s.deliver(ctx, blocks, s.queue.Ack); err != nil {
			return // ctx
		}
	}
}

// State tells how the endpoint is doing.
func (s *Sender) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// deliver sends blocks until they are taken or refused, in several requests if
// one is too large for the endpoint, and tells done of each part. It returns an
// error only if ctx ended first.
func (s *Sender) deliver(ctx context.Context, blocks []queue.Block, done func(n int)) error {
	body := NewBody(blocks)
	reason, err := s.send(ctx, body)
	if err != nil {
		return err
	}
	if reason != ReasonTooLarge || body.samples < 2 {
		if reason == "" {
			s.observer.Sent(body.samples, body.size)
		} else {
			s.observer.Dropped(body.samples, reason)
		}
		done(len(blocks))
		return nil
	}
	if len(blocks) > 1 {
		mid := len(blocks) / 2
		if err := s.deliver(ctx, blocks[:mid], done); err != nil {
			return err
		}
		return s.deliver(ctx, blocks[mid:], done)
	}
	return s.deliverHalves(ctx, blocks[0], done)
}

// deliverHalves sends one block as two.
func (s *Sender) deliverHalves(ctx context.Context, block queue.Block, done func(n int)) error {
	first, second, err := halve(block)
	if err != nil {
		s.faults.dropped(block.Samples, err)
		s.observer.Dropped(block.Samples, ReasonTooLarge)
		done(1)
		return nil
	}
	for _, half := range []queue.Block{first, second} {
		if err := s.deliver(ctx, []queue.Block{half}, func(int) {}); err != nil {
			return err
		}
	}
	done(1)
	return nil
}

// send repeats body until it is taken (""), or refused for a reason. It returns
// an error only if ctx ended first.
func (s *Sender) send(ctx context.Context, body Body) (reason string, err error) {
	secretsReread := false
	for attempt := 0; ; attempt++ {
		err := s.attempt(ctx, body, attempt)
		if err == nil {
			return "", nil
		}
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		v := s.judge(err)
		switch {
		case v.reason == ReasonUnauthorized && !secretsReread:
			// What may just have been rotated is read again for the second attempt.
			secretsReread = true
			s.client.http.Forget()
			s.observer.Retried(v.class)
			continue
		case v.reason == ReasonTooLarge && body.samples > 1:
			return v.reason, nil // not lost yet
		case v.reason != "":
			s.faults.dropped(body.samples, err)
			s.backoff.reset()
			return v.reason, nil
		}
		s.observer.Retried(v.class)
		wait := s.backoff.wait()
		if v.retryAfter > 0 {
			wait = v.retryAfter
		}
		if err := s.wait(ctx, wait); err != nil {
			return "", err
		}
	}
}

// attempt posts body once and notes how it went.
func (s *Sender) attempt(ctx context.Context, body Body, attempt int) error {
	s.note(func(st *State) { st.InFlight, st.NextAttempt = true, time.Time{} })
	start := time.Now()
	status, err := s.client.Post(ctx, body, attempt)
	now := time.Now()
	s.observer.Requested(statusLabel(status), now.Sub(start))
	s.note(func(st *State) {
		st.InFlight = false
		switch {
		case err == nil:
			st.LastSuccess, st.Failing = now, false
		case ctx.Err() == nil:
			st.LastError, st.LastErrorAt, st.Failing = err.Error(), now, true
		}
	})
	if err == nil {
		s.backoff.reset()
		s.faults.accepted()
	}
	return err
}

// verdict is what to do about a failed attempt: give up for a reason, or retry.
type verdict struct {
	reason     string // "" = retry
	class      string // of the retry
	retryAfter time.Duration
}

// judge decides by the status alone (RW-57 to RW-61, RW-88); whatever is no
// answer is worth repeating (RW-59).
func (s *Sender) judge(err error) verdict {
	answer, ok := errors.AsType[*StatusError](err)
	if !ok {
		s.faults.failing(err)
		return verdict{class: "error"}
	}
	code := answer.Code
	switch {
	case code == http.StatusTooManyRequests, code == statusOverload, code/100 == 5, slices.Contains(s.retry, code):
		s.faults.failing(err)
		return verdict{class: retryClass(code), retryAfter: answer.RetryAfter}
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return verdict{reason: ReasonUnauthorized, class: "other"}
	case code == http.StatusRequestEntityTooLarge:
		return verdict{reason: ReasonTooLarge}
	case code/100 == 4:
		return verdict{reason: ReasonRejected}
	case code/100 == 3:
		return verdict{reason: ReasonRedirect}
	}
	return verdict{reason: ReasonOddStatus}
}

// statusOverload is what Nightingale answers when its queue is full.
const statusOverload = 499

func retryClass(code int) string {
	switch {
	case code == http.StatusTooManyRequests || code == statusOverload:
		return strconv.Itoa(code)
	case code/100 == 5:
		return "5xx"
	}
	return "other"
}

// statusLabel keeps the number of labels small whatever an endpoint answers.
func statusLabel(code int) string {
	switch {
	case code == 0:
		return "error"
	case code < 100 || code > 599:
		return "other"
	}
	return strconv.Itoa(code)
}

// wait lets the endpoint rest for d.
func (s *Sender) wait(ctx context.Context, d time.Duration) error {
	s.note(func(st *State) { st.NextAttempt = time.Now().Add(d) })
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func (s *Sender) note(change func(*State)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.state)
}
