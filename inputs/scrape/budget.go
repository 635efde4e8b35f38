package scrape

import (
	"fmt"
	"io"
	"sync/atomic"
)

// What the targets of a manager remember is bounded together, as they share one
// memory: a page that has a new series on every line would take all of it within
// seconds. A scrape that would go beyond fails, and what it took is given back.

// What things are charged with, in bytes.
const (
	seriesBytes = 1 << 10 // a series: here some 100, the rest in the writer and while a page is read
	entryBytes  = 48      // a line that is no series of its own
	familyBytes = 192     // a comment, beside its texts
)

// budget is shared by the layouts of a manager. It is safe for concurrent use.
type budget struct{ limit, used atomic.Int64 } // bytes; limit 0 = none

// take reports whether n more bytes may be used, and counts them if so.
func (b *budget) take(n int64) bool {
	if limit := b.limit.Load(); b.used.Add(n) > limit && limit > 0 {
		b.used.Add(-n)
		return false
	}
	return true
}

func (b *budget) give(n int64) { b.used.Add(-n) }

// charge counts n bytes that the page of this walk brings.
func (l *layout) charge(n int) error {
	if l.budget == nil {
		return nil
	}
	if !l.budget.take(int64(n)) {
		return &LimitError{memoryLimitName, fmt.Sprintf(
			"with this page kinglet would remember more than the %d series that its memory is for: "+
				"raise the container's memory limit, or keep less of the page with metrics_drop or sample_limit",
			l.budget.limit.Load()/seriesBytes)}
	}
	l.taken += int64(n)
	return nil
}

// chargeSeries is charge for a series with encoded labels of that length.
func (l *layout) chargeSeries(labelBytes int) error { return l.charge(max(seriesBytes, labelBytes)) }

// giveBack ends what the page that was not taken over has charged.
func (l *layout) giveBack() {
	if l.budget != nil {
		l.budget.give(l.taken)
		l.taken = 0
	}
}

// settle charges what the layout is now in place of what it was and what the
// page brought.
func (l *layout) settle() {
	if l.budget == nil {
		return
	}
	now := int64(max(len(l.lines)-l.columns(), 0)) * entryBytes
	for _, p := range l.parts {
		now += int64(max(p.len()*seriesBytes, p.shape.LabelBytes()))
	}
	for i := range l.families {
		now += int64(familyBytes + len(l.families[i].name) + len(l.families[i].help))
	}
	l.budget.used.Add(now - l.kept - l.taken)
	l.kept, l.taken = now, 0
}

// release ends all that the layout has charged. It is not used any more.
func (l *layout) release() {
	if l.budget != nil {
		l.budget.give(l.kept + l.taken)
		l.kept, l.taken = 0, 0
	}
}

// chargedReader charges the layout with what is read, for a page that is held in
// memory as a whole.
type chargedReader struct {
	from io.Reader
	l    *layout
}

func (r chargedReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	if chargeErr := r.l.charge(n); chargeErr != nil {
		return 0, chargeErr
	}
	return n, err
}
