package main

import (
	"errors"
	"math"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
)

// request is one series with its samples, {value, timestamp} each.
func request(name, target string, samples ...prompb.Sample) *prompb.WriteRequest {
	labels := []prompb.Label{{Name: "__name__", Value: name}, {Name: targetLabel, Value: target}, {Name: "job", Value: "bench"}}
	return &prompb.WriteRequest{
		Timeseries: []prompb.TimeSeries{{Labels: labels, Samples: samples}},
		Metadata:   []prompb.MetricMetadata{{MetricFamilyName: name, Help: "Help."}},
	}
}

func mustMarshal(t testing.TB, m interface{ Marshal() ([]byte, error) }) []byte {
	t.Helper()
	b, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// all reads a message and keeps what it had.
func all(t *testing.T, read func([]byte, func(*received)) error, message []byte) []received {
	t.Helper()
	var kept []received
	err := read(message, func(r *received) {
		one := *r
		one.samples = slices.Clone(r.samples)
		kept = append(kept, one)
	})
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

func TestBothVersionsAreReadAlikeWhateverTheOrderOfLabels(t *testing.T) {
	d := newDecoder()
	v1 := request("a", "3", prompb.Sample{Value: 7, Timestamp: 1000}, prompb.Sample{Value: 0, Timestamp: -2})
	first := all(t, d.v1, mustMarshal(t, v1))
	want := received{hash: first[0].hash, name: []byte("a"), target: []byte("3"), samples: []sample{{7, 1000}, {0, -2}}}
	if diff := cmp.Diff([]received{want}, first, cmp.AllowUnexported(received{}, sample{})); diff != "" {
		t.Error(diff)
	}
	slices.Reverse(v1.Timeseries[0].Labels)
	if got := all(t, d.v1, mustMarshal(t, v1)); got[0].hash != first[0].hash {
		t.Error("another order of labels is another series")
	}
	if got := all(t, d.v1, mustMarshal(t, request("a", "4"))); got[0].hash == first[0].hash {
		t.Error("another label is the same series")
	}
	symbols := writev2.NewSymbolTable()
	var refs []uint32
	for _, s := range []string{"__name__", "a", targetLabel, "3", "job", "bench"} {
		refs = append(refs, symbols.Symbolize(s))
	}
	v2 := &writev2.Request{Symbols: symbols.Symbols(), Timeseries: []writev2.TimeSeries{
		{LabelsRefs: refs, Samples: []writev2.Sample{{Value: 7, Timestamp: 1000}, {Value: 0, Timestamp: -2}}},
	}}
	if diff := cmp.Diff(first, all(t, d.v2, mustMarshal(t, v2)), cmp.AllowUnexported(received{}, sample{})); diff != "" {
		t.Error(diff)
	}
}

// FuzzDecode: what the generated code reads is read here with as many samples;
// nothing makes either decoder panic.
func FuzzDecode(f *testing.F) {
	f.Add(mustMarshal(f, request("a", "3", prompb.Sample{Value: 7, Timestamp: 1000})))
	f.Fuzz(func(t *testing.T, message []byte) {
		d := newDecoder()
		if err := d.v2(message, func(*received) {}); err != nil && !errors.Is(err, errMessage) {
			t.Fatal(err)
		}
		got := 0
		err := d.v1(message, func(r *received) { got += len(r.samples) })
		var want prompb.WriteRequest
		if err != nil || want.Unmarshal(message) != nil {
			return
		}
		n := 0
		for _, s := range want.Timeseries {
			n += len(s.Samples)
		}
		if got != n {
			t.Errorf("%d samples, generated code reads %d", got, n)
		}
	})
}

func TestLedgerTellsLateFromAgainFromNew(t *testing.T) {
	begun := func(target int, sequence int64) (int64, bool) { return 0, target == 0 && sequence == 1 }
	l := newLedger(2, begun)
	at := time.Unix(0, 0).Add(300 * time.Millisecond)
	for _, r := range []*prompb.WriteRequest{
		request("a", "0", prompb.Sample{Value: 1, Timestamp: 2000}),
		request("a", "0", prompb.Sample{Value: 1, Timestamp: 1000}),
		request("a", "0", prompb.Sample{Value: 1, Timestamp: 2000}, prompb.Sample{Value: 1, Timestamp: 3000}),
		request("a", "0", prompb.Sample{Value: math.Float64frombits(value.StaleNaN), Timestamp: 4000}),
		request("up", "", prompb.Sample{Value: 1, Timestamp: 2000}),
		request(sequenceName, "0", prompb.Sample{Value: 1, Timestamp: 2000}),
		request(sequenceName, "9", prompb.Sample{Value: 1, Timestamp: 2000}),
	} {
		if _, err := l.take(push{at: at, bytes: 10, encoding: "snappy", message: mustMarshal(t, r)}); err != nil {
			t.Fatal(err)
		}
	}
	want := tally{
		requests: 7, body: 70, raw: l.raw, samples: 6, distinct: 5, duplicates: 1, late: 1, own: 1, stale: 1, metadata: 7, series: 3,
	}
	if diff := cmp.Diff(want, l.tally, cmp.AllowUnexported(tally{})); diff != "" {
		t.Error(diff)
	}
	if first, complete := l.starts(); !first.Equal(at) || !complete.IsZero() {
		t.Errorf("first %v, complete %v", first, complete)
	}
	if p50, _, _ := l.latencyBetween(at, at.Add(1)); p50 != 300*time.Millisecond {
		t.Errorf("latency %v", p50)
	}
}

func TestEndpointRefusesWhenToldAndReadsBothEncodings(t *testing.T) {
	e, err := startEndpoint(newLedger(1, func(int, int64) (int64, bool) { return 0, false }))
	if err != nil {
		t.Fatal(err)
	}
	defer e.close()
	defer http.DefaultClient.CloseIdleConnections()
	url := "http://" + e.address + "/api/v1/write"
	good := snappy.Encode(nil, mustMarshal(t, request("a", "0", prompb.Sample{Value: 1, Timestamp: 1})))
	check := func(body []byte, want int) {
		t.Helper()
		if got, err := post(url, body); got != want {
			t.Errorf("answered %d, %v, want %d", got, err, want)
		}
	}
	check(good, http.StatusNoContent)
	check([]byte("no message"), http.StatusBadRequest)
	e.answer([]int{429, 500})
	check(good, 429)
	check(good, 500)
	check(good, 429)
	e.answer(nil)
	e.down()
	check(good, 0)
	if err := e.up(); err != nil {
		t.Fatal(err)
	}
	check(good, http.StatusNoContent)
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := e.unpack("zstd", w.EncodeAll([]byte("x"), nil)); err != nil {
		t.Error(err)
	}
	if _, err := e.unpack("br", good); err == nil {
		t.Error("an unknown encoding was taken")
	}
	if got := e.traffic(); got.refused != 3 || got.bad != 1 || got.samples != 2 || got.duplicates != 1 || got.conn <= got.body {
		t.Errorf("got %+v", got)
	}
}
