package pods

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"kinglet/conf/httpclient"
	"kinglet/k8s"
)

// How often the kubelet is asked while it refuses: alone, and while the API
// server stands in.
const (
	retryMost     = 10 * time.Second
	refusedAgain  = time.Minute
	silences      = 3 // failures of a kubelet that never answered, before the API server is asked
	answerTimeout = 10 * time.Second
	// unsureFor is how long a kubelet that knew the token may say that it does
	// not: while the API server is away it cannot ask whose it is.
	unsureFor = 10 * time.Minute
)

// finder keeps the pods of this node as one source tells them. Its Run is
// called once.
type finder struct {
	cfg     SourceConfig
	node    k8s.Node
	kubelet *k8s.Kubelet
	keep    k8s.Fields
	// watch is nil where the API server is not to be asked, or cannot be for
	// the reason noWatch.
	watch   *k8s.PodWatch
	noWatch error
	again   time.Duration // between two questions to a kubelet that refuses, in auto
	log     *slog.Logger
	metrics *metrics
	changed func() // called, by Run, whenever found is something else

	mu    sync.Mutex
	state found
}

// lister asks a kubelet for its pods, as k8s.PodLister does.
type lister interface {
	// Pods lists them, and reports whether they differ from the last list. It
	// blocks until there is an answer, or ctx ends.
	Pods(ctx context.Context) (pods []*k8s.Pod, changed bool, err error)
}

// found is what a finder knows.
type found struct {
	pods    []*k8s.Pod
	source  string    // "kubelet" or "api"; "" if the pods were never known
	at      time.Time // of the last good answer
	err     error     // of the last try
	tried   bool      // there was an answer, good or bad
	refused string    // why the kubelet is not asked, in auto; "" if it is
}

func (f *finder) found() found {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state
}

// Run keeps asking until ctx ends.
func (f *finder) Run(ctx context.Context) {
	switch f.cfg.Source {
	case sourceAPI:
		f.runWatch(ctx)
	case sourceKubelet:
		f.poll(ctx, f.kubelet.NewPodLister(f.keep), func(error) {})
	default:
		f.auto(ctx)
	}
}

// once asks one time.
func (f *finder) once(ctx context.Context) error {
	defer f.kubelet.Close()
	if f.cfg.Source != sourceAPI {
		err := f.ask(ctx, f.kubelet.NewPodLister(f.keep))
		if err == nil || f.cfg.Source == sourceKubelet || f.watch == nil {
			return err
		}
	}
	if f.watch == nil {
		return f.noWatch
	}
	ctx, enough := context.WithTimeoutCause(ctx, answerTimeout, errors.New("the API server did not list the pods in time"))
	defer enough()
	var last error
	err := f.watch.Run(ctx, func(pods []*k8s.Pod) { f.delivered(sourceAPI, pods, true); enough() }, func(err error) {
		if last = cmp.Or(err, last); err != nil {
			enough()
		}
	})
	if f.found().source != "" {
		return nil
	}
	return cmp.Or(err, last, context.Cause(ctx))
}

// auto asks the kubelet, and the API server for as long as the kubelet refuses.
func (f *finder) auto(ctx context.Context) {
	for {
		why := f.pollUntilRefused(ctx, f.kubelet.NewPodLister(f.keep))
		if why == nil {
			return // ctx ended
		}
		f.log.Warn("the kubelet does not give its pods, the API server is asked for them until it does", "error", why, "kubelet_again_after", f.again)
		f.mu.Lock()
		f.state.refused = why.Error()
		f.mu.Unlock()
		if !f.standIn(ctx) {
			return
		}
		f.mu.Lock()
		f.state.refused = ""
		f.mu.Unlock()
		f.log.Info("the kubelet gives its pods again, the API server is left alone")
	}
}

// pollUntilRefused asks the kubelet until it has to be given up, and returns
// why; nil if ctx ended.
func (f *finder) pollUntilRefused(ctx context.Context, kubelet lister) (why error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failures := 0
	var failing time.Time
	f.poll(ctx, kubelet, func(err error) {
		if err == nil {
			failures = 0
			return
		}
		if failures++; failures == 1 {
			failing = time.Now()
		}
		if status, ok := errors.AsType[*k8s.StatusError](err); ok && status.Code == http.StatusUnauthorized &&
			f.found().source == sourceKubelet && time.Since(failing) < unsureFor {
			return
		}
		if f.watch != nil && (isRefusal(err) || f.found().source == "" && failures >= silences) {
			why = err
			cancel()
		}
	})
	return why
}

