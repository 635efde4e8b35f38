package remotewrite

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"kinglet"
	"kinglet/writer/queue"
)

func TestProfileIsToldByThePath(t *testing.T) {
	for _, tt := range []struct {
		url  string
		want Profile
		asks []string
	}{
		{"http://n9e:17000/prometheus/v1/write", ProfileNightingale, nil},
		{"https://gate/n9e/prometheus/v1/write?ignore_ident=true", ProfileNightingale, nil},
		{"http://n9e:17000/proxy/v1/write", ProfileNightingale, nil},
		{"http://mimir/api/v1/push", ProfileMimir, nil},
		{"https://cortex/api/prom/push", ProfileMimir, nil},
		{"http://thanos:19291/api/v1/receive", ProfileThanos, nil},
		{"http://vminsert:8480/insert/0/prometheus/api/v1/write", ProfileVictoriaMetrics, nil},
		{"http://prom:9090/api/v1/write", ProfileOther, []string{"http://prom:9090/api/v1/status/buildinfo", "http://prom:9090/api/n9e/version"}},
		{"http://u:p@h/pre%20fix/prometheus/api/v1/write/?token=s#x", ProfileOther,
			[]string{"http://u:p@h/pre%20fix/prometheus/api/v1/status/buildinfo", "http://u:p@h/pre%20fix/api/n9e/version"}},
		{"http://anything/push", ProfileOther, nil},
		{"http://anything", ProfileOther, nil},
		{"http://un:readable:url", ProfileOther, nil},
	} {
		cfg := DefaultConfig()
		cfg.URL = tt.url
		p, pages := cfg.startingProfile()
		var asks []string
		for _, page := range pages {
			asks = append(asks, page.url)
		}
		if p != tt.want || !slices.Equal(asks, tt.asks) {
			t.Errorf("%s is %s and asks %q, want %s and %q", tt.url, p, asks, tt.want, tt.asks)
		}
		cfg.Profile = ProfileThanos
		if p, pages := cfg.startingProfile(); p != ProfileThanos || pages != nil {
			t.Errorf("%s: what was configured became %s", tt.url, p)
		}
	}
}

// Pages as the receivers have them.
const (
	buildOfPrometheus = `{"status":"success","data":{"version":"3.5.0","revision":"8be3a9","branch":"HEAD","buildUser":"u","buildDate":"d","goVersion":"go1.25"}}`
	buildOfMimir      = `{"status":"success","data":{"application":"Grafana Mimir","version":"3.0.1","revision":"c1e","branch":"HEAD","goVersion":"go1.25"}}`
	buildOfVM         = `{"status":"success","data":{"version":"2.24.0"}}`
)

func TestPagesTellReceiversApart(t *testing.T) {
	plain := http.Header{"Content-Type": {"text/plain; charset=utf-8"}}
	for _, tt := range []struct {
		name    string
		build   answer
		version answer
		want    Profile
	}{
		{"Prometheus", answer{status: 200, body: buildOfPrometheus}, answer{status: 404}, ProfilePrometheus},
		{"Mimir", answer{status: 200, body: buildOfMimir}, answer{status: 404}, ProfileMimir},
		{"VictoriaMetrics", answer{status: 200, body: buildOfVM, header: http.Header{"X-Server-Hostname": {"vm-0"}}}, answer{status: 400}, ProfileVictoriaMetrics},
		{"vminsert, which has no such page", answer{status: 400, header: http.Header{"X-Server-Hostname": {"vm-0"}}}, answer{status: 400}, ProfileVictoriaMetrics},
		{"VictoriaMetrics that was told to hide its name is no better than any", answer{status: 200, body: buildOfVM}, answer{status: 400}, ProfileOther},
		{"Nightingale behind a gateway", answer{status: 404}, answer{status: 200, body: "8.4.1\n", header: plain}, ProfileNightingale},
		{"pages for people say nothing", answer{status: 200, body: "<html>"}, answer{status: 200, body: "<html>hello", header: plain}, ProfileOther},
		{"a gateway that refuses", answer{status: 401}, answer{status: 401}, ProfileOther},
		{"an endless page", answer{status: 200, body: strings.Repeat(" ", 1<<20) + buildOfPrometheus}, answer{status: 200, body: strings.Repeat("8", 1<<20), header: plain}, ProfileOther},
	} {
		t.Run(tt.name, func(t *testing.T) {
			host := &host{pages: map[string]answer{"/api/v1/status/buildinfo": tt.build, "/api/n9e/version": tt.version}}
			cfg := DefaultConfig()
			cfg.URL = "http://h/api/v1/write"
			i := newIdentity(cfg)
			if changed := i.ask(t.Context(), NewClient(cfg, host, "kinglet/test")); changed != (tt.want != ProfileOther) || i.profile != tt.want {
				t.Errorf("found %s, changed %v; want %s", i.profile, changed, tt.want)
			}
		})
	}
}

