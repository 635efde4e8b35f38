package remotewrite

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kinglet/conf/unit"
	"kinglet/writer/queue"
)

// server is an endpoint on loopback: it answers with its handlers in turn, then
// 200.
type server struct {
	*httptest.Server
	handlers []http.HandlerFunc

	mu    sync.Mutex
	calls []*http.Request
	taken []string
}

func newServer(t *testing.T, handlers ...http.HandlerFunc) *server {
	s := &server{handlers: handlers}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	n := len(s.calls)
	s.calls = append(s.calls, r)
	if n >= len(s.handlers) {
		s.taken = append(s.taken, bodyLines(body)...)
	}
	s.mu.Unlock()
	if n < len(s.handlers) {
		s.handlers[n](w, r)
	}
}

func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

func closeConnection(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		conn.Close()
	}
}

func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// cutShort promises more than it sends.
func cutShort(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		fmt.Fprint(conn, "HTTP/1.1 200 O")
		conn.Close()
	}
}

// send pushes rows through a sender over HTTP until the queue is empty.
func send(t *testing.T, cfg Config, rounds int) (counts, []string) {
	t.Helper()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	doer, err := NewHTTP(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer doer.Forget()
	q := queue.NewMemory(1<<20, nil)
	var want []string
	for i := range rounds {
		blocks := newEncoder(100).Encode(manyRow(80, i))
		q.Append(blocks[0])
		want = append(want, bodyLines(AppendBody(nil, blocks))...)
	}
	q.Close()
	got := counts{}
	s := NewSender(cfg, Batching{MaxSamples: 100, Linger: time.Second}, Source{Queue: q}, NewClient(cfg, doer, "kinglet/1.2.3"), got, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	s.Run(ctx)
	return got, want
}

func configFor(url string) Config {
	cfg := DefaultConfig()
	cfg.URL = url
	cfg.TimeoutMs = 300
	cfg.MinBackoff = unit.Duration{Duration: time.Millisecond}
	return cfg
}

func TestNothingIsLostByABadServer(t *testing.T) {
	srv := newServer(t, status(499), status(429, "Retry-After", "1"), status(500), closeConnection, hang, cutShort, status(503))
	got, want := send(t, configFor(srv.URL), 5)
	if diff := cmp.Diff(want, srv.taken); diff != "" {
		t.Errorf("lost, twice, changed or out of order:\n%s", diff)
	}
	if got["sent"] != 400 {
		t.Errorf("counts are %v", got)
	}
}

func TestRequestHeaders(t *testing.T) {
	srv := newServer(t)
	cfg := configFor(strings.Replace(srv.URL, "http://", "http://u:p@", 1) + "/api/v1/write?ignore_ident=true")
	cfg.Headers = []string{"X-Scope-OrgID", "team", "host", "mimir.example"}
	send(t, cfg, 1)
	r := srv.calls[0]
	if r.Method != http.MethodPost || r.RequestURI != "/api/v1/write?ignore_ident=true" || r.Host != "mimir.example" {
		t.Errorf("%s %s to %s", r.Method, r.RequestURI, r.Host)
	}
	r.Header.Del("Content-Length")
	want := http.Header{
		"Authorization": {"Basic dTpw"}, "Content-Encoding": {"snappy"}, "Content-Type": {"application/x-protobuf"},
		"User-Agent": {"kinglet/1.2.3"}, "X-Prometheus-Remote-Write-Version": {"0.1.0"}, "X-Scope-Orgid": {"team"},
		"Accept-Encoding": r.Header["Accept-Encoding"],
	}
	if r.Header["Accept-Encoding"] == nil {
		delete(want, "Accept-Encoding")
	}
	if diff := cmp.Diff(want, r.Header); diff != "" {
		t.Error(diff)
	}
	if r.ContentLength <= 0 {
		t.Errorf("length is %d, want it known", r.ContentLength)
	}
}

func TestAClosedKeptConnectionCostsNoBackoff(t *testing.T) {
	srv := newServer(t, status(204), closeConnection)
	cfg := configFor(srv.URL)
	cfg.MinBackoff, cfg.MaxBackoff = unit.Seconds(60), unit.Seconds(60)
	got, _ := send(t, cfg, 3)
	if diff := cmp.Diff(counts{"sent": 240, "requests 204": 1, "requests 200": 2}, got); diff != "" {
		t.Error(diff)
	}
	if len(srv.calls) != 4 {
		t.Errorf("%d calls, want the second one twice", len(srv.calls))
	}
}

func TestConnectionsAreReused(t *testing.T) {
	big := func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, strings.Repeat("out of order\n", 10_000))
	}
	srv := newServer(t, big, status(400), status(204), big)
	send(t, configFor(srv.URL), 6)
	conns := map[string]bool{}
	for _, r := range srv.calls {
		conns[r.RemoteAddr] = true
	}
	if len(conns) != 1 {
		t.Errorf("%d connections, want 1 (RW-09)", len(conns))
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	elsewhere := newServer(t)
	srv := newServer(t, status(301, "Location", elsewhere.URL), status(307, "Location", elsewhere.URL))
	got, _ := send(t, configFor(srv.URL), 2)
	if got["dropped redirect"] != 160 || len(elsewhere.calls) != 0 {
		t.Errorf("counts are %v, %d calls elsewhere", got, len(elsewhere.calls))
	}
}

func TestARotatedPasswordIsReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Error(err)
		}
	}
	write("old")
	srv := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
		write("new\n")
		w.WriteHeader(http.StatusUnauthorized)
	})
	cfg := configFor(srv.URL)
	cfg.User, cfg.PassFile = "u", file
	got, _ := send(t, cfg, 1)
	if _, pass, _ := srv.calls[len(srv.calls)-1].BasicAuth(); pass != "new" || got["sent"] != 80 {
		t.Errorf("sent with %q, counts are %v", pass, got)
	}
}

