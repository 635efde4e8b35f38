package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// rows is the results of one scenario, by agent, both in the order of the file.
type rows struct {
	scenario string
	agents   []string
	of       map[string][]result
}

// byScenario sorts results into rows.
func (r report) byScenario() []rows {
	var all []rows
	for _, res := range r.Results {
		i := slices.IndexFunc(all, func(one rows) bool { return one.scenario == res.Scenario })
		if i < 0 {
			i = len(all)
			all = append(all, rows{scenario: res.Scenario, of: map[string][]result{}})
		}
		if all[i].of[res.Agent] == nil {
			all[i].agents = append(all[i].agents, res.Agent)
		}
		all[i].of[res.Agent] = append(all[i].of[res.Agent], res)
	}
	return all
}

// median is the middle of what get says of all results of an agent.
func (r rows) median(agent string, get func(result) float64) float64 {
	var all []float64
	for _, res := range r.of[agent] {
		all = append(all, get(res))
	}
	return medianOf(all)
}

// sum adds up what get says of all results of an agent.
func (r rows) sum(agent string, get func(result) int64) int64 {
	var sum int64
	for _, res := range r.of[agent] {
		sum += get(res)
	}
	return sum
}

// failed is why a run of the agent failed, "" if none did.
func (r rows) failed(agent string) string {
	for _, res := range r.of[agent] {
		if res.Failed != "" {
			return res.Failed
		}
	}
	return ""
}

func medianOf(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	values = slices.Sorted(slices.Values(values))
	n := len(values)
	return (values[n/2] + values[(n-1)/2]) / 2
}

// What tables and ratios show of a result.
func cpuMicros(r result) float64 { return r.CPUMicros }
func rssMean(r result) float64   { return mib(r.RSSMean) }
func rssPeak(r result) float64   { return mib(r.RSSPeak) }
func bodyBytes(r result) float64 { return r.BodyBytes }
func latency50(r result) float64 { return r.LatencyP50Ms }
func mib(bytes int64) float64    { return float64(bytes) / (1 << 20) }

// column is one of a table, text for one agent.
type column struct {
	head string
	text func(rows, string) string
}

func decimal(head, format string, get func(result) float64) column {
	return column{head, func(r rows, agent string) string { return fmt.Sprintf(format, r.median(agent, get)) }}
}

func whole(head string, get func(result) int64) column {
	return column{head, func(r rows, agent string) string { return fmt.Sprint(r.sum(agent, get)) }}
}

// columns are those of a scenario: of cold starts, of faults, or of cost.
func (r rows) columns() []column {
	one := r.of[r.agents[0]][0]
	lost := whole("samples lost", func(r result) int64 { return r.Lost })
	twice := whole("sent twice", func(r result) int64 { return r.Duplicates })
	switch {
	case len(one.FirstMs) > 0:
		return []column{
			decimal("first sample, ms", "%.0f", func(r result) float64 { return medianOf(r.FirstMs) }),
			decimal("every target, ms", "%.0f", func(r result) float64 { return medianOf(r.AllMs) }),
			decimal("resident MiB then", "%.1f", rssMean),
		}
	case one.DrainS > 0 && isFault(one.Scenario):
		return []column{
			whole("samples due", func(r result) int64 { return r.Due }), lost, twice,
			whole("out of order", func(r result) int64 { return r.Late }),
			whole("requests refused", func(r result) int64 { return r.Refused }),
			decimal("drained after, s", "%.1f", func(r result) float64 { return r.DrainS }),
			decimal("peak MiB", "%.1f", rssPeak),
			decimal("on disk, MiB", "%.1f", func(r result) float64 { return mib(r.DiskBytes) }),
		}
	default:
		return []column{
			decimal("CPU µs/sample", "%.3f", cpuMicros),
			{"times " + r.agents[0] + "'s", func(r rows, agent string) string {
				return fmt.Sprintf("%.1f", r.median(agent, cpuMicros)/max(1e-9, r.median(r.agents[0], cpuMicros)))
			}},
			decimal("resident MiB", "%.1f", rssMean), decimal("peak MiB", "%.1f", rssPeak),
			decimal("body bytes/sample", "%.1f", bodyBytes),
			decimal("with headers", "%.1f", func(r result) float64 { return r.WireBytes }),
			decimal("latency p50, ms", "%.0f", latency50),
			decimal("p95", "%.0f", func(r result) float64 { return r.LatencyP95Ms }),
			whole("samples received", func(r result) int64 { return r.Received }), lost, twice,
		}
	}
}

