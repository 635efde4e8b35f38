package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/prompb"
	"go.uber.org/goleak"

	"kinglet/internal/tree"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node serves a page as an exporter does.
func node(t *testing.T, page func() string) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		io.WriteString(w, page())
	}))
	t.Cleanup(s.Close)
	return s
}

// store takes remote write and remembers the latest value of each series, which
// it names `name{label="value",...}` in the order of the message.
type store struct {
	*httptest.Server
	mu     sync.Mutex
	series map[string]float64
}

func newStore(t *testing.T) *store {
	t.Helper()
	s := &store{series: map[string]float64{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var m prompb.WriteRequest
	body, err := io.ReadAll(r.Body)
	if err == nil {
		body, err = snappy.Decode(nil, body)
	}
	if err == nil {
		err = m.Unmarshal(body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, series := range m.Timeseries {
		var name string
		var pairs []string
		for _, l := range series.Labels {
			if l.Name == "__name__" {
				name = l.Value
			} else {
				pairs = append(pairs, fmt.Sprintf("%s=%q", l.Name, l.Value))
			}
		}
		s.series[name+"{"+strings.Join(pairs, ",")+"}"] = series.Samples[len(series.Samples)-1].Value
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *store) value(series string) (float64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.series[series]
	return v, ok
}

// freeAddress is a loopback address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// eventually polls until condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline:
			t.Fatalf("not within 20 s: %s", what)
		case <-tick.C:
		}
	}
}

// started is a kinglet that runs in this process.
type started struct {
	stop    context.CancelFunc
	hangups chan os.Signal
	code    chan int
	stderr  *lockedBuffer
}

func start(t *testing.T, args ...string) *started {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	s := &started{stop: stop, hangups: make(chan os.Signal), code: make(chan int, 1), stderr: &lockedBuffer{}}
	env := map[string]string{"HOSTNAME": "node-1"}
	p := process{stdout: io.Discard, stderr: s.stderr, hangups: s.hangups, getenv: func(name string) (string, bool) {
		v, ok := env[name]
		return v, ok
	}}
	go func() { s.code <- run(ctx, args, p) }()
	t.Cleanup(func() { s.stop() })
	return s
}

// end stops kinglet as SIGTERM does and gives its exit code.
func (s *started) end() int {
	s.stop()
	return <-s.code
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func mainConfig(listen, writeURL string) string {
	return fmt.Sprintf(`
[global]
hostname = "$HOSTNAME"
interval = "100ms"
[log]
file_name = "stderr"
[serve]
listen = %q
[writer_opt]
linger = "10ms"
[[writers]]
url = %q
`, listen, writeURL)
}

func fetch(t *testing.T, method, url string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestPageArrivesWithItsLabelsAndReloadsApply(t *testing.T) {
	target := node(t, func() string { return "# TYPE a gauge\na{b=\"c\"} 1.5\n" })
	remote := newStore(t)
	listen := freeAddress(t)
	dir := tree.Make(t, map[string]string{
		"config.toml":               mainConfig(listen, remote.URL),
		"input.prometheus/one.toml": fmt.Sprintf("[[instances]]\nurls = [%q]\nlabels = { job = \"one\" }\n", target.URL),
	})
	k := start(t, "-configs", dir)
	series := func(job string) string {
		return fmt.Sprintf("a{agent_hostname=\"node-1\",b=\"c\",instance=\"%s/metrics\",job=%q}", target.URL, job)
	}
	eventually(t, "the page's series arrives", func() bool { v, ok := remote.value(series("one")); return ok && v == 1.5 })
	eventually(t, "kinglet is ready", func() bool { code, _ := fetch(t, "GET", "http://"+listen+"/-/ready"); return code == 200 })

	_, body := fetch(t, "GET", "http://"+listen+"/targets")
	var page struct {
		Targets []targetView `json:"targets"`
		Writers []writerView `json:"writers"`
	}
	if err := json.Unmarshal([]byte(body), &page); err != nil {
		t.Fatal(err)
	}
	if len(page.Targets) != 1 || page.Targets[0].State != "up" || len(page.Writers) != 1 || page.Writers[0].State != "ok" {
		t.Errorf("/targets shows %s", body)
	}

	// A sound change is applied, a faulty one refused and said.
	change := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	change("input.prometheus/one.toml", fmt.Sprintf("[[instances]]\nurls = [%q]\nlabels = { job = \"two\" }\n", target.URL))
	k.hangups <- os.Interrupt
	eventually(t, "the changed label arrives", func() bool { _, ok := remote.value(series("two")); return ok })
	change("config.toml", "[global\n")
	if code, text := fetch(t, "POST", "http://"+listen+"/-/reload"); code != 500 || !strings.Contains(text, "config.toml:1") {
		t.Errorf("a faulty reload answers %d %s", code, text)
	}
	if code, text := fetch(t, "GET", "http://"+listen+"/metrics"); code != 200 || !strings.Contains(text, "kinglet_config_last_reload_successful 0") {
		t.Errorf("/metrics answers %d and does not tell of the refused reload", code)
	}
	if code := k.end(); code != exitOK {
		t.Errorf("exit code %d: %s", code, k.stderr)
	}
}

func TestStopSendsWhatIsBuffered(t *testing.T) {
	target := node(t, func() string { return "a 1\n" })
	remote := newStore(t)
	listen := freeAddress(t)
	dir := tree.Make(t, map[string]string{
		"config.toml":               strings.Replace(mainConfig(listen, remote.URL), `"10ms"`, `"1m"`, 1),
		"input.prometheus/one.toml": fmt.Sprintf("[[instances]]\nurls = [%q]\n", target.URL),
	})
	k := start(t, "-configs", dir)
	eventually(t, "a page is scraped", func() bool {
		_, text := fetch(t, "GET", "http://"+listen+"/metrics")
		return strings.Contains(text, `kinglet_scrape_targets{input="prometheus",state="up"} 1`)
	})
	if _, ok := remote.value("a{agent_hostname=\"node-1\",instance=\"" + target.URL + "/metrics\"}"); ok {
		t.Fatal("it was sent before its linger was over")
	}
	if code := k.end(); code != exitOK {
		t.Errorf("exit code %d: %s", code, k.stderr)
	}
	if _, ok := remote.value("a{agent_hostname=\"node-1\",instance=\"" + target.URL + "/metrics\"}"); !ok {
		t.Error("the buffered sample was not sent at the stop")
	}
}

func TestBadStartsSayWhyInOneLine(t *testing.T) {
	for _, tt := range []struct {
		name  string
		args  []string
		files map[string]string
		code  int
		want  string
	}{
		{"unknown flag", []string{"-wrong"}, nil, exitUsage, "flag provided but not defined: -wrong"},
		{"unknown subcommand", []string{"scrape"}, nil, exitUsage, `"scrape" is no subcommand`},
		{"value of a flag that is no number", []string{"-interval", "10s"}, nil, exitUsage, `invalid value "10s" for flag -interval`},
		{"unknown flag of a subcommand", []string{"check", "-wrong"}, nil, exitUsage, "flag provided but not defined: -wrong"},
		{"words after the flags", []string{"-test", "now"}, nil, exitUsage, `unexpected "now"`},
		{"inputs that do not exist", []string{"-inputs", "nosuch:cpu"}, nil, exitUsage, "kinglet has no such input"},
		{"negative interval", []string{"-interval", "-1"}, nil, exitUsage, "want 0 to 86400"},
		{"no config.toml", []string{}, map[string]string{"other.toml": ""}, exitFailure, "config.toml"},
		{"bad TOML", []string{}, map[string]string{"config.toml": "[global\n"}, exitFailure, "config.toml:1"},
		{"unset variable", []string{}, map[string]string{"config.toml": "[global]\nhostname = \"$NOBODY\"\n"}, exitFailure, "NOBODY"},
		{"log that cannot be written", []string{}, map[string]string{"config.toml": "[log]\nfile_name = \"/proc/none/x\"\n"}, exitFailure, "change [log] file_name"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := tt.args
			if tt.files != nil {
				args = append(args, "-configs", tree.Make(t, tt.files))
			}
			k := start(t, args...)
			if code := <-k.code; code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if !strings.Contains(k.stderr.String(), tt.want) {
				t.Errorf("stderr %q does not say %q", k.stderr.String(), tt.want)
			}
			if lines := strings.Count(k.stderr.String(), "\n"); lines != 1 {
				t.Errorf("stderr has %d lines, want 1:\n%s", lines, k.stderr.String())
			}
		})
	}
}

func TestHelpIsNoFailure(t *testing.T) {
	for _, args := range [][]string{{"-h"}, {"--help"}, {"check", "-h"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			k := start(t, args...)
			if code := <-k.code; code != exitOK {
				t.Errorf("exit code %d, want %d", code, exitOK)
			}
			if said := k.stderr.String(); !strings.Contains(said, "-configs") {
				t.Errorf("it does not list the flags: %q", said)
			}
		})
	}
}

func TestTakenAddressCostsThePagesAboutSamplesNotTheSamples(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	target := node(t, func() string { return "a 1\n" })
	remote := newStore(t)
	k := start(t, "-configs", tree.Make(t, map[string]string{
		"config.toml":               mainConfig(taken.Addr().String(), remote.URL),
		"input.prometheus/one.toml": fmt.Sprintf("[[instances]]\nurls = [%q]\n", target.URL),
	}))
	eventually(t, "the page's series arrives", func() bool {
		_, ok := remote.value("a{agent_hostname=\"node-1\",instance=\"" + target.URL + "/metrics\"}")
		return ok
	})
	if code := k.end(); code != exitOK || !strings.Contains(k.stderr.String(), "change [serve] listen") {
		t.Errorf("exit code %d, and the log says %s", code, k.stderr)
	}
}
