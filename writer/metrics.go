package writer

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kinglet/writer/queue"
	"kinglet/writer/remotewrite"
)

// metrics are what the writer tells of itself. The label writer is an
// endpoint's name.
type metrics struct {
	sent        *prometheus.CounterVec
	sentBytes   *prometheus.CounterVec
	dropped     *prometheus.CounterVec
	retries     *prometheus.CounterVec
	requests    *prometheus.CounterVec
	requestTime *prometheus.CounterVec
	encoded     prometheus.Counter
	encodeTime  prometheus.Counter
	rewritten   prometheus.Counter
	filled      prometheus.Counter
	cuts        *prometheus.CounterVec

	recovered, recoveredEnds *prometheus.CounterVec
}

func newMetrics() *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "kinglet_writer_" + name, Help: help})
	}
	vector := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kinglet_writer_" + name, Help: help}, append([]string{"writer"}, labels...))
	}
	return &metrics{
		sent:        vector("samples_total", "Samples that the endpoint acknowledged."),
		sentBytes:   vector("sent_bytes_total", "Bytes of acknowledged request bodies."),
		dropped:     vector("samples_dropped_total", "Samples that will never arrive, by reason.", "reason"),
		retries:     vector("retries_total", "Attempts that failed and were repeated, by class: 429, 499, 5xx, other, error for no answer, fallback to 1.0.", "class"),
		requests:    vector("requests_total", "Attempts, by HTTP status, or error for no answer.", "code"),
		requestTime: vector("request_seconds_total", "Time that attempts took."),
		encoded:     counter("encoded_samples_total", "Samples that were encoded; one that goes to several endpoints in the same form counts once."),
		encodeTime:  counter("encode_seconds_total", "Time spent encoding and compressing."),
		rewritten:   counter("rewritten_series_total", "Series whose names remote write 1.0 cannot carry, sent with underscores; counted once a shape."),
		filled:      counter("stencil_samples_total", "Samples that were encoded by filling a stencil; the others were encoded plainly."),
		cuts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kinglet_writer_stencil_cuts_total",
			Help: "Stencils cut: for a new shape, because still values moved, or with care for one that has settled.",
		}, []string{"why"}),
		recovered:     vector("recovered_series_total", "Series of which the queue told at the start that they were alive when kinglet ended."),
		recoveredEnds: vector("recovered_ends_total", "Stale markers for those of them that did not come back."),
	}
}

func (m *metrics) register(reg prometheus.Registerer, p *Pipeline) error {
	for _, c := range []prometheus.Collector{
		m.sent, m.sentBytes, m.dropped, m.retries, m.requests, m.requestTime, m.encoded, m.encodeTime, m.rewritten, m.filled, m.cuts, m.recovered, m.recoveredEnds,
		newGauges(p),
	} {
		if err := reg.Register(c); err != nil {
			return fmt.Errorf("register the writer's metrics: %w", err)
		}
	}
	return nil
}

// forget removes what was counted for an endpoint that is gone.
func (m *metrics) forget(name string) {
	for _, v := range []*prometheus.CounterVec{m.sent, m.sentBytes, m.dropped, m.retries, m.requests, m.requestTime, m.recovered, m.recoveredEnds} {
		v.DeletePartialMatch(prometheus.Labels{"writer": name})
	}
}

// endpointMetrics counts for one endpoint.
type endpointMetrics struct {
	all  *metrics
	name string
}

var _ remotewrite.Observer = endpointMetrics{}

// Reasons of samples that are lost here, beside those of queue and remotewrite.
const (
	reasonShutdown  = "shutdown"         // not sent within drain_timeout
	reasonRemoved   = queue.ReasonClosed // the endpoint was taken out of the configuration
	reasonNoWriter  = "no_writer"        // there is no [[writers]] table
	reasonCollision = "name_collision"   // see remotewrite.View
	reasonNoName    = "no_name"          // write_relabel_configs took the name away
)

// reasons are all reasons, so that each counter exists before its first loss.
var reasons = []string{
	reasonShutdown, reasonRemoved, reasonCollision, queue.ReasonFull, queue.ReasonAge, queue.ReasonDamaged,
	remotewrite.ReasonRejected, remotewrite.ReasonUnauthorized, remotewrite.ReasonTooLarge, remotewrite.ReasonRedirect,
	remotewrite.ReasonOddStatus, remotewrite.ReasonNotWritten, remotewrite.ReasonMaxAge, remotewrite.ReasonNotIn1, remotewrite.ReasonDamaged,
	remotewrite.ReasonOutOfOrder, remotewrite.ReasonDuplicate, remotewrite.ReasonTooOld, remotewrite.ReasonTooNew,
	remotewrite.ReasonLimit, remotewrite.ReasonInvalid, remotewrite.ReasonConflict,
	remotewrite.ReasonCustomBuckets, remotewrite.ReasonNativeHistograms,
}

