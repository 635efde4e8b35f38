package heartbeat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"kinglet/conf/unit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// nightingale stands in for the HTTP client, so that time can be faked: it
// remembers what it was sent, and answers with answer.
type nightingale struct {
	answer func(n int) (*http.Response, error) // of the n-th heartbeat, from 0; nil = accepted

	mu       sync.Mutex
	beats    []message
	at       []time.Time
	requests []*http.Request
	forgot   int
}

func (n *nightingale) Do(r *http.Request) (*http.Response, error) {
	m := decode(r)
	n.mu.Lock()
	i := len(n.beats)
	n.beats, n.at, n.requests = append(n.beats, m), append(n.at, time.Now()), append(n.requests, r)
	n.mu.Unlock()
	if n.answer == nil {
		return reply(200, `{"dat":null,"err":""}`), nil
	}
	return n.answer(i)
}

func (n *nightingale) Forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.forgot++
}

func (n *nightingale) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.beats)
}

func reply(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

func decode(r *http.Request) (m message) {
	z, err := gzip.NewReader(r.Body)
	if err != nil {
		panic(err)
	}
	if err := json.NewDecoder(z).Decode(&m); err != nil {
		panic(err)
	}
	return m
}

// lines collects what is logged.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newBeater is a Beater whose heartbeats go to to.
func newBeater(t *testing.T, to doer) (*Beater, *lines) {
	t.Helper()
	out := &lines{}
	drop := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	log := slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{ReplaceAttr: drop}))
	b, err := New("kinglet/v1.2.3", log, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	b.node.proc = "testdata/before"
	if to != nil {
		b.newHTTP = func(Config) (doer, error) { return to, nil }
	}
	return b, out
}

func enabled(url string) Config {
	cfg := DefaultConfig()
	cfg.Enable, cfg.URL = true, url
	return cfg
}

var node1 = Host{Name: "node-1", IP: "192.0.2.7", Version: "v1.2.3-4-gabcdef", Labels: map[string]string{"region": "north", "empty": ""}}

const address = "http://n9e:17000/v1/n9e/heartbeat"

// running runs b until the test's function ends.
func running(t *testing.T, b *Beater) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var runs sync.WaitGroup
	runs.Go(func() { b.Run(ctx) })
	return func() {
		cancel()
		runs.Wait()
	}
}

func TestAHeartbeatSaysWhatNightingaleShows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &nightingale{}
		b, _ := newBeater(t, n)
		if err := b.Update(enabled(address), node1); err != nil {
			t.Fatal(err)
		}
		defer running(t, b)()
		pass(10 * time.Second) // on the bubble's clock
		synctest.Wait()
		if n.count() != 1 {
			t.Fatalf("%d heartbeats in one interval", n.count())
		}
		want := message{
			AgentVersion: "kinglet-v1.2.3", OS: "linux", Arch: n.beats[0].Arch, Hostname: "node-1", CPUs: 2, MemUtil: 25,
			GlobalLabels: map[string]string{"region": "north"}, HostIP: "192.0.2.7", UnixTimeMs: n.at[0].UnixMilli(),
		}
		if diff := cmp.Diff(want, n.beats[0]); diff != "" {
			t.Error(diff)
		}
		r := n.requests[0]
		header := http.Header{"Content-Encoding": {"gzip"}, "Content-Type": {"application/json"}, "User-Agent": {"kinglet/v1.2.3"}}
		if diff := cmp.Diff(header, r.Header); diff != "" || r.Method != http.MethodPost || r.URL.String() != address {
			t.Errorf("%s %s\n%s", r.Method, r.URL, diff)
		}
	})
}

func TestHeartbeatsKeepTheirPhaseAndInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// One answer takes longer than an interval: its neighbours keep their
		// places.
		n := &nightingale{answer: func(i int) (*http.Response, error) {
			if i == 2 {
				pass(12 * time.Second)
			}
			return reply(204, ""), nil
		}}
		b, _ := newBeater(t, n)
		if err := b.Update(enabled(address), node1); err != nil {
			t.Fatal(err)
		}
		stop := running(t, b)
		pass(time.Minute)
		stop()
		shift := phase("node-1", 10*time.Second)
		var places []int64
		for _, at := range n.at {
			if since := at.UnixNano() - int64(shift); since%int64(10*time.Second) != 0 {
				t.Errorf("a heartbeat at %v, out of phase", at)
			}
			places = append(places, int64(at.Sub(n.at[0])/(10*time.Second)))
		}
		if diff := cmp.Diff([]int64{0, 1, 2, 4, 5}, places); diff != "" {
			t.Error(diff)
		}
	})
}

func TestHostsBeatAtDifferentMoments(t *testing.T) {
	const hosts = 1000
	var perSecond [10]int
	for i := range hosts {
		perSecond[phase(fmt.Sprintf("node-%d", i), 10*time.Second)/time.Second]++
	}
	for second, n := range perSecond {
		if n < hosts/10/2 || n > hosts/10*2 {
			t.Errorf("%d of %d hosts beat in second %d", n, hosts, second)
		}
	}
}