func TestARevokedTokenIsReplaced(t *testing.T) {
	fetched := 0
	issuer := newServer(t, slices.Repeat([]http.HandlerFunc{func(w http.ResponseWriter, _ *http.Request) {
		fetched++
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token": "t%d"}`, fetched)
	}}, 3)...)
	srv := newServer(t, status(204), status(401))
	cfg := configFor(srv.URL)
	cfg.ClientID, cfg.ClientSecret, cfg.TokenURL = "me", "secret", issuer.URL
	got, _ := send(t, cfg, 3)
	var used []string
	for _, r := range srv.calls {
		used = append(used, r.Header.Get("Authorization"))
	}
	if diff := cmp.Diff([]string{"Bearer t1", "Bearer t1", "Bearer t2", "Bearer t2"}, used); diff != "" || got["sent"] != 240 {
		t.Errorf("counts are %v, tokens:\n%s", got, diff)
	}
}

func TestAnIssuerThatIsDownLosesNothing(t *testing.T) {
	issuer := newServer(t, status(503), status(503), closeConnection, closeConnection, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "access_token=t")
	})
	srv := newServer(t)
	cfg := configFor(srv.URL)
	cfg.ClientID, cfg.ClientSecret, cfg.TokenURL = "me", "secret", issuer.URL
	got, want := send(t, cfg, 2)
	if diff := cmp.Diff(want, srv.taken); diff != "" || got["retried error"] == 0 {
		t.Errorf("counts are %v, samples:\n%s", got, diff)
	}
}

func TestAURLThatCannotWorkIsAFailingEndpoint(t *testing.T) {
	doer, err := NewHTTP(Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{"ftp://user:secret@host/x?token=secret", "http://user:secret@127.0.0.1:1/x?token=secret", "://secret", "http://u:secret/more@host/"} {
		c := NewClient(Config{URL: url, TimeoutMs: 1000}, doer, "kinglet")
		_, err := c.Post(t.Context(), NewBody(newEncoder(10).Encode(manyRow(1, 0))), 0)
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("got %v, want an error without secrets", err)
		}
	}
}

func TestErrorTextIsBounded(t *testing.T) {
	srv := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, "bad \xff"+strings.Repeat("x", 1<<20))
	})
	doer, err := NewHTTP(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer doer.Forget()
	_, err = NewClient(configFor(srv.URL), doer, "kinglet").Post(t.Context(), NewBody(nil), 0)
	if text := fmt.Sprint(err); len(text) > 1100 || !strings.HasPrefix(text, "endpoint answered 400: bad ?xxx") {
		t.Errorf("got %d bytes: %.60s", len(text), text)
	}
}

func TestAnAnswerThatRepeatsTheRequestShowsNoSecret(t *testing.T) {
	srv := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, "requestURI: %s; %s; cannot read", r.URL.RequestURI(), r.Header.Get("Authorization"))
	})
	cfg := configFor(srv.URL + "/w?token=hidden-1")
	cfg.BearerToken = "hidden-2"
	doer, err := NewHTTP(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer doer.Forget()
	_, err = NewClient(cfg, doer, "kinglet").Post(t.Context(), NewBody(nil), 0)
	if want := "endpoint answered 400: requestURI: /w?token=<secret>; Bearer <secret>; cannot read"; fmt.Sprint(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
