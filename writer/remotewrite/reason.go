package remotewrite

import (
	"net/http"
	"strings"
)

// Reasons of samples that an endpoint refused, by what it says of them.
const (
	ReasonOutOfOrder = "out_of_order" // there are younger samples of the series
	ReasonDuplicate  = "duplicate"    // there is another value of that time
	ReasonTooOld     = "too_old"      // older than the receiver keeps or takes
	ReasonTooNew     = "too_new"      // ahead of the receiver's clock
	ReasonLimit      = "limit"        // on series, labels or rate
	ReasonInvalid    = "invalid"      // labels, names or values that it does not take
	ReasonConflict   = "conflict"     // Thanos' 409 that says no more
)

// refusals are the words of Prometheus, Mimir, Thanos and their kin, the most
// telling first: a message may have several.
var refusals = []struct {
	reason string
	words  []string
}{
	{ReasonDuplicate, []string{"duplicate sample", "duplicate-timestamp", "duplicate timestamp"}},
	{ReasonTooOld, []string{"too old", "too-old", "out of bounds", "out-of-bounds", "too-far-in-past", "too far in the past"}},
	{ReasonTooNew, []string{"too-far-in-future", "too far in the future", "too far in future"}},
	{ReasonOutOfOrder, []string{"out of order", "out-of-order"}},
	{ReasonLimit, []string{"err-mimir-max-", "limit"}},
	{ReasonInvalid, []string{"invalid", "err-mimir-label", "label name", "metric name", "missing-metric-name", "labels are not sorted"}},
}

// refusal is the reason of a 4xx, in a small fixed set. It is a counter's label
// and nothing else: what a receiver says never changes what is done (RW-70).
func refusal(answer *StatusError) string {
	text := strings.ToLower(answer.Text)
	for _, r := range refusals {
		for _, words := range r.words {
			if strings.Contains(text, words) {
				return r.reason
			}
		}
	}
	if answer.Code == http.StatusConflict {
		return ReasonConflict
	}
	return ReasonRejected
}
