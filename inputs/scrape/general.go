package scrape

import (
	"kinglet"
	"kinglet/inputs/promtext"
)

// page reads a whole page of a format that is not read line by line. Series
// are found by their bytes as those of text lines are.
func (w *walk) page(body []byte, format promtext.Format, opts promtext.Options) error {
	if w.l.cfg.Lenient {
		opts.BadLine = func(*promtext.SyntaxError) { w.badLines++ }
	}
	err := promtext.Parse(body, format, opts, func(s *promtext.Sample) error {
		ref, err := w.sample(s.Series, s.Value, s.TimestampMs, (*sampleSource)(s))
		if err != nil {
			return promtext.At(err, s.Line, nil)
		}
		if ref >= 0 {
			w.extras(ref, s)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return w.checkSampleLimit()
}

// extras stores what a sample has beside a number and a timestamp.
func (w *walk) extras(column int32, s *promtext.Sample) {
	if s.Histogram != nil {
		if w.histograms == nil {
			w.histograms = make([]*kinglet.Histogram, len(w.values))
		}
		w.histograms[column] = s.Histogram
	}
	if s.StartMs != 0 {
		if w.starts == nil {
			w.starts = make([]int64, len(w.values))
		}
		w.starts[column] = s.StartMs
	}
	for _, e := range s.Exemplars {
		e.Column = int(column)
		if e.TimestampMs == kinglet.NoTime {
			e.TimestampMs = w.timeMs
		}
		w.exemplars = append(w.exemplars, e)
	}
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
