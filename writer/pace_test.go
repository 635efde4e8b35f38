package writer

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"kinglet"
)

// largePage is a page that takes 2.5 MB as blocks.
type largePage struct {
	rows   []*kinglet.Row
	scrape int64
}

func newLargePage() *largePage {
	r := rand.New(rand.NewPCG(1, 2))
	p := &largePage{rows: make([]*kinglet.Row, 12)}
	for n := range p.rows {
		series := make([]kinglet.Series, 1000)
		for i := range series {
			uid := ""
			for range 12 {
				uid += fmt.Sprintf("%016x", r.Uint64())
			}
			series[i].Labels = []kinglet.Label{{Name: kinglet.MetricNameLabel, Value: "m"}, {Name: "uid", Value: uid}}
		}
		p.rows[n] = &kinglet.Row{Shape: kinglet.NewShape(series), Values: make([]float64, len(series)), Target: 1}
	}
	return p
}

const largePageSamples = 12_000

// next is the page's next scrape.
func (p *largePage) next() []*kinglet.Row {
	p.scrape++
	rows := make([]*kinglet.Row, len(p.rows))
	for i, r := range p.rows {
		row := *r
		row.TimestampMs = 1_790_000_000_000 + 5000*p.scrape
		row.Values = slices.Repeat([]float64{float64(p.scrape)}, len(r.Values))
		rows[i] = &row
	}
	return rows
}

// encoded waits until what was pushed is encoded, and tells how long that took.
func (r *rig) encoded() time.Duration {
	start := time.Now()
	for synctest.Wait(); r.buffered.Load() > 0; synctest.Wait() {
		pass(time.Millisecond)
	}
	return time.Since(start)
}

func TestALargePageGoesOutBiteByBite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r *rig
		var most atomic.Int64
		live := &receiver{status: func(int) int {
			pass(time.Millisecond)
			most.Store(max(most.Load(), int64(r.Endpoints()[0].Queue.Bytes)))
			return 204
		}}
		r = newRig(t, DefaultConfig(), map[string]*receiver{"a": live}, endpointTo("a"))
		page := newLargePage()
		for scrape := range rowsBeforeCut + 3 { // plainly, then by stencils
			most.Store(0)
			r.push(t, page.next()...)
			r.encoded()
			pass(2 * time.Second)
			if most := most.Load(); most < bite || most > 2*bite {
				t.Errorf("scrape %d: at most %d bytes waited, want %d to %d", scrape, most, bite, 2*bite)
			}
			if n := len(live.got()); n != (scrape+1)*largePageSamples {
				t.Fatalf("scrape %d: %d samples arrived in all, want %d", scrape, n, (scrape+1)*largePageSamples)
			}
		}
	})
}

func TestNobodyWaitsLongForAnEndpointThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hung := &receiver{hang: true}
		r := newRig(t, DefaultConfig(), map[string]*receiver{"hung": hung}, endpointTo("hung"))
		page := newLargePage()
		for _, want := range []time.Duration{patience, 0, 0} {
			r.push(t, page.next()...)
			if took := r.encoded(); took != want {
				t.Errorf("encoding waited for %v, want %v", took, want)
			}
		}
	})
}

func TestTheFastestEndpointSetsThePace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fast, hung := &receiver{}, &receiver{hang: true}
		r := newRig(t, DefaultConfig(), map[string]*receiver{"fast": fast, "hung": hung}, endpointTo("hung"), endpointTo("fast"))
		page := newLargePage()
		for range 3 {
			r.push(t, page.next()...)
			if took := r.encoded(); took != 0 {
				t.Errorf("encoding waited for %v, though one endpoint takes all at once", took)
			}
		}
		pass(2 * time.Second)
		if diff := cmp.Diff(3*largePageSamples, len(fast.got())); diff != "" {
			t.Error(diff)
		}
	})
}

func TestSmallPushesNeverWaitForASlowEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var slow atomic.Int64
		live := &receiver{status: func(int) int { pass(time.Duration(slow.Load())); return 204 }}
		r := newRig(t, DefaultConfig(), map[string]*receiver{"a": live}, endpointTo("a"))
		page := newLargePage()
		for range rowsBeforeCut + 2 { // stencils exist then
			r.push(t, page.next()...)
			r.encoded()
			pass(5 * time.Second)
		}
		slow.Store(int64(90 * time.Millisecond))
		for range 5 {
			for _, row := range page.next() { // 200 KB each
				r.push(t, row)
			}
		}
		if took := r.encoded(); took != 0 {
			t.Errorf("encoding waited for %v", took)
		}
	})
}

func TestABatchThatIsNotFullIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := DefaultConfig()
		cfg.Batch = 10_000 // more than a bite
		r := newRig(t, cfg, map[string]*receiver{"a": {}}, endpointTo("a"))
		page := newLargePage()
		for scrape := range rowsBeforeCut + 3 {
			r.push(t, page.next()...)
			if took := r.encoded(); took != 0 {
				t.Errorf("scrape %d: encoding waited for %v, and the sender for more samples", scrape, took)
			}
			pass(2 * time.Second)
		}
	})
}

func TestWhatComesAfterAnEndpointLeftIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &receiver{status: func(int) int { pass(30 * time.Millisecond); return 204 }}
		r := newRig(t, DefaultConfig(), map[string]*receiver{"a": a}, endpointTo("a"))
		page := newLargePage()
		for range rowsBeforeCut + 2 {
			r.push(t, page.next()...)
			r.encoded()
			pass(3 * time.Second)
		}
		before := len(a.got())
		r.push(t, page.next()...)
		pass(45 * time.Millisecond)
		if err := r.Update(nil); err != nil {
			t.Fatal(err)
		}
		r.encoded()
		removed := int(testutil.ToFloat64(r.metrics.dropped.WithLabelValues("1", reasonRemoved)))
		pass(time.Second)
		if sent := len(a.got()) - before; sent+removed != largePageSamples || removed == 0 {
			t.Errorf("%d samples arrived and %d are counted as lost, of %d", sent, removed, largePageSamples)
		}
	})
}
