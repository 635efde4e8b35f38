//go:build e2e

package sidebyside

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// moment is when a sample is, told without a clock: at a scrape of its target,
// counted from 0, or at a time that the page of a request gave.
type moment struct {
	Round int
	Stamp string // "" = the scrape's own timestamp; else what the page gave, as "-500ms"
	Stray string // where it stands, if it is at no scrape
}

func (m moment) String() string {
	return strings.TrimSpace(fmt.Sprintf("round %d %s%s", m.Round, m.Stamp, m.Stray))
}

// point is a sample or an exemplar. Text tells its value exactly.
type point struct {
	At   moment
	Text string
}

// id names a series without what differs between sides: addresses are replaced
// by the names of targets.
type id struct{ Target, Series string }

func (i id) String() string { return i.Target + " " + i.Series }

// record is what a database holds, by round.
type record struct {
	scrapes   map[string][]int64 // by target: timestamps of its scrapes, from `up`
	repeats   map[string]int     // by target: requests beyond one a scrape
	gone      map[string]bool    // targets that were not scraped any more in the end
	series    map[id][]point
	exemplars map[id][]point
	starts    map[id][]point // when the series of a sample began, for those that say
}

// raw is a series as it is in the database.
type raw struct {
	labels labels.Labels
	times  []int64
	texts  []string
	starts []int64 // 0 = not known
}

// readRecord reads a side's database.
func readRecord(ctx context.Context, w *world, s *side) (*record, error) {
	all, err := readSeries(ctx, s.db)
	if err != nil {
		return nil, err
	}
	p := &placer{side: s, names: map[string]string{}, record: &record{
		scrapes: map[string][]int64{}, repeats: map[string]int{}, gone: s.gone(), series: map[id][]point{}, exemplars: map[id][]point{},
		starts: map[id][]point{},
	}}
	for name, e := range s.endpoints {
		p.names[e.address], p.record.repeats[name] = name, e.repeats
	}
	for _, r := range all {
		if r.labels.Get(labels.MetricName) == "up" && r.labels.Len() == 4 { // and job, instance, target
			p.record.scrapes[p.names[r.labels.Get(targetLabel)]] = r.times
		}
	}
	for _, r := range all {
		i := p.id(r.labels)
		for n, t := range r.times {
			at := p.place(i, r.labels, t, r.texts[n])
			p.record.series[i] = append(p.record.series[i], point{at, r.texts[n]})
			if start := r.starts[n]; start != 0 {
				p.record.starts[i] = append(p.record.starts[i], point{at, p.start(i.Target, start)})
			}
		}
	}
	if s.receiver != nil {
		for _, st := range s.receiver.starts {
			i := p.id(st.labels)
			p.record.starts[i] = append(p.record.starts[i], point{p.place(i, st.labels, st.at, ""), p.start(i.Target, st.startMs)})
		}
	}
	return p.record, p.readExemplars(ctx)
}

func readSeries(ctx context.Context, db storage.Queryable) ([]raw, error) {
	q, err := db.Querier(math.MinInt64, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	set := q.Select(ctx, true, nil, labels.MustNewMatcher(labels.MatchRegexp, labels.MetricName, ".*"))
	var all []raw
	var it chunkenc.Iterator
	for set.Next() {
		series := set.At()
		r := raw{labels: series.Labels()}
		it = series.Iterator(it)
		for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
			t, text := sampleText(it, kind)
			r.times, r.texts, r.starts = append(r.times, t), append(r.texts, text), append(r.starts, it.AtST())
		}
		if err := it.Err(); err != nil {
			return nil, fmt.Errorf("read %s: %w", r.labels, err)
		}
		all = append(all, r)
	}
	return all, set.Err()
}

const staleText = "stale"

func sampleText(it chunkenc.Iterator, kind chunkenc.ValueType) (int64, string) {
	switch kind {
	case chunkenc.ValHistogram:
		t, h := it.AtHistogram(nil)
		return t, histogramText(h)
	case chunkenc.ValFloatHistogram:
		t, h := it.AtFloatHistogram(nil)
		return t, floatHistogramText(h)
	default:
		t, v := it.At()
		return t, floatText(v)
	}
}

// floatText tells a number by its bits.
func floatText(v float64) string {
	if value.IsStaleNaN(v) {
		return staleText
	}
	return fmt.Sprintf("%v (%016x)", v, math.Float64bits(v))
}

