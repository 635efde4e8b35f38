package self

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"kinglet"
	"kinglet/conf/unit"
	"kinglet/inputs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// collector writes down what is pushed.
type collector struct{ lines []string }

func (c *collector) Push(_ context.Context, rows ...*kinglet.Row) error {
	for _, row := range rows {
		for i, value := range row.Values {
			var pairs []string
			for _, l := range row.Shape.AppendLabels(nil, i) {
				pairs = append(pairs, l.Name+"="+l.Value)
			}
			c.lines = append(c.lines, fmt.Sprintf("%s %v", strings.Join(pairs, " "), value))
		}
	}
	return nil
}

// without leaves out what is told by clocks and other rooms' metrics.
func (c *collector) without(prefix string) []string {
	lines := slices.DeleteFunc(slices.Clone(c.lines), func(l string) bool { return strings.HasPrefix(l, "__name__="+prefix) })
	slices.Sort(lines)
	return lines
}

func TestTheRegistryIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "kinglet_things_total", Help: "Things."})
		gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "go_goroutines", Help: "Goroutines."})
		reg.MustRegister(counter, gauge)
		counter.Add(3)
		cfg := DefaultConfig()
		cfg.Interval, cfg.Labels = unit.Seconds(10), map[string]string{"job": "kinglet"}
		settings := inputs.Settings{
			Hostname: "node1", Labels: map[string]string{"region": "a"}, Interval: time.Second,
			Precision: time.Millisecond, MaxColumns: 1000, UserAgent: "kinglet/v1",
		}
		in, err := New(cfg, settings, slog.New(slog.DiscardHandler), reg)
		if err != nil {
			t.Fatal(err)
		}
		out := &collector{}
		if down, err := in.Once(t.Context(), out); down != 0 || err != nil {
			t.Errorf("%d down, %v", down, err)
		}
		tail := " agent_hostname=node1 job=kinglet region=a version=v1 "
		want := []string{"__name__=kinglet_go_goroutines" + tail + "0", "__name__=kinglet_things_total" + tail + "3"}
		if diff := cmp.Diff(want, out.without("kinglet_scrape_")); diff != "" {
			t.Error(diff)
		}
	})
}

func TestItRunsAtItsInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		reg.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "kinglet_one", Help: "One."}))
		in, err := New(DefaultConfig(), inputs.Settings{Interval: 10 * time.Second}, slog.New(slog.DiscardHandler), reg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Second)
		defer cancel()
		out := &collector{}
		if err := in.Run(ctx, out); err != nil {
			t.Fatal(err)
		}
		if n := len(out.without("kinglet_scrape_")); n < 9 || n > 11 {
			t.Errorf("%d rounds in 100 s", n)
		}
	})
}

func TestConfigValidate(t *testing.T) {
	cfg := DefaultConfig()
	if err := cfg.Validate(); err != nil {
		t.Error(err)
	}
	cfg.Interval = unit.Seconds(-1)
	if err := cfg.Validate(); err == nil || err.Error() != "interval = -1s: want 100ms to 24h, or 0 for that of [global]" {
		t.Errorf("got %v", err)
	}
}

func TestARegistryThatCannotBeGatheredIsRefused(t *testing.T) {
	only := struct{ prometheus.Registerer }{prometheus.NewRegistry()}
	if _, err := New(DefaultConfig(), inputs.Settings{}, slog.New(slog.DiscardHandler), only); err == nil {
		t.Error("it was taken")
	}
}
