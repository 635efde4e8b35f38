// Package heartbeat tells Nightingale that this host is alive, so that it
// appears in its host list with its load, its address and its tags. A heartbeat
// goes one way: of the answer only its status and its error text are looked at,
// for the log. Whatever else a server answers, nothing is downloaded, run or
// changed because of it. A heartbeat that fails is not repeated: the next one
// says the same. The package keeps nothing on disk.
package heartbeat

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kinglet/conf/httpclient"
)

// Beater sends heartbeats while it runs and its configuration says so.
type Beater struct {
	log       *slog.Logger
	metrics   *metrics
	userAgent string
	newHTTP   func(Config) (doer, error)
	changed   chan struct{} // holds one: the plan is another

	mu   sync.Mutex
	plan plan // in force

	// What follows belongs to Run's goroutine.
	node      node
	nodeBlind bool // the last reading failed, and that was said
	ip        string
	state     state
}

// doer sends one request, with the credentials and headers of the
// configuration, and follows no redirect.
type doer interface {
	Do(*http.Request) (*http.Response, error)
	// Forget closes idle connections and has certificates read again.
	Forget()
}

// plan is what to send, and where.
type plan struct {
	cfg  Config
	host Host
	http doer // nil: nothing is sent
}

// state is what the log was told last.
type state int

const (
	unknown state = iota
	accepted
	failing
)

// New makes a Beater that sends nothing before Update. UserAgent is
// "kinglet/VERSION". The error is one of reg's.
func New(userAgent string, log *slog.Logger, reg prometheus.Registerer) (*Beater, error) {
	m, err := newMetrics(reg)
	if err != nil {
		return nil, err
	}
	return &Beater{
		log: log, metrics: m, userAgent: userAgent, changed: make(chan struct{}, 1),
		newHTTP: func(cfg Config) (doer, error) { return httpclient.New(cfg.http()) },
		node:    node{proc: "/proc"},
	}, nil
}

// Update has the heartbeats that follow be those of cfg and host; with a cfg
// that is not enabled there are none. It does not block. If cfg is faulty, all
// stays as it was.
func (b *Beater) Update(cfg Config, host Host) error {
	next := plan{cfg: cfg, host: host}
	if cfg.Enable {
		if err := cfg.Validate(); err != nil {
			return fmt.Errorf("[heartbeat]: %w", err)
		}
		http, err := b.newHTTP(cfg)
		if err != nil {
			return fmt.Errorf("[heartbeat]: %w", err)
		}
		next.http = http
	}
	b.mu.Lock()
	b.plan = next
	b.mu.Unlock()
	select {
	case b.changed <- struct{}{}:
	default: // Run will see this one too
	}
	return nil
}

// take is the plan in force, of which no more is told.
func (b *Beater) take() plan {
	select {
	case <-b.changed:
	default:
	}
	return b.current()
}

func (b *Beater) current() plan {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.plan
}

// Run sends heartbeats until ctx ends; one that is under way then is cut. It
// is called once.
func (b *Beater) Run(ctx context.Context) {
	for ctx.Err() == nil {
		p := b.take()
		if p.http == nil {
			b.metrics.enabled.Set(0)
			select {
			case <-ctx.Done():
			case <-b.changed:
			}
			continue
		}
		b.metrics.enabled.Set(1)
		b.runPlan(ctx, p)
	}
}

// runPlan sends the heartbeats of one plan until another is in force.
func (b *Beater) runPlan(ctx context.Context, p plan) {
	defer p.http.Forget() // no connection stays open for nobody
	b.log.Info("heartbeats are sent", "url", p.cfg.displayURL(), "hostname", p.host.Name, "interval", p.cfg.every())
	b.state, b.ip = unknown, p.host.IP
	b.load() // the CPU's time is counted from here
	every := p.cfg.every()
	shift := phase(p.host.Name, every)
	timer := time.NewTimer(untilBeat(time.Now(), every, shift))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.changed:
			return
		case <-timer.C:
		}
		b.beat(ctx, p)
		// One that would come soon after this one is left out: it is this one,
		// by a clock that was set back a little or a timer that was early.
		least := every / 4
		timer.Reset(least + untilBeat(time.Now().Add(least), every, shift))
	}
}

