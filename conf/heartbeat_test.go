package conf

import (
	"slices"
	"strings"
	"testing"
	"time"

	"kinglet/internal/tree"
)

func TestCategrafsHeartbeatLoadsAsItIs(t *testing.T) {
	cfg, _ := mustLoad(t, "testdata/categraf_daemonset.good")
	h := cfg.Heartbeat
	if !h.Enable || h.URL != "http://nserver:17000/v1/n9e/heartbeat" || h.Interval.Duration != 10*time.Second ||
		h.TimeoutMs != 5000 || h.DialTimeoutMs != 2500 || h.MaxIdleConnsPerHost != 100 {
		t.Errorf("%+v", h)
	}
}

// TestAHeartbeatThatCannotWorkStopsNothing holds that samples are worth more
// than a host list.
func TestAHeartbeatThatCannotWorkStopsNothing(t *testing.T) {
	for _, tt := range []struct{ name, table, want string }{
		{"no address", "enable = true\n", `config.toml:4: warning: heartbeat.url: "", want the address of Nightingale's heartbeat, ` +
			"http://HOST:17000/v1/n9e/heartbeat; without that no heartbeat is sent"},
		{"half a header", "enable = true\nurl = \"http://n9e/v1\"\nheaders = [\"X-A\"]\n",
			"config.toml:7: warning: heartbeat.headers: has 1 entries, want pairs of name and value; without that no heartbeat is sent"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := tree.Make(t, map[string]string{"config.toml": oneWriter + "\n[heartbeat]\n" + tt.table})
			cfg, findings := mustLoad(t, dir)
			if cfg.Heartbeat.Enable || len(cfg.Writers) != 1 {
				t.Errorf("%+v", cfg.Heartbeat)
			}
			if lines := findingLines(findings); !slices.Contains(lines, tt.want) {
				t.Errorf("findings:\n%s\nwant:\n%s", strings.Join(lines, "\n"), tt.want)
			}
			if Check(dir, onNode1()).Errors() != 1 {
				t.Error("check does not call it an error")
			}
		})
	}
}

func TestAHeartbeatOfANamelessHostIsWarnedOf(t *testing.T) {
	dir := tree.Make(t, map[string]string{"config.toml": oneWriter + "[global]\nomit_hostname = true\n" +
		"[heartbeat]\nenable = true\nurl = \"http://n9e/v1/n9e/heartbeat\"\n"})
	cfg, findings := mustLoad(t, dir)
	if lines := strings.Join(findingLines(findings), "\n"); !cfg.Heartbeat.Enable || !strings.Contains(lines, "omit_hostname") {
		t.Errorf("findings:\n%s", lines)
	}
}

func findingLines(findings Findings) []string {
	var lines []string
	for _, f := range findings {
		lines = append(lines, f.String())
	}
	return lines
}
