package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/prompb"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newAPI serves an empty store until the test ends.
func newAPI(t *testing.T) (*store, *httptest.Server) {
	t.Helper()
	s, err := openStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s.api())
	t.Cleanup(func() {
		server.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, server
}

// series makes one series with its samples from name, value pairs.
func series(samples []prompb.Sample, pairs ...string) prompb.TimeSeries {
	ts := prompb.TimeSeries{Samples: samples}
	for i := 0; i < len(pairs); i += 2 {
		ts.Labels = append(ts.Labels, prompb.Label{Name: pairs[i], Value: pairs[i+1]})
	}
	return ts
}

func encode(t *testing.T, all ...prompb.TimeSeries) []byte {
	t.Helper()
	raw, err := (&prompb.WriteRequest{Timeseries: all}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return snappy.Encode(nil, raw)
}

func post(t *testing.T, server *httptest.Server, body []byte, contentType, encoding string) (status int, text string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/api/v1/write", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", contentType)
	request.Header.Set("Content-Encoding", encoding)
	response, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(answer)
}

func ask(t *testing.T, server *httptest.Server, path string, form url.Values) (status int, body any) {
	t.Helper()
	response, err := server.Client().PostForm(server.URL+path, form)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, body
}

const protobufType = "application/x-protobuf"

func TestWhatIsWrittenCanBeAsked(t *testing.T) {
	s, server := newAPI(t)
	now := time.Now().Truncate(time.Second)
	at := func(secondsAgo int) int64 { return now.Add(-time.Duration(secondsAgo) * time.Second).UnixMilli() }
	body := encode(t,
		series([]prompb.Sample{{Value: 1, Timestamp: at(30)}, {Value: 4, Timestamp: at(15)}, {Value: 7, Timestamp: at(0)}},
			"__name__", "jobs_total", "instance", "a", "job", "x"),
		series([]prompb.Sample{{Value: 0.25, Timestamp: at(0)}}, "__name__", "load", "job", "y"),
	)
	if status, text := post(t, server, body, protobufType, "snappy"); status != http.StatusNoContent {
		t.Fatalf("write answered %d: %s", status, text)
	}
	if got := s.counts.samples.Load(); got != 4 {
		t.Errorf("%d samples counted, want 4", got)
	}
	unix := func(secondsAgo int) float64 { return float64(at(secondsAgo)) / 1000 }
	metric := map[string]any{"__name__": "jobs_total", "instance": "a", "job": "x"}
	for _, tt := range []struct {
		name, path string
		form       url.Values
		want       any
	}{
		{"an instant", "/api/v1/query", url.Values{"query": {"jobs_total"}, "time": {fmt.Sprint(now.Unix())}},
			map[string]any{"resultType": "vector", "result": []any{
				map[string]any{"metric": metric, "value": []any{unix(0), "7"}}}}},
		{"nothing is an empty list", "/api/v1/query", url.Values{"query": {"nothing"}},
			map[string]any{"resultType": "vector", "result": []any{}}},
		{"a range", "/api/v1/query_range", url.Values{"query": {"jobs_total"}, "step": {"15s"},
			"start": {fmt.Sprint(now.Unix() - 30)}, "end": {now.Format(time.RFC3339)}},
			map[string]any{"resultType": "matrix", "result": []any{
				map[string]any{"metric": metric, "values": []any{
					[]any{unix(30), "1"}, []any{unix(15), "4"}, []any{unix(0), "7"}}}}}},
		{"a scalar", "/api/v1/query", url.Values{"query": {"1+1"}, "time": {"10"}},
			map[string]any{"resultType": "scalar", "result": []any{10.0, "2"}}},
		{"label names", "/api/v1/labels", nil, []any{"__name__", "instance", "job"}},
		{"label names of some series", "/api/v1/labels", url.Values{"match[]": {"load"}}, []any{"__name__", "job"}},
		{"label values", "/api/v1/label/job/values", nil, []any{"x", "y"}},
		{"series", "/api/v1/series", url.Values{"match[]": {`{job="x"}`, `jobs_total`}}, []any{metric}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, got := ask(t, server, tt.path, tt.form)
			want := map[string]any{"status": "success", "data": tt.want}
			if diff := cmp.Diff(want, got); status != http.StatusOK || diff != "" {
				t.Errorf("status %d (-want +got):\n%s", status, diff)
			}
		})
	}
}