func TestAFailureIsLoggedWhenItBeginsAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &nightingale{answer: func(i int) (*http.Response, error) {
			switch i {
			case 0:
				return reply(200, `{"dat":null,"err":""}`), nil
			case 1:
				return reply(401, "unauthorized"), nil
			case 2:
				return nil, errors.New("connection refused")
			case 3:
				return reply(200, `{"dat":null,"err":"hostname is required","request_id":"x"}`), nil
			case 4:
				return reply(302, ""), nil
			}
			return reply(200, "not json"), nil
		}}
		b, out := newBeater(t, n)
		if err := b.Update(enabled("http://user:secret@n9e/v1/n9e/heartbeat?token=secret"), node1); err != nil {
			t.Fatal(err)
		}
		stop := running(t, b)
		pass(60 * time.Second)
		stop()
		want := `level=INFO msg="heartbeats are sent" url=http://n9e/v1/n9e/heartbeat hostname=node-1 interval=10s
level=INFO msg="heartbeat accepted" hostname=node-1
level=WARN msg="heartbeat failed: Nightingale shows this host as missing if this lasts" error="the server answered 401: unauthorized"
level=INFO msg="heartbeat accepted" hostname=node-1
`
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Error(diff)
		}
		for result, want := range map[string]float64{resultAccepted: 2, resultRefused: 3, resultUnanswered: 1} {
			if got := testutil.ToFloat64(b.metrics.beats.WithLabelValues(result)); got != want {
				t.Errorf("%v %s, want %v", got, result, want)
			}
		}
		if at := testutil.ToFloat64(b.metrics.lastAccepted); at != float64(n.at[5].Unix()) && int64(at) != n.at[5].Unix() {
			t.Errorf("accepted last at %v, want %v", at, n.at[5])
		}
	})
}

// TestAnAnswerIsNeverActedUpon gives the answer that makes Categraf download a
// program and run it.
func TestAnAnswerIsNeverActedUpon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &nightingale{answer: func(int) (*http.Response, error) {
			return reply(200, `{"dat":{"new_version":"v9","download_url":"http://n9e/evil.tar.gz","config":{"url":"http://evil"}},"err":""}`), nil
		}}
		b, out := newBeater(t, n)
		if err := b.Update(enabled(address), node1); err != nil {
			t.Fatal(err)
		}
		stop := running(t, b)
		pass(30 * time.Second)
		stop()
		for _, r := range n.requests {
			if r.URL.String() != address {
				t.Errorf("a request to %s", r.URL)
			}
		}
		if n.count() != 3 || strings.Contains(out.String(), "evil") || strings.Contains(out.String(), "v9") {
			t.Errorf("%d heartbeats, log:\n%s", n.count(), out)
		}
	})
}

func TestUpdateChangesAndEndsHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &nightingale{}
		b, _ := newBeater(t, n)
		defer running(t, b)()
		pass(time.Minute)
		if n.count() != 0 {
			t.Fatal("heartbeats before Update")
		}
		step := func(cfg Config, host Host, want int) {
			t.Helper()
			if err := b.Update(cfg, host); err != nil {
				t.Fatal(err)
			}
			before := n.count()
			pass(time.Minute)
			synctest.Wait()
			if got := n.count() - before; got != want {
				t.Errorf("%d heartbeats in a minute, want %d", got, want)
			}
		}
		cfg := enabled(address)
		step(cfg, node1, 6)
		cfg.Interval = unit.Seconds(20)
		step(cfg, Host{Name: "node-2", Version: "dev"}, 3)
		if last := n.beats[n.count()-1]; last.Hostname != "node-2" || last.AgentVersion != "kinglet-dev" || last.GlobalLabels == nil {
			t.Errorf("%+v", last)
		}
		if err := b.Update(Config{Enable: true}, node1); err == nil {
			t.Error("a faulty table was taken")
		}
		cfg.Enable = false
		step(cfg, node1, 0)
		if n.forgot != 2 {
			t.Errorf("connections were let go %d times, want one for each plan", n.forgot)
		}
		if on := testutil.ToFloat64(b.metrics.enabled); on != 0 {
			t.Errorf("enabled is %v", on)
		}
	})
}

func TestALoadThatCannotBeReadIsSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &nightingale{}
		b, out := newBeater(t, n)
		b.node.proc = "testdata/broken"
		if err := b.Update(enabled(address), node1); err != nil {
			t.Fatal(err)
		}
		stop := running(t, b)
		pass(30 * time.Second)
		stop()
		if n.count() != 3 || strings.Count(out.String(), "do not tell the node's load") != 1 {
			t.Errorf("%d heartbeats, log:\n%s", n.count(), out)
		}
	})
}

// pass lets time pass, on the clock of a synctest bubble.
func pass(d time.Duration) { <-time.After(d) }
