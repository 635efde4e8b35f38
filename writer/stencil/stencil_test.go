package stencil

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/prompb"

	"kinglet"
)

// plain is the message of row as gogo/protobuf writes it.
func plain(t testing.TB, row *kinglet.Row) []byte {
	t.Helper()
	var m prompb.WriteRequest
	for i, v := range row.Values {
		if kinglet.IsAbsent(v) {
			continue
		}
		var series prompb.TimeSeries
		for _, l := range row.Shape.AppendLabels(nil, i) {
			series.Labels = append(series.Labels, prompb.Label{Name: l.Name, Value: l.Value})
		}
		at := row.TimestampMs
		if row.TimesMs != nil && row.TimesMs[i] != kinglet.NoTime {
			at = row.TimesMs[i]
		}
		series.Samples = []prompb.Sample{{Value: v, Timestamp: at}}
		m.Timeseries = append(m.Timeseries, series)
	}
	b, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// unpack decodes elements as a receiver would.
func unpack(t testing.TB, s *Stencil, elements []byte) []byte {
	t.Helper()
	body := append(binary.AppendUvarint(nil, uint64(s.RawLen())), elements...)
	raw, err := snappy.Decode(nil, body)
	if err != nil {
		t.Fatalf("golang/snappy refuses the block: %v", err)
	}
	return raw
}

// checkSame fails unless elements decode to row's plain message. The value 0
// is the exception that gogo leaves out, so nothing here is compared as text.
func checkSame(t testing.TB, s *Stencil, elements []byte, row *kinglet.Row) {
	t.Helper()
	var got, want prompb.WriteRequest
	if err := got.Unmarshal(unpack(t, s, elements)); err != nil {
		t.Fatalf("prompb refuses the message: %v", err)
	}
	if err := want.Unmarshal(plain(t, row)); err != nil {
		t.Fatal(err)
	}
	if len(got.Timeseries) != len(want.Timeseries) {
		t.Fatalf("%d series, want %d", len(got.Timeseries), len(want.Timeseries))
	}
	for i := range want.Timeseries {
		g, w := got.Timeseries[i], want.Timeseries[i]
		if !slices.EqualFunc(g.Labels, w.Labels, sameLabel) || len(g.Samples) != 1 || g.Samples[0].Timestamp != w.Samples[0].Timestamp ||
			math.Float64bits(g.Samples[0].Value) != math.Float64bits(w.Samples[0].Value) {
			t.Fatalf("series %d is %v, want %v", i, g, w)
		}
	}
}

// randomRow is a row of n series with labels of a few random words.
func randomRow(r *rand.Rand, n int, ownTimes bool) *kinglet.Row {
	words := []string{"a", "kube-system", "coredns-7d764666f9-abcde", "10.244.0.17:8080", strings.Repeat("x", 200), "é"}
	series := make([]kinglet.Series, n)
	for i := range series {
		series[i].Labels = []kinglet.Label{
			{Name: "__name__", Value: "m" + strconv.Itoa(r.IntN(9))},
			{Name: "id", Value: strconv.Itoa(i)},
			{Name: "w", Value: words[r.IntN(len(words))]},
		}
	}
	row := &kinglet.Row{Shape: kinglet.NewShape(series), TimestampMs: 1_700_000_000_000 + r.Int64N(1e9), Values: make([]float64, n)}
	for i := range row.Values {
		row.Values[i] = randomValue(r)
	}
	if ownTimes {
		row.TimesMs = make([]int64, n)
		for i := range row.TimesMs {
			row.TimesMs[i] = kinglet.NoTime
			if r.IntN(2) == 0 {
				row.TimesMs[i] = 1_600_000_000_000 + r.Int64N(1e9)
			}
		}
	}
	return row
}

func randomValue(r *rand.Rand) float64 {
	switch r.IntN(4) {
	case 0:
		return 0
	case 1:
		return float64(r.IntN(100))
	case 2:
		return kinglet.Stale()
	default:
		return math.Float64frombits(r.Uint64() &^ (1 << 51)) // anything, NaNs included
	}
}

func TestFilledStencilIsThePlainMessage(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var c Cutter
	for round := range 200 {
		c.Thorough = round%2 == 0
		row := randomRow(r, 1+r.IntN(60), round%3 == 0)
		moves := make([]bool, len(row.Values))
		for i := range moves {
			moves[i] = r.IntN(3) > 0
		}
		s, err := c.Cut(row, func(i int) bool { return moves[i] })
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			var block []byte
			s, block = mustFill(t, &c, s, nil, row)
			checkSame(t, s, block, row)
			row.TimestampMs += 15000
			for i := range row.Values {
				if moves[i] {
					row.Values[i] = randomValue(r)
				}
				if row.TimesMs != nil && row.TimesMs[i] != kinglet.NoTime {
					row.TimesMs[i] += r.Int64N(20000)
				}
			}
		}
	}
}

func TestBakedValueThatMovesIsRefusedAndRecut(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var c Cutter
	row := randomRow(r, 100, false)
	s, err := c.Cut(row, nil)
	if err != nil {
		t.Fatal(err)
	}
	for step := range 50 {
		row.Values[r.IntN(100)] = float64(1000 + step)
		row.TimestampMs += 15000
		var block []byte
		s, block = mustFill(t, &c, s, []byte("kept"), row)
		checkSame(t, s, block[len("kept"):], row)
	}
	if holes := countHoles(s); holes < 20 || holes > 50 {
		t.Errorf("%d holes after 50 moves of 100 columns", holes)
	}
}