// host answers GET by its pages, and POST as scripted.
type host struct {
	scripted
	pages map[string]answer
	asked []string
}

func (h *host) Do(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet {
		return h.scripted.Do(r)
	}
	h.asked = append(h.asked, r.URL.Path)
	a, ok := h.pages[r.URL.Path]
	if !ok {
		return nil, errors.New("no route")
	}
	if a.header == nil {
		a.header = http.Header{}
	}
	return &http.Response{StatusCode: a.status, Header: a.header, Body: io.NopCloser(strings.NewReader(a.body))}, nil
}

// auto is a sender to a host whose kind the path does not tell.
func auto(h *host, edit func(*Config)) (*Sender, *queue.Memory) {
	cfg := DefaultConfig()
	cfg.URL = "http://host/api/v1/write"
	edit(&cfg)
	q := queue.NewMemory(8<<20, nil)
	return NewSender(cfg, Batching{MaxSamples: 60, Linger: time.Second}, Source{Queue: q}, NewClient(cfg, h, "kinglet/test"), counts{}, slog.New(slog.DiscardHandler)), q
}

func rowAt(ms int64) *kinglet.Row {
	row := manyRow(60, int(ms))
	row.TimestampMs = ms
	return row
}

func TestAutoAsksOnlyWhereItMakesADifference(t *testing.T) {
	vm := map[string]answer{"/api/v1/status/buildinfo": {status: 200, header: http.Header{"X-Server-Hostname": {"vm"}}}}
	prometheus := map[string]answer{"/api/v1/status/buildinfo": {status: 200, body: buildOfPrometheus}}
	written := answer{status: 204, header: wrote(60)}
	const now, old = startMs, startMs - 600_000
	zstdEncoder().EncodeAll(nil, nil) // what it makes at first must not belong to a bubble
	for _, tt := range []struct {
		name    string
		pages   map[string]answer
		edit    func(*Config)
		rows    []int64
		answers []answer
		asked   int
		forms   string
		want    Profile
	}{
		{"fresh samples: nothing is asked", vm, func(*Config) {}, []int64{now, now, now}, nil, 0, "111", ProfileOther},
		{"a backlog: asked once, after the first request", vm, func(*Config) {}, []int64{old, old, old}, nil, 1, "111", ProfileVictoriaMetrics},
		{"a backlog for one whose profile is set", vm, profile(ProfilePrometheus), []int64{old, old, old}, nil, 0, "111", ProfilePrometheus},
		{"zstd where it turns out to be taken", vm, func(c *Config) { c.Compression = CompressAuto }, []int64{now, now, now}, nil, 1, "1zz", ProfileVictoriaMetrics},
		{"zstd is not tried elsewhere", prometheus, func(c *Config) { c.Compression = CompressAuto }, []int64{now, now, now}, nil, 1, "111", ProfilePrometheus},
		{"zstd at once where the profile says so", nil, func(c *Config) { c.Compression, c.Profile = CompressAuto, ProfileVictoriaMetrics }, []int64{now, now}, nil, 0, "zz", ProfileVictoriaMetrics},
		{"2.0 is never sent to VictoriaMetrics", vm, message(Message2), []int64{now, now, now}, nil, 1, "111", ProfileVictoriaMetrics},
		{"nor tried with auto", vm, message(MessageAuto), []int64{now, now, now}, nil, 1, "111", ProfileVictoriaMetrics},
		{"2.0 goes to Prometheus", prometheus, message(Message2), []int64{now, now}, []answer{written, written}, 1, "22", ProfilePrometheus},
		{"2.0 is never sent to Nightingale", nil, func(c *Config) {
			c.ProtobufMessage, c.URL = Message2, "http://n9e/prometheus/v1/write"
		}, []int64{now, old}, nil, 0, "11", ProfileNightingale},
		{"a host that cannot be asked", nil, message(Message2), []int64{now, now}, []answer{written, written}, 1, "22", ProfileOther},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &host{pages: tt.pages, scripted: scripted{answers: tt.answers}}
				s, q := auto(h, tt.edit)
				for _, ms := range tt.rows {
					e := newEncoder(100)
					e.Extended = s.WantsExtended()
					q.Append(e.Encode(rowAt(ms))[0])
				}
				q.Close()
				s.Run(t.Context())
				if got := formsOf(h.requests); got != tt.forms || len(h.asked) != tt.asked || s.State().Profile != tt.want {
					t.Errorf("requests %s, asked %q, found %s; want %s, %d, %s", got, h.asked, s.State().Profile, tt.forms, tt.asked, tt.want)
				}
			})
		})
	}
}

