package scrape

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kinglet"
	"kinglet/inputs/promtext"
)

// metaLines tells what the layout's shapes say of their series.
func metaLines(l *layout) (lines []string) {
	for _, p := range l.parts {
		for i := range p.len() {
			name := nameOf(p.shape.AppendLabels(nil, i))
			if m := p.shape.Meta(i); m != nil {
				lines = append(lines, fmt.Sprintf("%s: %s %d %s", name, m.Family, m.Type, m.Help))
			} else {
				lines = append(lines, name)
			}
		}
	}
	slices.Sort(lines)
	return lines
}

func TestMetadataFollowsThePage(t *testing.T) { // RW-23, RW-24
	for _, tt := range []struct {
		name   string
		edit   func(*LabelConfig)
		pages  []string
		want   []string
		shapes int // made for the last page
	}{
		{"of the family, not of what stands below it", nil,
			[]string{"# HELP h of h\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 1\nother 1\n"},
			[]string{"h_bucket: h 3 of h", "h_sum: h 3 of h", "other"}, 1},
		{"under the name that is sent", func(c *LabelConfig) { c.NamePrefix, c.MetricsNamePrefix = "app", "x_" },
			[]string{"# TYPE c_total counter\nc_total 1\n# TYPE app_g gauge\napp_g 1\n"},
			[]string{"x_app_c_total: x_app_c_total 1 ", "x_app_g: x_app_g 2 "}, 1},
		{"another type", nil,
			[]string{"# HELP a of a\n# TYPE a untyped\na 1\nb 1\n", "# HELP a of a\n# TYPE a counter\na 1\nb 1\n"},
			[]string{"a: a 1 of a", "b"}, 1},
		{"the new type stays", nil,
			[]string{"# TYPE a untyped\na 1\n", "# TYPE a counter\na 1\n", "# TYPE a counter\na 1\n"}, []string{"a: a 1 "}, 0},
		{"another help waits for another series", nil,
			[]string{"# HELP a one\n# TYPE a gauge\na 1\n", "# HELP a two\n# TYPE a gauge\na 1\n"}, []string{"a: a 2 one"}, 0},
		{"and goes to all series of the family then", nil,
			[]string{"# HELP a one\n# TYPE a gauge\na 1\n", "# HELP a two\n# TYPE a gauge\na 1\n", "# HELP a two\n# TYPE a gauge\na 1\na{b=\"1\"} 1\n"},
			[]string{"a: a 2 two", "a: a 2 two"}, 2},
		{"a page that says two things of one name", nil,
			[]string{"# HELP a one\na 1\n# HELP a two\na{b=\"1\"} 1\n"}, []string{"a: a 0 two", "a: a 0 two"}, 1},
		{"a bad page changes nothing", nil,
			[]string{"# TYPE a untyped\na 1\n", "# TYPE a counter\na 1\nbad{\n", "# TYPE a untyped\na 1\n"}, []string{"a: a 0 "}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := testPage(100)
			if tt.edit != nil {
				labels := cfg.Labels.cfg
				tt.edit(&labels)
				cfg.Labels = NewLabeler(labels)
			}
			l := newLayout(cfg, nil)
			var w *walk
			for i, page := range tt.pages {
				_, w, _ = read(l, page, int64(1000*i), 7)
				checkLayout(t, l)
			}
			if diff := cmp.Diff(tt.want, metaLines(l)); diff != "" || w.shapesMade != tt.shapes {
				t.Errorf("%d shapes made, want %d: %s", w.shapesMade, tt.shapes, diff)
			}
		})
	}
}

func TestMetadataIsSharedBySeriesOfAllTimes(t *testing.T) {
	for _, format := range []promtext.Format{promtext.Text, promtext.OpenMetrics} {
		l := newLayout(testPage(2), nil)
		page := "# HELP a of a\n# TYPE a gauge\na{b=\"1\"} 1\na{b=\"2\"} 1\na{b=\"3\"} 1\n"
		for _, more := range []string{"", "a{b=\"4\"} 1\n", "a{b=\"4\"} 1\na{b=\"5\"} 1\n"} {
			text := page + more
			if format == promtext.OpenMetrics {
				text += "# EOF\n"
			}
			readPage(t, l, []byte(text), format)
		}
		seen := map[*kinglet.Meta]bool{}
		for _, p := range l.parts {
			for i := range p.len() {
				seen[p.shape.Meta(i)] = true
			}
		}
		if len(seen) != 1 || l.columns() != 5 {
			t.Errorf("%v: %d series have %d metas", format, l.columns(), len(seen))
		}
	}
}

func TestFamiliesKeepNoMetadataBesideThatOfShapes(t *testing.T) {
	l := newLayout(testPage(10), nil)
	if _, _, err := read(l, "# HELP a "+strings.Repeat("x", 50)+"\n# TYPE a gauge\na 1\n", 0, 100); err != nil {
		t.Fatal(err)
	}
	has := l.parts[0].shape.Meta(0)
	for _, f := range l.families {
		if f.meta != nil && f.meta != has {
			t.Error("a family keeps another than the shape has")
		}
	}
	cfg := testPage(10)
	renames := cfg.Labels.cfg
	renames.NamePrefix = "app"
	cfg.Labels = NewLabeler(renames)
	l = newLayout(cfg, nil)
	if _, _, err := read(l, "# TYPE a gauge\na 1\n", 0, 100); err != nil {
		t.Fatal(err)
	}
	for _, f := range l.families {
		if f.meta != nil {
			t.Error("a family that is renamed keeps another than the shape has")
		}
	}
}

func TestOwnSeriesAreGauges(t *testing.T) { // RW-25
	target := Target{Page: testPage(10), ScrapeMeta: true, ExtraMeta: true}
	own := newOwnShape(target.own())
	for i := range own.shape.Len() {
		name := nameOf(own.shape.AppendLabels(nil, i))
		if m := own.shape.Meta(i); m == nil || m.Type != kinglet.TypeGauge || m.Family != name || m.Help == "" {
			t.Errorf("%s: %v", name, m)
		}
	}
	if own.shape.Len() != len(ownMetas()) {
		t.Errorf("%d series", own.shape.Len())
	}
}
