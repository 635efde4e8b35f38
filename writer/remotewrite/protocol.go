package remotewrite

import (
	"errors"
	"net/http"
)

// protocol decides in which form an endpoint is sent its samples. Anything but
// plain 1.0 must be proven by the endpoint: some answer 2xx to what they did not
// understand. It falls back to plain 1.0 once and for all (RW-74 to RW-83).
type protocol struct {
	message, compression string // as configured

	better form // to be tried; formPlain for nothing
	eager  bool // tried from the first request on, not after a plain one was taken

	plainTaken bool // a plain request was taken
	proven     bool // the endpoint has shown that it takes better
	refused    bool // that it does not
}

func newProtocol(cfg Config, h Habits) protocol {
	p := protocol{message: cfg.ProtobufMessage, compression: cfg.Compression}
	p.suit(h)
	return p
}

// suit chooses what to try of an endpoint with these habits. What it has shown
// to take counts for more.
func (p *protocol) suit(h Habits) {
	if p.proven {
		return
	}
	better, eager := formPlain, false
	switch {
	case p.compression == CompressZstd, p.compression == CompressAuto && h.Zstd:
		better, eager = formZstd, true
	case p.message == Message2 && h.Message2:
		better, eager = formMessage2, true
	case p.message == MessageAuto && h.Message2:
		better = formMessage2
	}
	if better != p.better {
		p.better, p.eager, p.refused = better, eager, false
	}
}

// depends reports whether the next request may look different once it is known
// what receives it.
func (p *protocol) depends() bool {
	return p.next() == formMessage2 && !p.proven || p.compression == CompressAuto && p.better != formZstd && p.plainTaken
}

// next is the form of the next request.
func (p *protocol) next() form {
	if p.better == formPlain || p.refused || !p.proven && !p.eager && !p.plainTaken {
		return formPlain
	}
	return p.better
}

// fallsBack reports whether the same samples must be sent again as plain 1.0.
func (p *protocol) fallsBack(f form, a Answer, err error) bool {
	if f == formPlain {
		return false
	}
	if err == nil {
		return f == formMessage2 && !a.Written.Told // stored by nobody (RW-76)
	}
	answer, ok := errors.AsType[*StatusError](err)
	if !ok {
		return false
	}
	switch answer.Code {
	case http.StatusUnsupportedMediaType:
		return a.Written.Samples+a.Written.Histograms == 0
	case http.StatusBadRequest: // some 1.0 receivers say so; one that tells what it wrote has read 2.0
		return !p.proven && !a.Written.Told
	}
	return false
}

// wrote is how many of the samples of b a 2.0 receiver says it wrote.
func (b Body) wrote(a Answer) int {
	if b.form != formMessage2 {
		return 0
	}
	return min(b.samples, a.Written.Samples+a.Written.Histograms)
}

// partly reports whether a 4xx that is no overload came with a part of b
// written.
func (b Body) partly(a Answer) bool {
	return a.Status/100 == 4 && a.Status != http.StatusTooManyRequests && b.wrote(a) > 0
}

// taken notes that a request of that form was taken, and reports whether that
// settled what the endpoint takes. FellBack says that it was refused in the
// better form before.
func (p *protocol) taken(f form, fellBack bool) (settled bool) {
	if f != formPlain {
		settled = !p.proven
		p.proven = true
		return settled
	}
	p.plainTaken = true
	if fellBack {
		p.refused = true
	}
	return fellBack
}

// wantsExtended reports whether blocks should hold what 2.0 carries.
func (p *protocol) wantsExtended() bool { return p.better == formMessage2 && !p.refused }