// phase is the place of a host's heartbeats in the interval: hosts that start
// together do not beat together.
func phase(hostname string, every time.Duration) time.Duration {
	h := fnv.New64a()
	_, _ = io.WriteString(h, hostname) // never fails
	return time.Duration(h.Sum64() % uint64(every))
}

// untilBeat is the time from now to the next heartbeat, above 0. It goes by the
// wall clock, so that a host keeps its phase when it starts again.
func untilBeat(now time.Time, every, phase time.Duration) time.Duration {
	since := (now.UnixNano() - int64(phase)) % int64(every)
	if since < 0 {
		since += int64(every)
	}
	return every - time.Duration(since)
}

// load reads the node's load, and says once if that is not possible.
func (b *Beater) load() load {
	l, err := b.node.read()
	if err != nil && !b.nodeBlind {
		b.log.Warn("heartbeats do not tell the node's load", "error", err)
	}
	b.nodeBlind = err != nil
	return l
}

// beat sends one heartbeat, and counts and logs what became of it.
func (b *Beater) beat(ctx context.Context, p plan) {
	host := p.host
	host.IP = b.ip
	local, err := b.post(ctx, p, newMessage(host, b.load(), time.Now()))
	if p.host.IP == "" && local != "" {
		b.ip = local
	}
	if ctx.Err() != nil {
		return // cut at the end, which is no failure
	}
	refused, answered := errors.AsType[*refusedError](err)
	switch {
	case err == nil:
		b.metrics.beats.WithLabelValues(resultAccepted).Inc()
		b.metrics.lastAccepted.SetToCurrentTime()
		if b.state != accepted {
			b.log.Info("heartbeat accepted", "hostname", host.Name)
		}
		b.state = accepted
		return
	case answered:
		b.metrics.beats.WithLabelValues(resultRefused).Inc()
		if refused.status == http.StatusUnauthorized || refused.status == http.StatusForbidden {
			p.http.Forget() // the next one reads certificates again
		}
	default:
		b.metrics.beats.WithLabelValues(resultUnanswered).Inc()
	}
	if b.state != failing {
		b.log.Warn("heartbeat failed: Nightingale shows this host as missing if this lasts", "error", err)
	}
	b.state = failing
}

// refusedError is an answer other than "yes".
type refusedError struct {
	status int
	text   string // what the server says
}

func (e *refusedError) Error() string {
	if e.text == "" {
		return fmt.Sprintf("the server answered %d %s", e.status, http.StatusText(e.status))
	}
	return fmt.Sprintf("the server answered %d: %s", e.status, e.text)
}

const (
	maxAnswer    = 64 << 10 // bytes of an answer that are read
	maxErrorText = 1 << 10  // bytes of it that are shown
)

// post sends a message in one attempt. It returns this host's address as the
// connection has it, "" if there was none.
func (b *Beater) post(ctx context.Context, p plan, m message) (local string, err error) {
	body, err := m.body()
	if err != nil {
		return "", err
	}
	timeout := p.cfg.timeout()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { local = ipOf(info.Conn.LocalAddr()) },
	})
	request, err := http.NewRequestWithContext(traced, http.MethodPost, p.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return "", errors.New("make request: the url cannot be read") // err would show parts of it
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Content-Encoding", "gzip")
	request.Header.Set("User-Agent", b.userAgent)
	response, err := p.http.Do(request)
	if err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return local, fmt.Errorf("no answer within %v (timeout)", timeout)
		}
		return local, fmt.Errorf("post: %w", err)
	}
	defer response.Body.Close()
	// A part is enough to tell what is wrong, and a rest would only keep the
	// connection.
	text, _ := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	return local, verdict(response.StatusCode, text, p.cfg.http().Hider(p.cfg.URL))
}

// verdict is nil if an answer says that the heartbeat was taken. Nightingale
// also reports errors with status 200. Nothing but the error text is looked at;
// hide makes it fit to be shown.
func verdict(status int, body []byte, hide func(string) string) error {
	var answer struct {
		Err string `json:"err"`
	}
	_ = json.Unmarshal(body, &answer) // a proxy's answer is no JSON
	if status/100 == 2 && answer.Err == "" {
		return nil
	}
	text := answer.Err
	if text == "" {
		text = string(body)
	}
	text = strings.TrimSpace(hide(text[:min(len(text), maxErrorText)]))
	return &refusedError{status: status, text: text}
}
