package promtext

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// soupTokens are what pages are made of, and what they should not be made of.
var soupTokens = strings.Split(`up|x_bucket|a:b|le|quantile|__name__|{|}|=|,|"|\|#|# |#  | # {|"a"|"b c"|"é"|"\n"|"\\"|"\""|""|"q\d"|`+
	`0|1|+Inf|-0.5|1e3|NaN|1e999|0x1p2|1_0|-|.|.5|123|1700000000123|1.7e9|HELP|TYPE|UNIT|EOF|HELP |TYPE |UNIT |# EOF|`+
	"counter|gauge|histogram|summary|untyped|unknown|info|stateset|gaugehistogram|seconds|_seconds|\xff|\xc3| | | | |\t|  |\r", "|")

// soupLines are good lines of either format, for tokens to be thrown into.
var soupLines = []string{
	`up 1`, `up{a="1"} 1`, `{"a b",c="d"} 1 2`, `up{a="1",b="2",} 1.5 123`, `# HELP up Is it?`, `# TYPE up histogram`,
	`# UNIT a_seconds seconds`, `up 1 1.5 # {a="b"} 1 2`, `up{"x y"="z\"\\\n"} NaN`, `up_total 1 # {} 0.5`, `up{le="1"} 2`,
}

// soupPage makes a page of a few lines, most of them good but for a token or
// two that were put in, taken out or said twice.
func soupPage(r *rand.Rand) []byte {
	var page strings.Builder
	for range 1 + r.IntN(3) {
		line := soupLines[r.IntN(len(soupLines))]
		for range r.IntN(3) {
			from := r.IntN(len(line) + 1)
			to := from + min(r.IntN(3)*r.IntN(4), len(line)-from)
			line = line[:from] + soupTokens[r.IntN(len(soupTokens))] + line[to:]
		}
		if r.IntN(8) == 0 {
			line = ""
			for range r.IntN(9) {
				line += soupTokens[r.IntN(len(soupTokens))]
			}
		}
		page.WriteString(line)
		if r.IntN(30) > 0 {
			page.WriteByte('\n')
		}
	}
	return []byte(page.String())
}

func TestGarbledPagesReadAsPrometheusReadsThem(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 30_000 {
		page := soupPage(r)
		checkAgainstPrometheus(t, page)
		if r.IntN(20) > 0 {
			page = append(page, "# EOF\n"...)
		}
		checkOpenMetrics(t, page)
		if t.Failed() {
			t.Fatalf("the page was %q", page)
		}
	}
}
