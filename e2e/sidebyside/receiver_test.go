//go:build e2e

package sidebyside

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/golang/snappy"
	"github.com/prometheus/client_golang/exp/api/remote"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/prometheus/prometheus/storage"
	promremote "github.com/prometheus/prometheus/storage/remote"
)

// receiver is Prometheus' handler of remote writes before a database. It takes
// one version of the protocol only, so that the version is seen to be used.
type receiver struct {
	version string
	server  *httptest.Server
	handler http.Handler

	mu       sync.Mutex
	requests int
	refusals []string
	starts   []startOf
}

// startOf is a sample that said when its series began. The handler does not
// store that yet, so it is taken from requests.
type startOf struct {
	labels      labels.Labels
	at, startMs int64
}

func newReceiver(t *testing.T, db storage.Appendable, version string) *receiver {
	t.Helper()
	accepted := remote.MessageTypes{remote.WriteV1MessageType}
	if version == "2.0" {
		accepted = remote.MessageTypes{remote.WriteV2MessageType}
	}
	r := &receiver{version: version, handler: promremote.NewWriteHandler(slog.New(slog.DiscardHandler), prometheus.NewRegistry(), db, accepted, false, false, false)}
	r.server = httptest.NewServer(r)
	t.Cleanup(r.server.Close)
	return r
}

func (r *receiver) url() string { return r.server.URL + "/api/v1/write" }

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if q.Method != http.MethodPost { // kinglet asks what receives
		http.NotFound(w, q)
		return
	}
	answer := &answerWriter{ResponseWriter: w}
	var body bytes.Buffer
	q.Body = io.NopCloser(io.TeeReader(q.Body, &body))
	r.handler.ServeHTTP(answer, q)
	var starts []startOf
	if r.version == "2.0" && answer.status < 300 {
		starts = startsIn(body.Bytes())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.starts = append(r.starts, starts...)
	r.requests++
	if answer.status >= 300 {
		r.refusals = append(r.refusals, fmt.Sprintf("request %d: %d: %s", r.requests, answer.status, answer.text))
	}
}

// startsIn reads the start timestamps of a request that the handler took.
func startsIn(body []byte) []startOf {
	var request writev2.Request
	raw, err := snappy.Decode(nil, body)
	if err == nil {
		err = request.Unmarshal(raw)
	}
	if err != nil {
		return []startOf{{labels: labels.FromStrings("unreadable", err.Error()), startMs: 1}}
	}
	var starts []startOf
	builder := labels.NewScratchBuilder(0)
	for _, series := range request.Timeseries {
		ls, err := series.ToLabels(&builder, request.Symbols)
		if err != nil {
			continue // the handler took the request
		}
		for _, s := range series.Samples {
			starts = append(starts, startOf{ls, s.Timestamp, s.StartTimestamp})
		}
		for _, h := range series.Histograms {
			starts = append(starts, startOf{ls, h.Timestamp, h.StartTimestamp})
		}
	}
	return slices.DeleteFunc(starts, func(s startOf) bool { return s.startMs == 0 })
}

// answerWriter remembers an answer that is passed on.
type answerWriter struct {
	http.ResponseWriter
	status int
	text   []byte // its beginning
}

func (w *answerWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *answerWriter) Write(b []byte) (int, error) {
	if len(w.text) < 500 {
		w.text = append(w.text, b...)
	}
	return w.ResponseWriter.Write(b)
}

// checkRefusals wants that nothing was sent which the handler refused: with
// 1.0 that costs the whole request.
func checkRefusals(t *testing.T, s *side) {
	t.Helper()
	if s.receiver == nil {
		return
	}
	s.receiver.mu.Lock()
	defer s.receiver.mu.Unlock()
	t.Logf("%d requests", s.receiver.requests)
	for i, refusal := range s.receiver.refusals {
		if i == 10 {
			t.Errorf("... and %d more", len(s.receiver.refusals)-10)
			return
		}
		t.Error(refusal)
	}
}
