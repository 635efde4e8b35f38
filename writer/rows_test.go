package writer

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"kinglet"
	"kinglet/writer/remotewrite"
)

// exact is an endpoint in memory that keeps samples to the bit.
type exact struct {
	mu    sync.Mutex
	lines []string
}

func (x *exact) Forget() {}

func (x *exact) Do(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	series, err := remotewrite.Decode(body)
	if err != nil {
		return nil, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, s := range series {
		for _, sample := range s.Samples {
			x.lines = append(x.lines, exactLine(s.Labels, sample.Value, sample.TimestampMs))
		}
	}
	return &http.Response{StatusCode: http.StatusNoContent, Header: http.Header{}, Body: http.NoBody}, nil
}

// take is what came since it was asked for last, sorted.
func (x *exact) take() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	lines := x.lines
	x.lines = nil
	slices.Sort(lines)
	return lines
}

func exactLine(labels []kinglet.Label, value float64, atMs int64) string {
	return fmt.Sprintf("%v %x @%d", labels, math.Float64bits(value), atMs)
}

// linesOfRow is what an endpoint must get of row.
func linesOfRow(row *kinglet.Row, markers bool, external ...kinglet.Label) (lines []string) {
	for i, v := range row.Values {
		if kinglet.IsAbsent(v) || kinglet.IsStale(v) && !markers {
			continue
		}
		at := row.TimestampMs
		if row.TimesMs != nil && row.TimesMs[i] != kinglet.NoTime {
			at = row.TimesMs[i]
		}
		lines = append(lines, exactLine(append(row.Shape.AppendLabels(nil, i), external...), v, at))
	}
	return lines
}

// oddValue is now and then a value that is easily mistaken for another.
func oddValue(r *rand.Rand, last float64) float64 {
	odd := []float64{0, math.Copysign(0, -1), math.Inf(1), kinglet.NaN(), 5e-324, math.MaxFloat64, r.NormFloat64()}
	if n := r.IntN(60); n < len(odd) {
		return odd[n]
	}
	if math.IsNaN(last) || math.IsInf(last, 0) {
		return 0
	}
	return last + float64(r.IntN(3))
}

// Whatever path a row takes, by a stencil in any of its states or plainly, each
// endpoint gets its samples and nothing else: while series end, stay away and
// come back, values stand still and move, and pages give timestamps of their own.
func TestEveryPathGivesTheSamplesOfTheRow(t *testing.T) {
	for seed := range uint64(5) {
		synctest.Test(t, func(t *testing.T) { rowsArriveAsTheyAre(t, rand.New(rand.NewPCG(seed, 9))) })
	}
}

func rowsArriveAsTheyAre(t *testing.T, r *rand.Rand) {
	ends := map[string]*exact{"all": {}, "clean": {}, "external": {}}
	p, err := newPipeline(DefaultConfig(), slog.New(slog.DiscardHandler), func(c remotewrite.Config) (remotewrite.Doer, error) { return ends[c.Name], nil })
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Update([]remotewrite.Config{
		endpointTo("a", func(c *remotewrite.Config) { c.Name = "all" }),
		endpointTo("b", func(c *remotewrite.Config) { c.Name, c.StaleMarkers = "clean", false }),
		endpointTo("c", func(c *remotewrite.Config) { c.Name, c.ExternalLabels = "external", map[string]string{"z": "1"} }),
	}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := p.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	defer func() { cancel(); running.Wait() }()

	columns := 1 + r.IntN(200)
	shape, goes, timed := testShape(columns), []int{10, 300, 3000}[r.IntN(3)], r.IntN(3) == 0
	values := make([]float64, columns)
	for range 300 { // more than a window
		row := &kinglet.Row{Shape: shape, TimestampMs: time.Now().UnixMilli(), Values: make([]float64, columns)}
		if timed && r.IntN(20) > 0 {
			row.TimesMs = slices.Repeat([]int64{kinglet.NoTime}, columns)
		}
		for i := range values {
			switch away := kinglet.IsAbsent(values[i]); {
			case kinglet.IsStale(values[i]):
				values[i] = kinglet.Absent()
			case r.IntN(goes) == 0 && away:
				values[i] = oddValue(r, 1)
			case r.IntN(goes) == 0 && !away:
				values[i] = kinglet.Stale()
			case !away && (i%3 == 0 || r.IntN(200) == 0):
				values[i] = oddValue(r, values[i])
			}
			if row.TimesMs != nil && (i%4 == 0) != (r.IntN(500) == 0) {
				row.TimesMs[i] = row.TimestampMs - int64(r.IntN(5000))
			}
		}
		copy(row.Values, values)
		want := map[string][]string{
			"all": linesOfRow(row, true), "clean": linesOfRow(row, false), "external": linesOfRow(row, true, kinglet.Label{Name: "z", Value: "1"}),
		}
		if err := p.Push(t.Context(), row); err != nil {
			t.Fatal(err)
		}
		pass(15 * time.Second)
		synctest.Wait()
		for name, lines := range want {
			slices.Sort(lines)
			if diff := cmp.Diff(lines, ends[name].take()); diff != "" {
				t.Fatalf("%s of %d columns: %s", name, columns, diff)
			}
		}
	}
}