func profile(p Profile) func(*Config) { return func(c *Config) { c.Profile = p } }

func TestAutoAsksAgainAfterALongTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{pages: map[string]answer{}}
		cfg := DefaultConfig()
		cfg.URL = "http://h/api/v1/write"
		i, client := newIdentity(cfg), NewClient(cfg, h, "kinglet/test")
		for _, step := range []struct {
			after time.Duration
			asked int
		}{{0, 1}, {9 * time.Minute, 1}, {2 * time.Minute, 2}} {
			<-time.After(step.after)
			if i.ask(t.Context(), client); len(h.asked) != step.asked {
				t.Fatalf("after %v asked %d times, want %d", step.after, len(h.asked), step.asked)
			}
		}
		h.pages["/api/v1/status/buildinfo"] = answer{status: 200, body: buildOfPrometheus}
		<-time.After(11 * time.Minute)
		if !i.ask(t.Context(), client) || i.profile != ProfilePrometheus {
			t.Fatalf("found %s", i.profile)
		}
		h.pages["/api/v1/status/buildinfo"] = answer{status: 200, header: http.Header{"X-Server-Hostname": {"vm"}}}
		<-time.After(11 * time.Hour)
		if i.ask(t.Context(), client) {
			t.Error("asked again within 12 h")
		}
		<-time.After(2 * time.Hour)
		if !i.ask(t.Context(), client) || i.profile != ProfileVictoriaMetrics {
			t.Errorf("found %s after the receiver was replaced", i.profile)
		}
	})
}

