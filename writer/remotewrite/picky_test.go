package remotewrite

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"kinglet"
	"kinglet/writer/queue"
)

// picky is an endpoint that, as Prometheus does, stores nothing of a request
// that has one sample which it does not take, and answers 400.
type picky struct {
	refuses func(line string) bool
	status  func(request int) int // of requests that it would take; nil is 204

	requests, refused int
	taken             []string
	again             int             // requests that came twice though they were refused
	seen              map[string]bool // refused
}

func (p *picky) Forget() {}

func (p *picky) Do(r *http.Request) (*http.Response, error) {
	p.requests++
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if p.seen == nil {
		p.seen = map[string]bool{}
	}
	if p.seen[string(body)] {
		p.again++
	}
	lines := bodyLines(body)
	answer := &http.Response{StatusCode: http.StatusNoContent, Header: http.Header{}, Body: http.NoBody}
	switch {
	case p.status != nil && p.status(p.requests) != 0:
		answer.StatusCode = p.status(p.requests)
	case slices.ContainsFunc(lines, p.refuses):
		p.refused++
		p.seen[string(body)] = true
		answer.StatusCode, answer.Body = http.StatusBadRequest, io.NopCloser(strings.NewReader("out of order sample"))
	default:
		p.taken = append(p.taken, lines...)
	}
	return answer, nil
}

// refusing says which lines hold one of the words.
func refusing(words ...string) func(string) bool {
	return func(line string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(line, w) })
	}
}

// pickyBench is a sender to a picky endpoint.
type pickyBench struct {
	*picky
	queue  queue.Queue
	counts counts
	log    *strings.Builder
	sender *Sender
	round  int64
}

func newPickyBench(edit func(*Config), q queue.Queue, refuses func(string) bool) *pickyBench {
	cfg := DefaultConfig()
	cfg.URL = "http://endpoint/write"
	edit(&cfg)
	b := &pickyBench{picky: &picky{refuses: refuses}, queue: q, counts: counts{}, log: &strings.Builder{}}
	b.sender = NewSender(cfg, Batching{MaxSamples: 1 << 20, Linger: time.Second}, Source{Queue: q},
		NewClient(cfg, b.picky, "kinglet/test"), b.counts, slog.New(slog.NewTextHandler(b.log, nil)))
	return b
}

// row is a row of a target of n series, whose lines have the words target-T- and
// target-T-series-S-.
func (b *pickyBench) row(target, n int) *kinglet.Row {
	series := make([]kinglet.Series, n)
	values := make([]float64, n)
	for i := range n {
		series[i].Labels = labels("__name__", "m", "instance", fmt.Sprintf("target-%d-", target), "s", fmt.Sprintf("target-%d-series-%03d-", target, i))
		values[i] = float64(i)
	}
	return &kinglet.Row{Shape: kinglet.NewShape(series), TimestampMs: nowMs + 15000*b.round, Values: values, Target: uint64(1000 + target)}
}

// scrape queues a row of each target, and gives its lines.
func (b *pickyBench) scrape(targets, series, blockSamples int) (lines []string) {
	for target := range targets {
		blocks := newEncoder(blockSamples).Encode(b.row(target, series))
		lines = append(lines, bodyLines(AppendBody(nil, blocks))...)
		b.queue.Append(blocks...)
	}
	b.round++
	return lines
}

// pass sends what is queued as it is due, for d.
func (b *pickyBench) pass(t *testing.T, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	b.sender.Run(ctx)
}

func memory() queue.Queue { return queue.NewMemory(64<<20, nil) }

func asItIs(*Config) {}

// doerFunc is a Doer.
type doerFunc func(*http.Request) (*http.Response, error)

func (f doerFunc) Do(r *http.Request) (*http.Response, error) { return f(r) }

func (f doerFunc) Forget() {}
