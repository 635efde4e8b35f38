package remotewrite

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"kinglet"
)

func shapeOf(sets ...[]kinglet.Label) *kinglet.Shape {
	series := make([]kinglet.Series, len(sets))
	for i, s := range sets {
		series[i].Labels = s
	}
	return kinglet.NewShape(series)
}

func TestViewLeavesOldNamesAlone(t *testing.T) {
	row := manyRow(3, 1)
	v := NewView(row.Shape)
	if v.Shape != row.Shape || v.Row(row) != row || v.Rewritten != 0 {
		t.Error("a row with nothing to rewrite was copied")
	}
}

func TestViewRewritesNames(t *testing.T) {
	for _, tt := range []struct {
		name       string
		in, want   [][]kinglet.Label
		collisions int
	}{
		{
			"dots, spaces and letters beyond ASCII, values untouched",
			[][]kinglet.Label{labels("__name__", "http.requests", "ü x", "é.🙂"), labels("__name__", "ok:rule", "a", "1")},
			[][]kinglet.Label{labels("__name__", "http_requests", "__x", "é.🙂"), labels("__name__", "ok:rule", "a", "1")}, 0,
		},
		{
			"a digit or a colon in front",
			[][]kinglet.Label{labels("9a", "1", "__name__", "9:b", "a:b", "2")},
			[][]kinglet.Label{labels("__name__", "_:b", "_a", "1", "a_b", "2")}, 0,
		},
		{
			"sorted again, and of two labels that became one the original stays",
			[][]kinglet.Label{labels("__name__", "m", "a.b", "rewritten", "a_b", "original", "zz", "3")},
			[][]kinglet.Label{labels("__name__", "m", "a_b", "original", "zz", "3")}, 0,
		},
		{
			"of two series that became one the original stays",
			[][]kinglet.Label{labels("__name__", "a.b"), labels("__name__", "a_b"), labels("__name__", "c.d"), labels("__name__", "c-d")},
			[][]kinglet.Label{labels("__name__", "a_b"), labels("__name__", "c_d")}, 2,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := NewView(shapeOf(tt.in...))
			var got [][]kinglet.Label
			for i := range v.Shape.Len() {
				got = append(got, v.Shape.AppendLabels(nil, i))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if v.Collisions != tt.collisions {
				t.Errorf("%d collisions, want %d", v.Collisions, tt.collisions)
			}
		})
	}
}

func TestViewRowKeepsWhatBelongsTogether(t *testing.T) {
	shape := shapeOf(labels("__name__", "a.b"), labels("__name__", "a_b"), labels("__name__", "c"))
	row := &kinglet.Row{
		Shape: shape, TimestampMs: nowMs, Values: []float64{1, 2, 3}, TimesMs: []int64{11, 12, 13}, StartsMs: []int64{21, 22, 23},
		Exemplars: []kinglet.Exemplar{{Column: 0, Value: 1}, {Column: 2, Value: 3}},
	}
	v := NewView(shape)
	got := v.Row(row)
	want := &kinglet.Row{
		Shape: v.Shape, TimestampMs: nowMs, Values: []float64{2, 3}, TimesMs: []int64{12, 13}, StartsMs: []int64{22, 23},
		Exemplars: []kinglet.Exemplar{{Column: 1, Value: 3}},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b *kinglet.Shape) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

// dropAndMark drops series that have a label x and marks the others.
type dropAndMark struct{}

func (dropAndMark) Process(set []kinglet.Label) ([]kinglet.Label, bool) {
	for _, l := range set {
		if l.Name == "x" {
			return nil, false
		}
	}
	return append(set, kinglet.Label{Name: "zone", Value: set[1].Value}), true
}

func TestViewRelabelsAfterExternalLabels(t *testing.T) {
	shape := shapeOf(labels("__name__", "a"), labels("__name__", "b", "x", "1"), labels("__name__", "c"))
	v := Naming{External: labels("cluster", "c1"), Relabel: dropAndMark{}}.View(shape)
	row := v.Row(&kinglet.Row{Shape: shape, Values: []float64{1, 2, 3}})
	if v.Dropped != 1 || v.Collisions != 0 || !cmp.Equal(row.Values, []float64{1, 3}) {
		t.Errorf("%d dropped, %d collisions, values %v", v.Dropped, v.Collisions, row.Values)
	}
	want := labels("__name__", "c", "cluster", "c1", "zone", "c1")
	if diff := cmp.Diff(want, v.Shape.AppendLabels(nil, 1)); diff != "" {
		t.Error(diff)
	}
}