func isFault(scenario string) bool {
	return slices.ContainsFunc([]string{"S4", "S5", "S6"}, func(s string) bool { return strings.HasPrefix(scenario, s) })
}

// caption says what the load was.
func (r rows) caption() string {
	one := r.of[r.agents[0]][0]
	text := fmt.Sprintf("%s: %s; %d targets, %d series, every %g s", one.Scenario, one.Title, one.Targets, one.Series, one.IntervalS)
	if one.MeasuredS > 0 {
		text += fmt.Sprintf("; measured %.0f s", one.MeasuredS)
	}
	if n := len(r.of[r.agents[0]]); n > 1 {
		text += fmt.Sprintf(", medians of %d rounds", n)
	}
	return text
}

// write writes one table, and one of memory over time if the runs took ten
// minutes or more.
func (r rows) write(w io.Writer) {
	columns := r.columns()
	fmt.Fprint(w, "| agent |")
	for _, c := range columns {
		fmt.Fprintf(w, " %s |", c.head)
	}
	fmt.Fprint(w, "\n|---|", strings.Repeat("---:|", len(columns)), "\n")
	for _, agent := range r.agents {
		fmt.Fprintf(w, "| %s |", agent)
		if why := r.failed(agent); why != "" {
			fmt.Fprintf(w, " failed: %s |%s\n", why, strings.Repeat(" |", len(columns)-1))
			continue
		}
		for _, c := range columns {
			fmt.Fprintf(w, " %s |", c.text(r, agent))
		}
		fmt.Fprintln(w)
	}
	r.writeMemory(w)
}

// writeMemory writes the table of memory over time, if there are times.
func (r rows) writeMemory(w io.Writer) {
	spans := 0
	for _, agent := range r.agents {
		for _, one := range r.of[agent] {
			spans = max(spans, len(one.RSSOver))
		}
	}
	if spans < 2 {
		return
	}
	fmt.Fprint(w, "\n| resident MiB, minutes |")
	for i := range spans {
		fmt.Fprintf(w, " %d-%d |", 5*i, 5*i+5)
	}
	fmt.Fprint(w, "\n|---|", strings.Repeat("---:|", spans), "\n")
	for _, agent := range r.agents {
		fmt.Fprintf(w, "| %s |", agent)
		for i := range spans {
			fmt.Fprintf(w, " %.1f |", r.median(agent, func(one result) float64 {
				if i >= len(one.RSSOver) {
					return 0 // it failed, which the first table says
				}
				return mib(one.RSSOver[i])
			}))
		}
		fmt.Fprintln(w)
	}
}

// writeTables writes a table for each scenario.
func writeTables(w io.Writer, rep report) {
	for _, r := range rep.byScenario() {
		fmt.Fprintf(w, "\n%s\n\n", r.caption())
		r.write(w)
	}
	fmt.Fprintf(w, "\n%s\n", rep.busy())
}

// busy says how much of the machine others used meanwhile.
func (r report) busy() string {
	least, most := 1.0, 0.0
	for _, res := range r.Results {
		if res.MeasuredS > 0 {
			share := res.OtherCPUS / res.MeasuredS / float64(max(1, r.Cores))
			least, most = min(least, share), max(most, share)
		}
	}
	if most == 0 {
		return "Nothing else was measured."
	}
	return fmt.Sprintf("Programs other than the agent and the harness used %.0f to %.0f %% of the machine during the runs.", 100*max(0, least), 100*most)
}

// writeRatios writes, for each scenario, the first agent's figures over those of
// every other, round by round: below 1 the first needs less.
func writeRatios(w io.Writer, rep report) {
	measures := []struct {
		name string
		get  func(result) float64
	}{
		{"CPU per sample", cpuMicros}, {"resident memory", rssMean}, {"peak memory", rssPeak},
		{"body bytes per sample", bodyBytes}, {"latency p50", latency50},
	}
	for _, r := range rep.byScenario() {
		first := r.agents[0]
		for _, other := range r.agents[1:] {
			fmt.Fprintf(w, "\n%s: %s / %s\n\n| measure | least | median | greatest |\n|---|---:|---:|---:|\n", r.scenario, first, other)
			for _, m := range measures {
				var ratios []float64
				for round := range min(len(r.of[first]), len(r.of[other])) {
					if b := m.get(r.of[other][round]); b > 0 {
						ratios = append(ratios, m.get(r.of[first][round])/b)
					}
				}
				if len(ratios) > 0 {
					fmt.Fprintf(w, "| %s | %.3f | %.3f | %.3f |\n", m.name, slices.Min(ratios), medianOf(ratios), slices.Max(ratios))
				}
			}
		}
	}
}
