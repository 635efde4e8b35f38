package main

import (
	"context"
	"errors"
	"fmt"
	stdlog "log"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kinglet"
	"kinglet/conf"
	"kinglet/inputs"
	"kinglet/inputs/catalog"
	"kinglet/writer"
	"kinglet/writer/heartbeat"
)

// agent is the running program: inputs push into the pipeline, and a reload
// replaces what changed.
type agent struct {
	options  options
	process  process
	log      *slog.Logger
	reg      *metricSet
	metrics  *agentMetrics
	pipeline *writer.Pipeline
	heart    *heartbeat.Beater

	maxSeries int // that the memory is for; 0 = no bound

	mu      sync.Mutex // one reload at a time; guards what follows
	config  *conf.Config
	running map[string]*runningInput
	ended   bool // inputs have been stopped for good: a reload starts none
}

// bytesPerSeries is what a series takes at its dearest, in the first scrape
// that shows it.
const bytesPerSeries = 1 << 10

// inputsStopWithin is how long the inputs may take to stop, which takes them
// milliseconds: their requests are cut.
const inputsStopWithin = 3 * time.Second

// runningInput is one input at work.
type runningInput struct {
	input  inputs.Input
	stop   context.CancelFunc
	done   chan struct{} // closed when Run has returned
	config conf.Input
}

// runAgent runs until ctx ends, and shuts down from left to right: inputs stop,
// the writer sends what is buffered, the listener closes last.
func runAgent(ctx context.Context, o options, p process) int {
	cfg, findings, err := conf.Load(o.configs, loadOptions(o, p))
	if err != nil {
		fmt.Fprintln(p.stderr, "kinglet:", err)
		return exitFailure
	}
	log, closer, err := openLog(cfg.Log, o.debug, p, nil)
	if err != nil {
		fmt.Fprintln(p.stderr, "kinglet:", err)
		return exitFailure
	}
	defer closer.Close()
	// What libraries print goes the same way.
	stdlog.SetFlags(0)
	stdlog.SetOutput(slog.NewLogLogger(log.Handler(), slog.LevelDebug).Writer())
	logFindings(log, findings)
	memory := limitMemory(log)

	a, err := newAgent(cfg, o, p, log)
	if err == nil {
		a.maxSeries = int(memory / bytesPerSeries)
		err = a.run(ctx)
	}
	if err != nil {
		log.Error("kinglet stops", "error", err)
		fmt.Fprintln(p.stderr, "kinglet:", err)
		return exitFailure
	}
	log.Info("kinglet stopped")
	return exitOK
}

func newAgent(cfg *conf.Config, o options, p process, log *slog.Logger) (*agent, error) {
	reg := newMetricSet()
	settings := cfg.WriterOpt
	settings.UserAgent = "kinglet/" + version
	pipeline, err := writer.New(settings, cfg.Writers, log, reg.base)
	if err != nil {
		return nil, fmt.Errorf("build the writers: %w", err)
	}
	heart, err := heartbeat.New(settings.UserAgent, log, reg.base)
	if err != nil {
		return nil, err
	}
	return &agent{
		options: o, process: p, log: log, reg: reg, metrics: newAgentMetrics(reg.base),
		pipeline: pipeline, heart: heart, config: cfg, running: map[string]*runningInput{},
	}, nil
}

// run owns everything that the agent starts.
func (a *agent) run(ctx context.Context) error {
	a.log.Info("kinglet starts", "version", version, "configs", a.config.Dir, "hostname", a.config.Global.Hostname,
		"writers", len(a.config.Writers), "listen", a.config.Serve.Listen)

	// The writer and the listener outlive ctx: what the inputs pushed last is
	// still sent, and can be watched. Both end below.
	late, endLate := context.WithCancel(context.WithoutCancel(ctx))
	defer endLate()
	served, endServed := context.WithCancel(context.WithoutCancel(ctx))
	defer endServed()
	var writing, serving sync.WaitGroup
	var writerErr, statusErr error
	writing.Go(func() { writerErr = a.pipeline.Run(late) })
	if address := a.config.Serve.Listen; address != "" {
		status := &statusServer{address: address, handler: statusHandler(a, a.reg), log: a.log}
		serving.Go(func() { statusErr = status.Run(served) })
	}

	serving.Go(func() { letGoOfText(served, a.log) })
	serving.Go(func() { boundGarbage(served, os.LookupEnv) })

	endBeats := a.beat(ctx)
	err := a.apply(ctx, a.config)
	if err == nil {
		a.watch(ctx)
	}
	endBeats()
	a.log.Info("kinglet is stopping: scraping ends, what is buffered is sent", "deadline", a.config.WriterOpt.DrainTimeout.Duration)
	a.stopInputs()
	endLate()
	writing.Wait()
	endServed()
	serving.Wait()
	return errors.Join(err, writerErr, statusErr)
}

// watch reloads on a hang-up signal and when the tree changes, until ctx ends.
// A changed tree is read when it has stood still for one look, so that a file
// in the middle of being written is not taken for the whole.
func (a *agent) watch(ctx context.Context) {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	applied := fingerprint(a.config.Dir)
	latest := applied
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.process.hangups:
			a.log.Info("reload asked for by signal")
		case <-tick.C:
			before := latest
			latest = fingerprint(a.config.Dir)
			if latest == applied || latest != before {
				continue
			}
			a.log.Info("reload: files changed", "configs", a.config.Dir)
		}
		applied = fingerprint(a.config.Dir)
		latest = applied
		_ = a.Reload(ctx) // logged and counted there
	}
}

