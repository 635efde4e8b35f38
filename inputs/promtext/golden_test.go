package promtext

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kinglet"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// formatKept writes samples for people to read, one a line.
func formatKept(samples []kept) string {
	var b strings.Builder
	for _, s := range samples {
		for i, l := range s.Labels {
			fmt.Fprintf(&b, "%s%s=%q", strings.Repeat(" ", min(i, 1)), l.Name, l.Value)
		}
		fmt.Fprintf(&b, " = %s", strconv.FormatFloat(s.Value, 'g', -1, 64))
		if s.TimestampMs != kinglet.NoTime {
			fmt.Fprintf(&b, " at %d", s.TimestampMs)
		}
		if s.StartMs != 0 {
			fmt.Fprintf(&b, " since %d", s.StartMs)
		}
		for _, e := range s.Exemplars {
			fmt.Fprintf(&b, " exemplar %q %g at %d", e.Labels, e.Value, e.TimestampMs)
		}
		if s.Meta != nil {
			fmt.Fprintf(&b, " of %s, type %d, help %q, unit %q", s.Meta.Family, s.Meta.Type, s.Meta.Help, s.Meta.Unit)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestPagesReadAsBefore(t *testing.T) {
	pages, err := filepath.Glob("testdata/*.prom")
	if err != nil || len(pages) == 0 {
		t.Fatal("no pages", err)
	}
	for _, page := range pages {
		t.Run(filepath.Base(page), func(t *testing.T) {
			format := Text
			if strings.HasSuffix(page, ".openmetrics.prom") {
				format = OpenMetrics
			}
			samples, err := collect(readPage(t, filepath.Base(page)), format, Options{Created: true})
			if err != nil {
				t.Fatal(err)
			}
			golden, got := strings.TrimSuffix(page, ".prom")+".golden", formatKept(samples)
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want := readPage(t, filepath.Base(golden))
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
