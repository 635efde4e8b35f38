//go:build e2e

package e2e

import (
	"fmt"
	"math"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"kinglet/e2e/harness"
	"kinglet/internal/tree"
)

// point is one stored sample.
type point struct {
	Ms    int64 // milliseconds since the Unix epoch
	Value float64
}

// stored is one series as a receiver has it, points in order of time. Stale
// markers are left out: neither receiver shows them.
type stored struct {
	Labels map[string]string // __name__ included
	Points []point
}

// key is the series' labels in one string.
func (s stored) key() string { return key(s.Labels) }

func key(labels map[string]string) string {
	var pairs []string
	for name, value := range labels {
		pairs = append(pairs, fmt.Sprintf("%s=%q", name, value))
	}
	slices.Sort(pairs)
	return strings.Join(pairs, ",")
}

// receiver is a database that takes remote write.
type receiver struct {
	*harness.Process
	base  string // URL
	write string // URL for remote write
	ready string // URL that answers 2xx once it works
	flush string // URL that makes what was written visible; "" = it is at once

	// exact says that it keeps every bit of a value. VictoriaMetrics stores
	// decimal numbers of 12 digits or more, and no NaN.
	exact bool
}

// startPrometheus runs Debian's prometheus with its remote-write receiver.
func startPrometheus(t *testing.T) *receiver {
	t.Helper()
	address, dir := harness.FreeAddress(t), t.TempDir()
	conf := tree.Make(t, map[string]string{"prometheus.yml": "global: {scrape_interval: 1h}\n"})
	base := "http://" + address
	r := &receiver{base: base, write: base + "/api/v1/write", ready: base + "/-/ready", exact: true}
	r.Process = harness.NewProcess(t, nil, "prometheus", "--config.file="+filepath.Join(conf, "prometheus.yml"),
		"--storage.tsdb.path="+dir, "--web.listen-address="+address, "--web.enable-remote-write-receiver")
	r.start(t)
	return r
}

// startVictoria runs Debian's victoria-metrics.
func startVictoria(t *testing.T) *receiver {
	t.Helper()
	address, dir := harness.FreeAddress(t), t.TempDir()
	base := "http://" + address
	r := &receiver{base: base, write: base + "/api/v1/write", ready: base + "/health", flush: base + "/internal/force_flush"}
	r.Process = harness.NewProcess(t, nil, "victoria-metrics", "-httpListenAddr="+address, "-storageDataPath="+dir,
		"-search.latencyOffset=0s", "-search.disableCache", "-loggerLevel=WARN")
	r.start(t)
	return r
}

// start runs the receiver, again if need be, and waits until it works.
func (r *receiver) start(t *testing.T) {
	t.Helper()
	r.Start(t)
	harness.Eventually(t, time.Minute, r.Name+" is ready", func() (bool, string) {
		_, err := harness.Get(r.ready)
		if ended, how := r.Ended(); ended {
			t.Fatalf("%s ended with %v", r.Name, how)
		}
		return err == nil, fmt.Sprint(err)
	})
}

// series is everything stored of the last hour that selector matches.
func (r *receiver) series(t *testing.T, selector string) []stored {
	t.Helper()
	found, err := r.raw(selector)
	if err != nil {
		t.Fatalf("ask %s for %s: %v", r.Name, selector, err)
	}
	return found
}

// points are those of the one series that selector matches; none if there is
// no such series, or the receiver does not answer just now.
func (r *receiver) points(selector string) []point {
	found, err := r.raw(selector)
	if err != nil || len(found) != 1 {
		return nil
	}
	return found[0].Points
}

// instant asks a PromQL query, as of now: labels to value.
func (r *receiver) instant(t *testing.T, query string) map[string]float64 {
	t.Helper()
	var answer queryAnswer
	if err := getJSON(r.base+"/api/v1/query?query="+url.QueryEscape(query), &answer); err != nil {
		t.Fatalf("ask %s for %s: %v", r.Name, query, err)
	}
	values := map[string]float64{}
	for _, result := range answer.Data.Result {
		p, err := result.Value.point()
		if err != nil {
			t.Fatal(err)
		}
		values[key(result.Metric)] = p.Value
	}
	return values
}

// queryAnswer is what /api/v1/query answers.
type queryAnswer struct {
	Data struct {
		Result []struct {
			Metric map[string]string
			Value  jsonPoint
			Values []jsonPoint
		}
	}
}

// jsonPoint is [seconds, "value"].
type jsonPoint [2]any

func (j jsonPoint) point() (point, error) {
	seconds, ok := j[0].(float64)
	text, isText := j[1].(string)
	if !ok || !isText {
		return point{}, fmt.Errorf("%v is no point", j)
	}
	value, err := strconv.ParseFloat(text, 64)
	return point{Ms: int64(math.Round(seconds * 1000)), Value: value}, err
}

// raw asks for the samples as they are stored: both receivers answer an
// instant query for a range with them.
func (r *receiver) raw(selector string) ([]stored, error) {
	if r.flush != "" {
		if _, err := harness.Get(r.flush); err != nil {
			return nil, err
		}
	}
	var answer queryAnswer
	if err := getJSON(r.base+"/api/v1/query?query="+url.QueryEscape(selector+"[1h]"), &answer); err != nil {
		return nil, err
	}
	var all []stored
	for _, result := range answer.Data.Result {
		s := stored{Labels: result.Metric}
		for _, j := range result.Values {
			p, err := j.point()
			if err != nil {
				return nil, err
			}
			s.Points = append(s.Points, p)
		}
		all = append(all, s)
	}
	return all, nil
}
