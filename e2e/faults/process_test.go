//go:build e2e

package faults

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"kinglet/e2e/harness"
)

// agent is the kinglet under test; it may be started many times.
type agent struct {
	*harness.Process
	conf    string // folder of its configuration
	listen  string // host:port of its pages
	started time.Time
}

func newAgent(t *testing.T, conf, listen string) *agent {
	t.Helper()
	return &agent{
		Process: harness.NewProcess(t, []string{"NO_PROXY=*", "no_proxy=*"}, suite.binary, "--configs", conf), conf: conf, listen: listen,
	}
}

// start runs kinglet; the one before has to have ended.
func (a *agent) start(t *testing.T) {
	t.Helper()
	a.started = time.Now()
	a.Start(t)
}

// running reports whether kinglet has not ended.
func (a *agent) running() bool {
	ended, _ := a.Ended()
	return !ended
}

// lines are what kinglet printed that has all of words.
func (a *agent) lines(words ...string) []string {
	text, err := os.ReadFile(a.Log)
	if err != nil {
		return nil
	}
	var found []string
next:
	for line := range strings.Lines(string(text)) {
		for _, w := range words {
			if !strings.Contains(line, w) {
				continue next
			}
		}
		found = append(found, strings.TrimSpace(line))
	}
	return found
}

// metric is the sum of the metric's series that have all of labels, such as
// reason="queue_full"; ok is false if there is none, or no answer.
func (a *agent) metric(name string, labels ...string) (sum float64, ok bool) {
	page, err := harness.Get("http://" + a.listen + "/metrics")
	if err != nil {
		return 0, false
	}
next:
	for line := range strings.Lines(page) {
		if rest, is := strings.CutPrefix(line, name); !is || !strings.HasPrefix(rest, "{") && !strings.HasPrefix(rest, " ") {
			continue
		}
		for _, l := range labels {
			if !strings.Contains(line, l) {
				continue next
			}
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]), 64)
		if err != nil {
			return 0, false
		}
		sum, ok = sum+v, true
	}
	return sum, ok
}

// waitMetric waits until the metric satisfies want.
func (a *agent) waitMetric(t *testing.T, within time.Duration, want func(float64) bool, name string, labels ...string) float64 {
	t.Helper()
	var last float64
	eventually(t, within, fmt.Sprintf("%s%v", name, labels), func() (bool, string) {
		v, ok := a.metric(name, labels...)
		last = v
		return ok && want(v), fmt.Sprint(v, ok)
	})
	return last
}

// peak is the most memory, in bytes, that kinglet had resident since the start
// or since forgetPeak.
func (a *agent) peak(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", a.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(text, []byte("VmHWM:"))
	kib, err := strconv.ParseInt(strings.Fields(string(rest))[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

func (a *agent) forgetPeak(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", a.Pid()), []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
}
