//go:build e2e

package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/prompb"

	"kinglet/e2e/harness"
)

// database is a Prometheus that is written to. It stores nothing of a request
// that has one sample which it does not take.
type database struct {
	*harness.Process
	base string // URL
}

func startDatabase(t *testing.T) *database {
	t.Helper()
	if _, err := exec.LookPath("prometheus"); err != nil {
		t.Skip("no prometheus is installed")
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(conf, []byte("global: {scrape_interval: 1h}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	address := harness.FreeAddress(t)
	d := &database{base: "http://" + address}
	d.Process = harness.NewProcess(t, nil, "prometheus", "--config.file="+conf, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+address, "--web.enable-remote-write-receiver")
	d.Start(t)
	eventually(t, time.Minute, "prometheus is ready", func() (bool, string) {
		_, err := harness.Get(d.base + "/-/ready")
		return err == nil, fmt.Sprint(err)
	})
	return d
}

// push writes a sample of a series, as somebody else than kinglet.
func (d *database) push(t *testing.T, at time.Time, labels ...prompb.Label) {
	t.Helper()
	message := &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{{
		Labels: labels, Samples: []prompb.Sample{{Timestamp: at.UnixMilli(), Value: 4711}},
	}}}
	raw, err := message.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.base+writePath, bytes.NewReader(snappy.Encode(nil, raw)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Encoding", "snappy")
	request.Header.Set("Content-Type", "application/x-protobuf")
	request.Header.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if text, _ := io.ReadAll(response.Body); response.StatusCode/100 != 2 {
		t.Fatalf("prometheus answered %s: %s", response.Status, text)
	}
}

// stored is what the database has, as a sink would have it.
func (d *database) stored(t *testing.T) *sink {
	t.Helper()
	text, err := harness.Get(d.base + "/api/v1/query?query=" + url.QueryEscape(`{t!=""}[1h]`))
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Values [][2]any // seconds, "value"
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		t.Fatal(err)
	}
	s := &sink{all: map[seriesKey]*series{}}
	for _, result := range answer.Data.Result {
		var labels []prompb.Label
		for name, value := range result.Metric {
			labels = append(labels, prompb.Label{Name: name, Value: value})
		}
		k, err := keyOf(labels)
		if err != nil {
			t.Fatal(err)
		}
		for _, point := range result.Values {
			seconds, _ := point[0].(float64)
			text, _ := point[1].(string)
			value, err := strconv.ParseFloat(text, 64)
			if err != nil {
				t.Fatal(err)
			}
			s.book(k, int64(math.Round(seconds*1000)), math.Float64bits(value))
		}
	}
	return s
}

// TestASampleThatIsRefusedCostsNobodyElse has somebody else write to one series
// of one of many targets, ahead of time: from then on Prometheus refuses every request
// with that series. What it is sent beside, by that target and the others, has to
// arrive, and does after kills in the midst of it.
func TestASampleThatIsRefusedCostsNobodyElse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		memory bool
		kills  int
	}{
		{"from memory", true, 0},
		{"from disk", false, 0},
		{"from disk with kills", false, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			db := startDatabase(t)
			w := newWorld(t, setup{targets: 16, series: 60, interval: 2 * time.Second, memory: tt.memory})
			w.url = db.base + writePath
			w.configure(t)
			w.linger(t, time.Second) // requests hold blocks of all targets
			w.start(t)
			w.served(t, 2)
			db.push(t, time.Now().Add(10*time.Minute), prompb.Label{Name: "__name__", Value: valueName},
				prompb.Label{Name: "i", Value: "7"}, prompb.Label{Name: "t", Value: "/5"})
			rng := random()
			for range tt.kills {
				w.served(t, 1)
				pass(t, time.Second+time.Duration(rng.IntN(200))*time.Millisecond)
				w.kill()
				w.start(t)
			}
			w.served(t, 5)
			w.targets.frozen.Store(true)
			pass(t, 5*time.Second) // all targets are asked in vain, and that is sent
			w.agent.waitMetric(t, 20*time.Second, func(n float64) bool { return n == 0 }, "kinglet_writer_queue_samples")

			v := judge(w.targets, db.stored(t), w.ends)
			t.Log(v)
			if len(v.altered) > 0 {
				t.Errorf("altered: %d\n%s", len(v.altered), some(v.altered))
			}
			for _, m := range v.lost {
				if m.target != 5 || m.samples != 1 {
					t.Error(m)
				}
			}
			if len(v.lost) < 4 {
				t.Errorf("%d samples were refused, want those of all scrapes but the first", len(v.lost))
			}
			dropped, _ := w.agent.metric("kinglet_writer_samples_dropped_total")
			refused, _ := w.agent.metric("kinglet_writer_requests_total", `code="400"`)
			taken, _ := w.agent.metric("kinglet_writer_requests_total", `code="204"`)
			t.Logf("%v samples dropped, %v requests refused, %v taken", dropped, refused, taken)
			if most := len(v.lost) + 1; tt.kills == 0 && dropped > float64(most) { // and the series' stale marker
				t.Errorf("%v samples are counted as dropped, want %d", dropped, most)
			}
			if len(w.agent.lines("endpoint refused samples", "out of order", `t=\"/5\"`)) == 0 {
				t.Error("the log does not name the series")
			}
		})
	}
}

// linger changes how long samples wait for their request to fill.
func (w *world) linger(t *testing.T, d time.Duration) {
	t.Helper()
	name := filepath.Join(w.agent.conf, "config.toml")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), `linger = "50ms"`, fmt.Sprintf("linger = %q", d), 1)
	if err := os.WriteFile(name, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
}