// newEndpointMetrics makes the counters of an endpoint visible at zero.
func newEndpointMetrics(all *metrics, name string) endpointMetrics {
	all.sent.WithLabelValues(name)
	all.sentBytes.WithLabelValues(name)
	all.recovered.WithLabelValues(name)
	all.recoveredEnds.WithLabelValues(name)
	for _, reason := range reasons {
		all.dropped.WithLabelValues(name, reason)
	}
	return endpointMetrics{all, name}
}

// Requested implements remotewrite.Observer.
func (m endpointMetrics) Requested(status string, took time.Duration) {
	m.all.requests.WithLabelValues(m.name, status).Inc()
	m.all.requestTime.WithLabelValues(m.name).Add(took.Seconds())
}

// Retried implements remotewrite.Observer.
func (m endpointMetrics) Retried(class string) { m.all.retries.WithLabelValues(m.name, class).Inc() }

// Sent implements remotewrite.Observer.
func (m endpointMetrics) Sent(samples, bytes int) {
	m.all.sent.WithLabelValues(m.name).Add(float64(samples))
	m.all.sentBytes.WithLabelValues(m.name).Add(float64(bytes))
}

// Dropped implements remotewrite.Observer.
func (m endpointMetrics) Dropped(samples int, reason string) {
	m.all.dropped.WithLabelValues(m.name, reason).Add(float64(samples))
}

// gauges reads the state of the endpoints when asked.
type gauges struct {
	pipeline *Pipeline

	samples, bytes, oldest, lastSuccess, inFlight, failing, buffered *prometheus.Desc

	diskFailed, diskBytes, segments, damaged, diskFailures *prometheus.Desc
}

func newGauges(p *Pipeline) *gauges {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("kinglet_writer_"+name, help, []string{"writer"}, nil)
	}
	return &gauges{
		pipeline:     p,
		samples:      desc("queue_samples", "Samples waiting for the endpoint."),
		bytes:        desc("queue_bytes", "Bytes of blocks waiting for the endpoint."),
		oldest:       desc("queue_oldest_seconds", "Age of the oldest block waiting for the endpoint, 0 if none waits."),
		lastSuccess:  desc("last_success_timestamp_seconds", "When the endpoint last acknowledged a request, 0 if never."),
		inFlight:     desc("in_flight_requests", "Requests on their way."),
		failing:      desc("failing", "1 while the latest attempt failed."),
		diskFailed:   desc("queue_disk_failed", "1 while the queue directory cannot be used and samples wait in memory only."),
		diskBytes:    desc("queue_disk_bytes", "Bytes on disk of the queue, with what is acknowledged and not yet removed."),
		segments:     desc("queue_segments", "Files of the queue."),
		damaged:      desc("queue_damaged_records_total", "Records of the queue that could not be read."),
		diskFailures: desc("queue_disk_failures_total", "Operations on the queue directory that failed."),
		buffered:     prometheus.NewDesc("kinglet_writer_buffered_samples", "Samples waiting between inputs and encoder.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (g *gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{g.samples, g.bytes, g.oldest, g.lastSuccess, g.inFlight, g.failing, g.buffered, g.diskFailed, g.diskBytes, g.segments, g.damaged, g.diskFailures} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (g *gauges) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	now := time.Now()
	for _, s := range g.pipeline.Endpoints() {
		gauge(g.samples, float64(s.Queue.Samples), s.Name)
		gauge(g.bytes, float64(s.Queue.Bytes), s.Name)
		age := 0.0
		if !s.Queue.Oldest.IsZero() {
			age = now.Sub(s.Queue.Oldest).Seconds()
		}
		gauge(g.oldest, age, s.Name)
		last := 0.0
		if !s.LastSuccess.IsZero() {
			last = float64(s.LastSuccess.UnixMilli()) / 1e3
		}
		gauge(g.lastSuccess, last, s.Name)
		gauge(g.inFlight, boolFloat(s.InFlight), s.Name)
		gauge(g.failing, boolFloat(s.Failing), s.Name)
		if s.Disk != nil {
			gauge(g.diskFailed, boolFloat(s.Disk.Err != nil), s.Name)
			gauge(g.diskBytes, float64(s.Disk.Bytes), s.Name)
			gauge(g.segments, float64(s.Disk.Segments), s.Name)
			counter(g.damaged, float64(s.Disk.Damaged), s.Name)
			counter(g.diskFailures, float64(s.Disk.Failures), s.Name)
		}
	}
	gauge(g.buffered, float64(g.pipeline.buffered.Load()))
}

func boolFloat(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
