//go:build e2e

package rules

import (
	"fmt"
	"testing"
)

// Section L: start timestamps.
func TestStartTimestamps(t *testing.T) {
	t.Parallel()
	const start = 1700000000123
	check(t, "RW-101", "a known start goes with the sample", Case{
		Scrapes: []Page{protobufPage(createdCounter(start))}, Job: Job{Protocols: []string{"PrometheusProto"}},
		Writer: Writer{Message: "2.0"}, Features: []string{"start-timestamps"},
		Want: []Want{spoken("2.0"), values("c_total", 5), everySample(func(s Sample) error {
			if s.Get("__name__") == "c_total" && s.Start != start {
				return fmt.Errorf("start %d, want %d", s.Start, int64(start))
			}
			return nil
		})},
	})
	check(t, "RW-102", "no start is invented", Case{
		Scrapes: text("# TYPE c_total counter\nc_total 5\n"), Writer: Writer{Message: "2.0"}, Features: []string{"start-timestamps"},
		Want: []Want{spoken("2.0"), values("c_total", 5), everySample(func(s Sample) error {
			if s.Start != 0 {
				return fmt.Errorf("start %d", s.Start)
			}
			return nil
		})},
	})
	check(t, "RW-102", "no start lies after its sample", Case{
		Scrapes: []Page{protobufPage(createdCounter(start))}, Job: Job{Protocols: []string{"PrometheusProto"}},
		Writer: Writer{Message: "2.0"}, Features: []string{"start-timestamps"},
		Want: []Want{spoken("2.0"), values("c_total", 5), everySample(func(s Sample) error {
			if s.Start > s.T {
				return fmt.Errorf("start %d after %d", s.Start, s.T)
			}
			return nil
		})},
	})
	check(t, "RW-103", "_created is an ordinary series unless the option is on", Case{
		Scrapes: openMetrics("# TYPE c counter\nc_total 5\nc_created 1700000000.5\n"), Want: []Want{values("c_total", 5), values("c_created", 1700000000.5)},
	})
}
