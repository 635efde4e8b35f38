package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// measured is two agents in one scenario of cost, and one in one of faults.
func measured() report {
	const mib = 1 << 20
	one := result{Scenario: "S1", Title: "node-typical", Targets: 2, Series: 1000, IntervalS: 5, MeasuredS: 30, OtherCPUS: 6, Received: 6000}
	a, b, failed, fault := one, one, one, one
	a.Agent, a.CPUMicros, a.RSSMean, a.RSSPeak, a.BodyBytes = "a", 1, 30*mib, 40*mib, 30
	b.Agent, b.CPUMicros, b.RSSMean, b.RSSPeak, b.BodyBytes = "b", 4, 60*mib, 80*mib, 90
	slow := a
	slow.CPUMicros = 3
	failed.Agent, failed.Failed = "c", "it ended"
	fault.Scenario, fault.Agent, fault.DrainS, fault.Due, fault.Lost = "S4", "a", 1.5, 100, 7
	return report{Date: "2030-01-02", Machine: "a machine", Cores: 2, Go: "go1", Results: []result{a, b, failed, slow, fault}}
}

func TestTablesShowMediansAndRatios(t *testing.T) {
	var got bytes.Buffer
	writeTables(&got, measured())
	writeRatios(&got, measured())
	for _, want := range []string{
		"S1: node-typical; 2 targets, 1000 series, every 5 s; measured 30 s, medians of 2 rounds\n",
		"| a | 2.000 | 1.0 | 30.0 | 40.0 | 30.0 |", // the median of 1 and 3
		"| b | 4.000 | 2.0 | 60.0 | 80.0 | 90.0 |",
		"| c | failed: it ended |",
		"| a | 100 | 7 | 0 | 0 | 0 | 1.5 |",
		"used 10 to 10 % of the machine",
		"S1: a / b\n\n| measure | least | median | greatest |\n|---|---:|---:|---:|\n| CPU per sample | 0.250 | 0.250 | 0.250 |",
	} {
		if !strings.Contains(got.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, got.String())
		}
	}
}

func TestDocsChangesOnlyWhatStandsBetweenItsMarks(t *testing.T) {
	dir := t.TempDir()
	results, stages, page := filepath.Join(dir, "r.json"), filepath.Join(dir, "stages"), filepath.Join(dir, "page.md")
	if err := measured().write(results); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, stages, "goos: linux\npkg: kinglet/inputs/scrape\nBenchmarkWalk/page-2 \t 100 \t 350 ns/op \t 27.5 B/sample \t 3.5 ns/sample \t 50 B/op \t 25 allocs/op\n"+
		"BenchmarkOther-2 1 2 ns/op\n")
	mustWrite(t, page, "top\n<!-- bench:summary -->\nold\n<!-- /bench:summary -->\nmiddle\n<!-- bench:stages -->\n<!-- /bench:stages -->\n"+
		"<!-- bench:S9 -->\nkept\n<!-- /bench:S9 -->\nend\n")
	if err := docsCommand([]string{"-from", results, "-stages", stages, page}); err != nil {
		t.Fatal(err)
	}
	want := `top
<!-- bench:summary -->
| agent | ` + "`S1`" + `: CPU µs a sample | resident MiB | bytes a sample sent |
|---|---:|---:|---:|
| a | 2.00 | 30 | 30 |
| b | 4.00 | 60 | 90 |

` + "`S1`" + `: node-typical, 1000 series, every 5 s.
<!-- /bench:summary -->
middle
<!-- bench:stages -->
| stage | ns | bytes read or sent | bytes allocated | allocations |
|---|---:|---:|---:|---:|
| inputs/scrape Walk/page | 3.5 | 27.5 | 0.5 | 0.250 |
<!-- /bench:stages -->
<!-- bench:S9 -->
kept
<!-- /bench:S9 -->
end
`
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
	if _, err := fillIn("<!-- bench:S1 -->\n", nil); err == nil {
		t.Error("a mark that is not closed was taken")
	}
}

func mustWrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
