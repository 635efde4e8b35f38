package remotewrite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"kinglet/conf/unit"
	"kinglet/writer/queue"
)

// scripted is an endpoint in memory: it gives its answers in turn, then 204.
type scripted struct {
	answers  []answer
	requests []received
	forgets  int
}

type answer struct {
	status int
	header http.Header
	body   string
	err    error
	hang   bool // until the attempt is cut off
}

type received struct {
	at     time.Time
	header http.Header
	series []string // lines
	status int
}

func (s *scripted) Forget() { s.forgets++ }

func (s *scripted) Do(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	a := answer{status: 204}
	if n := len(s.requests); n < len(s.answers) {
		a = s.answers[n]
	}
	s.requests = append(s.requests, received{time.Now(), r.Header, bodyLines(body), a.status})
	if a.hang {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	if a.err != nil {
		return nil, a.err
	}
	if a.header == nil {
		a.header = http.Header{}
	}
	return &http.Response{StatusCode: a.status, Header: a.header, Body: io.NopCloser(strings.NewReader(a.body))}, nil
}

// taken is what was answered 2xx, in order.
func (s *scripted) taken() (all []string) {
	for _, r := range s.requests {
		if r.status/100 == 2 {
			all = append(all, r.series...)
		}
	}
	return all
}

// waits are the times between attempts.
func (s *scripted) waits() (all []time.Duration) {
	for i := 1; i < len(s.requests); i++ {
		all = append(all, s.requests[i].at.Sub(s.requests[i-1].at))
	}
	return all
}

func bodyLines(body []byte) (out []string) {
	series, err := Decode(body)
	if err != nil {
		return []string{err.Error()}
	}
	for _, s := range series {
		for _, x := range s.Samples {
			out = append(out, fmt.Sprintf("%v %v @%d", s.Labels, x.Value, x.TimestampMs))
		}
	}
	return out
}

// counts is an Observer.
type counts map[string]int

func (c counts) Requested(status string, _ time.Duration) { c["requests "+status]++ }
func (c counts) Retried(class string)                     { c["retried "+class]++ }
func (c counts) Sent(samples, _ int)                      { c["sent"] += samples }
func (c counts) Dropped(samples int, reason string)       { c["dropped "+reason] += samples }

// bench is a sender with all it needs.
type bench struct {
	endpoint *scripted
	queue    *queue.Memory
	counts   counts
	log      *strings.Builder
	sender   *Sender
}

func newBench(cfg Config, answers ...answer) *bench {
	cfg.URL = "http://user:secret@endpoint/write?token=secret"
	b := &bench{endpoint: &scripted{answers: answers}, counts: counts{}, log: &strings.Builder{}}
	b.queue = queue.NewMemory(8<<20, nil)
	log := slog.New(slog.NewTextHandler(b.log, nil))
	b.sender = NewSender(cfg, Batching{MaxSamples: 100, Linger: time.Second}, Source{Queue: b.queue}, NewClient(cfg, b.endpoint, "kinglet/test"), b.counts, log)
	return b
}

// append encodes a row of n samples and queues it.
func (b *bench) append(n, seed, blockSamples int) []string {
	row := manyRow(n, seed)
	blocks := newEncoder(blockSamples).Encode(row)
	for _, block := range blocks {
		b.queue.Append(block)
	}
	return bodyLines(AppendBody(nil, blocks))
}

// run sends what is queued and returns when that is done.
func (b *bench) run(t *testing.T) {
	t.Helper()
	b.queue.Close()
	b.sender.Run(t.Context())
}

func TestSenderRetriesUntilTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(DefaultConfig(),
			answer{status: 499}, answer{status: 429, header: http.Header{"Retry-After": {"7"}}}, answer{status: 500},
			answer{err: errors.New("connection reset")}, answer{hang: true}, answer{status: 503}, answer{status: 200})
		want := b.append(60, 1, 100)
		want = append(want, b.append(60, 2, 100)...)
		b.run(t)
		if diff := cmp.Diff(want, b.endpoint.taken()); diff != "" {
			t.Errorf("order or samples differ:\n%s", diff)
		}
		for _, r := range b.endpoint.requests[:6] { // the same samples again and again (RW-73)
			if diff := cmp.Diff(b.endpoint.requests[0].series, r.series); diff != "" {
				t.Error(diff)
			}
		}
		wantCounts := counts{
			"sent": 120, "requests 200": 1, "requests 204": 1, "requests 429": 1, "requests 499": 1, "requests 500": 1, "requests 503": 1,
			"requests error": 2, "retried 499": 1, "retried 429": 1, "retried 5xx": 2, "retried error": 2,
		}
		if diff := cmp.Diff(wantCounts, b.counts); diff != "" {
			t.Error(diff)
		}
		if wait := b.endpoint.waits()[1]; wait != 7*time.Second {
			t.Errorf("waited %v after Retry-After: 7", wait)
		}
		if got := b.endpoint.requests[6].header.Get("Retry-Attempt"); got != "6" {
			t.Errorf("Retry-Attempt = %q, want 6 (RW-11)", got)
		}
		if n := strings.Count(b.log.String(), "\n"); n != 2 {
			t.Errorf("want one line when failing began and one when it ended, got:\n%s", b.log)
		}
		if strings.Contains(b.log.String(), "secret") {
			t.Errorf("log shows a secret:\n%s", b.log)
		}
	})
}

