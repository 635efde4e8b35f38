package stencil

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"kinglet"
)

// step changes a row for the next scrape: values move, and some of its series
// go, by the given chance in a hundred.
func step(r *rand.Rand, row *kinglet.Row, leave int) {
	row.TimestampMs += 15_000
	for i := range row.Values {
		switch {
		case kinglet.IsAbsent(row.Values[i]):
		case i > 0 && r.IntN(100) < leave:
			row.Values[i] = kinglet.Absent()
		case r.IntN(3) == 0:
			row.Values[i] = randomValue(r)
		}
		if row.TimesMs != nil && row.TimesMs[i] != kinglet.NoTime {
			row.TimesMs[i] += r.Int64N(20_000)
		}
	}
}

func TestNarrowedStencilIsThePlainMessageOfWhatIsLeft(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	var c Cutter
	for round := range 90 {
		c.Thorough = round%2 == 0
		row := randomRow(r, 1+r.IntN(150+3*round), round%3 == 0)
		s, err := c.Cut(row, func(int) bool { return r.IntN(4) > 0 })
		if err != nil {
			t.Fatal(err)
		}
		recut := round%3 > 0 // else it is narrowed again and again
		leave := []int{0, 1, 5, 40, 90}
		if !recut {
			leave = []int{0, 1, 2, 5}
		}
		for range 16 {
			step(r, row, leave[r.IntN(len(leave))])
			if gone, _ := s.Compare(row); gone > 0 {
				if err = c.Narrow(s, row); err != nil {
					t.Fatal(err)
				}
			}
			var block []byte
			s, block = mustFill(t, &c, s, nil, row)
			checkSame(t, s, block, row)
			if s.Samples() != row.Samples() {
				t.Fatalf("%d samples, want %d", s.Samples(), row.Samples())
			}
			switch pick := r.IntN(4); {
			case recut && pick == 0:
				s, err = c.Recut(s, row)
			case recut && pick == 1:
				s, err = c.Rebake(s, row)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestCopiesThatLoseTheirSourceReachFurtherBack(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for range 3 {
		var c Cutter
		row := containers(r, 500)
		s, err := c.Cut(row, func(int) bool { return true })
		if err != nil {
			t.Fatal(err)
		}
		for row.Samples() > 20 {
			row.TimestampMs += 15_000
			for range 4 {
				row.Values[1+r.IntN(len(row.Values)-1)] = kinglet.Absent()
			}
			if err := c.Narrow(s, row); err != nil {
				t.Fatal(err)
			}
			var block []byte
			s, block = mustFill(t, &c, s, nil, row)
			checkSame(t, s, block, row)
		}
	}
}

func TestACutLeavesOutWhatIsAbsent(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	var c Cutter
	for range 100 {
		row := randomRow(r, 2+r.IntN(50), false)
		step(r, row, 50)
		s, err := c.Cut(row, func(int) bool { return r.IntN(2) == 0 })
		if err != nil {
			t.Fatal(err)
		}
		_, block := mustFill(t, &c, s, nil, row)
		checkSame(t, s, block, row)
	}
}

func TestSeriesThatAreGoneOrBackAreNotFilled(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	var c Cutter
	row := randomRow(r, 20, false)
	s, err := c.Cut(row, func(int) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	was := row.Values[7]
	row.Values[7] = kinglet.Absent()
	if _, ok := s.Fill(nil, row); ok {
		t.Error("a row without a series is filled")
	}
	if _, err := c.Recut(s, row); err == nil {
		t.Error("a stencil is recut for a row without a series")
	}
	if err = c.Narrow(s, row); err != nil {
		t.Fatal(err)
	}
	row.Values[7] = was
	if _, ok := s.Fill(nil, row); ok {
		t.Error("a series that is back is filled into a stencil that left it out")
	}
	for i := range row.Values {
		row.Values[i] = kinglet.Absent()
	}
	if err := c.Narrow(s, row); err == nil {
		t.Error("a stencil is narrowed to nothing")
	}
}

// containers is a row of containers with ten series each.
func containers(r *rand.Rand, n int) *kinglet.Row {
	series := make([]kinglet.Series, 0, n)
	for len(series) < n {
		id := fmt.Sprintf("%016x%016x%016x%016x", r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64())
		pod := fmt.Sprintf("web-%08x-%05x", r.Uint32(), r.Uint32()>>12)
		for i := range 10 {
			series = append(series, kinglet.Series{Labels: []kinglet.Label{
				{Name: "__name__", Value: "container_metric_" + strconv.Itoa(i)}, {Name: "id", Value: "/kubepods.slice/" + id + ".scope"},
				{Name: "instance", Value: "127.0.0.1:10250"}, {Name: "name", Value: id}, {Name: "namespace", Value: "shop"}, {Name: "pod", Value: pod},
			}})
		}
	}
	row := &kinglet.Row{Shape: kinglet.NewShape(series), TimestampMs: 1_700_000_000_000, Values: make([]float64, n)}
	for i := range row.Values {
		row.Values[i] = float64(r.IntN(1_000_000))
	}
	return row
}

// BenchmarkNarrow takes ten of a thousand series out of one of many stencils each
// time, as in a node's memory: each of another container, or those of one.
func BenchmarkNarrow(b *testing.B) {
	const stencils, turns = 40, 10
	for name, leaves := range map[string]func(turn, i int) int{
		"scattered": func(turn, i int) int { return 100*i + turn },
		"together":  func(turn, i int) int { return 100*turn + i },
	} {
		b.Run(name, func(b *testing.B) {
			r := rand.New(rand.NewPCG(11, 12))
			var c Cutter
			var rows [stencils]*kinglet.Row
			var cut [stencils]*Stencil
			for i := range rows {
				rows[i] = containers(r, 1000)
			}
			samples := 0
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				which, turn := n%stencils, n/stencils%turns
				row := rows[which]
				if which == 0 && turn == 0 {
					b.StopTimer()
					for i, row := range rows {
						for j := range row.Values {
							row.Values[j] = float64(j)
						}
						var err error
						if cut[i], err = c.Cut(row, func(int) bool { return true }); err != nil {
							b.Fatal(err)
						}
					}
					b.StartTimer()
				}
				samples += cut[which].Samples()
				for i := range 10 {
					row.Values[leaves(turn, i)] = kinglet.Absent()
				}
				if err := c.Narrow(cut[which], row); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(samples), "ns/sample")
		})
	}
}
