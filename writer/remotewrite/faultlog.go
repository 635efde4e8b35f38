package remotewrite

import (
	"log/slog"
	"time"

	"kinglet/writer/queue"
)

// quietFor is how long a fault that comes and goes stays out of the log after
// it was written there. Metrics count in between.
const quietFor = time.Minute

// faultLog writes when an endpoint begins to fail and when it is well again,
// and not each failure. It belongs to the sender's goroutine.
type faultLog struct {
	log *slog.Logger

	failingSince time.Time // zero while well
	failingSaid  time.Time // when "failing" was last logged
	said         bool      // of this fault: its end is worth a line

	droppedSaid time.Time
	unsaid      int // samples dropped since

	indivisibleSaid time.Time
	resting         bool // the latest pause was logged: its end is worth a line
}

// failing notes an attempt that will be repeated.
func (f *faultLog) failing(err error) {
	if !f.failingSince.IsZero() {
		return
	}
	now := time.Now()
	f.failingSince, f.said = now, false
	if f.failingSaid.IsZero() || now.Sub(f.failingSaid) >= quietFor {
		f.failingSaid, f.said = now, true
		f.log.Warn("endpoint is failing: samples wait and are sent again", "error", err)
	}
}

// accepted notes that the endpoint took a request.
func (f *faultLog) accepted() {
	if !f.failingSince.IsZero() && f.said {
		f.log.Info("endpoint accepts samples again", "after", time.Since(f.failingSince).Round(time.Millisecond))
	}
	f.failingSince = time.Time{}
}

// dropped notes samples that the endpoint refused for good, and the blocks that
// they are of, if that is known.
func (f *faultLog) dropped(samples int, err error, of []queue.Block) {
	f.failingSince = time.Time{}
	f.unsaid += samples
	now := time.Now()
	if f.droppedSaid.IsZero() || now.Sub(f.droppedSaid) >= quietFor {
		attributes := []any{"samples", f.unsaid, "error", err}
		if name := nameOf(of); name != "" {
			attributes = append(attributes, "series", name)
		}
		f.log.Warn("endpoint refused samples: they are lost", attributes...)
		f.droppedSaid, f.unsaid = now, 0
	}
}

// indivisible notes that the endpoint refused every part of several requests.
func (f *faultLog) indivisible() {
	now := time.Now()
	if f.indivisibleSaid.IsZero() || now.Sub(f.indivisibleSaid) >= quietFor {
		f.indivisibleSaid, f.resting = now, true
		f.log.Warn("endpoint refuses requests whole and in parts: for now they are not divided")
	}
}

// divisible notes that the endpoint has taken something again.
func (f *faultLog) divisible() {
	if f.resting {
		f.log.Info("endpoint takes requests again: those that it refuses are divided")
	}
	f.resting = false
}
