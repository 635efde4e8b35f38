package pods

import (
	"github.com/prometheus/client_golang/prometheus"
)

// metrics of the input.
type metrics struct {
	answers *prometheus.CounterVec
	known   prometheus.Gauge
	ports   *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kinglet_pods_answers_total", Help: "Lists of this node's pods, and changes of them, that a source gave or failed to give.",
		}, []string{"source", "result"}),
		known: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "kinglet_pods_known", Help: "Pods on this node.",
		}),
		ports: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "kinglet_pods_verdicts", Help: "Ports of pods that are scraped, and ports and pods that are not, by why.",
		}, []string{"verdict"}),
	}
	for _, c := range []prometheus.Collector{m.answers, m.known, m.ports} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	for _, source := range []string{sourceKubelet, sourceAPI} {
		m.answers.WithLabelValues(source, "good")
		m.answers.WithLabelValues(source, "bad")
	}
	m.judged(0, nil)
	return m, nil
}

func (m *metrics) asked(source string, good bool) {
	result := "bad"
	if good {
		result = "good"
	}
	m.answers.WithLabelValues(source, result).Inc()
}

// judged counts the verdicts on so many pods.
func (m *metrics) judged(pods int, verdicts []Verdict) {
	m.known.Set(float64(pods))
	counts := map[Code]int{}
	for i := range verdicts {
		counts[verdicts[i].Code]++
	}
	for _, code := range codes() {
		m.ports.WithLabelValues(string(code)).Set(float64(counts[code]))
	}
}
