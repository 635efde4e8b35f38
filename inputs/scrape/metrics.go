package scrape

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are those of this room. Inputs share them, told apart by a label;
// nothing in them is per target.
type metrics struct {
	scrapes, failures, samples, dropped, shapes, missed, bodyBytes, seconds *prometheus.CounterVec
	targets                                                                 *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	var faults []error
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c, err := register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kinglet_scrape_" + name, Help: help,
		}, append([]string{"input"}, labels...)))
		faults = append(faults, err)
		return c
	}
	m := &metrics{
		scrapes:   counter("scrapes_total", "Scrapes finished, good or bad."),
		failures:  counter("failures_total", "Scrapes that failed, by what failed.", "reason"),
		samples:   counter("samples_total", "Samples read from pages, before any is left out."),
		dropped:   counter("dropped_samples_total", "Samples (or lines of a page) that were not kept, by reason: duplicate, own_series (the page has a series that kinglet sends), out_of_order (older than the last sample of the series, or another value for its time), bad_line, bad_histogram (classic, and could not be turned into a native one), filter, failed_scrape.", "reason"),
		shapes:    counter("shapes_total", "Shapes made because series came or went."),
		missed:    counter("missed_scrapes_total", "Scrapes left out because the one before took longer than the interval."),
		bodyBytes: counter("body_bytes_total", "Bytes of pages read, uncompressed."),
		seconds:   counter("duration_seconds_total", "Seconds that scrapes took, from the request to the parsed page."),
	}
	var err error
	m.targets, err = register(reg, prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "kinglet_scrape_targets", Help: "Targets by state: up, down, unknown (not scraped yet), leaving (removed, their series about to end).",
	}, []string{"input", "state"}))
	return m, errors.Join(append(faults, err)...)
}

// register registers c, or finds the equal collector that another input of
// this room registered.
func register[C prometheus.Collector](reg prometheus.Registerer, c C) (C, error) {
	if reg == nil {
		return c, nil
	}
	err := reg.Register(c)
	if there, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if same, ok := there.ExistingCollector.(C); ok {
			return same, nil
		}
	}
	return c, err
}
