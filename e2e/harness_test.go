//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/prompb"

	"kinglet/e2e/harness"
)

// TestReceiversTellWhatTheyWereGiven proves the instruments: what is written
// by hand is read back by the queries that the other tests rely on.
func TestReceiversTellWhatTheyWereGiven(t *testing.T) {
	now := time.Now().UnixMilli()
	page := map[string]exposed{}
	var request prompb.WriteRequest
	for i, v := range []float64{0, 1, -1, 0.1, 1e-9, 1234567.875, 1.7952553984793293e+09, math.Inf(1), math.NaN()} {
		labels := map[string]string{"__name__": "m", "i": string(rune('a' + i)), "odd": `a "quoted" \ value`}
		page[key(labels)] = exposed{Labels: labels, Value: v}
		request.Timeseries = append(request.Timeseries, prompb.TimeSeries{
			Labels: []prompb.Label{
				{Name: "__name__", Value: "m"}, {Name: "i", Value: labels["i"]}, {Name: "odd", Value: labels["odd"]},
			},
			Samples: []prompb.Sample{{Value: v, Timestamp: now}},
		})
	}
	raw, err := request.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*receiver{startPrometheus(t), startVictoria(t)} {
		response, err := http.Post(r.write, "application/x-protobuf", bytes.NewReader(snappy.Encode(nil, raw)))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode/100 != 2 {
			t.Fatalf("%s answered %s", r.Name, response.Status)
		}
		harness.Eventually(t, 20*time.Second, r.Name+" shows the samples", func() (bool, string) {
			return len(r.points(`m{i="a"}`)) == 1, ""
		})
		byKey := map[string]stored{}
		for _, s := range r.series(t, "m") {
			byKey[s.key()] = s
		}
		for k, want := range page {
			if !r.exact && math.IsNaN(want.Value) {
				continue
			}
			if got := byKey[k].Points; len(got) != 1 || got[0].Ms != now || !r.same(got[0].Value, want.Value) {
				t.Errorf("%s: %s is %v, want {%d %v}", r.Name, k, got, now, want.Value)
			}
		}
		harness.Eventually(t, 20*time.Second, r.Name+" computes", func() (bool, string) {
			got := r.instant(t, `sum(m{i=~"[a-c]"})`)
			return len(got) == 1 && got[""] == 0, fmt.Sprint(got)
		})
	}
}
