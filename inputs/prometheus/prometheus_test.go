package prometheus

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	promclient "github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"kinglet"
	"kinglet/inputs"
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

func serve(t *testing.T, page string) *httptest.Server {
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
