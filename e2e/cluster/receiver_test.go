//go:build e2e

package cluster

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"kinglet/e2e/harness"
)

// receiverURL is the service of manifests/receiver.yaml.
const receiverURL = "http://10.96.0.90:9090"

// point is one stored sample.
type point struct {
	at    time.Time // to the millisecond
	value float64
}

// series is one series as the receiver has it, points in order of time. Stale
// markers are not shown.
type series struct {
	labels map[string]string // __name__ included
	points []point
}

func (s series) String() string { return fmt.Sprint(s.labels) }

// answer is what /api/v1/query answers.
type answer struct {
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
	return point{at: time.UnixMilli(int64(math.Round(seconds * 1000))), value: value}, err
}

// query asks the receiver; it answers as of now.
func query(promql string) ([]series, error) {
	body, err := harness.Get(receiverURL + "/api/v1/query?query=" + url.QueryEscape(promql))
	if err != nil {
		return nil, fmt.Errorf("ask for %s: %w", promql, err)
	}
	var a answer
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		return nil, fmt.Errorf("ask for %s: %w", promql, err)
	}
	var found []series
	for _, result := range a.Data.Result {
		s := series{labels: result.Metric}
		values := result.Values
		if len(values) == 0 {
			values = []jsonPoint{result.Value}
		}
		for _, j := range values {
			p, err := j.point()
			if err != nil {
				return nil, fmt.Errorf("ask for %s: %w", promql, err)
			}
			s.points = append(s.points, p)
		}
		found = append(found, s)
	}
	return found, nil
}

// instant is what promql gives now; a series that has ended has no value.
func instant(t *testing.T, promql string) []series {
	t.Helper()
	found, err := query(promql)
	for range 20 { // the way there leads through the kube-proxy that is tested
		if err == nil {
			return found
		}
		pause(t, time.Second)
		found, err = query(promql)
	}
	t.Fatal(err)
	return nil
}

// history is everything stored of the series that selector matches since then.
func history(t *testing.T, selector string, since time.Time) []series {
	t.Helper()
	seconds := int(time.Since(since)/time.Second) + 1
	found := instant(t, selector+"["+strconv.Itoa(seconds)+"s]")
	for i := range found {
		found[i].points = slices.DeleteFunc(found[i].points, func(p point) bool { return p.at.Before(since) })
	}
	return slices.DeleteFunc(found, func(s series) bool { return len(s.points) == 0 })
}

// one waits until promql gives exactly one series, and returns its value.
func one(t *testing.T, deadline time.Duration, promql string) float64 {
	t.Helper()
	value := math.NaN()
	eventually(t, deadline, promql, func() (bool, string) {
		found, err := query(promql)
		if err != nil {
			return false, err.Error()
		}
		if len(found) != 1 {
			return false, fmt.Sprintf("%d series: %v", len(found), found)
		}
		value = found[0].points[0].value
		return true, ""
	})
	return value
}

// scrapesOf are the samples of sample_scrapes_total of the pods that selector
// matches, one series for each run of a pod's program: what arrived of each.
func scrapesOf(t *testing.T, selector string, since time.Time) map[string][]point {
	t.Helper()
	boots := map[string]float64{}
	for _, s := range history(t, "sample_boot_id{"+selector+"}", since) {
		for _, p := range s.points {
			boots[target(s)+p.at.String()] = p.value
		}
	}
	runs := map[string][]point{}
	for _, s := range history(t, "sample_scrapes_total{"+selector+"}", since) {
		for _, p := range s.points {
			boot, ok := boots[target(s)+p.at.String()]
			if !ok {
				t.Errorf("%s at %v: half of the page is missing", s, p.at)
			}
			run := fmt.Sprintf("%s boot=%.0f", target(s), boot)
			runs[run] = append(runs[run], p)
		}
	}
	return runs
}

// target names the target of a series by its labels.
func target(s series) string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(s.labels)) {
		if name != "__name__" {
			pairs = append(pairs, name+"="+s.labels[name])
		}
	}
	return strings.Join(pairs, " ")
}

// wantConsecutive fails the test unless the numbers of scrapes follow each
// other: a page that was served and did not arrive leaves a hole. Nor may two
// samples be further apart than that.
func wantConsecutive(t *testing.T, name string, scrapes []point, apart time.Duration) {
	t.Helper()
	for i := 1; i < len(scrapes); i++ {
		a, b := scrapes[i-1], scrapes[i]
		if b.value != a.value+1 {
			t.Errorf("%s: after scrape %v at %v comes %v at %v", name, a.value, a.at, b.value, b.at)
		}
		if d := b.at.Sub(a.at); d > apart {
			t.Errorf("%s: %v from scrape %v at %v to the next, want at most %v", name, d, a.value, a.at, apart)
		}
	}
}

// widest is the longest time between two samples.
func widest(points []point) time.Duration {
	var most time.Duration
	for i := 1; i < len(points); i++ {
		most = max(most, points[i].at.Sub(points[i-1].at))
	}
	return most
}