func TestRequestsFollowTheHabits(t *testing.T) {
	share := 0.25
	for _, tt := range []struct {
		name string
		edit func(*Config)
		want Habits
	}{
		{"Nightingale: one sample of a series, no 2.0, in order", profile(ProfileNightingale), Habits{OneRowPerTarget: true}},
		{"VictoriaMetrics: zstd, no 2.0, fresh samples first", profile(ProfileVictoriaMetrics), Habits{Zstd: true, FreshShare: 0.5}},
		{"Prometheus: in order", profile(ProfilePrometheus), Habits{Message2: true}},
		{"Mimir: in order, and takes the rest", profile(ProfileMimir), Habits{Message2: true, TakesRest: true}},
		{"Thanos: in order, and takes the rest", profile(ProfileThanos), Habits{Message2: true, TakesRest: true}},
		{"unknown: in order, and one sample of a series", profile(ProfileAuto), Habits{Message2: true, OneRowPerTarget: true}},
		{"fresh_share is the user's", func(c *Config) { c.Profile, c.FreshShare = ProfileNightingale, &share }, Habits{OneRowPerTarget: true, FreshShare: 0.25}},
		{"none too", func(c *Config) { c.Profile, c.FreshShare = ProfileVictoriaMetrics, new(float64) }, Habits{Zstd: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := auto(&host{}, tt.edit)
			if diff := cmp.Diff(tt.want, s.habits); diff != "" {
				t.Error(diff)
			}
			want := queue.Want{MaxSamples: 60, Linger: time.Second, FreshShare: tt.want.FreshShare, OneRowPerTarget: tt.want.OneRowPerTarget}
			if diff := cmp.Diff(want, s.want()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestReceiversAreServedAsTheyAre runs senders against servers with the habits
// of their kind.
func TestReceiversAreServedAsTheyAre(t *testing.T) {
	write := func(header http.Header, status func(n int, r *http.Request) (int, string)) http.Handler {
		n := 0
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for k, v := range header {
				w.Header()[k] = v
			}
			if r.Method == http.MethodGet {
				http.NotFound(w, r)
				return
			}
			n++
			code, text := status(n, r)
			w.WriteHeader(code)
			fmt.Fprint(w, text)
		})
	}
	for _, tt := range []struct {
		name, path string
		handler    http.Handler
		want       counts
	}{
		{"Nightingale's 499 is retried", "/prometheus/v1/write",
			write(nil, func(n int, _ *http.Request) (int, string) {
				return []int{499, 499, 200, 200, 200}[n-1], "queue is full"
			}),
			counts{"requests 499": 2, "retried 499": 2, "requests 200": 3, "sent": 180}},
		{"Prometheus' 400 is counted by its kind and not retried", "/api/v1/write",
			write(nil, func(n int, _ *http.Request) (int, string) {
				return []int{400, 400, 204}[n-1], []string{"out of order sample", "duplicate sample for timestamp", ""}[n-1]
			}),
			counts{"requests 400": 2, "requests 204": 1, "dropped out_of_order": 60, "dropped duplicate": 60, "sent": 60}},
		{"VictoriaMetrics is known by its answers, and takes zstd", "/api/v1/write",
			write(http.Header{"X-Server-Hostname": {"vm"}}, func(n int, r *http.Request) (int, string) {
				if zstd := r.Header.Get("Content-Encoding") == "zstd"; zstd != (n > 1) {
					return 400, "wrong encoding"
				}
				return 204, ""
			}),
			counts{"requests 204": 3, "sent": 180}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(tt.handler)
			defer server.Close()
			cfg := DefaultConfig()
			cfg.URL, cfg.Compression = server.URL+tt.path, CompressAuto
			doer, err := NewHTTP(cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer doer.Forget()
			got, q := counts{}, queue.NewMemory(8<<20, nil)
			s := NewSender(cfg, Batching{MaxSamples: 60, Linger: time.Second}, Source{Queue: q}, NewClient(cfg, doer, "kinglet/test"), got, slog.New(slog.DiscardHandler))
			for i := range 3 {
				q.Append(newEncoder(100).Encode(manyRow(60, i))[0])
			}
			q.Close()
			s.Run(t.Context())
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestASeriesIsOnceInARequestToNightingale has three scrapes of two targets
// waiting, as after an outage.
func TestASeriesIsOnceInARequestToNightingale(t *testing.T) {
	for p, want := range map[Profile]int{ProfileNightingale: 3, ProfileOther: 3, ProfilePrometheus: 1} {
		t.Run(string(p), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &host{}
				s, q := auto(h, profile(p))
				s.maxSamples = 1000
				for scrape := range int64(3) {
					for target := range uint64(2) {
						row := manyRow(60, int(target))
						row.TimestampMs, row.Target = startMs-600_000+15_000*scrape, 1+target
						for _, b := range newEncoder(25).Encode(row) {
							q.Append(b)
						}
					}
				}
				q.Close()
				s.Run(t.Context())
				if len(h.requests) != want || len(h.taken()) != 360 {
					t.Errorf("%d samples in %d requests, want 360 in %d", len(h.taken()), len(h.requests), want)
				}
				for _, r := range h.requests {
					if n := timesOf(r.series); p == ProfileNightingale && n != 1 {
						t.Errorf("a request has samples of %d scrapes", n)
					}
				}
			})
		})
	}
}

// timesOf counts the timestamps in lines of series.
func timesOf(lines []string) int {
	times := map[string]bool{}
	for _, line := range lines {
		times[line[strings.LastIndex(line, "@"):]] = true
	}
	return len(times)
}

func TestRefusalsAreCountedByTheirKind(t *testing.T) {
	for _, tt := range []struct {
		code       int
		text, want string
	}{
		{400, "out of order sample", ReasonOutOfOrder},
		{400, "too old sample", ReasonTooOld},
		{400, "out of bounds", ReasonTooOld},
		{400, "duplicate sample for timestamp", ReasonDuplicate},
		{400, "failed pushing to ingester: user=1: the sample has been rejected because another sample with a more recent timestamp has already been ingested and out-of-order samples are not allowed (err-mimir-sample-out-of-order)", ReasonOutOfOrder},
		{400, "the sample has been rejected because its timestamp is too old (err-mimir-sample-timestamp-too-old)", ReasonTooOld},
		{400, "another sample with the same timestamp, but a different value (err-mimir-sample-duplicate-timestamp)", ReasonDuplicate},
		{400, "received a sample whose timestamp is too far in the future (err-mimir-too-far-in-future)", ReasonTooNew},
		{400, "per-user series limit of 150000 exceeded (err-mimir-max-series-per-user)", ReasonLimit},
		{400, `invalid metric name or labels`, ReasonInvalid},
		{409, "store locally for endpoint 127.0.0.1:10901: add 1 samples: out of order sample", ReasonOutOfOrder},
		{409, "store locally for endpoint 127.0.0.1:10901: conflict", ReasonConflict},
		{400, "snappy: corrupt input", ReasonRejected},
		{404, "", ReasonRejected},
	} {
		if got := refusal(&StatusError{Code: tt.code, Text: tt.text}); got != tt.want {
			t.Errorf("%d %q is %s, want %s", tt.code, tt.text, got, tt.want)
		}
	}
}
