//go:build e2e

package nightingale

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
)

func post(t *testing.T, url string, body []byte, header ...string) (status int, answer string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, strings.TrimSpace(string(text))
}

// series is a series with samples of those ages.
func series(labels string, ages ...time.Duration) prompb.TimeSeries {
	var ts prompb.TimeSeries
	for pair := range strings.SplitSeq(labels, ",") {
		name, value, _ := strings.Cut(pair, "=")
		ts.Labels = append(ts.Labels, prompb.Label{Name: name, Value: value})
	}
	for i, age := range ages {
		ts.Samples = append(ts.Samples, prompb.Sample{Value: float64(i + 1), Timestamp: time.Now().Add(-age).UnixMilli()})
	}
	return ts
}

func write(t *testing.T, n *simulator, all ...prompb.TimeSeries) (int, string) {
	t.Helper()
	raw, err := (&prompb.WriteRequest{Timeseries: all}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return post(t, n.URL+"/prometheus/v1/write", snappy.Encode(nil, raw))
}

// TestHabits proves the instrument: each of these was seen on a Nightingale
// (523a8c4) before it was written here.
func TestHabits(t *testing.T) {
	t.Run("agent_hostname becomes ident, an ident stays, an empty one is overruled", func(t *testing.T) {
		n := newSimulator(t, shipped)
		write(t, n, series("__name__=a,agent_hostname=h", 0), series("__name__=b,agent_hostname=h,ident=i", 0))
		want := []string{`__name__="a",ident="h"`, `__name__="b",agent_hostname="h",ident="i"`}
		for _, labels := range want {
			if len(n.series()[labels]) != 1 {
				t.Errorf("no %s in %v", labels, n.series())
			}
		}
	})
	t.Run("the first sample of a series gets the server's time in whole seconds", func(t *testing.T) {
		n := newSimulator(t, shipped)
		before := time.Now().Unix()
		ts := series("__name__=a", 90*time.Second, 60*time.Second)
		write(t, n, ts)
		got := n.series()[`__name__="a"`]
		if len(got) != 2 || got[0].ms%1000 != 0 || got[0].ms/1000 < before || got[1].ms != ts.Samples[1].Timestamp {
			t.Errorf("stored %v", got)
		}
	})
	t.Run("without ForceUseServerTS it keeps its own", func(t *testing.T) {
		n := newSimulator(t, settings{queueMaxSize: 200})
		ts := series("__name__=a", 90*time.Second)
		write(t, n, ts)
		if got := n.series()[`__name__="a"`]; len(got) != 1 || got[0].ms != ts.Samples[0].Timestamp {
			t.Errorf("stored %v", got)
		}
	})
	t.Run("2.0 is answered 200 and not stored", func(t *testing.T) {
		n := newSimulator(t, shipped)
		raw, err := (&writev2.Request{
			Symbols:    []string{"", "__name__", "a"},
			Timeseries: []writev2.TimeSeries{{LabelsRefs: []uint32{1, 2}, Samples: []writev2.Sample{{Value: 1, Timestamp: 1}}}},
		}).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		status, text := post(t, n.URL+"/prometheus/v1/write", snappy.Encode(nil, raw))
		if status != 200 || text != "" || len(n.series()) != 0 {
			t.Errorf("%d %q, stored %v", status, text, n.series())
		}
	})
	t.Run("what is no snappy is refused", func(t *testing.T) {
		n := newSimulator(t, shipped)
		if status, text := post(t, n.URL+"/prometheus/v1/write", []byte("garbage")); status != 400 || text != "snappy: corrupt input" {
			t.Errorf("%d %q", status, text)
		}
	})
	t.Run("a series with a name twice is left out", func(t *testing.T) {
		n := newSimulator(t, shipped)
		status, _ := write(t, n, series("__name__=a,x=1,x=2", 0), series("__name__=b", 0))
		if status != 200 || len(n.series()) != 1 {
			t.Errorf("%d, stored %v", status, n.series())
		}
	})
	t.Run("a full queue is 499 until the store takes series again", func(t *testing.T) {
		n := newSimulator(t, settings{queueMaxSize: 1})
		n.set(func() { n.stalled = true })
		write(t, n, series("__name__=a", 0), series("__name__=b", 0))
		if status, text := write(t, n, series("__name__=c", 0)); status != 499 || text != "write queue full, metric count over limit: 2" {
			t.Errorf("%d %q", status, text)
		}
		n.set(func() { n.stalled = false })
		if status, _ := write(t, n, series("__name__=c", 0)); status != 200 || len(n.series()) != 3 {
			t.Errorf("%d, stored %v", status, n.series())
		}
	})
}

func TestHabitsOfTheHostList(t *testing.T) {
	n := newSimulator(t, shipped)
	url := n.URL + "/v1/n9e/heartbeat"
	for _, tt := range []struct{ name, body, want string }{
		{"a heartbeat", `{"hostname":"h","global_labels":{"region":"north"}}`, `{"dat":null,"err":""}`},
		{"one without a name", `{"hostname":""}`, `{"err":"hostname is required","request_id":"1"}`},
	} {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, _ = io.WriteString(z, tt.body)
		_ = z.Close() // a buffer takes everything
		for _, answer := range []func() (int, string){
			func() (int, string) { return post(t, url, packed.Bytes(), "Content-Encoding", "gzip") },
			func() (int, string) { return post(t, url, []byte(tt.body)) },
		} {
			if status, text := answer(); status != 200 || text != tt.want {
				t.Errorf("%s: %d %s", tt.name, status, text)
			}
		}
	}
	if status, _ := post(t, url, []byte("nonsense"), "Content-Encoding", "gzip"); status != 400 {
		t.Errorf("what is no gzip: %d", status)
	}
	// The host's labels overrule those of its series.
	write(t, n, series("__name__=a,agent_hostname=h,region=south", 0))
	var got []string
	for labels := range n.series() {
		got = append(got, labels)
	}
	if diff := cmp.Diff([]string{`__name__="a",ident="h",region="north"`}, got); diff != "" {
		t.Error(diff)
	}
}
