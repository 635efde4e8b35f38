package heartbeat

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// Values of the label result.
const (
	resultAccepted   = "accepted"
	resultRefused    = "refused"    // a status other than 2xx, or an error in the answer
	resultUnanswered = "unanswered" // no connection, no answer in time, a secret that cannot be read
)

// metrics are what the heartbeat tells of itself.
type metrics struct {
	enabled      prometheus.Gauge
	beats        *prometheus.CounterVec
	lastAccepted prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		enabled: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "kinglet_heartbeat_enabled", Help: "1 if heartbeats are sent to Nightingale, else 0.",
		}),
		beats: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kinglet_heartbeat_beats_total",
			Help: "Heartbeats, by result: accepted, refused (a status other than 2xx, or an error in the answer), unanswered.",
		}, []string{"result"}),
		lastAccepted: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "kinglet_heartbeat_last_accepted_timestamp_seconds", Help: "When a heartbeat was accepted last, Unix time; 0 before the first.",
		}),
	}
	for _, c := range []prometheus.Collector{m.enabled, m.beats, m.lastAccepted} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register the heartbeat's metrics: %w", err)
		}
	}
	for _, result := range []string{resultAccepted, resultRefused, resultUnanswered} {
		m.beats.WithLabelValues(result)
	}
	return m, nil
}
