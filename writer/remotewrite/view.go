package remotewrite

import (
	"slices"
	"strings"

	"kinglet"
)

// View is a shape as a writer sends it: with names that its protocol allows and
// without series that it cannot send. It is decided once for a shape, and turns
// rows of that shape into rows of its own.
type View struct {
	Shape *kinglet.Shape // the shape itself if nothing had to change

	Collisions int // columns left out: new names or labels made them another's equal (RW-43)
	Rewritten  int // columns whose names were rewritten
	Dropped    int // columns that relabeling drops, which is no loss
	Nameless   int // columns left out: relabeling took their name away (RW-30)

	columns []int32 // nil, or for each column of Shape the one it was
}

// Naming is what a writer does to the labels of every series.
type Naming struct {
	// AnyName leaves names alone, for 2.0, which takes any. Otherwise
	// characters outside the old alphabet become underscores (RW-31).
	AnyName bool
	// External labels are added where a series has no label of that name
	// (RW-34). They are sorted, and their names are of the old alphabet.
	External []kinglet.Label
	// Relabel, if not nil, has the last word before names are rewritten (RW-35).
	Relabel Relabeler
}

// Relabeler changes the labels of a series or says that it is not sent.
type Relabeler interface {
	// Process takes ownership of labels and gives labels that are sorted, unique
	// and not empty.
	Process(labels []kinglet.Label) (result []kinglet.Label, keep bool)
}

// NewView decides how remote write 1.0 sends shape. See Naming.View.
func NewView(shape *kinglet.Shape) *View { return Naming{}.View(shape) }

// View decides how shape is sent. Where two labels of a series, or two series,
// become one by new names, the one whose names needed no rewriting is kept,
// else the first.
func (n Naming) View(shape *kinglet.Shape) *View {
	if len(n.External) == 0 && n.Relabel == nil && (n.AnyName || shape.Names() == kinglet.NamesLegacy) {
		return &View{Shape: shape}
	}
	return n.rewrite(shape)
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

// column is a series on its way into a view.
type column struct {
	labels   []kinglet.Label // nil: relabeling drops it
	key      string          // them, encoded
	from     string          // what they were, encoded
	renamed  bool
	nameless bool // relabeling took its name away
}

func (n Naming) rewrite(shape *kinglet.Shape) *View {
	v := &View{}
	series := make([]kinglet.Series, 0, shape.Len())
	columns := n.columns(shape)
	winners := winners(columns)
	for i, c := range columns {
		switch {
		case c.nameless:
			v.Nameless++
			continue
		case c.labels == nil:
			v.Dropped++
			continue
		}
		if c.renamed {
			v.Rewritten++
		}
		if winners[c.key] != c.from {
			v.Collisions++
			continue
		}
		series = append(series, kinglet.Series{Labels: c.labels, Kind: shape.Kind(i), Meta: shape.Meta(i)})
		v.columns = append(v.columns, int32(i))
	}
	if len(v.columns) == shape.Len() {
		v.columns = nil
	}
	v.Shape = kinglet.NewShape(series)
	return v
}

// columns are the series of a shape as they would be sent.
func (n Naming) columns(shape *kinglet.Shape) []column {
	all := make([]column, shape.Len())
	for i, encoded := range shape.All() {
		c := column{from: string(encoded)}
		labels, keep := n.withExternal(kinglet.AppendDecodedLabels(nil, encoded)), true
		if n.Relabel != nil {
			had := hasName(labels)
			labels, keep = n.Relabel.Process(labels)
			c.nameless = keep && had && !hasName(labels)
		}
		if keep && len(labels) > 0 && !c.nameless {
			c.labels = labels
			encoded := kinglet.AppendEncodedLabels(nil, labels)
			if c.renamed = !n.AnyName && !kinglet.LegacyNames(encoded); c.renamed {
				c.labels = legacyLabels(labels)
				encoded = kinglet.AppendEncodedLabels(nil, c.labels)
			}
			c.key = string(encoded)
		}
		all[i] = c
	}
	return all
}

func hasName(labels []kinglet.Label) bool {
	return slices.ContainsFunc(labels, func(l kinglet.Label) bool { return l.Name == kinglet.MetricNameLabel })
}

// winners says for each label set that is sent which series it belongs to: the
// first whose names stayed, else the first. One series may stand in several
// columns, with a time for each.
func winners(columns []column) map[string]string {
	of := make(map[string]string, len(columns))
	for _, renamed := range []bool{false, true} {
		for _, c := range columns {
			if c.labels == nil || c.renamed != renamed {
				continue
			}
			if _, taken := of[c.key]; !taken {
				of[c.key] = c.from
			}
		}
	}
	return of
}

// withExternal adds the external labels that labels do not have.
func (n Naming) withExternal(labels []kinglet.Label) []kinglet.Label {
	for _, x := range n.External {
		byName := func(l kinglet.Label, name string) int { return strings.Compare(l.Name, name) }
		if at, found := slices.BinarySearchFunc(labels, x.Name, byName); !found {
			labels = slices.Insert(labels, at, x)
		}
	}
	return labels
}

// legacyLabels are labels with legal names, sorted and unique again.
func legacyLabels(labels []kinglet.Label) []kinglet.Label {
	type renamed struct {
		kinglet.Label
		changed bool
	}
	all := make([]renamed, len(labels))
	for i, l := range labels {
		name, value := kinglet.ToLegacyName(l.Name, false), l.Value
		if l.Name == kinglet.MetricNameLabel {
			value = kinglet.ToLegacyName(value, true)
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
