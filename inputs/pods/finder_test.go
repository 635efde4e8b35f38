package pods

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kinglet/k8s"
)

func TestAFaultIsLoggedOnceThoughItsNumbersDiffer(t *testing.T) {
	m, err := newMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	changes := 0
	f := &finder{log: slog.New(slog.NewTextHandler(&out, nil)), metrics: m, changed: func() { changes++ }}
	for _, text := range []string{
		"read tcp 127.0.0.1:55324->127.0.0.1:10250: connection reset by peer",
		"read tcp 127.0.0.1:58972->127.0.0.1:10250: connection reset by peer",
		"the kubelet answers 401 Unauthorized to /pods",
		"the kubelet answers 403 Forbidden to /pods",
		"certificate has expired: current time 2026-11-21T15:35:09Z is after 2026-11-20T00:00:00Z",
		"certificate has expired: current time 2026-11-21T15:35:11Z is after 2026-11-20T00:00:00Z",
	} {
		f.failed(sourceKubelet, errors.New(text))
	}
	if lines := strings.Count(out.String(), "\n"); lines != 4 || changes != 4 {
		t.Errorf("%d lines, %d changes, want 4:\n%s", lines, changes, out.String())
	}
	f.delivered(sourceKubelet, nil, false)
	f.failed(sourceKubelet, errors.New("certificate has expired: current time 2026-11-21T15:36:11Z is after 2026-11-20T00:00:00Z"))
	if lines := strings.Count(out.String(), "\n"); lines != 6 {
		t.Errorf("%d lines, want 6: that it is well, and that it is not again:\n%s", lines, out.String())
	}
}

// phases is a kubelet that answers with one status for a while, then with the
// next; the last one goes on.
type phases struct {
	start time.Time
	all   []phase
}

type phase struct {
	status int
	last   time.Duration
}

func (p phases) Pods(context.Context) ([]*k8s.Pod, bool, error) {
	past, status := time.Since(p.start), 0
	for _, ph := range p.all {
		if status = ph.status; past < ph.last {
			break
		}
		past -= ph.last
	}
	if status != http.StatusOK {
		return nil, false, &k8s.StatusError{Page: "/pods", Code: status}
	}
	return []*k8s.Pod{running("a")}, false, nil
}

// TestAKubeletThatKnewTheTokenIsBelieved: one that cannot reach the API server
// answers 401 to a token that is good.
func TestAKubeletThatKnewTheTokenIsBelieved(t *testing.T) {
	const good, unknown = http.StatusOK, http.StatusUnauthorized
	for _, tt := range []struct {
		name    string
		answers []phase
		status  int           // for which it is given up; 0 = it is not
		turns   time.Duration // when, after the start
	}{
		{"for nine minutes", []phase{{good, time.Minute}, {unknown, 9 * time.Minute}, {good, 0}}, 0, 0},
		{"and once more when it has answered", []phase{
			{good, time.Minute}, {unknown, 9 * time.Minute}, {good, time.Minute}, {unknown, 9 * time.Minute}, {good, 0},
		}, 0, 0},
		{"for ten minutes and no longer", []phase{{good, time.Minute}, {unknown, 0}}, unknown, 11 * time.Minute},
		{"not if it never knew the token", []phase{{unknown, 9 * time.Minute}, {good, 0}}, unknown, 0},
		{"not when it forbids", []phase{{good, time.Minute}, {http.StatusForbidden, time.Minute}, {good, 0}}, http.StatusForbidden, time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { checkTurn(t, tt.answers, tt.status, tt.turns) })
		})
	}
}

// checkTurn asks a kubelet for an hour, and wants it given up for a status
// after that time, or not at all.
func checkTurn(t *testing.T, answers []phase, status int, turns time.Duration) {
	t.Helper()
	m, err := newMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	kubelet, err := k8s.NewKubelet(k8s.KubeletConfig{}, k8s.Node{})
	if err != nil {
		t.Fatal(err)
	}
	f := &finder{
		cfg: DefaultConfig().SourceConfig, kubelet: kubelet, watch: &k8s.PodWatch{}, metrics: m,
		log: slog.New(slog.DiscardHandler), changed: func() {},
	}
	const long = time.Hour
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	start := time.Now()
	why := f.pollUntilRefused(ctx, phases{start, answers})
	took := time.Since(start)
	if status == 0 {
		if why != nil || took != long || f.found().err != nil {
			t.Errorf("given up after %v: %v; at last: %v", took, why, f.found().err)
		}
		return
	}
	refused, ok := errors.AsType[*k8s.StatusError](why)
	if !ok || refused.Code != status || took != turns {
		t.Errorf("given up after %v: %v, want it after %v for %d", took, why, turns, status)
	}
}