// standIn watches the API server until the kubelet answers, or until ctx ends,
// which is false.
func (f *finder) standIn(ctx context.Context) bool {
	watching, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { f.runWatch(watching) })
	defer watch.Wait()
	defer stop()
	lister := f.kubelet.NewPodLister(k8s.Fields{})
	for {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(f.patience()):
		}
		asked, cancel := context.WithTimeout(ctx, answerTimeout)
		pods, _, err := lister.Pods(asked)
		cancel()
		if err == nil && (fromAPI(pods) || !fromAPI(f.found().pods)) { // else it has just started
			return true
		}
	}
}

// fromAPI reports whether a pod of the API server is among them.
func fromAPI(pods []*k8s.Pod) bool {
	return slices.ContainsFunc(pods, func(p *k8s.Pod) bool { return p.FromAPI })
}

// patience is the wait before a kubelet that refused is asked again: not long
// where the API server is of no help.
func (f *finder) patience() time.Duration {
	if f.found().err != nil {
		return min(f.again, retryMost)
	}
	return f.again
}

// isRefusal reports whether a kubelet will say the same the next time.
func isRefusal(err error) bool {
	if status, ok := errors.AsType[*k8s.StatusError](err); ok {
		return slices.Contains([]int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound}, status.Code)
	}
	if _, ok := errors.AsType[*httpclient.FileError](err); ok {
		return true
	}
	_, ok := errors.AsType[*tls.CertificateVerificationError](err)
	return ok
}

// runWatch keeps the pods as the API server tells them, until ctx ends. What
// keeps a watch from beginning, such as a missing file of authorities, may be
// mended while kinglet runs.
func (f *finder) runWatch(ctx context.Context) {
	if f.watch == nil {
		f.failed(sourceAPI, f.noWatch)
		<-ctx.Done()
		return
	}
	for {
		err := f.watch.Run(ctx, func(pods []*k8s.Pod) { f.delivered(sourceAPI, pods, true) }, func(err error) {
			if err != nil {
				f.failed(sourceAPI, err)
			}
		})
		if err != nil {
			f.failed(sourceAPI, err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(f.patience()):
		}
	}
}

// poll asks the kubelet again and again until ctx ends. Told is told of every
// answer.
func (f *finder) poll(ctx context.Context, kubelet lister, told func(error)) {
	defer f.kubelet.Close()
	for {
		err := f.ask(ctx, kubelet)
		if ctx.Err() != nil {
			return
		}
		told(err)
		wait := f.cfg.PollInterval.Duration
		if err != nil && isRefusal(err) {
			wait = max(wait, retryMost)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// ask asks the kubelet once.
func (f *finder) ask(ctx context.Context, kubelet lister) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	pods, changed, err := kubelet.Pods(ctx)
	if err != nil {
		f.failed(sourceKubelet, err)
		return err
	}
	f.delivered(sourceKubelet, pods, changed)
	return nil
}

// delivered takes a good answer.
func (f *finder) delivered(source string, pods []*k8s.Pod, changed bool) {
	f.metrics.asked(source, true)
	f.mu.Lock()
	before := f.state
	f.state.at, f.state.err, f.state.tried = time.Now(), nil, true
	f.state.pods, f.state.source = pods, source
	f.mu.Unlock()
	if before.err != nil || before.source == "" {
		f.log.Info("the pods of this node are known", "source", source, "pods", len(pods))
	}
	if changed || before.source != source || before.err != nil {
		f.changed()
	}
}

// failed takes a bad answer. The pods stay what they were.
func (f *finder) failed(source string, err error) {
	if errors.Is(err, context.Canceled) {
		return // a stop
	}
	f.metrics.asked(source, false)
	f.mu.Lock()
	first := f.state.err == nil || gist(f.state.err) != gist(err)
	f.state.err, f.state.tried = err, true
	f.mu.Unlock()
	if first {
		f.log.Warn("the pods of this node cannot be listed, those that are known stay", "source", source, "error", err)
		f.changed()
	}
}

// gist is an error without its numbers: ports, times and lengths differ from
// try to try, and the log is not to say the same every time.
func gist(err error) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, err.Error())
}
