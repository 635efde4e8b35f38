// Package prometheus is the input that scrapes URLs written in the
// configuration, as Categraf's input of that name does: every URL is a target
// with a loop, a phase and a timeout of its own.
package prometheus

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kinglet/conf/httpclient"
	"kinglet/inputs"
	"kinglet/inputs/scrape"
)

// Name is the input's name: its folder is input.prometheus.
const Name = "prometheus"

// Input scrapes the URLs of its instances.
type Input struct {
	*scrape.Instances[Config, *httpclient.Client]
	log *slog.Logger
}

var (
	_ inputs.Input    = (*Input)(nil)
	_ inputs.Reporter = (*Input)(nil)
)

// New checks and builds the input; an instance without URLs is skipped. It
// opens no connection.
func New(cfgs []Config, settings inputs.Settings, log *slog.Logger, reg prometheus.Registerer) (*Input, error) {
	in := &Input{log: log.With("input", Name)}
	var err error
	if in.Instances, err = scrape.NewInstances(Name, in.contained, log, reg); err != nil {
		return nil, err
	}
	return in, in.Update(cfgs, settings)
}

// contained is instance, but for a panic, which is a bug that must not end a
// program that runs: it is a fault of this instance.
func (in *Input) contained(cfg Config, settings inputs.Settings, clients *scrape.Clients[*httpclient.Client]) (made []scrape.Target, err error) {
	defer func() {
		if p := recover(); p != nil {
			in.log.Error("a configuration made kinglet fail", "panic", p, "stack", string(debug.Stack()))
			made, err = nil, fmt.Errorf("kinglet failed on this configuration (%v): please report it", p)
		}
	}()
	return in.instance(cfg, settings, clients)
}

// instance makes the targets of one [[instances]] table.
func (in *Input) instance(cfg Config, settings inputs.Settings, clients *scrape.Clients[*httpclient.Client]) ([]scrape.Target, error) {
	if len(cfg.URLs) == 0 {
		return nil, nil
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	made, _ := cfg.compile()
	made.labels.Global, made.labels.Hostname = settings.Labels, settings.Hostname
	interval, timeout := in.timing(cfg, settings)
	fingerprint, err := fingerprintOf(cfg, settings)
	if err != nil {
		return nil, err
	}
	client, err := clients.Of(fingerprint, func() (*httpclient.Client, error) { return httpclient.New(cfg.client()) })
	if err != nil {
		return nil, err
	}
	var refused error
	if cfg.TargetLimit > 0 && len(cfg.URLs) > cfg.TargetLimit {
		refused = scrape.TargetLimit(len(cfg.URLs), cfg.TargetLimit)
	}
	targets := make([]scrape.Target, 0, len(cfg.URLs))
	for _, raw := range cfg.URLs {
		u, err := parseURL(raw)
		if err != nil {
			return nil, err
		}
		labels := made.labels
		if labels.Target, err = made.urlLabels(cfg.URLLabelKey, u); err != nil {
			return nil, err
		}
		t, keep, fault := made.relabel(place{u, labels, interval, timeout})
		if !keep {
			in.log.Debug("target_relabel_configs drop a target", "target", u.Host+u.Path)
			continue
		}
		target := cfg.target(t, settings)
		target.Settings = hash([]byte(fingerprint + target.URL)) // the URL may hold a password, which Key does not
		target.Client, target.Refused = client, refused
		if fault != nil {
			target.Refused, target.Silent = fault, true // shown, and neither scraped nor sent
		}
		targets = append(targets, target)
	}
	return targets, nil
}

// target is a target of the instance, as scrape wants it.
func (c Config) target(t place, settings inputs.Settings) scrape.Target {
	return scrape.Target{
		Key:    t.labels.Key(bare(t.url)),
		URL:    t.url.String(),
		Labels: t.labels.Shown(),
		Page: scrape.PageConfig{
			Labels:                   scrape.NewLabeler(t.labels),
			HonorTimestamps:          c.HonorTime,
			TrackTimestampsStaleness: c.TrackTimestampsStaleness,
			Lenient:                  c.Lenient,
			PrecisionMs:              settings.Precision.Milliseconds(),
			MaxColumns:               settings.MaxColumns,
			NativeHistograms:         c.NativeHistograms,
			ClassicHistograms:        c.ClassicHistograms,
			CustomBuckets:            c.CustomBuckets,
			CreatedTimestamps:        c.CreatedTimestamps,
			SampleLimit:              c.SampleLimit,
			LabelLimit:               c.LabelLimit,
			LabelNameLengthLimit:     c.LabelNameLengthLimit,
			LabelValueLengthLimit:    c.LabelValueLengthLimit,
			BucketLimit:              c.BucketLimit,
		},
		Interval:      t.interval,
		Timeout:       t.timeout,
		BodySizeLimit: int64(c.BodySizeLimit),
		ScrapeMeta:    c.ScrapeMeta,
		ExtraMeta:     c.ExtraMeta,
		UserAgent:     settings.UserAgent,
		Protocols:     c.protocols(),
		Fallback:      c.fallback(),
	}
}

// timing is the interval and the timeout of an instance. An interval that is
// above a day by its interval_times is cut, with a warning. So is a timeout above
// the interval: trees written for Categraf have such. The default is cut silently.
func (in *Input) timing(cfg Config, settings inputs.Settings) (interval, timeout time.Duration) {
	interval = cfg.Interval.Duration
	if interval <= 0 {
		interval = settings.Interval
	}
	if interval <= 0 {
		interval = 15 * time.Second // Categraf's default
	}
	times := max(cfg.IntervalTimes, 1)
	if times > int(inputs.MaxInterval/interval) { // before it overflows
		in.log.Warn("the interval is above a day and is cut to it", "interval", interval, "interval_times", cfg.IntervalTimes, "targets", len(cfg.URLs))
		interval, times = inputs.MaxInterval, 1
	}
	interval *= time.Duration(times)
	timeout = cfg.Timeout.Duration
	if timeout > interval {
		if timeout != DefaultConfig().Timeout.Duration {
			in.log.Warn("timeout is above the interval and is cut to it", "timeout", timeout, "interval", interval, "targets", len(cfg.URLs))
		}
		timeout = interval
	}
	return interval, timeout
}

// bare is the URL without credentials.
func bare(u *url.URL) string {
	shown := *u
	shown.User = nil
	return shown.String()
}

// fingerprintOf is equal for equal settings. It holds no secret in clear. The
// URLs are not part of it: one more of them leaves the others alone.
func fingerprintOf(cfg Config, settings inputs.Settings) (string, error) {
	urls := len(cfg.URLs)
	cfg.URLs = nil
	if cfg.TargetLimit == 0 {
		urls = 0
	}
	text, err := json.Marshal(struct {
		Config   Config
		Settings inputs.Settings
		URLs     int
	}{cfg, settings, urls})
	if err != nil {
		return "", fmt.Errorf("compare the settings: %w", err)
	}
	return hash(text), nil
}

func hash(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
