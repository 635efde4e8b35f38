package writer

import (
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"kinglet"
	"kinglet/conf/relabel"
	"kinglet/writer/remotewrite"
)

func TestEachWriterRelabelsForItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, all := "0", "$0"
		rules := []relabel.Rule{
			{SourceLabels: []string{"cluster", "i"}, Action: "drop", Regex: new("c1;1")},
			{SourceLabels: []string{"seed"}, TargetLabel: "__tmp"},
			{SourceLabels: []string{"__tmp"}, TargetLabel: "a_seed", Regex: new(".+"), Replacement: &all},
			{SourceLabels: []string{"i"}, TargetLabel: "__name__", Regex: new("2"), Replacement: new("")},
			{TargetLabel: "zone", Replacement: &first},
		}
		with, same, without := &receiver{}, &receiver{}, &receiver{}
		relabeled := func(c *remotewrite.Config) {
			c.ExternalLabels = map[string]string{"cluster": "c1"}
			c.WriteRelabelConfigs = rules
		}
		r := newRig(t, DefaultConfig(), map[string]*receiver{"with": with, "same": same, "without": without},
			endpointTo("with", relabeled), endpointTo("same", relabeled), endpointTo("without"))
		if n := len(r.push3(t).encoders.groups); n != 2 {
			t.Errorf("%d encoders, want one for two writers with the same rules", n)
		}
		labels := "[{__name__ m} {a_seed 1} {cluster c1} {i 0} {seed 1} {zone 0}]"
		want := []string{labels + " 0 @1790000000000", labels + " NaN @1790000015000"}
		if diff := cmp.Diff(want, with.got()); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(with.got(), same.got()); diff != "" {
			t.Error(diff)
		}
		if n := len(without.got()); n != 6 {
			t.Errorf("%d samples without rules, want 6", n)
		}
		if lost := testutil.ToFloat64(r.metrics.dropped.WithLabelValues("1", reasonNoName)); lost != 2 {
			t.Errorf("%v nameless samples counted, want 2", lost)
		}
	})
}

// push3 sends three series and then their stale markers, and ends the pipeline.
func (r *rig) push3(t *testing.T) *rig {
	t.Helper()
	row := rowOf(3, 1)
	ended := &kinglet.Row{Shape: row.Shape, TimestampMs: row.TimestampMs + 15_000, Values: []float64{kinglet.Stale(), kinglet.Stale(), kinglet.Stale()}}
	r.push(t, row)
	r.push(t, ended)
	r.stop()
	return r
}

func TestRulesMayDropAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		none := &receiver{}
		r := newRig(t, DefaultConfig(), map[string]*receiver{"none": none}, endpointTo("none", func(c *remotewrite.Config) {
			c.WriteRelabelConfigs = []relabel.Rule{{Action: "drop", Regex: new(".*")}}
		}))
		for i := range 5 {
			row := rowOf(2, 1)
			row.TimestampMs += int64(i)
			r.push(t, row)
		}
		r.stop()
		if none.tries != 0 {
			t.Errorf("%d requests, want none (RW-12)", none.tries)
		}
		for _, reason := range []string{reasonNoName, reasonCollision} {
			if n := testutil.ToFloat64(r.metrics.dropped.WithLabelValues("1", reason)); n != 0 {
				t.Errorf("%v of what rules drop are counted as %s", n, reason)
			}
		}
	})
}
