package remotewrite

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Reasons of samples that an endpoint refused, beside those of refusal.
const (
	ReasonRejected     = "rejected"     // other 4xx
	ReasonUnauthorized = "unauthorized" // 401 or 403, twice
	ReasonTooLarge     = "too_large"    // 413 to a single series
	ReasonRedirect     = "redirect"     // 3xx
	ReasonOddStatus    = "odd_status"   // a status that HTTP does not know
	ReasonNotWritten   = "not_written"  // taken by a 2.0 receiver that says it wrote less
	ReasonMaxAge       = "max_age"      // older than max_age
	ReasonNotIn1       = "not_in_1_0"   // cannot go to a receiver that turned out to take 1.0 only
	ReasonDamaged      = "damaged"      // a block that cannot be read; a bug, or a bad disk
)

// verdict is what to do about a failed attempt: give up for a reason, or retry.
type verdict struct {
	reason     string // "" = retry
	class      string // of the retry
	retryAfter time.Duration
}

// judge decides by the status alone (RW-57 to RW-61, RW-88); whatever is no
// answer is worth repeating (RW-59).
func (s *Sender) judge(err error) verdict {
	answer, ok := errors.AsType[*StatusError](err)
	if !ok {
		s.faults.failing(err)
		return verdict{class: "error"}
	}
	code := answer.Code
	switch {
	case code == http.StatusTooManyRequests, code == statusOverload, code/100 == 5, slices.Contains(s.retry, code):
		s.faults.failing(err)
		return verdict{class: retryClass(code), retryAfter: answer.RetryAfter}
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return verdict{reason: ReasonUnauthorized, class: "other"}
	case code == http.StatusRequestEntityTooLarge:
		return verdict{reason: ReasonTooLarge}
	case code/100 == 4:
		return verdict{reason: refusal(answer)}
	case code/100 == 3:
		return verdict{reason: ReasonRedirect}
	}
	return verdict{reason: ReasonOddStatus}
}

// statusOverload is what Nightingale answers when its queue is full.
const statusOverload = 499

func retryClass(code int) string {
	switch {
	case code == http.StatusTooManyRequests || code == statusOverload:
		return strconv.Itoa(code)
	case code/100 == 5:
		return "5xx"
	}
	return "other"
}

// statusLabel keeps the number of labels small whatever an endpoint answers.
func statusLabel(code int) string {
	switch {
	case code == 0:
		return "error"
	case code < 100 || code > 599:
		return "other"
	}
	return strconv.Itoa(code)
}
