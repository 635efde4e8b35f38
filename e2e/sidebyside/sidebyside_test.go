//go:build e2e

// Package sidebyside compares kinglet with Prometheus itself. Prometheus'
// scrape manager, out of its Go module, scrapes scripted targets into its own
// database; the built kinglet binary scrapes the same script and pushes by
// remote write, once as 1.0 and once as 2.0, through Prometheus' own handler
// into databases of its own. All run at the same time, a round a second. Then
// the databases are compared series by series and sample by sample, and every
// difference must stand on the list in explained_test.go.
//
// A side is one scraper with its database. Each target has an address for each
// side and serves page k to the k-th request there, so that nothing depends on
// how the sides' clocks stand to each other. Samples are placed by the scrape
// they belong to (see history), never by wall clock.
//
// The script is in script_*_test.go: add a target there.
package sidebyside

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"kinglet/e2e/harness"
	"kinglet/internal/tree"
)

// rounds is how often each target is scraped at least. Scripts end before.
const rounds = 52

// The sides.
const (
	reference = "prometheus"
	twin      = "prometheus again" // the instrument's own check: it must not differ from the reference
	kinglet1  = "kinglet 1.0"
	kinglet2  = "kinglet 2.0"
)

// binary is the program under test; TestMain sets it once.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	path, clean, err := harness.Binary("kinglet")
	if err != nil {
		fmt.Fprintln(os.Stderr, "sidebyside:", err)
		return 1
	}
	defer clean()
	binary = path
	return m.Run()
}

func TestKingletStoresWhatPrometheusStores(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	w := newWorld(t, script())
	sides := []*side{newPrometheus(t, w, reference), newPrometheus(t, w, twin)}
	for _, version := range []string{"1.0", "2.0"} {
		if why := refusesMessage(t, version); why != "" {
			t.Errorf("kinglet with protobuf_message = %q: %s", version, why)
			continue
		}
		sides = append(sides, newKinglet(t, w, "kinglet "+version, version))
	}
	for _, s := range sides {
		s.start(t)
	}
	w.wait(t, sides, rounds)
	for _, s := range sides {
		s.stop(t)
	}
	histories := map[string]*record{}
	for _, s := range sides {
		h, err := readRecord(t.Context(), w, s)
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		histories[s.name] = h
	}
	t.Run("the script was played to its end", func(t *testing.T) { checkPlayed(t, w, histories) })
	for _, s := range sides[1:] {
		t.Run(s.name, func(t *testing.T) {
			found := compare(histories[reference], histories[s.name])
			checkExplained(t, s.name, found)
			checkRefusals(t, s)
		})
		t.Run(s.name+" answers queries", func(t *testing.T) {
			checkQueries(t, sides[0], s, histories)
		})
	}
}

// checkPlayed wants every target scraped as often as its script needs, so that
// the comparison is about something.
func checkPlayed(t *testing.T, w *world, histories map[string]*record) {
	samples, series := 0, 0
	for side, h := range histories {
		for name, tg := range w.targets {
			if got, want := len(h.scrapes[name]), tg.wantRounds(); got < want {
				t.Errorf("%s scraped %s %d times, want %d", side, name, got, want)
			}
		}
		for name, n := range h.repeats {
			if n > 1 {
				t.Errorf("%s asked %s %d times more than it scraped it", side, name, n)
			}
		}
		for i, points := range h.series {
			series++
			samples += len(points)
			if last := points[len(points)-1]; !h.gone[i.Target] && strings.HasPrefix(i.Series, `{__name__="up"`) && last.Text == staleText {
				t.Errorf("%s ended %s although it was merely stopped", side, i) // RW-49
			}
		}
	}
	t.Logf("%d targets on %d sides: %d series, %d samples", len(w.targets), len(histories), series, samples)
}

// refusesMessage asks kinglet whether it knows a value of protobuf_message. It
// returns what kinglet says against it, or "".
func refusesMessage(t *testing.T, version string) string {
	t.Helper()
	dir := tree.Make(t, map[string]string{
		"config.toml": "[[writers]]\nurl = \"http://127.0.0.1:1/api/v1/write\"\nprotobuf_message = \"" + version + "\"\n",
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	text, _ := exec.CommandContext(ctx, binary, "check", "--configs", dir).CombinedOutput() // its exit code may be about other things
	for line := range bytes.SplitSeq(text, []byte("\n")) {
		if bytes.Contains(line, []byte("protobuf_message")) {
			return strings.TrimSpace(string(line))
		}
	}
	return ""
}
