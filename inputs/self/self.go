// Package self is the input that sends kinglet's own metrics through the same
// pipe as those of any target. It asks no HTTP server for them.
package self

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"kinglet"
	"kinglet/conf/unit"
	"kinglet/inputs"
	"kinglet/inputs/scrape"
)

// Name is the input's name, Categraf's: its folder is input.self_metrics.
const Name = "self_metrics"

// Config is what the files of input.self_metrics say. Begin from DefaultConfig.
type Config struct {
	Interval unit.Duration     `toml:"interval"`            // 0 = [global]'s
	Labels   map[string]string `toml:"labels" expand:"all"` // overwrite; "-" deletes
}

// DefaultConfig sends every [global] interval, with the labels of [global].
func DefaultConfig() Config { return Config{} }

// Validate reports every fault at once, each under its TOML key.
func (c Config) Validate() error {
	faults := inputs.CheckLabels("labels", c.Labels, false)
	if d := c.Interval.Duration; d != 0 {
		if err := inputs.CheckInterval(d); err != nil {
			faults = append(faults, fmt.Errorf("%w, or 0 for that of [global]", err))
		}
	}
	return errors.Join(faults...)
}

// Input sends what a registry gathers.
type Input struct {
	manager *scrape.Manager
}

var (
	_ inputs.Input    = (*Input)(nil)
	_ inputs.Reporter = (*Input)(nil)
)

// New checks and builds the input. Reg must be a prometheus.Gatherer too: what
// it gathers is sent.
func New(cfg Config, settings inputs.Settings, log *slog.Logger, reg prometheus.Registerer) (*Input, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	gatherer, ok := reg.(prometheus.Gatherer)
	if !ok {
		return nil, errors.New("self: the registry cannot be gathered")
	}
	interval := cfg.Interval.Duration
	if interval <= 0 {
		interval = settings.Interval
	}
	if interval <= 0 {
		interval = 15 * time.Second // Categraf's default
	}
	labels := scrape.LabelConfig{
		Instance:   cfg.Labels,
		Global:     settings.Labels,
		Hostname:   settings.Hostname,
		NamePrefix: "kinglet", // kinglet_go_goroutines and the like, as Categraf does
	}
	if version := strings.TrimPrefix(settings.UserAgent, "kinglet/"); version != "" {
		labels.Target = []kinglet.Label{{Name: "version", Value: version}}
	}
	manager, err := scrape.NewManager(Name, log, reg)
	if err != nil {
		return nil, err
	}
	manager.LimitSeries(settings.MaxSeries)
	manager.Update([]scrape.Target{{
		Key:      settings.Hostname + "/" + Name,
		URL:      "self:metrics",
		Gather:   func() ([]byte, error) { return page(gatherer) },
		Interval: interval,
		Timeout:  interval,
		Silent:   true,
		Page: scrape.PageConfig{
			Labels:      scrape.NewLabeler(labels),
			PrecisionMs: settings.Precision.Milliseconds(),
			MaxColumns:  settings.MaxColumns,
		},
	}})
	return &Input{manager: manager}, nil
}

// page is what gatherer has, in the text format. What could not be gathered is
// left out: the rest is the more needed then.
func page(gatherer prometheus.Gatherer) ([]byte, error) {
	families, err := gatherer.Gather()
	if err != nil && len(families) == 0 {
		return nil, fmt.Errorf("gather kinglet's metrics: %w", err)
	}
	var text bytes.Buffer
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToText(&text, family); err != nil {
			return nil, fmt.Errorf("write kinglet's metrics: %w", err)
		}
	}
	return text.Bytes(), nil
}

// Run sends until ctx ends.
func (in *Input) Run(ctx context.Context, out kinglet.Sink) error { return in.manager.Run(ctx, out) }

// Once sends one time.
func (in *Input) Once(ctx context.Context, out kinglet.Sink) (down int, err error) {
	return in.manager.Once(ctx, out)
}

// Targets tells how the gathering is doing.
func (in *Input) Targets() []inputs.Target { return in.manager.Targets() }
