package conf

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"kinglet/conf/unit"
	"kinglet/inputs"
)

// Global is [global]: what concerns the whole agent. Begin from DefaultGlobal.
type Global struct {
	Hostname     string            `toml:"hostname"`            // value of agent_hostname; "" = the operating system's name. Expanded by Load itself
	OmitHostname bool              `toml:"omit_hostname"`       // send no agent_hostname
	Labels       map[string]string `toml:"labels" expand:"all"` // added to every series that lacks them
	Precision    string            `toml:"precision"`           // timestamps are cut to "ms", "s" or "m"
	Interval     unit.Duration     `toml:"interval"`            // between scrapes, where an input has none of its own
	Providers    []string          `toml:"providers"`           // "local" is the only one there is
}

// DefaultGlobal is what Categraf does without a [global]: every 15 s, which is
// also what Nightingale's dashboards expect, at full precision.
func DefaultGlobal() Global {
	return Global{Precision: "ms", Interval: unit.Seconds(15), Providers: []string{"local"}}
}

// Validate reports every fault at once, each under its TOML key.
func (g Global) Validate() error {
	return errors.Join(append(inputs.CheckLabels("labels", g.Labels, false), inputs.CheckInterval(g.Interval.Duration))...)
}

// precisions are the values of precision.
var precisions = map[string]time.Duration{"ms": time.Millisecond, "s": time.Second, "m": time.Minute}

// Log is [log]: where kinglet writes about itself. Begin from DefaultLog.
type Log struct {
	FileName   string `toml:"file_name" expand:"braces"` // "" or "stdout", "stderr", or a file
	MaxSizeMB  int    `toml:"max_size"`                  // MiB; a file of that size is put aside
	MaxAgeDays int    `toml:"max_age"`                   // days; files put aside go after that; 0 = never
	MaxBackups int    `toml:"max_backups"`               // most files put aside; 0 = any number
	LocalTime  bool   `toml:"local_time"`                // names of files put aside have local time, not UTC
	Compress   bool   `toml:"compress"`                  // files put aside are compressed with gzip
	Level      string `toml:"level"`                     // "debug", "info", "warn" or "error"
	Format     string `toml:"format"`                    // "logfmt" or "json"
}

// DefaultLog writes to standard output, where a container's log is taken from.
// For a file the numbers are those of Categraf's sample: at most 200 MiB.
func DefaultLog() Log {
	return Log{MaxSizeMB: 100, MaxAgeDays: 1, MaxBackups: 1, LocalTime: true, Level: "info", Format: "logfmt"}
}

// Validate reports every fault at once, each under its TOML key.
func (l Log) Validate() error {
	return errors.Join(
		notNegative("max_size", l.MaxSizeMB),
		notNegative("max_age", l.MaxAgeDays),
		notNegative("max_backups", l.MaxBackups),
		oneOf("level", l.Level, "debug", "info", "warn", "error"),
		oneOf("format", l.Format, "logfmt", "json"),
	)
}

// Serve is [serve]: kinglet's own health and metrics. Begin from DefaultServe.
type Serve struct {
	Listen string `toml:"listen" expand:"braces"` // host:port; "" = no listener
}

// DefaultServe answers on this host only: the page names targets, which is
// nobody else's business unless the user says so.
func DefaultServe() Serve { return Serve{Listen: "127.0.0.1:9559"} }

// Validate reports every fault at once, each under its TOML key.
func (s Serve) Validate() error {
	if s.Listen == "" {
		return nil
	}
	if _, port, err := net.SplitHostPort(s.Listen); err != nil || port == "" {
		return fmt.Errorf("listen = %q: want host:port, as in 127.0.0.1:9559, or \"\" for no listener", s.Listen)
	}
	return nil
}

func oneOf(key, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return fmt.Errorf("%s = %q: want %s", key, value, strings.Join(allowed, ", "))
}

func notNegative(key string, value int) error {
	if value >= 0 {
		return nil
	}
	return fmt.Errorf("%s = %d: want 0 or more", key, value)
}
