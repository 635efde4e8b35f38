package main

import (
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"
)

// newRegistry holds kinglet's own metrics: what the rooms add, the process and
// the Go runtime.
func newRegistry() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "kinglet_build_info", Help: "1; the labels say which build this is.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	info.Set(1)
	reg.MustRegister(info, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return reg
}

// metricSet gathers the metrics of the program and of the inputs that run. Each
// input has a registry of its own, which goes when the input goes, so that a
// reload can start another of the same name.
type metricSet struct {
	base *prometheus.Registry

	mu     sync.Mutex // guards inputs
	inputs map[string]*prometheus.Registry
}

func newMetricSet() *metricSet {
	return &metricSet{base: newRegistry(), inputs: map[string]*prometheus.Registry{}}
}

// Gather collects from all registries; it is what /metrics shows and what
// input.self_metrics pushes.
func (m *metricSet) Gather() ([]*dto.MetricFamily, error) {
	m.mu.Lock()
	all := prometheus.Gatherers{m.base}
	for _, r := range m.inputs {
		all = append(all, r)
	}
	m.mu.Unlock()
	return all.Gather()
}

// inputRegistry is where one input registers, and what it may gather: all.
type inputRegistry struct {
	prometheus.Registerer
	prometheus.Gatherer
}

// fresh is an empty registry, not yet part of the set.
func (m *metricSet) fresh() (*prometheus.Registry, inputRegistry) {
	r := prometheus.NewRegistry()
	return r, inputRegistry{Registerer: r, Gatherer: m}
}

// put makes r the registry of the input of that name; nil removes it.
func (m *metricSet) put(name string, r *prometheus.Registry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r == nil {
		delete(m.inputs, name)
		return
	}
	m.inputs[name] = r
}

// agentMetrics are those of the program itself.
type agentMetrics struct {
	reloadOK   prometheus.Gauge
	reloadTime prometheus.Gauge
}

func newAgentMetrics(reg prometheus.Registerer) *agentMetrics {
	m := &agentMetrics{
		reloadOK: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "kinglet_config_last_reload_successful", Help: "1 if the configuration was applied when it was read last, else 0.",
		}),
		reloadTime: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "kinglet_config_last_reload_success_timestamp_seconds", Help: "When a configuration was applied last, Unix time.",
		}),
	}
	reg.MustRegister(m.reloadOK, m.reloadTime)
	m.reloaded(nil)
	return m
}

func (m *agentMetrics) reloaded(err error) {
	if err != nil {
		m.reloadOK.Set(0)
		return
	}
	m.reloadOK.Set(1)
	m.reloadTime.Set(float64(time.Now().UnixNano()) / 1e9)
}

// tuneRuntime sets what Go's own environment variables have not. Measured in
// the benchmark's S1 (50,000 series every 5 s): one processor takes 16 % less
// CPU than two, which wake each other for little, and is enough for a million
// samples a second. Collecting at a quarter of the usual growth makes 36 MiB of
// resident memory 32 and costs nothing that can be measured, because nothing is
// allocated per sample; at an eighth it is 30, with more CPU. See also
// boundGarbage. Neither grows with the number of cores.
func tuneRuntime(getenv func(string) (string, bool)) {
	if _, set := getenv("GOMAXPROCS"); !set {
		runtime.GOMAXPROCS(1)
	}
	if _, set := getenv("GOGC"); !set {
		debug.SetGCPercent(mostGarbagePercent)
	}
}

// noLimit is what cgroups say where there is none: more than any machine has.
const noLimit = 1 << 50

// limitMemory tells the garbage collector of the container's memory limit, so
// that it collects more often before the kernel ends the process. It returns
// nine tenths of the limit in bytes, 0 if there is none.
func limitMemory(log *slog.Logger) int64 {
	limit, err := memlimit.FromCgroup()
	if err != nil || limit == 0 || limit > noLimit {
		log.Debug("no memory limit found", "error", err)
		return 0
	}
	soft, err := memlimit.Set(memlimit.WithRatio(0.9), memlimit.WithProvider(memlimit.Limit(limit)))
	if err != nil {
		log.Warn("the memory limit is not told to the garbage collector", "error", err)
		return 0
	}
	log.Info("memory limit taken over", "limit_bytes", limit, "collector_bytes", soft)
	return soft
}
