package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"kinglet/inputs"
	"kinglet/writer"
)

// health is what the status pages ask of the running agent.
type health interface {
	// Targets is every target of every input.
	Targets() []inputs.Target
	// Endpoints is every writer.
	Endpoints() []writer.Status
	// Reload reads the configuration again and applies it if it is sound.
	Reload(ctx context.Context) error
}

// statusServer answers /metrics, /-/healthy, /-/ready, /-/reload, /targets, /pods
// and /debug/pprof on one listener.
type statusServer struct {
	address string
	handler http.Handler
	log     *slog.Logger
}

// bindInterval is the wait between tries to bind an address that is taken: by
// the kinglet that is being replaced on the same host's network, for one.
const bindInterval = 5 * time.Second

// Run answers until ctx ends, then lets running answers finish for a second.
// While the address cannot be had it tries again: samples are worth more than
// the pages about them.
func (s *statusServer) Run(ctx context.Context) error {
	listener, err := s.bind(ctx)
	if err != nil {
		return nil // ctx ended first
	}
	server := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      2 * time.Minute, // a CPU profile takes 30 s
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve health and metrics: %w", err)
	case <-ctx.Done():
	}
	// The drain must outlive ctx, which has ended.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	err = server.Shutdown(last)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	if served := <-done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// bind returns a listener, or ctx's error.
func (s *statusServer) bind(ctx context.Context) (net.Listener, error) {
	var config net.ListenConfig
	for said := false; ; {
		listener, err := config.Listen(ctx, "tcp", s.address)
		if err == nil {
			s.log.Info("health and metrics are served", "listen", listener.Addr().String())
			return listener, nil
		}
		if !said && ctx.Err() == nil {
			said = true
			s.log.Error("health and metrics are not served until the address can be had: change [serve] listen, or set it to \"\" to go without",
				"error", err, "retry_every", bindInterval)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(bindInterval):
		}
	}
}

func statusHandler(h health, reg prometheus.Gatherer) http.Handler {
	mux := http.NewServeMux()
	healthy := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "kinglet is healthy") }
	ready := func(w http.ResponseWriter, _ *http.Request) {
		if waits := notReady(h); len(waits) > 0 {
			http.Error(w, "not ready: "+strings.Join(waits, "; "), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "kinglet is ready")
	}
	for _, path := range []string{"GET /-/healthy", "GET /healthz"} {
		mux.HandleFunc(path, healthy)
	}
	for _, path := range []string{"GET /-/ready", "GET /readyz"} {
		mux.HandleFunc(path, ready)
	}
	mux.HandleFunc("POST /-/reload", func(w http.ResponseWriter, r *http.Request) {
		// What a reload starts outlives the request; the agent ends it.
		if err := h.Reload(context.WithoutCancel(r.Context())); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintln(w, "configuration applied")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	mux.HandleFunc("GET /targets", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		_ = e.Encode(map[string]any{"targets": targetViews(h.Targets()), "writers": writerViews(h.Endpoints())}) // the caller hung up
	})
	mux.HandleFunc("GET /pods", podsPage(h))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

// notReady lists what the agent still waits for: the first round of scrapes,
// and the first write that each endpoint acknowledged.
func notReady(h health) []string {
	var waits []string
	if inputs, ok := h.(interface{ Waits() []string }); ok {
		waits = inputs.Waits()
	}
	unseen := 0
	targets := h.Targets()
	for _, t := range targets {
		if t.LastScrape.IsZero() {
			unseen++
		}
	}
	if unseen > 0 {
		waits = append(waits, fmt.Sprintf("%d of %d targets are not scraped yet", unseen, len(targets)))
	}
	endpoints := h.Endpoints()
	if len(endpoints) > 0 && !slices.ContainsFunc(endpoints, func(e writer.Status) bool { return !e.LastSuccess.IsZero() }) {
		waits = append(waits, "no writer has acknowledged a write yet")
	}
	return waits
}

// writerView is a writer as /targets shows it.
type writerView struct {
	Name          string     `json:"name"`
	URL           string     `json:"url"`
	State         string     `json:"state"`   // ok, failing, unknown
	Profile       string     `json:"profile"` // what receives, as far as it is known
	Error         string     `json:"error,omitempty"`
	ErrorAt       *time.Time `json:"error_at,omitempty"`
	LastSuccess   *time.Time `json:"last_success,omitempty"`
	NextAttempt   *time.Time `json:"next_attempt,omitempty"`
	QueuedSamples int        `json:"queued_samples"`
	QueuedBytes   int        `json:"queued_bytes"`
	OldestS       float64    `json:"oldest_seconds"` // how long the oldest queued sample has waited
}

func writerViews(endpoints []writer.Status) []writerView {
	views := make([]writerView, 0, len(endpoints))
	for _, e := range endpoints {
		v := writerView{
			Name: e.Name, URL: e.URL, State: "unknown", Profile: string(e.Profile), Error: e.LastError,
			ErrorAt: known(e.LastErrorAt), LastSuccess: known(e.LastSuccess), NextAttempt: known(e.NextAttempt),
			QueuedSamples: e.Queue.Samples, QueuedBytes: e.Queue.Bytes,
		}
		if !e.Queue.Oldest.IsZero() {
			v.OldestS = time.Since(e.Queue.Oldest).Seconds()
		}
		switch {
		case e.Failing:
			v.State = "failing"
		case !e.LastSuccess.IsZero():
			v.State = "ok"
		}
		views = append(views, v)
	}
	return views
}

// known is a pointer to t, or nil for a time that has not come yet.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// targetView is a target as /targets shows it.
type targetView struct {
	Input      string            `json:"input"`
	URL        string            `json:"url"`
	Labels     map[string]string `json:"labels"`
	State      string            `json:"state"` // up, down, unknown
	Error      string            `json:"error,omitempty"`
	LastScrape *time.Time        `json:"last_scrape,omitempty"`
	DurationS  float64           `json:"duration_seconds"`
	IntervalS  float64           `json:"interval_seconds"`
	Samples    int               `json:"samples"`
}

func targetViews(targets []inputs.Target) []targetView {
	views := make([]targetView, 0, len(targets))
	for _, t := range targets {
		v := targetView{
			Input: t.Input, URL: t.URL, Labels: t.Labels, State: "unknown", Error: t.Error,
			DurationS: t.Duration.Seconds(), IntervalS: t.Interval.Seconds(), Samples: t.Samples,
		}
		if v.LastScrape = known(t.LastScrape); v.LastScrape != nil {
			v.State = "down"
			if t.Up {
				v.State = "up"
			}
		}
		views = append(views, v)
	}
	slices.SortStableFunc(views, func(a, b targetView) int {
		if c := strings.Compare(a.State, b.State); c != 0 { // down first
			return c
		}
		return strings.Compare(a.URL, b.URL)
	})
	return views
}
