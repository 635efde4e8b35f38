package pods

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
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
