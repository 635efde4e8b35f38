package writer

import (
	"log/slog"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"kinglet"
	"kinglet/writer/queue"
	"kinglet/writer/remotewrite"
)

// testShape has n series that differ in one label.
func testShape(n int) *kinglet.Shape {
	series := make([]kinglet.Series, n)
	for i := range series {
		series[i].Labels = []kinglet.Label{{Name: "__name__", Value: "m"}, {Name: "i", Value: strconv.Itoa(i)}}
	}
	return kinglet.NewShape(series)
}

// wantRow fails unless block decodes to row.
func wantRow(t *testing.T, block queue.Block, row *kinglet.Row) {
	t.Helper()
	series, err := remotewrite.Decode(remotewrite.AppendBody(nil, []queue.Block{block}))
	if err != nil {
		t.Fatal(err)
	}
	if len(series) != row.Samples() || block.Samples != row.Samples() {
		t.Fatalf("%d series, the block says %d, want %d", len(series), block.Samples, row.Samples())
	}
	for i, v := range row.Values {
		if kinglet.IsAbsent(v) {
			continue
		}
		s := series[0]
		series = series[1:]
		at := row.TimestampMs
		if row.TimesMs != nil && row.TimesMs[i] != kinglet.NoTime {
			at = row.TimesMs[i]
		}
		if at < block.MinMs || at > block.MaxMs {
			t.Fatalf("time %d is outside the block's %d to %d", at, block.MinMs, block.MaxMs)
		}
		if s.Labels[1].Value != strconv.Itoa(i) || s.Samples[0].TimestampMs != at ||
			math.Float64bits(s.Samples[0].Value) != math.Float64bits(row.Values[i]) {
			t.Fatalf("series %d is %v, want %v at %d", i, s, row.Values[i], at)
		}
	}
}

func TestPlatesFillWhatFitsAndOnlyThat(t *testing.T) {
	m := newMetrics()
	p := plates{metrics: m, log: slog.New(slog.DiscardHandler)}
	r := rand.New(rand.NewPCG(1, 2))
	for _, timed := range []bool{false, true} {
		row := &kinglet.Row{Shape: testShape(100), TimestampMs: 1_790_000_000_000, Values: make([]float64, 100)}
		if timed {
			row.TimesMs = make([]int64, 100)
			for i := range row.TimesMs {
				row.TimesMs[i] = kinglet.NoTime
			}
		}
		filled := 0
		const rounds = 700
		for round := range rounds {
			row.TimestampMs += 15000
			for i := range 30 { // thirty move all the time, the others hardly ever
				row.Values[i] += float64(r.IntN(3))
			}
			if r.IntN(20) == 0 {
				row.Values[r.IntN(100)] = r.Float64()
			}
			if timed {
				row.TimesMs[7] = row.TimestampMs - 4000
			}
			block, ok := p.fill(row)
			if round < rowsBeforeCut && ok {
				t.Errorf("row %d of a new shape filled a stencil", round)
			}
			if ok {
				filled++
				wantRow(t, block, row)
			}
		}
		if filled < rounds-rowsBeforeCut {
			t.Errorf("timed %v: %d of %d rows were filled", timed, filled, rounds)
		}
	}
}

func TestSeriesThatLeaveCostNoPlainRow(t *testing.T) {
	p := plates{metrics: newMetrics(), log: slog.New(slog.DiscardHandler)}
	r := rand.New(rand.NewPCG(3, 4))
	row := &kinglet.Row{Shape: testShape(300), TimestampMs: 1_790_000_000_000, Values: make([]float64, 300)}
	refused := 0
	for round := range 200 {
		row.TimestampMs += 15000
		for i := range row.Values {
			switch {
			case kinglet.IsAbsent(row.Values[i]):
			case round > 5 && r.IntN(200) == 0 && row.Samples() > 1:
				row.Values[i] = kinglet.Absent()
			case i%3 == 0 || r.IntN(300) == 0:
				row.Values[i] = r.Float64()
			}
		}
		block, ok := p.fill(row)
		if !ok {
			refused++
			continue
		}
		wantRow(t, block, row)
	}
	if refused != rowsBeforeCut {
		t.Errorf("%d rows were refused, want %d", refused, rowsBeforeCut)
	}
}

func TestSeriesThatComeAndGoAreEncodedPlainly(t *testing.T) {
	m := newMetrics()
	p := plates{metrics: m, log: slog.New(slog.DiscardHandler)}
	row := &kinglet.Row{Shape: testShape(50), TimestampMs: 1_790_000_000_000, Values: make([]float64, 50)}
	const rounds = 180
	for round := range rounds {
		row.TimestampMs += 15000
		row.Values[7] = 1
		if round%2 == 0 {
			row.Values[7] = kinglet.Absent()
		}
		if block, ok := p.fill(row); ok {
			wantRow(t, block, row)
		}
	}
	if cuts := testutil.ToFloat64(m.cuts.WithLabelValues("back")); cuts == 0 || cuts > rounds/2/rowsBeforeReturn {
		t.Errorf("%v cuts for a series that comes and goes in %d rows", cuts, rounds)
	}
}