func TestValuesThatStandStillForAWindowAreBakedAgain(t *testing.T) {
	var c Cutter
	row := randomRow(rand.New(rand.NewPCG(5, 6)), 64, false)
	s, err := c.Cut(row, func(int) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	const window = 50
	for step := range window {
		row.Values[7] = float64(step)
		if _, ok := s.Fill(nil, row); !ok {
			t.Fatal("refused")
		}
	}
	if s.Rows() != window || !s.Wasteful() {
		t.Fatal("not wasteful though 63 of 64 holes stood still")
	}
	if s, err = c.Rebake(s, row); err != nil {
		t.Fatal(err)
	}
	if holes := countHoles(s); holes != 1 {
		t.Errorf("%d holes after Rebake, want 1", holes)
	}
	block, ok := s.Fill(nil, row)
	if !ok {
		t.Fatal("refused after Rebake")
	}
	checkSame(t, s, block, row)
}

func TestRowsThatAreNotForAStencil(t *testing.T) {
	good := func() *kinglet.Row { return randomRow(rand.New(rand.NewPCG(7, 8)), 3, true) }
	for _, tt := range []struct {
		name string
		edit func(*kinglet.Row)
	}{
		{"no column that is not absent", func(r *kinglet.Row) {
			for i := range r.Values {
				r.Values[i] = kinglet.Absent()
			}
		}},
		{"timestamp of 1970", func(r *kinglet.Row) { r.TimestampMs = 12 }},
		{"own timestamp before 1970", func(r *kinglet.Row) { r.TimesMs[0] = -5 }},
		{"histogram", func(r *kinglet.Row) { r.Histograms = make([]*kinglet.Histogram, 3) }},
		{"exemplar", func(r *kinglet.Row) { r.Exemplars = make([]kinglet.Exemplar, 1) }},
		{"no columns", func(r *kinglet.Row) { r.Values = nil }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			row := good()
			var c Cutter
			s, err := c.Cut(row, func(int) bool { return true })
			if err != nil {
				t.Fatal(err)
			}
			tt.edit(row)
			if Fits(row) {
				t.Error("Fits takes it")
			}
			if _, err := c.Cut(row, nil); err == nil {
				t.Error("Cut takes it")
			}
			if _, err := c.Recut(s, row); err == nil {
				t.Error("Recut takes it")
			}
		})
	}
}

func TestColumnThatGainsItsOwnTimestampIsRefused(t *testing.T) {
	row := randomRow(rand.New(rand.NewPCG(9, 9)), 3, true)
	var c Cutter
	s, err := c.Cut(row, func(int) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	row.TimesMs[0], row.TimesMs[1], row.TimesMs[2] = kinglet.NoTime, kinglet.NoTime, kinglet.NoTime
	if _, ok := s.Fill(nil, row); ok && s.times[0]+s.times[1]+s.times[2] > 0 {
		t.Error("Fill takes a row whose columns lost their own timestamps")
	}
}

func FuzzFill(f *testing.F) {
	f.Add(uint64(1), uint16(20), false, true)
	f.Add(uint64(2), uint16(700), true, false)
	f.Fuzz(func(t *testing.T, seed uint64, columns uint16, ownTimes, thorough bool) {
		r := rand.New(rand.NewPCG(seed, 0))
		row := randomRow(r, 1+int(columns%800), ownTimes)
		c := Cutter{Thorough: thorough}
		s, err := c.Cut(row, func(int) bool { return r.IntN(2) == 0 })
		if err != nil {
			t.Fatal(err)
		}
		for range 4 {
			row.Values[r.IntN(len(row.Values))] = randomValue(r)
			row.TimestampMs += r.Int64N(1 << 34)
			var block []byte
			s, block = mustFill(t, &c, s, nil, row)
			checkSame(t, s, block, row)
		}
	})
}

// mustFill fills s, or the stencil cut anew if s refuses.
func mustFill(t testing.TB, c *Cutter, s *Stencil, dst []byte, row *kinglet.Row) (*Stencil, []byte) {
	t.Helper()
	block, ok := s.Fill(dst, row)
	if ok {
		return s, block
	}
	if string(block) != string(dst) {
		t.Fatal("a refused Fill changed dst")
	}
	s, err := c.Widen(s, row)
	if err != nil {
		t.Fatal(err)
	}
	if block, ok = s.Fill(dst, row); !ok {
		t.Fatal("a stencil refuses the row it was cut for")
	}
	return s, block
}

func TestHoleOfACounterLeavesItsZeroBytesBaked(t *testing.T) {
	var c Cutter
	row := randomRow(rand.New(rand.NewPCG(1, 1)), 1, false)
	row.Values[0] = 7
	s, err := c.Cut(row, func(int) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	row.Values[0] = 0.1
	if _, ok := s.Fill(nil, row); !ok {
		t.Error("a new stencil takes a column for a counter on the evidence of one value")
	}
	row.Values[0] = 7 // of eight bytes, six are zero
	if s, err = c.Cut(row, func(int) bool { return true }); err != nil {
		t.Fatal(err)
	}
	row.Values[0] = 8
	if _, ok := s.Fill(nil, row); !ok {
		t.Fatal("refused")
	}
	if s, err = c.Recut(s, row); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		value float64
		fits  bool
	}{{1 << 20, true}, {2_000_001, true}, {0, true}, {1<<21 + 1, false}, {0.1, false}, {kinglet.Stale(), false}} {
		row.Values[0] = tt.value
		block, ok := s.Fill(nil, row)
		if ok != tt.fits {
			t.Errorf("%v: filled %v, want %v", tt.value, ok, tt.fits)
		}
		if ok {
			checkSame(t, s, block, row)
		}
	}
}

func countHoles(s *Stencil) int {
	n := 0
	for _, at := range s.holes {
		if at != baked {
			n++
		}
	}
	return n
}

func sameLabel(a, b prompb.Label) bool { return a.Name == b.Name && a.Value == b.Value }
