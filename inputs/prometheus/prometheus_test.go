package prometheus

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/glob"
	"github.com/google/go-cmp/cmp"
	promclient "github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"kinglet"
	"kinglet/conf/httpclient"
	"kinglet/conf/unit"
	"kinglet/inputs"
	"kinglet/inputs/scrape"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// collector keeps what is pushed.
type collector struct {
	mu   sync.Mutex
	rows []*kinglet.Row
}

func (c *collector) Push(_ context.Context, rows ...*kinglet.Row) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rows = append(c.rows, rows...)
	return nil
}

// lines writes every sample as name{labels} value, sorted; scrape_* only by name.
func (c *collector) lines() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var lines []string
	for _, row := range c.rows {
		for i, value := range row.Values {
			if kinglet.IsAbsent(value) {
				continue
			}
			lines = append(lines, describe(row.Shape.AppendLabels(nil, i), value))
		}
	}
	slices.Sort(lines)
	return lines
}

func describe(labels []kinglet.Label, value float64) string {
	var name string
	var pairs []string
	for _, l := range labels {
		if l.Name == kinglet.MetricNameLabel {
			name = l.Value
			continue
		}
		pairs = append(pairs, fmt.Sprintf("%s=%q", l.Name, l.Value))
	}
	if strings.HasPrefix(name, "scrape_duration") {
		value = 0
	}
	if kinglet.IsStale(value) {
		return fmt.Sprintf("%s{%s} stale", name, strings.Join(pairs, ","))
	}
	return fmt.Sprintf("%s{%s} %v", name, strings.Join(pairs, ","), value)
}

func serve(t testing.TB, page string) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		io.WriteString(w, page)
	}))
	t.Cleanup(server.Close)
	return server
}