func TestStaleMarkersLeaveTheStencilToTheRest(t *testing.T) {
	var s splitter
	s.begin()
	row := &kinglet.Row{Values: []float64{1, kinglet.Stale(), kinglet.Absent(), 2}}
	h := s.split(row, noRoom)
	goesOn, ends := &h.goesOn, &h.ends
	if goesOn.Samples() != 2 || hasStale(goesOn) || ends.Samples() != 1 || !kinglet.IsStale(ends.Values[1]) {
		t.Errorf("%v and %v", goesOn.Values, ends.Values)
	}
	s.begin()
	if h := s.split(row, func(i int) bool { return i == 1 }); h.markers != 0 || h.goesOn.Samples() != 3 || h.ends.Samples() != 0 {
		t.Errorf("with room for the marker: %v and %v", h.goesOn.Values, h.ends.Values)
	}
}

func TestMarkersAreFilledInWhereThereIsRoom(t *testing.T) {
	p := plates{metrics: newMetrics(), log: slog.New(slog.DiscardHandler)}
	row := &kinglet.Row{Shape: testShape(50), TimestampMs: 1_790_000_000_000, Values: make([]float64, 50)}
	if p.markerRoom(row)(7) {
		t.Error("a shape without a stencil has room")
	}
	for range rowsBeforeCut + 1 {
		p.fill(row)
	}
	row.TimestampMs += 15000
	row.Values[7] = kinglet.Stale()
	if !p.markerRoom(row)(7) {
		t.Fatal("a series whose value may move has no room for its marker")
	}
	block, ok := p.fill(row)
	if !ok {
		t.Fatal("a row with a marker is not filled")
	}
	wantRow(t, block, row)
	row.TimestampMs += 15000
	row.Values[7] = kinglet.Absent()
	if block, ok = p.fill(row); !ok {
		t.Fatal("the row after it is not filled")
	}
	wantRow(t, block, row)
	if p.markerRoom(row)(7) {
		t.Error("a series that left has room")
	}
	for i := range row.Values {
		row.Values[i] = kinglet.Stale()
	}
	if p.markerRoom(row)(8) {
		t.Error("the stencil of a target that is down is given markers")
	}
}

func TestStencilOutlivesItsWindows(t *testing.T) {
	p := plates{metrics: newMetrics(), log: slog.New(slog.DiscardHandler)}
	row := &kinglet.Row{Shape: testShape(50), TimestampMs: 1_790_000_000_000, Values: make([]float64, 50)}
	refused := 0
	for round := range 2000 {
		row.TimestampMs += 15000
		row.Values[round/100%50]++ // one moves for a while, then the next
		p.begin()
		block, ok := p.fill(row)
		if !ok {
			refused++
			continue
		}
		wantRow(t, block, row)
	}
	if refused != rowsBeforeCut {
		t.Errorf("%d rows were refused, want %d", refused, rowsBeforeCut)
	}
}

func TestStencilsSettleOneAfterTheOther(t *testing.T) {
	p := plates{metrics: newMetrics(), log: slog.New(slog.DiscardHandler)}
	const shapes = 4
	var rows [shapes]*kinglet.Row
	for i := range rows {
		rows[i] = &kinglet.Row{Shape: testShape(settleAtOnce), Values: make([]float64, settleAtOnce)}
	}
	settled := 0
	for range rowsBeforeCut + settledRows + shapes + 1 {
		p.begin()
		before := settled
		settled = 0
		for _, row := range rows {
			row.TimestampMs = 1_790_000_000_000
			p.fill(row)
			if attachedTo(row.Shape).plate.settled {
				settled++
			}
		}
		if settled > before+1 {
			t.Fatalf("%d stencils settled in one push, want one at most", settled-before)
		}
	}
	if settled != shapes {
		t.Errorf("%d of %d stencils have settled", settled, shapes)
	}
}

func TestLongLabelsMakeNoHugeBlock(t *testing.T) {
	series := make([]kinglet.Series, 100)
	for i := range series {
		series[i].Labels = []kinglet.Label{{Name: "__name__", Value: "m"}, {Name: "i", Value: strings.Repeat(strconv.Itoa(i)+"-", 16<<10)}}
	}
	row := &kinglet.Row{Shape: kinglet.NewShape(series), TimestampMs: 1_790_000_000_000, Values: make([]float64, len(series))}
	p := plates{metrics: newMetrics(), log: slog.New(slog.DiscardHandler)}
	for range 2 * rowsBeforeCut {
		row.TimestampMs += 15000
		if b, ok := p.fill(row); ok {
			t.Fatalf("a block of %d bytes was made, want the plain encoder's", b.RawLen)
		}
	}
	if attachedTo(row.Shape).plate.stencil != nil {
		t.Error("a stencil that is never filled is kept")
	}
}