// histogramText lists all fields. A stale marker has no other field that
// counts.
func histogramText(h *histogram.Histogram) string {
	if value.IsStaleNaN(h.Sum) {
		return staleText + " histogram"
	}
	return fmt.Sprintf("histogram hint %d schema %d zero %d below %s count %d sum %s positive %v %v negative %v %v bounds %v",
		h.CounterResetHint, h.Schema, h.ZeroCount, floatText(h.ZeroThreshold), h.Count, floatText(h.Sum),
		h.PositiveSpans, h.PositiveBuckets, h.NegativeSpans, h.NegativeBuckets, h.CustomValues)
}

func floatHistogramText(h *histogram.FloatHistogram) string {
	if value.IsStaleNaN(h.Sum) {
		return staleText + " float histogram"
	}
	return fmt.Sprintf("float histogram hint %d schema %d zero %s below %s count %s sum %s positive %v %v negative %v %v bounds %v",
		h.CounterResetHint, h.Schema, floatText(h.ZeroCount), floatText(h.ZeroThreshold), floatText(h.Count), floatText(h.Sum),
		h.PositiveSpans, h.PositiveBuckets, h.NegativeSpans, h.NegativeBuckets, h.CustomValues)
}

// placer turns what a side's database has into a record.
type placer struct {
	side   *side
	names  map[string]string // address -> name of target
	record *record
}

// id names a series. Addresses stand for the target only where they are whole
// label values.
func (p *placer) id(ls labels.Labels) id {
	target := p.names[ls.Get(targetLabel)]
	b := labels.NewBuilder(ls).Del(targetLabel)
	ls.Range(func(l labels.Label) {
		if name, ok := p.names[l.Value]; ok && l.Name != targetLabel {
			b.Set(l.Name, "address of "+name)
		}
	})
	return id{target, b.Labels().String()}
}

// place finds the moment of a timestamp. Names that begin with "stamped" have
// timestamps of the page where they are known as such.
func (p *placer) place(i id, ls labels.Labels, t int64, text string) moment {
	if e := p.side.endpoints[i.Target]; e != nil && strings.HasPrefix(ls.Get(labels.MetricName), "stamped") && !strings.HasPrefix(text, staleText) {
		if m, ok := e.stamps[t]; ok {
			return m
		}
	}
	return p.round(i.Target, t)
}

// round finds the scrape with that timestamp.
func (p *placer) round(target string, t int64) moment {
	scrapes := p.record.scrapes[target]
	n, found := slices.BinarySearch(scrapes, t)
	if found {
		return moment{Round: n}
	}
	n = max(0, n-1)
	if len(scrapes) == 0 {
		return moment{Stray: "of no target that was scraped"}
	}
	return moment{Round: n, Stray: fmt.Sprintf("and %d ms, at no scrape", t-scrapes[n])}
}

// start tells a start timestamp by what the page gave.
func (p *placer) start(target string, ms int64) string {
	if m, ok := p.side.endpoints[target].starts[ms]; ok {
		return m.String()
	}
	return fmt.Sprintf("%d ms", ms)
}

func (p *placer) readExemplars(ctx context.Context) error {
	found, err := queryExemplars(ctx, p.side.db, labels.MustNewMatcher(labels.MatchRegexp, labels.MetricName, ".*"))
	if err != nil {
		return err
	}
	for _, f := range found {
		i := p.id(f.SeriesLabels)
		for _, e := range f.Exemplars {
			p.record.exemplars[i] = append(p.record.exemplars[i], p.exemplar(i.Target, e))
		}
	}
	return nil
}

func (p *placer) exemplar(target string, e exemplar.Exemplar) point {
	at, ok := p.side.endpoints[target].stamps[e.Ts]
	if !ok {
		at = p.round(target, e.Ts)
	}
	return point{at, e.Labels.String() + " " + floatText(e.Value)}
}

func queryExemplars(ctx context.Context, db storage.ExemplarQueryable, matcher ...*labels.Matcher) ([]exemplar.QueryResult, error) {
	q, err := db.ExemplarQuerier(ctx)
	if err != nil {
		return nil, err
	}
	return q.Select(math.MinInt64, math.MaxInt64, matcher)
}

// targets are those that were scraped, in order.
func (r *record) targets() []string { return slices.Sorted(maps.Keys(r.scrapes)) }