func newInput(t *testing.T, settings inputs.Settings, cfgs ...Config) *Input {
	t.Helper()
	in, err := New(cfgs, settings, slog.New(slog.DiscardHandler), promclient.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func testSettings() inputs.Settings {
	return inputs.Settings{
		Hostname: "node1", Labels: map[string]string{"region": "a"}, Interval: 15 * time.Second,
		Precision: time.Millisecond, MaxColumns: 1000, UserAgent: "kinglet/test",
	}
}

func TestOnceTurnsAPageIntoRows(t *testing.T) {
	server := serve(t, "# TYPE m counter\nm{a=\"1\"} 1\nm{a=\"2\"} 2.5\nother NaN\n")
	cfg := DefaultConfig()
	cfg.URLs = []string{server.URL}
	cfg.Labels = map[string]string{"job": "x"}
	out := &collector{}
	in := newInput(t, testSettings(), cfg)
	down, err := in.Once(t.Context(), out)
	if down != 0 || err != nil {
		t.Fatalf("%d down, %v, %+v", down, err, in.Targets())
	}
	tail := fmt.Sprintf(`agent_hostname="node1",instance="%s/metrics",job="x",region="a"`, server.URL)
	want := []string{
		`m{a="1",` + tail + `} 1`,
		`m{a="2",` + tail + `} 2.5`,
		`other{` + tail + `} NaN`,
		`scrape_duration_seconds{` + tail + `} 0`,
		`scrape_samples_post_metric_relabeling{` + tail + `} 3`,
		`scrape_samples_scraped{` + tail + `} 3`,
		`scrape_series_added{` + tail + `} 3`,
		`up{` + tail + `} 1`,
	}
	if diff := cmp.Diff(want, out.lines()); diff != "" {
		t.Error(diff)
	}
}

// globFault is what the glob library says of a pattern.
func globFault(t *testing.T, pattern string) string {
	t.Helper()
	_, err := glob.Compile(pattern)
	if err == nil {
		t.Fatalf("%q was taken", pattern)
	}
	return err.Error()
}

func TestInstancesWithoutURLsAreSkipped(t *testing.T) {
	in := newInput(t, testSettings(), DefaultConfig())
	if targets := in.Targets(); len(targets) > 0 {
		t.Errorf("got %v", targets)
	}
	down, err := in.Once(t.Context(), &collector{})
	if down != 0 || err != nil {
		t.Errorf("%d down, %v", down, err)
	}
}

func TestDownTargetsAreCounted(t *testing.T) {
	gone := serve(t, "")
	gone.Close()
	cfg := DefaultConfig()
	cfg.URLs = []string{gone.URL, serve(t, "m 1\n").URL}
	cfg.ScrapeMeta = false
	in, out := newInput(t, testSettings(), cfg), &collector{}
	if down, err := in.Once(t.Context(), out); down != 1 || err != nil {
		t.Errorf("%d down, %v", down, err)
	}
	if n := len(out.lines()); n != 3 { // up twice and m
		t.Errorf("got %v", out.lines())
	}
}

func TestTimingFollowsTheInstance(t *testing.T) {
	for _, tt := range []struct {
		name              string
		edit              func(*Config)
		interval, timeout time.Duration
	}{
		{"the input's", func(*Config) {}, 15 * time.Second, 3 * time.Second},
		{"its own", func(c *Config) { c.Interval = unit.Seconds(30) }, 30 * time.Second, 3 * time.Second},
		{"interval_times multiplies", func(c *Config) { c.IntervalTimes = 4 }, time.Minute, 3 * time.Second},
		{"interval_times below 1 is 1, as in Categraf", func(c *Config) { c.IntervalTimes = -3 }, 15 * time.Second, 3 * time.Second},
		{"a day is the longest", func(c *Config) { c.IntervalTimes = 864_000 }, 24 * time.Hour, 3 * time.Second},
		{"interval_times does not overflow", func(c *Config) { c.IntervalTimes = math.MaxInt64 }, 24 * time.Hour, 3 * time.Second},
		{"a timeout above the interval is cut", func(c *Config) { c.Timeout = unit.Seconds(20) }, 15 * time.Second, 15 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := DefaultConfig()
			tt.edit(&cfg)
			interval, timeout := newInput(t, testSettings()).timing(cfg, testSettings())
			if interval != tt.interval || timeout != tt.timeout {
				t.Errorf("got %v and %v", interval, timeout)
			}
		})
	}
}

func TestMoreTargetsThanAllowedAllFail(t *testing.T) {
	server := serve(t, "m 1\n")
	cfg := DefaultConfig()
	cfg.URLs, cfg.TargetLimit = []string{server.URL + "/a", server.URL + "/b"}, 1
	in := newInput(t, testSettings(), cfg)
	if down, err := in.Once(t.Context(), &collector{}); down != 2 || err != nil {
		t.Errorf("%d down, %v", down, err)
	}
	if got, want := in.Targets()[0].Error, "target_limit: 2 targets, want at most 1"; got != want {
		t.Errorf("got %q", got)
	}
}

func TestAFaultInAnUpdateChangesNothing(t *testing.T) {
	cfg := DefaultConfig()
	cfg.URLs = []string{"http://127.0.0.1:1/a"}
	in := newInput(t, testSettings(), cfg)
	bad := cfg
	bad.URLs = []string{"nonsense"}
	if err := in.Update([]Config{cfg, bad}, testSettings()); err == nil || !strings.HasPrefix(err.Error(), "instance 2: urls[0]") {
		t.Errorf("got %v", err)
	}
	if targets := in.Targets(); len(targets) != 1 || targets[0].URL != "http://127.0.0.1:1/a" {
		t.Errorf("targets %v", targets)
	}
}

func TestSettingsTellWhatChanged(t *testing.T) {
	cfg := DefaultConfig()
	cfg.URLs = []string{"http://a/"}
	targets := func(cfg Config) []scrape.Target {
		made, err := newInput(t, testSettings()).instance(cfg, testSettings(), &scrape.Clients[*httpclient.Client]{})
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	before := targets(cfg)[0]
	more := cfg
	more.URLs = []string{"http://b/", "http://a/"}
	if after := targets(more)[1]; after.Key != before.Key || after.Settings != before.Settings {
		t.Error("another URL changed this target")
	}
	limited := cfg
	limited.SampleLimit = 5
	if after := targets(limited)[0]; after.Key != before.Key || after.Settings == before.Settings {
		t.Error("a limit must change the settings and nothing else")
	}
	password := cfg
	password.URLs = []string{"http://u:p@a/"}
	if after := targets(password)[0]; after.Key != before.Key || after.Settings == before.Settings || strings.Contains(after.Settings, "p@") {
		t.Error("a password must change the settings, unseen, and nothing else")
	}
}

func TestOnlyATimeoutThatWasSetIsWarnedOf(t *testing.T) {
	for timeout, want := range map[unit.Duration]bool{DefaultConfig().Timeout: false, unit.Seconds(2): true} {
		var logged bytes.Buffer
		cfg := DefaultConfig()
		cfg.URLs, cfg.Interval, cfg.Timeout = []string{"http://127.0.0.1:1/"}, unit.Seconds(1), timeout
		if _, err := New([]Config{cfg}, testSettings(), slog.New(slog.NewTextHandler(&logged, nil)), promclient.NewRegistry()); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(logged.String(), "timeout is above the interval"); got != want {
			t.Errorf("timeout %v: %s", timeout, logged.String())
		}
	}
}