func TestBadQuestionsAreRefused(t *testing.T) {
	_, server := newAPI(t)
	for _, tt := range []struct {
		name, path string
		form       url.Values
		want       string
	}{
		{"query that does not parse", "/api/v1/query", url.Values{"query": {"up{"}}, "parse error"},
		{"time that is none", "/api/v1/query", url.Values{"query": {"up"}, "time": {"noon"}}, `time = "noon"`},
		{"no step", "/api/v1/query_range", url.Values{"query": {"up"}, "start": {"1"}, "end": {"2"}}, `step = ""`},
		{"no end", "/api/v1/query_range", url.Values{"query": {"up"}, "start": {"1"}, "step": {"1"}}, "start and end"},
		{"end before start", "/api/v1/query_range", url.Values{"query": {"up"}, "start": {"9"}, "end": {"2"}, "step": {"1"}}, "end is before"},
		{"too many points", "/api/v1/query_range", url.Values{"query": {"up"}, "start": {"1"}, "end": {"99999"}, "step": {"1"}}, "make step larger"},
		{"series of everything", "/api/v1/series", nil, "no match[]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, body := ask(t, server, tt.path, tt.form)
			if status != http.StatusBadRequest || !strings.Contains(fmt.Sprint(body), tt.want) {
				t.Errorf("answered %d %v, want 400 and %q", status, body, tt.want)
			}
		})
	}
}

func TestBadWritesAreRefused(t *testing.T) {
	s, server := newAPI(t)
	now := time.Now().UnixMilli()
	good := encode(t, series([]prompb.Sample{{Value: 1, Timestamp: now}}, "__name__", "a"))
	if status, text := post(t, server, good, protobufType, "snappy"); status != http.StatusNoContent {
		t.Fatalf("a good write answered %d: %s", status, text)
	}
	for _, tt := range []struct {
		name           string
		body           []byte
		kind, encoding string
		want           int
	}{
		{"JSON", []byte("{}"), "application/json", "snappy", http.StatusUnsupportedMediaType},
		{"remote write 2.0", good, "application/x-protobuf;proto=io.prometheus.write.v2.Request", "snappy", http.StatusUnsupportedMediaType},
		{"gzip", good, protobufType, "gzip", http.StatusUnsupportedMediaType},
		{"not snappy", []byte("\xff\xff\xff"), protobufType, "snappy", http.StatusBadRequest},
		{"a bomb", []byte("\xff\xff\xff\xff\x0f"), protobufType, "snappy", http.StatusBadRequest},
		{"not protobuf", snappy.Encode(nil, []byte("hello")), protobufType, "snappy", http.StatusBadRequest},
		{"no name", encode(t, series([]prompb.Sample{{Value: 1, Timestamp: now}}, "job", "a")), protobufType, "snappy", http.StatusBadRequest},
		{"a label twice", encode(t, series([]prompb.Sample{{Value: 1, Timestamp: now}}, "__name__", "a", "x", "1", "x", "2")), protobufType, "snappy", http.StatusBadRequest},
		{"another value at the same instant", encode(t, series([]prompb.Sample{{Value: 2, Timestamp: now}}, "__name__", "a")), protobufType, "snappy", http.StatusBadRequest},
		{"two hours old", encode(t, series([]prompb.Sample{{Value: 1, Timestamp: now - 7_200_000}}, "__name__", "a")), protobufType, "snappy", http.StatusBadRequest},
		{"the same again", good, protobufType, "snappy", http.StatusNoContent},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if status, text := post(t, server, tt.body, tt.kind, tt.encoding); status != tt.want {
				t.Errorf("answered %d (%s), want %d", status, text, tt.want)
			}
		})
	}
	if got := s.counts.refused.Load(); got == 0 {
		t.Error("no refused sample was counted")
	}
}
