package promtext

import (
	"cmp"
	"compress/gzip"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"kinglet"
)

// kept is a sample that outlives the callback, its labels sorted and empty
// values dropped.
type kept struct {
	Labels      []kinglet.Label
	Value       float64
	TimestampMs int64
	StartMs     int64
	Histogram   *kinglet.Histogram
	Exemplars   []kinglet.Exemplar
	Meta        *kinglet.Meta
}

// collect keeps all samples of a page.
func collect(page []byte, format Format, opts Options) ([]kept, error) {
	var out []kept
	err := Parse(page, format, opts, func(s *Sample) error {
		labels, err := s.AppendLabels(nil)
		if err != nil {
			return err
		}
		labels = slices.DeleteFunc(labels, func(l kinglet.Label) bool { return l.Value == "" })
		slices.SortFunc(labels, func(a, b kinglet.Label) int { return cmp.Compare(a.Name, b.Name) })
		out = append(out, kept{labels, s.Value, s.TimestampMs, s.StartMs, s.Histogram, slices.Clone(s.Exemplars), s.Meta()})
		return nil
	})
	return out, err
}

// readPage reads a file of testdata, gunzipped if its name says so.
func readPage(t testing.TB, name string) []byte {
	t.Helper()
	file, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var r io.Reader = file
	if strings.HasSuffix(name, ".gz") {
		if r, err = gzip.NewReader(file); err != nil {
			t.Fatal(err)
		}
	}
	page, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return page
}
