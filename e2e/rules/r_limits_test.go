//go:build e2e

package rules

import (
	"fmt"
	"testing"

	dto "github.com/prometheus/client_model/go"
)

// Section R: limits.
func TestLimits(t *testing.T) {
	t.Parallel()
	// refused: the page that breaks the limit, between two that do not.
	refused := func(rule, claim string, job Job, page string) {
		check(t, rule, claim, Case{
			Scrapes: text("m 1\n", page, "m 3\n"), Job: job,
			Want: []Want{values("up", 1, 0, 1), values("m", 1, stale, 3), noValue("x"), noValue("y"), noValue("s")},
		})
	}
	kept := func(rule, claim string, job Job, page string, want ...Want) {
		check(t, rule, claim, Case{Scrapes: text(page), Job: job, Want: append([]Want{values("up", 1, 1)}, want...)})
	}
	refused("RW-149", "more samples than sample_limit fail the scrape", Job{SampleLimit: 5}, lines("s", 6, 1))
	kept("RW-149", "exactly sample_limit is allowed", Job{SampleLimit: 5}, lines("s", 5, 1), arrived("s", 5))
	kept("RW-149", "what relabeling drops does not count", Job{SampleLimit: 1, MetricRelabel: []Rule{{Source: []string{"__name__"}, Regex: ptr("s"), Action: "drop"}}},
		lines("s", 6, 1)+"m 1\n", values("m", 1))
	refused("RW-150", "a label too many fails the scrape", Job{LabelLimit: 4}, `x{a="1",b="2"} 1`+"\n")
	kept("RW-150", "target labels and __name__ count", Job{LabelLimit: 4}, `x{a="1"} 1`+"\n", values("x", 1))
	refused("RW-150", "a label name too long fails the scrape", Job{NameLimit: 10}, `x{abcdefghijk="1"} 1`+"\n")
	kept("RW-150", "a name of the very length is allowed", Job{NameLimit: 10}, `x{abcdefghij="1"} 1`+"\n", values("x", 1))
	refused("RW-150", "a label value too long fails the scrape", Job{ValueLimit: 30}, `x{a="`+fmt.Sprintf("%031d", 1)+`"} 1`+"\n")
	kept("RW-150", "lengths are bytes", Job{ValueLimit: 30}, `x{a="ääääääääääääääa"} 1`+"\n", values("x", 1))
	check(t, "RW-150", "the length limit holds for target labels too", Case{
		Scrapes: text("x 1\n"), Job: Job{ValueLimit: 40, Labels: map[string]string{"zone": fmt.Sprintf("%041d", 1)}}, Until: scrapes(4),
		Want: []Want{noValue("x")},
	})
	big := "y 1\n# " + fmt.Sprintf("%02000d", 1) + "\n"
	refused("RW-151", "a body over body_size_limit fails the scrape", Job{BodyLimit: "1KB"}, big)
	check(t, "RW-151", "the limit is on the uncompressed body", Case{
		Scrapes: []Page{{Body: "m 1\n"}, {Body: big, Gzip: true}, {Body: "m 3\n"}}, Job: Job{BodyLimit: "1KB"},
		Want: []Want{values("up", 1, 0, 1), values("m", 1, stale, 3), noValue("y")},
	})
	check(t, "RW-152", "more targets than target_limit are all failed unasked", Case{
		Scrapes: text("m 1\n"), Targets: [][]Page{text("n 1\n")}, Job: Job{TargetLimit: 1}, Until: roundsAt(0, 3),
		Want: []Want{values(`up{instance="$host"}`, 0, 0), values(`up{instance="$host1"}`, 0, 0), none("m", "n"), func(w *World) error {
			if n := len(w.targets[0].seen()) + len(w.targets[1].seen()); n > 0 {
				return fmt.Errorf("%d requests", n)
			}
			return nil
		}},
	})
	check(t, "RW-152", "exactly target_limit is allowed", Case{
		Scrapes: text("m 1\n"), Targets: [][]Page{text("n 1\n")}, Job: Job{TargetLimit: 2}, Want: []Want{values("m", 1), values("n", 1)},
	})
	bucketLimit := nativeJob
	bucketLimit.BucketLimit = 4
	check(t, "RW-153", "a native histogram over the bucket limit is made coarser", Case{
		Scrapes: []Page{protobufPage(histogramFamily(dto.MetricType_HISTOGRAM, nativeInt()))}, Job: bucketLimit,
		Writer: Writer{Native: true}, Features: []string{"native-histograms"},
		Want: []Want{values("up", 1), isHistogram("h"), func(w *World) error {
			got, err := w.one("h")
			if err != nil {
				return err
			}
			h := got[0].Hist
			if n := len(h.PositiveDeltas) + len(h.NegativeDeltas); n > 4 || h.Schema >= 3 || h.GetCountInt() != 7 {
				return fmt.Errorf("%d buckets, schema %d, count %d", n, h.Schema, h.GetCountInt())
			}
			return nil
		}},
	})
	bucketLimit.BucketLimit = 1
	check(t, "RW-153", "if it cannot be, the scrape fails", Case{
		Scrapes: []Page{protobufPage(histogramFamily(dto.MetricType_HISTOGRAM, nativeInt()))}, Job: bucketLimit,
		Writer: Writer{Native: true}, Features: []string{"native-histograms"}, Want: []Want{values("up", 0), noValue("h")},
	})
	kept("RW-154", "without limits a large page with many labels is read", Job{},
		lines("s", 5000, 1)+`x{a="1",b="2",c="3",d="4",e="5",f="6",g="7",h="8",i="9",abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz="x"} 1`+"\n", arrived("s", 5000), values("x", 1))
}