func TestBackoffDoublesToItsCapAndResets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := slices.Repeat([]answer{{status: 500}}, 12)
		answers = append(answers, answer{status: 200}, answer{status: 500})
		b := newBench(DefaultConfig(), answers...)
		b.append(60, 1, 100)
		b.append(60, 2, 100)
		b.run(t)
		waits := b.endpoint.waits()
		shortest := 30 * time.Millisecond
		for i, wait := range waits[:12] {
			if wait < shortest || wait > shortest+shortest/10 || wait > 5*time.Second {
				t.Errorf("wait %d is %v, want %v and at most a tenth", i, wait, shortest)
			}
			shortest = min(2*shortest, 5*time.Second)
		}
		if last := waits[13]; last > 33*time.Millisecond {
			t.Errorf("the first wait after a success is %v, want 30ms", last)
		}
	})
}

func TestSenderGivesUpWhatIsRefused(t *testing.T) {
	redirect := http.Header{"Location": {"http://elsewhere/"}}
	for _, tt := range []struct {
		name    string
		answers []answer
		want    counts
	}{
		{"400 is dropped at once", []answer{{status: 400, body: "out of order"}}, counts{"dropped out_of_order": 60, "requests 400": 1}},
		{"404 is dropped", []answer{{status: 404}}, counts{"dropped rejected": 60, "requests 404": 1}},
		{"a redirect is not followed", []answer{{status: 301, header: redirect}}, counts{"dropped redirect": 60, "requests 301": 1}},
		{"401 is tried once more", []answer{{status: 401}, {status: 401}}, counts{"dropped unauthorized": 60, "requests 401": 2, "retried other": 1}},
		{"403 then 204 is taken", []answer{{status: 403}, {status: 204}}, counts{"sent": 60, "requests 403": 1, "requests 204": 1, "retried other": 1}},
		{"a status unknown to HTTP neither crashes nor stalls", []answer{{status: 999}}, counts{"dropped odd_status": 60, "requests other": 1}},
		{"a huge error text is cut", []answer{{status: 400, body: strings.Repeat("x", 1<<20)}}, counts{"dropped rejected": 60, "requests 400": 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(DefaultConfig(), tt.answers...)
				b.append(60, 1, 100)
				next := b.append(60, 2, 100)
				start := time.Now()
				b.run(t)
				tt.want["sent"] += 60
				tt.want["requests 204"]++
				if diff := cmp.Diff(tt.want, b.counts); diff != "" {
					t.Error(diff)
				}
				if taken := b.endpoint.taken(); !slices.Equal(taken[len(taken)-60:], next) {
					t.Error("the next request was not sent")
				}
				if took := time.Since(start); took != 0 {
					t.Errorf("the next request waited %v (RW-60)", took)
				}
				if s := b.queue.Stats(); s.Blocks != 0 {
					t.Errorf("%d blocks are left", s.Blocks)
				}
				if b.log.Len() > 2000 {
					t.Errorf("log has %d bytes", b.log.Len())
				}
			})
		})
	}
}

