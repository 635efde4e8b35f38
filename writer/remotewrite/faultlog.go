package remotewrite

import (
	"log/slog"
	"time"
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

// dropped notes samples that the endpoint refused for good.
func (f *faultLog) dropped(samples int, err error) {
	f.failingSince = time.Time{}
	f.unsaid += samples
	now := time.Now()
	if f.droppedSaid.IsZero() || now.Sub(f.droppedSaid) >= quietFor {
		f.log.Warn("endpoint refused samples: they are lost", "samples", f.unsaid, "error", err)
		f.droppedSaid, f.unsaid = now, 0
	}
}