// Reload reads the configuration again and applies it if it is sound; if not,
// all stays as it was, and the error says why. A start is more lenient: there
// is nothing yet that a faulty file could cost.
func (a *agent) Reload(ctx context.Context) error {
	cfg, findings, err := conf.Load(a.options.configs, loadOptions(a.options, a.process))
	logFindings(a.log, findings)
	if n := findings.Errors(); err == nil && n > 0 {
		err = fmt.Errorf("read configuration in %s: %d faults, see the log or `kinglet check`", cfg.Dir, n)
	}
	if err == nil {
		err = a.apply(ctx, cfg)
	}
	a.metrics.reloaded(err)
	if err != nil {
		a.log.Error("reload refused: the configuration before stays in force", "error", err)
		return err
	}
	a.log.Info("configuration applied")
	return nil
}

// apply makes cfg the configuration in force: inputs that changed are updated
// or replaced, the others are left alone. Nothing is touched if an input
// cannot be built.
func (a *agent) apply(ctx context.Context, cfg *conf.Config) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended {
		return errors.New("kinglet is stopping")
	}
	settings := a.settings(cfg)
	unchanged := reflect.DeepEqual(settings, a.settings(a.config))
	fresh := map[string]builtInput{}
	for _, in := range cfg.Inputs {
		old := a.running[in.Name]
		if old != nil && unchanged && sameInstances(old.config, in) {
			continue
		}
		entry, ok := catalog.Lookup(in.Name)
		if !ok {
			return fmt.Errorf("input.%s: kinglet has no such input", in.Name)
		}
		b := builtInput{update: old != nil && entry.Update != nil, entry: entry}
		if !b.update {
			registry, reg := a.reg.fresh()
			input, err := entry.New(in.Configs(), settings, a.log, reg)
			if err != nil {
				return fmt.Errorf("input.%s: %w", in.Name, err)
			}
			b.input, b.registry = input, registry
		}
		fresh[in.Name] = b
	}
	if err := a.applyHeartbeat(cfg); err != nil {
		return err
	}
	if err := a.applyWriters(cfg); err != nil {
		return err
	}
	for name, old := range a.running {
		if !slices.ContainsFunc(cfg.Inputs, func(in conf.Input) bool { return in.Name == name }) {
			a.log.Info("input stops: it is no longer configured", "input", name)
			a.stop(name, old)
		}
	}
	var faults []error
	for _, in := range cfg.Inputs {
		if b, changed := fresh[in.Name]; changed {
			faults = append(faults, a.replace(ctx, in, b, settings))
		}
	}
	a.config = cfg
	return errors.Join(faults...)
}

// settings are those that every input gets.
func (a *agent) settings(cfg *conf.Config) inputs.Settings {
	s := cfg.Settings("kinglet/" + version)
	s.MaxSeries = a.maxSeries
	return s
}

// builtInput is an input of the new configuration on its way into force.
type builtInput struct {
	entry    catalog.Entry
	update   bool // the running one takes the new configuration over
	input    inputs.Input
	registry *prometheus.Registry
}

// replace puts an input of the new configuration in the place of the old one,
// if there is one.
func (a *agent) replace(ctx context.Context, in conf.Input, b builtInput, settings inputs.Settings) error {
	old := a.running[in.Name]
	if b.update {
		if err := b.entry.Update(old.input, in.Configs(), settings); err != nil {
			return fmt.Errorf("input.%s: %w", in.Name, err)
		}
		old.config = in
		a.log.Info("input updated", "input", in.Name, "instances", len(in.Instances))
		return nil
	}
	if old != nil {
		a.stop(in.Name, old)
	}
	a.reg.put(in.Name, b.registry)
	a.start(ctx, in, b.input)
	return nil
}

// stop ends an input and forgets it.
func (a *agent) stop(name string, r *runningInput) {
	r.end()
	delete(a.running, name)
	a.reg.put(name, nil)
}

// start runs an input until it is stopped; ctx ends it too.
func (a *agent) start(ctx context.Context, in conf.Input, input inputs.Input) {
	ctx, stop := context.WithCancel(ctx)
	r := &runningInput{input: input, stop: stop, done: make(chan struct{}), config: in}
	a.running[in.Name] = r
	go func() {
		defer close(r.done)
		if err := input.Run(ctx, a.pipeline); err != nil && ctx.Err() == nil {
			a.log.Error("input ended", "input", in.Name, "error", err)
		}
	}()
	a.log.Info("input started", "input", in.Name, "instances", len(in.Instances))
}

// end stops an input and waits for it.
func (r *runningInput) end() {
	r.stop()
	<-r.done
}

// stopInputs ends every input, at once, and waits for all of them: not for
// ever, as what is buffered is to be sent within the time a stop has.
func (a *agent) stopInputs() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = true
	for _, r := range a.running {
		r.stop()
	}
	patience := time.NewTimer(inputsStopWithin)
	defer patience.Stop()
	for name, r := range a.running {
		select {
		case <-r.done:
		case <-patience.C:
			a.log.Error("an input does not stop and is left behind", "input", name, "waited", inputsStopWithin)
			return
		}
	}
}

// Targets is every target of every input that reports any.
func (a *agent) Targets() []inputs.Target {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []inputs.Target
	for _, r := range a.running {
		if reporter, ok := r.input.(inputs.Reporter); ok {
			all = append(all, reporter.Targets()...)
		}
	}
	return all
}

// Endpoints is every writer.
func (a *agent) Endpoints() []writer.Status { return a.pipeline.Endpoints() }

var (
	_ health       = (*agent)(nil)
	_ kinglet.Sink = (*writer.Pipeline)(nil)
)

// sameInstances reports whether two inputs are configured alike, wherever in
// their files that stands.
func sameInstances(a, b conf.Input) bool { return reflect.DeepEqual(a.Configs(), b.Configs()) }
