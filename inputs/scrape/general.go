package scrape

import (
	"kinglet"
	"kinglet/inputs/promtext"
)

// page reads a whole page of a format that is not read line by line. Series
// are found by their bytes as those of text lines are.
func (w *walk) page(body []byte, format promtext.Format) error {
	cfg := &w.l.cfg
	opts := promtext.Options{
		ClassicOnly: !cfg.NativeHistograms, ClassicToo: cfg.ClassicHistograms, CustomBuckets: cfg.CustomBuckets, Created: cfg.CreatedTimestamps,
	}
	if cfg.CustomBuckets {
		opts.BadHistogram = func(*promtext.SyntaxError) { w.badHistograms++ }
	}
	if cfg.Lenient {
		opts.BadLine = func(*promtext.SyntaxError) { w.badLines++ }
	}
	err := promtext.Parse(body, format, opts, func(s *promtext.Sample) error {
		duplicates := w.duplicates
		column, err := w.sample(s.Series, s.Value, s.TimestampMs, (*sampleSource)(s))
		if err != nil {
			return promtext.At(err, s.Line, nil)
		}
		if column >= 0 && w.duplicates == duplicates {
			w.extras(column, s)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return w.checkLimits()
}

// extras stores what a sample has beside a number and a timestamp.
func (w *walk) extras(column int32, s *promtext.Sample) {
	if s.Histogram != nil {
		if w.histograms == nil {
			w.histograms = make([]*kinglet.Histogram, len(w.values))
		}
		w.histograms[column] = w.bounded(s.Histogram)
	}
	timeMs := w.timeOf(column)
	if s.StartMs != 0 && s.StartMs <= timeMs { // a start in the future is none (RW-102)
		if w.starts == nil {
			w.starts = make([]int64, len(w.values))
		}
		w.starts[column] = s.StartMs
	}
	for _, e := range s.Exemplars {
		e.Column = int(column)
		if e.TimestampMs == kinglet.NoTime || e.TimestampMs == s.TimestampMs {
			e.TimestampMs = timeMs // of the sample, as it is sent (RW-89)
		}
		w.exemplars = append(w.exemplars, e)
	}
}

// bounded makes a histogram coarser until it has no more buckets than allowed.
// The page is read on if that cannot be, and fails at its end.
func (w *walk) bounded(h *kinglet.Histogram) *kinglet.Histogram {
	limit := w.l.cfg.BucketLimit
	for limit > 0 && promtext.Buckets(h) > limit {
		if !promtext.Coarsen(h) {
			w.overBuckets = max(w.overBuckets, promtext.Buckets(h))
			return h
		}
	}
	return h
}

// sampleSource discovers series of the other formats.
type sampleSource promtext.Sample

func (s *sampleSource) discover() (discovery, error) {
	sample := (*promtext.Sample)(s)
	labels, err := sample.AppendLabels(nil)
	if err != nil {
		return discovery{}, err
	}
	d := discovery{labels: labels, meta: sample.Meta()}
	if sample.Histogram != nil {
		d.kind = kinglet.KindHistogram
	}
	return d, nil
}