func TestRetryStatusExtendsTheList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := DefaultConfig()
		cfg.RetryStatus = []int{404}
		b := newBench(cfg, answer{status: 404})
		b.append(10, 1, 100)
		b.run(t)
		if diff := cmp.Diff(counts{"sent": 10, "requests 404": 1, "requests 204": 1, "retried other": 1}, b.counts); diff != "" {
			t.Error(diff)
		}
	})
}

func TestSecretsAreReadAgainAfter401(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(DefaultConfig(), answer{status: 401})
		b.append(10, 1, 100)
		b.run(t)
		if b.endpoint.forgets != 1 || b.counts["sent"] != 10 {
			t.Errorf("secrets were read again %d times, %d samples sent", b.endpoint.forgets, b.counts["sent"])
		}
	})
}

// smallEndpoint answers 413 to more than limit samples.
type smallEndpoint struct {
	limit    int
	requests int
	taken    []string
}

func (s *smallEndpoint) Forget() {}

func (s *smallEndpoint) Do(r *http.Request) (*http.Response, error) {
	s.requests++
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	status := http.StatusRequestEntityTooLarge
	if got := bodyLines(body); len(got) <= s.limit {
		s.taken = append(s.taken, got...)
		status = http.StatusOK
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: http.NoBody}, nil
}

func TestTooLargeIsSplitByBlocksThenWithinOne(t *testing.T) {
	for _, tt := range []struct {
		name                string
		limit, blockSamples int
		want                counts
	}{
		{"blocks", 30, 20, counts{"sent": 100, "requests 200": 5, "requests 413": 4}},
		{"within a block", 10, 100, counts{"sent": 100, "requests 200": 16, "requests 413": 15}},
		{"to nothing", 0, 100, counts{"dropped too_large": 100, "requests 413": 199}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(DefaultConfig())
				small := &smallEndpoint{limit: tt.limit}
				b.sender.client.http = small
				want := b.append(100, 1, tt.blockSamples)
				b.run(t)
				if tt.limit > 0 && !slices.Equal(want, small.taken) {
					t.Error(cmp.Diff(want, small.taken))
				}
				if diff := cmp.Diff(tt.want, b.counts); diff != "" {
					t.Error(diff)
				}
				if s := b.queue.Stats(); s.Blocks != 0 {
					t.Errorf("%d blocks are left", s.Blocks)
				}
			})
		})
	}
}

func TestStopLeavesBlocksInTheQueueAndKeepsToTheBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(DefaultConfig(), slices.Repeat([]answer{{status: 500}}, 100)...)
		b.append(60, 1, 100)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		b.queue.Close()
		b.sender.Run(ctx)
		if s := b.queue.Stats(); s.Samples != 60 {
			t.Errorf("%d samples are left, want 60", s.Samples)
		}
		if n := len(b.endpoint.requests); n > 6 { // 0, 30, 90, 210, 450, 930 ms
			t.Errorf("%d attempts in a second", n)
		}
		if st := b.sender.State(); !st.Failing || !st.LastSuccess.IsZero() || !strings.Contains(st.LastError, "500") {
			t.Errorf("state is %+v", st)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tt := range []struct {
		header string
		want   time.Duration
	}{
		{"", 0}, {"3", 3 * time.Second}, {" 3 ", 3 * time.Second}, {"0", 0}, {"-1", 0}, {"soon", 0}, {"1.5", 0},
		{"Fri, 02 Jan 2026 03:04:15 GMT", 10 * time.Second}, {"Fri, 02 Jan 2026 03:04:00 GMT", 0},
		{"86400", 5 * time.Minute}, {"99999999999999999999", 0}, {"9223372036854775807", 5 * time.Minute},
	} {
		if got := retryAfter(tt.header, now); got != tt.want {
			t.Errorf("Retry-After %q: wait %v, want %v", tt.header, got, tt.want)
		}
	}
}

func TestFaultLogStaysQuietWhileFlapping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var answers []answer
		for range 20 {
			answers = append(answers, answer{status: 500}, answer{status: 200}, answer{status: 400})
		}
		cfg := DefaultConfig()
		cfg.MinBackoff = unit.Seconds(1)
		b := newBench(cfg, answers...)
		for i := range 40 {
			b.append(60, i, 100)
		}
		b.run(t)
		if n := strings.Count(b.log.String(), "\n"); n > 4 {
			t.Errorf("got %d lines in half a minute:\n%s", n, b.log)
		}
	})
}
