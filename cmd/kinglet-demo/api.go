package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golang/snappy"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
)

const (
	maxWriteBytes = 32 << 20 // of one request, compressed
	maxRawBytes   = 64 << 20 // of one request, uncompressed
	maxFormBytes  = 1 << 20
	maxPoints     = 11_000 // of one series in a range query, as Prometheus
)

// api answers the part of Prometheus' HTTP interface that a person or Grafana
// needs to ask a database: remote write 1.0 in, PromQL out.
func (s *store) api() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/write", s.handleWrite)
	for path, answer := range map[string]answer{
		"/api/v1/query":               s.answerQuery,
		"/api/v1/query_range":         s.answerRange,
		"/api/v1/labels":              s.answerLabels,
		"/api/v1/series":              s.answerSeries,
		"/api/v1/label/{name}/values": s.answerValues,
	} {
		mux.HandleFunc("GET "+path, answer.handle)
		mux.HandleFunc("POST "+path, answer.handle)
	}
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "the demo's database is healthy")
	})
	return mux
}

// handleWrite takes one remote write 1.0 request: 204 when everything is
// stored, 400 for what can never be stored, 500 for what may be sent again.
func (s *store) handleWrite(w http.ResponseWriter, r *http.Request) {
	contentType, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if strings.TrimSpace(contentType) != "application/x-protobuf" || strings.Contains(r.Header.Get("Content-Type"), "v2") {
		http.Error(w, "want Content-Type application/x-protobuf, remote write 1.0", http.StatusUnsupportedMediaType)
		return
	}
	if r.Header.Get("Content-Encoding") != "snappy" {
		http.Error(w, "want Content-Encoding snappy", http.StatusUnsupportedMediaType)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxWriteBytes))
	if err != nil {
		status := http.StatusBadRequest
		if _, tooBig := errors.AsType[*http.MaxBytesError](err); tooBig {
			status = http.StatusRequestEntityTooLarge
		}
		http.Error(w, fmt.Sprintf("read the body: %v", err), status)
		return
	}
	request, raw, err := decodeWrite(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	err = s.appendSeries(r.Context(), request.Timeseries)
	if _, bad := errors.AsType[*badSampleError](err); bad {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	s.counts.requests.Add(1)
	s.counts.wireBytes.Add(int64(len(body)))
	s.counts.rawBytes.Add(int64(raw))
	w.WriteHeader(http.StatusNoContent)
}

// decodeWrite undoes snappy and protobuf, and says how long the message was.
func decodeWrite(body []byte) (*prompb.WriteRequest, int, error) {
	n, err := snappy.DecodedLen(body)
	if err != nil {
		return nil, 0, fmt.Errorf("decode snappy: %w", err)
	}
	if n > maxRawBytes {
		return nil, 0, fmt.Errorf("decode snappy: %d bytes are more than %d", n, maxRawBytes)
	}
	raw, err := snappy.Decode(nil, body)
	if err != nil {
		return nil, 0, fmt.Errorf("decode snappy: %w", err)
	}
	var request prompb.WriteRequest
	if err := request.Unmarshal(raw); err != nil {
		return nil, 0, fmt.Errorf("decode the write request: %w", err)
	}
	return &request, n, nil
}

// answer computes the `data` of a reply from a parsed form.
type answer func(ctx context.Context, r *http.Request) (any, error)

// paramError says that the question itself is wrong: 400, not 422.
type paramError struct{ error }

// reply is Prometheus' envelope.
type reply struct {
	Status    string `json:"status"`
	Data      any    `json:"data,omitempty"`
	ErrorType string `json:"errorType,omitempty"`
	Error     string `json:"error,omitempty"`
}

func (a answer) handle(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxFormBytes)
	status, out := http.StatusOK, reply{Status: "success"}
	err := r.ParseForm()
	if err != nil {
		err = paramError{err}
	} else {
		out.Data, err = a(r.Context(), r)
	}
	if err != nil {
		status, out = http.StatusUnprocessableEntity, reply{Status: "error", ErrorType: "execution", Error: err.Error()}
		_, badParam := errors.AsType[paramError](err)
		_, badQuery := errors.AsType[parser.ParseErrors](err)
		if badParam || badQuery {
			status, out.ErrorType = http.StatusBadRequest, "bad_data"
		}
	}
	body, err := json.Marshal(out)
	if err != nil {
		http.Error(w, fmt.Sprintf("encode the answer: %v", err), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the caller hung up
}

// queryData is the `data` of query and query_range.
type queryData struct {
	ResultType parser.ValueType `json:"resultType"`
	Result     parser.Value     `json:"result"`
}

func newQueryData(r *promql.Result) queryData {
	d := queryData{ResultType: r.Value.Type(), Result: r.Value}
	switch v := r.Value.(type) { // no series is [], never null
	case promql.Vector:
		if v == nil {
			d.Result = promql.Vector{}
		}
	case promql.Matrix:
		if v == nil {
			d.Result = promql.Matrix{}
		}
	}
	return d
}

func (s *store) answerQuery(ctx context.Context, r *http.Request) (any, error) {
	at, err := formTime(r, "time", time.Now())
	if err != nil {
		return nil, err
	}
	result, err := s.instant(ctx, r.Form.Get("query"), at)
	if err != nil {
		return nil, err
	}
	return newQueryData(result), nil
}

func (s *store) answerRange(ctx context.Context, r *http.Request) (any, error) {
	start, errStart := formTime(r, "start", time.Time{})
	end, errEnd := formTime(r, "end", time.Time{})
	step, errStep := parseStep(r.Form.Get("step"))
	if err := errors.Join(errStart, errEnd, errStep); err != nil {
		return nil, paramError{err}
	}
	switch {
	case start.IsZero() || end.IsZero():
		return nil, paramError{errors.New("start and end are both wanted")}
	case end.Before(start):
		return nil, paramError{errors.New("end is before start")}
	case end.Sub(start)/step > maxPoints:
		return nil, paramError{fmt.Errorf("more than %d points a series; make step larger", maxPoints)}
	}
	result, err := s.between(ctx, r.Form.Get("query"), start, end, step)
	if err != nil {
		return nil, err
	}
	return newQueryData(result), nil
}

func (s *store) answerLabels(ctx context.Context, r *http.Request) (any, error) {
	return s.gather(r, false, func(q storage.Querier, matchers []*labels.Matcher) ([]string, error) {
		names, _, err := q.LabelNames(ctx, nil, matchers...)
		return names, err
	})
}

func (s *store) answerValues(ctx context.Context, r *http.Request) (any, error) {
	return s.gather(r, false, func(q storage.Querier, matchers []*labels.Matcher) ([]string, error) {
		values, _, err := q.LabelValues(ctx, r.PathValue("name"), nil, matchers...)
		return values, err
	})
}

func (s *store) answerSeries(ctx context.Context, r *http.Request) (any, error) {
	sets := []labels.Labels{}
	_, err := s.gather(r, true, func(q storage.Querier, matchers []*labels.Matcher) ([]string, error) {
		found := q.Select(ctx, true, nil, matchers...)
		for found.Next() {
			sets = append(sets, found.At().Labels())
		}
		return nil, found.Err()
	})
	slices.SortFunc(sets, labels.Compare)
	return slices.CompactFunc(sets, labels.Equal), err
}

// gather runs find once for each match[] of the form, or once for everything,
// and returns what was found, sorted, each string once.
func (s *store) gather(r *http.Request, needMatch bool, find func(storage.Querier, []*labels.Matcher) ([]string, error)) ([]string, error) {
	start, errStart := formTime(r, "start", time.UnixMilli(math.MinInt64))
	end, errEnd := formTime(r, "end", time.UnixMilli(math.MaxInt64))
	sets, errMatch := s.parser.ParseMetricSelectors(r.Form["match[]"])
	if err := errors.Join(errStart, errEnd, errMatch); err != nil {
		return nil, paramError{err}
	}
	if len(sets) == 0 {
		if needMatch {
			return nil, paramError{errors.New("no match[] parameter")}
		}
		sets = [][]*labels.Matcher{nil}
	}
	q, err := s.db.Querier(start.UnixMilli(), end.UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("open a querier: %w", err)
	}
	defer q.Close()
	all := []string{}
	for _, matchers := range sets {
		found, err := find(q, matchers)
		if err != nil {
			return nil, err
		}
		for _, text := range found {
			all = append(all, strings.Clone(text)) // the querier's memory ends with it
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// formTime reads a Unix time in seconds, or RFC 3339.
func formTime(r *http.Request, key string, missing time.Time) (time.Time, error) {
	text := r.Form.Get(key)
	if text == "" {
		return missing, nil
	}
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && math.Abs(seconds) < 1<<40 {
		return time.UnixMilli(int64(math.Round(seconds * 1000))), nil
	}
	if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return at, nil
	}
	return time.Time{}, paramError{fmt.Errorf("%s = %q: want Unix seconds or RFC 3339", key, text)}
}

// parseStep reads seconds, or a duration such as 15s.
func parseStep(text string) (time.Duration, error) {
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && seconds >= 0.001 && seconds < 1<<30 {
		return time.Duration(seconds * float64(time.Second)), nil
	}
	if d, err := model.ParseDuration(text); err == nil && d > 0 {
		return time.Duration(d), nil
	}
	return 0, fmt.Errorf("step = %q: want seconds, or a duration such as 15s", text)
}
