package remotewrite

import (
	"bytes"
	"slices"
	"strings"

	"kinglet"
)

// View is a shape as a writer sends it: with names that its protocol allows and
// without series that it cannot send. It is decided once for a shape, and turns
// rows of that shape into rows of its own.
type View struct {
	Shape *kinglet.Shape // the shape itself if nothing had to change

	Collisions int // columns left out: rewritten names made them equal to another (RW-43)
	Rewritten  int // columns whose names were rewritten

	columns []int32 // nil, or for each column of Shape the one it was
}

// NewView decides how remote write 1.0 sends shape: characters outside the old
// alphabet become underscores in metric and label names (RW-31). Where two
// labels of a series, or two series, become one, the one whose names needed no
// rewriting is kept, else the first.
func NewView(shape *kinglet.Shape) *View {
	if isLegacyShape(shape) {
		return &View{Shape: shape}
	}
	return rewrite(shape)
}

// Row is r as the view's row. It shares what it can with r, which is only read.
func (v *View) Row(r *kinglet.Row) *kinglet.Row {
	if v.Shape == r.Shape {
		return r
	}
	out := *r
	out.Shape = v.Shape
	if v.columns == nil {
		return &out
	}
	out.Values = gather(r.Values, v.columns)
	out.TimesMs = gather(r.TimesMs, v.columns)
	out.Histograms = gather(r.Histograms, v.columns)
	out.StartsMs = gather(r.StartsMs, v.columns)
	out.Exemplars = nil
	for _, e := range r.Exemplars {
		if at, ok := slices.BinarySearch(v.columns, int32(e.Column)); ok {
			e.Column = at
			out.Exemplars = append(out.Exemplars, e)
		}
	}
	return &out
}

func gather[T any](from []T, columns []int32) []T {
	if from == nil {
		return nil
	}
	out := make([]T, len(columns))
	for i, c := range columns {
		out[i] = from[c]
	}
	return out
}

func rewrite(shape *kinglet.Shape) *View {
	v := &View{}
	series := make([]kinglet.Series, 0, shape.Len())
	taken := make(map[string]bool, shape.Len())
	own := map[string]bool{} // label sets that need no rewriting
	for i := range shape.Len() {
		if encoded := shape.EncodedLabels(i); isLegacy(encoded) {
			own[string(encoded)] = true
		}
	}
	for i := range shape.Len() {
		labels := shape.AppendLabels(nil, i)
		if encoded := shape.EncodedLabels(i); !own[string(encoded)] {
			v.Rewritten++
			labels = legacyLabels(labels)
			key := string(kinglet.AppendEncodedLabels(nil, labels))
			if own[key] || taken[key] {
				v.Collisions++
				continue
			}
			taken[key] = true
		}
		series = append(series, kinglet.Series{Labels: labels, Kind: shape.Kind(i), Meta: shape.Meta(i)})
		v.columns = append(v.columns, int32(i))
	}
	if v.Collisions == 0 {
		v.columns = nil
	}
	v.Shape = kinglet.NewShape(series)
	return v
}

// legacyLabels are labels with legal names, sorted and unique again.
func legacyLabels(labels []kinglet.Label) []kinglet.Label {
	type renamed struct {
		kinglet.Label
		changed bool
	}
	all := make([]renamed, len(labels))
	for i, l := range labels {
		name, value := legacyName(l.Name, false), l.Value
		if l.Name == kinglet.MetricNameLabel {
			value = legacyName(value, true)
		}
		all[i] = renamed{kinglet.Label{Name: name, Value: value}, name != l.Name}
	}
	slices.SortStableFunc(all, func(a, b renamed) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return boolInt(a.changed) - boolInt(b.changed)
	})
	out := make([]kinglet.Label, 0, len(all))
	for i, l := range all {
		if i == 0 || all[i-1].Name != l.Name {
			out = append(out, l.Label)
		}
	}
	return out
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func isLegacyShape(shape *kinglet.Shape) bool {
	for i := range shape.Len() {
		if !isLegacy(shape.EncodedLabels(i)) {
			return false
		}
	}
	return true
}

var metricName = []byte(kinglet.MetricNameLabel)

// isLegacy reports whether all names of an encoded label set are of the old
// alphabet.
func isLegacy(encoded []byte) bool {
	for len(encoded) > 0 {
		var name, value []byte
		name, value, encoded = cutLabel(encoded)
		if bytes.Equal(name, metricName) && !isLegacyName(value, true) || !isLegacyName(name, false) {
			return false
		}
	}
	return true
}

func isLegacyName(name []byte, colon bool) bool {
	for i, c := range name {
		if !isLegacyByte(c, i == 0, colon) {
			return false
		}
	}
	return true
}

func isLegacyByte(c byte, first, colon bool) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || !first && c >= '0' && c <= '9' || colon && c == ':'
}

// legacyName puts an underscore in the place of each character that the old
// alphabet does not have.
func legacyName(name string, colon bool) string {
	if isLegacyName([]byte(name), colon) {
		return name
	}
	out := make([]byte, 0, len(name))
	for i, r := range name {
		if r < 0x80 && isLegacyByte(byte(r), i == 0, colon) {
			out = append(out, byte(r))
		} else {
			out = append(out, '_')
		}
	}
	return string(out)
}
