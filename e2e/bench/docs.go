package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// docsCommand puts saved results into pages: what stands between the lines
//
//	<!-- bench:NAME -->
//	<!-- /bench:NAME -->
//
// is replaced. NAME is "where" (machine, date and how busy it was), "summary"
// (one row for each agent), "stages" (the Go benchmarks, from
// -stages), or a scenario.
func docsCommand(args []string) error {
	fs := flag.NewFlagSet("bench docs", flag.ContinueOnError)
	from := fs.String("from", "", "`file` of results that run -out wrote")
	stages := fs.String("stages", "", "`file` with the output of go test -bench")
	if err := fs.Parse(args); err != nil {
		return fmt.Errorf("read flags: %w", err)
	}
	if *from == "" || fs.NArg() == 0 {
		return errors.New("docs: want -from FILE and the pages to change")
	}
	rep, err := readReport(*from)
	if err != nil {
		return err
	}
	sections := rep.sections()
	if *stages != "" {
		text, err := os.ReadFile(*stages)
		if err != nil {
			return fmt.Errorf("read benchmarks: %w", err)
		}
		sections["stages"] = stageTable(string(text))
	}
	for _, path := range fs.Args() {
		page, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read page: %w", err)
		}
		changed, err := fillIn(string(page), sections)
		if err != nil {
			return fmt.Errorf("fill in %s: %w", path, err)
		}
		if err := os.WriteFile(path, []byte(changed), 0o644); err != nil {
			return fmt.Errorf("write page: %w", err)
		}
	}
	return nil
}

// sections are the texts a page may have, by name.
func (r report) sections() map[string]string {
	all := map[string]string{
		"where":   fmt.Sprintf("%s, on %s.\nkinglet %s, built with %s.\n%s\n", r.Date, r.Machine, r.Version, r.Go, r.busy()),
		"summary": r.summary(),
	}
	for _, rows := range r.byScenario() {
		var text bytes.Buffer
		fmt.Fprintf(&text, "%s.\n\n", rows.caption())
		rows.write(&text)
		all[rows.scenario] = text.String()
	}
	return all
}

// summary has a row for each agent, with three figures of every scenario of
// cost, and says below what the scenarios are.
func (r report) summary() string {
	var head, rule, text, below strings.Builder
	head.WriteString("| agent |")
	rule.WriteString("|---|")
	var agents []string
	var costs []rows
	for _, rows := range r.byScenario() {
		one := rows.of[rows.agents[0]][0]
		if one.Received == 0 || isFault(rows.scenario) {
			continue
		}
		costs = append(costs, rows)
		fmt.Fprintf(&head, " `%s`: CPU µs a sample | resident MiB | bytes a sample sent |", rows.scenario)
		rule.WriteString("---:|---:|---:|")
		fmt.Fprintf(&below, "\n`%s`: %s, %d series, every %g s.", rows.scenario, one.Title, one.Series, one.IntervalS)
		for _, agent := range rows.agents {
			if rows.failed(agent) == "" && !slices.Contains(agents, agent) {
				agents = append(agents, agent)
			}
		}
	}
	for _, agent := range agents {
		fmt.Fprintf(&text, "| %s |", agent)
		for _, rows := range costs {
			fmt.Fprintf(&text, " %.2f | %.0f | %.0f |", rows.median(agent, cpuMicros), rows.median(agent, rssMean), rows.median(agent, bodyBytes))
		}
		text.WriteByte('\n')
	}
	return head.String() + "\n" + rule.String() + "\n" + text.String() + below.String() + "\n"
}

// fillIn replaces what stands between marks. Marks whose section is not known
// keep their text.
func fillIn(page string, sections map[string]string) (string, error) {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(page, "<!-- bench:")
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		name, rest, _ := strings.Cut(rest, " -->\n")
		end := "<!-- /bench:" + name + " -->"
		old, after, closed := strings.Cut(rest, end)
		if !closed {
			return "", fmt.Errorf("mark %q: want %s after it", name, end)
		}
		text, known := sections[name]
		if !known {
			text = old
		}
		out.WriteString("<!-- bench:" + name + " -->\n" + text + end)
		page = after
	}
}

// stageTable makes a table of the benchmarks that report by the sample. What go
// test says of a pass is divided by the samples of a pass.
func stageTable(output string) string {
	var b strings.Builder
	b.WriteString("| stage | ns | bytes read or sent | bytes allocated | allocations |\n|---|---:|---:|---:|---:|\n")
	folder := ""
	for line := range strings.Lines(output) {
		words := strings.Fields(line)
		if len(words) == 2 && words[0] == "pkg:" {
			_, folder, _ = strings.Cut(words[1], "/")
		}
		if len(words) < 4 || !strings.HasPrefix(words[0], "Benchmark") {
			continue
		}
		value := func(unit string) float64 {
			if i := slices.Index(words, unit); i > 0 {
				if v, err := strconv.ParseFloat(words[i-1], 64); err == nil {
					return v
				}
			}
			return 0
		}
		nanos := value("ns/sample")
		if nanos == 0 {
			continue
		}
		samples := value("ns/op") / nanos
		name, _, _ := strings.Cut(strings.TrimPrefix(words[0], "Benchmark"), ".txt.gz")
		if i := strings.LastIndexByte(name, '-'); i > 0 && strings.Trim(name[i+1:], "0123456789") == "" {
			name = name[:i] // the number of cores
		}
		bytes := "" // not every stage says
		if v := value("B/sample"); v > 0 {
			bytes = fmt.Sprintf("%.1f", v)
		}
		fmt.Fprintf(&b, "| %s %s | %.1f | %s | %.1f | %.3f |\n", folder, name, nanos, bytes, value("B/op")/samples, value("allocs/op")/samples)
	}
	return b.String()
}
