package main

import (
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
)

var recordedNames = []string{"kube-proxy", "kubelet", "kubelet-cadvisor"}

func mustLoad(t *testing.T, name string, at time.Time) *page {
	t.Helper()
	p, err := loadPage(name, at)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// parsePage reads a page with Prometheus' own parser: series to value.
func parsePage(t *testing.T, text []byte) (values map[string]float64, types map[string]string) {
	t.Helper()
	values, types = map[string]float64{}, map[string]string{}
	p := textparse.NewPromParser(text, labels.NewSymbolTable(), false)
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return values, types
		}
		if err != nil {
			t.Fatal(err)
		}
		switch entry {
		case textparse.EntryType:
			name, kind := p.Type()
			types[string(name)] = string(kind)
		case textparse.EntrySeries:
			series, _, v := p.Series()
			values[string(series)] = v
		}
	}
}

func TestPagesKeepTheirSeriesAndNeverFall(t *testing.T) {
	start := time.Now()
	for _, name := range recordedNames {
		t.Run(name, func(t *testing.T) {
			p := mustLoad(t, name, start)
			first, types := parsePage(t, p.append(nil, start))
			if len(first) != p.series() || len(first) < 500 {
				t.Errorf("%d series parsed, %d counted", len(first), p.series())
			}
			advanced, last := 0, first
			for _, after := range []time.Duration{time.Second, 15 * time.Second, 20 * time.Second, 10 * time.Minute} {
				next, _ := parsePage(t, p.append(nil, start.Add(after)))
				for series, v := range next {
					kind := types[family(series, types)]
					counts := kind == "counter" || kind == "histogram" || kind == "summary" && !strings.Contains(series, "quantile=")
					if was, ok := last[series]; !ok {
						t.Fatalf("after %v: %s is new", after, series)
					} else if counts && v < was {
						t.Errorf("after %v: %s fell from %v to %v", after, series, was, v)
					} else if v > was {
						advanced++
					}
				}
				last = next
			}
			if advanced < len(first)/4 {
				t.Errorf("only %d of %d values advanced", advanced, len(first))
			}
		})
	}
}

func TestBucketsStayInOrder(t *testing.T) {
	start := time.Now()
	for _, name := range recordedNames {
		p := mustLoad(t, name, start)
		var group string
		var last float64
		for line := range strings.Lines(string(p.append(nil, start.Add(137*time.Second)))) {
			series, v, _, ok := cutSample(line)
			at := strings.LastIndex(series, `le="`)
			if !ok || at < 0 || !strings.Contains(series, "_bucket{") {
				group = ""
				continue
			}
			if series[:at] == group && v < last {
				t.Errorf("%s: %v is below the bucket before it, %v", series, v, last)
			}
			group, last = series[:at], v
		}
	}
}

func TestPageAsRecordedPlaysBothRecordings(t *testing.T) {
	early := "# TYPE a counter\na 1\n# TYPE g gauge\ng 5\n# TYPE s counter\ns 2\n# TYPE x untyped\nx NaN\n"
	late := "# TYPE a counter\na 4\n# TYPE g gauge\ng 7\n# TYPE s counter\ns 2\n# TYPE x untyped\nx NaN\n"
	start := time.Now()
	p, err := newPage([]byte(early), []byte(late), start)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		after time.Duration
		want  map[string]float64
	}{
		{0, map[string]float64{"a": 1, "g": 5, "s": 2, "x": math.NaN()}},
		{recordedGap, map[string]float64{"a": 4, "g": 5, "s": 2, "x": math.NaN()}},
		{gaugeSwing / 2, map[string]float64{"a": 13, "g": 7, "s": 4, "x": math.NaN()}},
		{gaugeSwing, map[string]float64{"a": 25, "g": 5, "s": 6, "x": math.NaN()}},
	} {
		got, _ := parsePage(t, p.append(nil, start.Add(tt.after)))
		same := cmp.Comparer(func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) })
		if diff := cmp.Diff(tt.want, got, same); diff != "" {
			t.Errorf("after %v (-want +got):\n%s", tt.after, diff)
		}
	}
}

func TestOwnTimestampsAreOfNow(t *testing.T) {
	now := time.Now()
	p := mustLoad(t, "kubelet-cadvisor", now)
	stamped := 0
	for line := range strings.Lines(string(p.append(nil, now))) {
		_, _, ms, ok := cutSample(line)
		if !ok || ms == 0 {
			continue
		}
		stamped++
		if age := now.Sub(time.UnixMilli(ms)); age < 0 || age > time.Minute {
			t.Fatalf("a sample is %v old: %s", age, line)
		}
	}
	if stamped == 0 {
		t.Error("no sample has its own timestamp")
	}
}
