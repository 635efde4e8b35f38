package writer

import (
	"slices"

	"kinglet"
	"kinglet/writer/remotewrite"
)

// typedMarkers is rows with stale markers of native histograms of the kind that
// the series had: a row says only that one ended. The rows are only read.
func typedMarkers(rows []*kinglet.Row) []*kinglet.Row {
	out := rows
	for i, r := range rows {
		kept, _ := r.Shape.Attached().(*attached)
		if r.Histograms == nil && (kept == nil || kept.markers == nil) {
			continue
		}
		if typed := attachedTo(r.Shape).typed(r); typed != r {
			if &out[0] == &rows[0] {
				out = slices.Clone(rows)
			}
			out[i] = typed
		}
	}
	return out
}

// typed notes the kinds of r's histograms, and gives r with markers of the kinds
// noted before.
func (a *attached) typed(r *kinglet.Row) *kinglet.Row {
	out := r
	for i, v := range r.Values {
		if r.Histograms != nil && r.Histograms[i] != nil {
			a.noteKind(i, r.Histograms[i])
			continue
		}
		marker := a.markers[i]
		if marker == nil || !kinglet.IsStale(v) {
			continue
		}
		if out == r {
			changed := *r
			changed.Histograms = make([]*kinglet.Histogram, len(r.Values))
			copy(changed.Histograms, r.Histograms)
			out = &changed
		}
		out.Histograms[i] = marker
	}
	return out
}

func (a *attached) noteKind(column int, h *kinglet.Histogram) {
	marker, had := remotewrite.StaleMarker(h), a.markers[column]
	switch {
	case marker == nil && had != nil:
		delete(a.markers, column)
	case marker != nil && (had == nil || had.Float != marker.Float || had.Schema != marker.Schema):
		if a.markers == nil {
			a.markers = map[int]*kinglet.Histogram{}
		}
		a.markers[column] = marker
	}
}
