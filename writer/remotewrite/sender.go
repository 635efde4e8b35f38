package remotewrite

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"kinglet"
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

// Sender takes the blocks of one queue to one endpoint, one request at a time,
// so that the samples of a series keep their order (RW-40 to RW-42).
type Sender struct {
	queue      queue.Queue
	client     *Client
	observer   Observer
	faults     faultLog
	maxSamples int
	linger     time.Duration
	maxAge     time.Duration

	metadataEvery time.Duration // 0: never
	metadataSent  time.Time
	families      Families

	cfg      Config
	identity identity
	habits   Habits
	retry    []int
	backoff  backoff
	size     requestSize
	divider  divider
	protocol protocol
	extended atomic.Bool // protocol.wantsExtended, for others

	mu    sync.Mutex
	state State
}

// State is how an endpoint is doing.
type State struct {
	Profile     Profile   // of the receiver, as far as it is known
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

// Families gives what is known of all metric families. It may be called at any
// time, and must not block.
type Families func() []*kinglet.Meta

// Source is where a sender takes from.
type Source struct {
	Queue    queue.Queue
	Families Families // nil if there is no metadata to send
}

// NewSender makes a sender; it does nothing before Run.
func NewSender(cfg Config, batching Batching, from Source, client *Client, observer Observer, log *slog.Logger) *Sender {
	s := &Sender{
		queue: from.Queue, families: from.Families, client: client, observer: observer, faults: faultLog{log: log},
		metadataEvery: cfg.MetadataInterval.Duration,
		maxSamples:    batching.MaxSamples, linger: batching.Linger, maxAge: cfg.MaxAge.Duration, retry: cfg.RetryStatus,
		backoff: backoff{min: cfg.MinBackoff.Duration, max: cfg.MaxBackoff.Duration}, cfg: cfg, identity: newIdentity(cfg),
	}
	s.habits = cfg.Habits(s.identity.profile)
	s.protocol = newProtocol(cfg, s.habits)
	s.state.Profile = s.identity.profile
	s.extended.Store(s.protocol.wantsExtended())
	return s
}

// Inherit takes over what before, which has the same name and whose Run has
// returned, learned of the endpoint, if that is still at the same URL: what size
// it takes, what of it was refused, what it is, and when it last took something. It must be called before Run.
func (s *Sender) Inherit(before *Sender) {
	if s.cfg.URL != before.cfg.URL {
		return
	}
	s.size, s.divider = before.size, before.divider
	s.note(func(st *State) { st.LastSuccess = before.State().LastSuccess })
	if s.cfg.Profile == before.cfg.Profile {
		s.identity = before.identity
		s.habits = s.cfg.Habits(s.identity.profile)
		s.protocol.suit(s.habits)
		s.note(func(st *State) { st.Profile = s.identity.profile })
	}
	if s.cfg.ProtobufMessage == before.cfg.ProtobufMessage && s.cfg.Compression == before.cfg.Compression {
		s.protocol = before.protocol
	}
	s.extended.Store(s.protocol.wantsExtended())
}

// WantsExtended reports whether blocks for this endpoint should be extended. It
// may become false while the sender runs; blocks of either kind are always
// taken.
func (s *Sender) WantsExtended() bool { return s.extended.Load() }

// Run sends until ctx ends, or until the queue is closed and empty. What was
// not acknowledged stays in the queue.
func (s *Sender) Run(ctx context.Context) {
	for {
		blocks, err := s.queue.Next(ctx, s.want())
		if err != nil {
			return // closed and empty, or ctx
		}
		s.identify(ctx, blocks)
		if err := s.deliver(ctx, blocks, s.queue.Ack); err != nil {
			return // ctx
		}
		if !s.State().Failing {
			s.metadata(ctx)
		}
	}
}

// want is the request to make next.
func (s *Sender) want() queue.Want {
	return queue.Want{
		MaxSamples: s.maxSamples, Linger: s.linger,
		FreshShare: s.habits.FreshShare, OneRowPerTarget: s.habits.OneRowPerTarget,
	}
}

// identify finds out what receives, if that makes a difference for what is to
// be sent: for its form, or because it is an outage's backlog.
func (s *Sender) identify(ctx context.Context, next []queue.Block) {
	state := s.State()
	backlog := !state.LastSuccess.IsZero() && !state.Failing && next[0].MaxMs < time.Now().Add(-backlogAge).UnixMilli()
	if !backlog && !s.protocol.depends() || !s.identity.ask(ctx, s.client) {
		return
	}
	found := s.identity.profile
	s.faults.log.Info("endpoint has shown what it is", "profile", string(found))
	s.habits = s.cfg.Habits(found)
	s.protocol.suit(s.habits)
	s.extended.Store(s.protocol.wantsExtended())
	s.note(func(st *State) { st.Profile = found })
}

// State tells how the endpoint is doing.
func (s *Sender) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// deliver sends blocks until they are taken or given up, in several requests if
// one is too large for the endpoint, or holds what it does not take, and tells done
// of each part. It returns an error only if ctx ended first.
func (s *Sender) deliver(ctx context.Context, blocks []queue.Block, done func(n int)) error {
	d := &division{divider: &s.divider}
	err := s.deliverParts(ctx, blocks, d, done)
	if d.end() {
		s.faults.indivisible()
	}
	return err
}

// deliverParts is deliver, as d divides.
func (s *Sender) deliverParts(ctx context.Context, blocks []queue.Block, d *division, done func(n int)) error {
	for len(blocks) > 0 {
		if n := s.expired(blocks); n > 0 {
			done(n)
			d.passed(n)
			blocks = blocks[n:]
			continue
		}
		most := s.size.most()
		some := fitting(blocks[:d.next(blocks)], most)
		o, r := tooLarge, objection{}
		if len(some) > 1 || some[0].Samples == 1 || some[0].RawLen <= most {
			var err error
			begun := time.Now()
			if o, r, err = s.send(ctx, some, d.plain); err != nil {
				return err
			}
			d.spend(time.Since(begun))
		}
		settled, err := len(some), error(nil)
		switch {
		case o == tooOld:
			continue
		case o == taken:
			d.taken(some)
		case o == givenUp:
			d.passed(settled)
		case o == refused:
			settled, err = s.divide(ctx, some, d, r)
		case settled == 1:
			err = s.deliverHalves(ctx, some[0])
			d.passed(settled)
		default:
			half := settled / 2
			if err := s.deliver(ctx, some[:half], done); err != nil {
				return err
			}
			d.passed(half)
			blocks = blocks[half:]
			continue
		}
		if err != nil {
			return err
		}
		done(settled)
		blocks = blocks[settled:]
	}
	return nil
}

// deliverHalves sends one block as two.
func (s *Sender) deliverHalves(ctx context.Context, block queue.Block) error {
	first, second, err := halve(block)
	if err != nil {
		s.giveUp(block.Samples, ReasonDamaged, err)
		return nil
	}
	for _, half := range []queue.Block{first, second} {
		if err := s.deliver(ctx, []queue.Block{half}, func(int) {}); err != nil {
			return err
		}
	}
	return nil
}

// expired gives up the oldest blocks that are older than max_age.
func (s *Sender) expired(blocks []queue.Block) (n int) {
	if s.maxAge <= 0 {
		return 0
	}
	limitMs := time.Now().Add(-s.maxAge).UnixMilli()
	for n < len(blocks) && blocks[n].MaxMs < limitMs {
		s.giveUp(blocks[n].Samples, ReasonMaxAge, errTooOld)
		n++
	}
	return n
}

var errTooOld = errors.New("samples are older than max_age")

// giveUp counts samples that will never arrive. What they are of is told too, if
// it is given and one thing.
func (s *Sender) giveUp(samples int, reason string, err error, of ...queue.Block) {
	s.faults.dropped(samples, err, of)
	s.observer.Dropped(samples, reason)
}

// outcome is how the sending of a request ended.
type outcome uint8

const (
	taken    outcome = iota // acknowledged
	givenUp                 // and counted
	refused                 // whole, for what is in it
	tooLarge                // for the endpoint, but not a single series
	tooOld                  // the oldest block exceeded max_age
)

// send repeats a request of blocks until it is taken, given up and counted,
// refused for what is in it, or found too large or too old. With plainly it is
// made as plain 1.0. It returns an error only if ctx ended first.
func (s *Sender) send(ctx context.Context, blocks []queue.Block, plainly bool) (outcome, objection, error) {
	f := s.protocol.next()
	if plainly {
		f = formPlain
	}
	body, err := newBody(f, blocks)
	if err != nil {
		return refused, unreadable(blocks, err), nil
	}
	secretsReread, fellBack := false, false
	for attempt := 0; ; attempt++ {
		if body.samples == 0 {
			s.unfit(body.lost)
			return givenUp, objection{}, nil
		}
		answer, err := s.attempt(ctx, body, attempt)
		if s.protocol.fallsBack(body.form, answer, err) && !fellBack {
			fellBack = true
			s.observer.Retried("fallback")
			if body, err = newBody(formPlain, blocks); err != nil {
				return refused, unreadable(blocks, err), nil
			}
			continue
		}
		if err == nil {
			s.size.accepted(rawSize(blocks))
			s.accepted(body, answer, fellBack)
			return taken, objection{}, nil
		}
		if ctx.Err() != nil {
			return givenUp, objection{}, ctx.Err()
		}
		v := s.judge(err)
		r := objection{body, answer, v.reason, err, fellBack || plainly}
		switch {
		case v.reason == ReasonUnauthorized && !secretsReread:
			// What may just have been rotated is read again for the second attempt.
			secretsReread = true
			s.client.http.Forget()
			s.observer.Retried(v.class)
			continue
		case body.partly(answer):
			// What is missing would be refused again (RW-78).
			r.reason = cmp.Or(v.reason, ReasonRejected)
			s.lose(r)
			return givenUp, r, nil
		case v.reason == ReasonTooLarge && body.samples > 1:
			s.size.refused(rawSize(blocks))
			return tooLarge, r, nil
		case v.reason != "" && divisible(s.habits, answer):
			s.backoff.reset()
			return refused, r, nil
		case v.reason != "":
			s.lose(r)
			return givenUp, r, nil
		}
		s.observer.Retried(v.class)
		if err := s.wait(ctx, cmp.Or(v.retryAfter, s.backoff.wait())); err != nil {
			return givenUp, objection{}, err
		}
		if s.maxAge > 0 && blocks[0].MaxMs < time.Now().Add(-s.maxAge).UnixMilli() {
			return tooOld, objection{}, nil
		}
	}
}

// unreadable is the refusal of blocks of which no request can be made: one of them
// is damaged.
func unreadable(blocks []queue.Block, err error) objection {
	r := objection{reason: ReasonDamaged, err: err}
	for i := range blocks {
		r.body.samples += blocks[i].Samples
	}
	return r
}

// unfit counts samples that 1.0 cannot carry, once their request is settled.
func (s *Sender) unfit(samples int) {
	if samples > 0 {
		s.giveUp(samples, ReasonNotIn1, errNotIn1)
	}
}

var errNotIn1 = errors.New("remote write 1.0 cannot carry histograms with custom buckets, nor series whose names become those of others")

// accepted counts a request that was taken.
func (s *Sender) accepted(body Body, answer Answer, fellBack bool) {
	s.backoff.reset()
	s.faults.accepted()
	if s.divider.taken() {
		s.faults.divisible()
	}
	s.unfit(body.lost)
	missing := 0
	if body.form == formMessage2 {
		missing = max(0, body.holds.samples-answer.Written.Samples) + max(0, body.holds.histograms-answer.Written.Histograms)
	}
	if missing > 0 {
		s.giveUp(missing, ReasonNotWritten, errNotWritten)
	}
	s.observer.Sent(body.samples-missing, body.size)
	if s.protocol.taken(body.form, fellBack) {
		s.faults.log.Info("endpoint has shown what it takes", "protocol", body.form.String())
	}
	s.extended.Store(s.protocol.wantsExtended())
}

var errNotWritten = errors.New("endpoint took a request and reports that only a part of it was written")

// lose counts a request of blocks that was refused for good, but for what a 2.0
// receiver says it wrote of it (RW-78).
func (s *Sender) lose(r objection, of ...queue.Block) {
	wrote := r.body.wrote(r.answer)
	if wrote > 0 {
		s.observer.Sent(wrote, r.body.size)
	}
	s.backoff.reset()
	s.unfit(r.body.lost)
	s.giveUp(r.body.samples-wrote, r.reason, r.err, of...)
}

// attempt posts body once and notes how it went.
func (s *Sender) attempt(ctx context.Context, body Body, attempt int) (Answer, error) {
	s.note(func(st *State) { st.InFlight, st.NextAttempt = true, time.Time{} })
	start := time.Now()
	answer, err := s.client.Post(ctx, body, attempt)
	now := time.Now()
	s.observer.Requested(statusLabel(answer.Status), now.Sub(start))
	s.note(func(st *State) {
		st.InFlight = false
		switch {
		case err == nil:
			st.LastSuccess, st.Failing = now, false
		case ctx.Err() == nil:
			st.LastError, st.LastErrorAt, st.Failing = err.Error(), now, true
		}
	})
	return answer, err
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
