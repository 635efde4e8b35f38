package main

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A group is N targets of one shape: "app", "cadvisor", or "file:PATH", a
// recorded page (plain or .gz), whose series are the file's.
type group struct {
	N      int
	Series int // of each target; 0 for a file
	Shape  string
}

// A fault is one thing that goes wrong at the endpoint for a while.
type fault struct {
	At, For time.Duration // from the beginning of the measurement
	Codes   []int         // statuses answered in turn; none = connections are refused
}

// A scenario is what one run puts an agent through. Times of faults, Kill and
// Restart count from the beginning of the measurement, after the warm-up.
type scenario struct {
	Name     string
	Title    string
	Groups   []group
	Interval time.Duration // between scrapes
	Warm     time.Duration // before anything is measured
	Measure  time.Duration
	Faults   []fault
	Kill     time.Duration // SIGKILL then; 0 = never
	Restart  time.Duration // started again then, on the same folders
	Drain    time.Duration // wait at most this long for what is due after the targets froze
	Cold     int           // if above 0: only starts are timed, so many
	Churn    float64       // percent of series replaced per minute
	Aged     bool          // all series were replaced once before the agent starts
	Plain    bool          // targets never compress
	Ports    bool          // each target has a port of its own
}

// scenarios are those that can be asked for by name. pages is the folder of the
// recorded pages, outage how long the endpoint is away in S4 and S5.
func scenarios(pages string, outage time.Duration) []scenario {
	const s = time.Second
	node := []group{{60, 500, "app"}, {1, 20000, "cadvisor"}}
	var recorded []group
	for _, name := range []string{"kube-proxy", "kubelet", "kubelet-cadvisor", "pods-80.kubelet-cadvisor"} {
		recorded = append(recorded, group{1, 0, "file:" + filepath.Join(pages, name+".txt.gz")})
	}
	down := []fault{{At: 10 * s, For: outage}}
	return []scenario{
		{
			Name: "real", Title: "recorded pages of kube-proxy, kubelet, cAdvisor with few pods and with 80",
			Groups: recorded, Interval: 5 * s, Warm: 15 * s, Measure: 30 * s, Drain: 15 * s,
		},
		{Name: "S1", Title: "node-typical, synthetic", Groups: node, Interval: 5 * s, Warm: 20 * s, Measure: 60 * s, Drain: 15 * s},
		{
			Name: "S2", Title: "one large target", Groups: []group{{1, 200000, "app"}},
			Interval: 10 * s, Warm: 20 * s, Measure: 40 * s, Drain: 15 * s,
		},
		{
			Name: "S3", Title: "many small targets", Groups: []group{{1000, 100, "app"}},
			Interval: 10 * s, Warm: 20 * s, Measure: 40 * s, Drain: 15 * s,
		},
		{
			Name: "S4", Title: "endpoint down, then back", Groups: node, Interval: 5 * s, Warm: 10 * s,
			Measure: 20*s + outage, Faults: down, Drain: 75 * s,
		},
		{
			Name: "S5", Title: "SIGKILL during an outage", Groups: node, Interval: 5 * s, Warm: 10 * s,
			Measure: 20*s + outage, Faults: down, Kill: 10*s + outage/2, Restart: 12*s + outage/2, Drain: 75 * s,
		},
		{
			Name: "S6", Title: "endpoint answers 429 and 500 in turn", Groups: node, Interval: 5 * s, Warm: 10 * s,
			Measure: 40 * s, Faults: []fault{{At: 5 * s, For: 20 * s, Codes: []int{429, 500}}}, Drain: 75 * s,
		},
		{Name: "S7", Title: "cold start", Groups: node, Interval: 5 * s, Cold: 3},
	}
}

// chooseScenarios finds names, separated by commas, among all.
func chooseScenarios(all []scenario, names string) ([]scenario, error) {
	var chosen []scenario
next:
	for name := range strings.SplitSeq(names, ",") {
		for _, s := range all {
			if s.Name == name {
				chosen = append(chosen, s)
				continue next
			}
		}
		return nil, fmt.Errorf("no scenario %q: want real or S1 to S7", name)
	}
	return chosen, nil
}

// parseGroups reads "60x500:app,1x20000:cadvisor,1:file:PATH".
func parseGroups(text string) ([]group, error) {
	var groups []group
	for part := range strings.SplitSeq(text, ",") {
		numbers, shape, _ := strings.Cut(part, ":")
		if shape == "" {
			shape = "app"
		}
		n, series, _ := strings.Cut(numbers, "x")
		g := group{Shape: shape}
		var err error
		if g.N, err = strconv.Atoi(n); err != nil || g.N < 1 {
			return nil, fmt.Errorf("targets %q: want TARGETSxSERIES:SHAPE or TARGETS:file:PATH", part)
		}
		if !strings.HasPrefix(shape, filePrefix) {
			if g.Series, err = strconv.Atoi(series); err != nil || g.Series < 1 {
				return nil, fmt.Errorf("targets %q: want TARGETSxSERIES:SHAPE", part)
			}
		}
		groups = append(groups, g)
	}
	return groups, nil
}
