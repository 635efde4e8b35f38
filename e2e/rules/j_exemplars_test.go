//go:build e2e

package rules

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// Section J: exemplars.
func TestExemplars(t *testing.T) {
	t.Parallel()
	const bucketPage = "# TYPE h histogram\nh_bucket{le=\"1.0\"} 1 # {trace_id=\"abc\",span_id=\"def\"} 0.5\n" +
		"h_bucket{le=\"+Inf\"} 2 # {trace_id=\"ghi\"} 4.0\nh_sum 4.5\nh_count 2\n"
	for _, message := range []string{"1.0", "2.0"} {
		scene := func(rule, claim, page string, want ...Want) {
			check(t, rule, claim+", in "+message, Case{
				Scrapes: openMetrics(page), Job: Job{Protocols: []string{"OpenMetricsText1.0.0"}},
				Writer: Writer{Message: message, Exemplars: true}, Features: []string{"exemplars"}, Want: append(want, spoken(message)),
			})
		}
		scene("RW-89", "an exemplar without timestamp takes the sample's", "# TYPE m counter\nm_total 1 # {trace_id=\"abc\"} 0.5\n",
			hasExemplar("m_total", `{trace_id="abc"}`, 0.5), func(w *World) error {
				samples, err := w.one("m_total")
				if err != nil {
					return err
				}
				times := map[int64]bool{}
				for _, s := range samples {
					times[s.T] = true
				}
				return everyExemplar(w, func(e Exemplar) error {
					if !times[e.T] {
						return fmt.Errorf("at %d, which is no sample's time", e.T)
					}
					return nil
				})
			})
		scene("RW-90", "exemplars stand on their bucket's series", bucketPage,
			hasExemplar(`h_bucket{le="1.0"}`, `{trace_id="abc",span_id="def"}`, 0.5), hasExemplar(`h_bucket{le="+Inf"}`, `{trace_id="ghi"}`, 4))
		scene("RW-91", "an exemplar that stays is sent when first seen", "# TYPE m counter\nm_total 1 # {trace_id=\"abc\"} 0.5\n",
			hasExemplar("m_total", `{trace_id="abc"}`, 0.5), values("m_total", 1, 1))
		scene("RW-92", "an exemplar that is too long does not fail the scrape",
			"# TYPE m counter\nm_total 1 # {trace_id=\""+strings.Repeat("x", 200)+"\"} 0.5\n", values("m_total", 1), values("up", 1, 1))
	}
	check(t, "RW-89", "an exemplar's own timestamp is kept", Case{
		Scrapes: []Page{{
			Type: "application/openmetrics-text; version=1.0.0; charset=utf-8",
			Make: func(_ int, now int64) string {
				return fmt.Sprintf("# TYPE m counter\nm_total 1 # {trace_id=\"abc\"} 0.5 %.3f\n# EOF\n", float64(now-now%1000-1000)/1000)
			},
		}},
		Job: Job{Protocols: []string{"OpenMetricsText1.0.0"}}, Writer: Writer{Exemplars: true}, Features: []string{"exemplars"},
		Want: []Want{hasExemplar("m_total", `{trace_id="abc"}`, 0.5), func(w *World) error {
			return everyExemplar(w, func(e Exemplar) error {
				if e.T%1000 != 0 {
					return fmt.Errorf("at %d, want a whole second", e.T)
				}
				return nil
			})
		}},
	})
}

// everyExemplar checks each exemplar that was taken.
func everyExemplar(w *World, f func(e Exemplar) error) error {
	for _, s := range w.samples(0) {
		for _, e := range s.Exemplars {
			if e.T <= 0 || math.IsNaN(e.Value) {
				return fmt.Errorf("exemplar %v", e)
			}
			if err := f(e); err != nil {
				return fmt.Errorf("exemplar %v: %w", e, err)
			}
		}
	}
	return nil
}
