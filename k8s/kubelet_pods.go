package k8s

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"time"
)

// podsPage lists the pods that the kubelet is to run.
const podsPage = "/pods"

// settleTime is how long a kubelet is given to learn its pods after a start.
const settleTime = 10 * time.Minute

// ErrSettling says that a kubelet has just started and does not know its pods
// yet.
var ErrSettling = errors.New("the kubelet has just started and does not know its pods yet")

// PodLister asks one kubelet for its pods again and again. A pod that did not
// change between two answers is not decoded again: the kubelet has no way to
// tell what changed, and gives the pods in another order every time. It is not
// safe for concurrent use.
type PodLister struct {
	kubelet *Kubelet
	keep    Fields
	seed    maphash.Seed
	known   map[uint64]*Pod // by the hash of its JSON
	pods    []*Pod
	hadAPI  bool      // a pod of the last list was of the API server
	lostAPI time.Time // since when none is
}

// NewPodLister makes a lister that keeps these fields.
func (k *Kubelet) NewPodLister(keep Fields) *PodLister {
	return &PodLister{kubelet: k, keep: keep, seed: maphash.MakeSeed()}
}

// Pods lists this node's pods, ordered by namespace and name, whatever their
// phase, and reports whether anything differs from the last list. On any error
// the caller keeps the last list: the pods run on without their kubelet. A
// kubelet that lists no pod of the API server, where it did before, is
// restarting, for kinglet's own pod is such a one: that is ErrSettling, for ten
// minutes at most.
func (l *PodLister) Pods(ctx context.Context) (pods []*Pod, changed bool, err error) {
	resp, err := l.kubelet.Get(ctx, podsPage)
	if err != nil {
		return nil, false, err
	}
	defer resp.Body.Close()
	next := make(map[uint64]*Pod, len(l.known)+1)
	err = splitList(resp.Body, func(item []byte) error { return l.take(next, item) })
	if err != nil {
		return nil, false, fmt.Errorf("read the kubelet's pods: %w", err)
	}
	pods = make([]*Pod, 0, len(next))
	fromAPI := false
	for _, p := range next {
		pods = append(pods, p)
		fromAPI = fromAPI || p.FromAPI
	}
	if l.settling(fromAPI) {
		return nil, false, ErrSettling
	}
	slices.SortFunc(pods, comparePods)
	changed = l.known == nil || !slices.EqualFunc(pods, l.pods, (*Pod).equal)
	l.known, l.pods = next, pods
	return pods, changed, nil
}

// take decodes a pod unless it is known.
func (l *PodLister) take(next map[uint64]*Pod, item []byte) error {
	sum := maphash.Bytes(l.seed, item)
	p := l.known[sum]
	if p == nil {
		var w wirePod
		if err := json.Unmarshal(item, &w); err != nil {
			return err
		}
		p = w.pod(l.keep)
	}
	next[sum] = p
	return nil
}

// settling reports whether a list is that of a kubelet that has just started.
func (l *PodLister) settling(fromAPI bool) bool {
	if fromAPI || !l.hadAPI {
		l.hadAPI, l.lostAPI = fromAPI, time.Time{}
		return false
	}
	if l.lostAPI.IsZero() {
		l.lostAPI = time.Now()
	}
	if time.Since(l.lostAPI) < settleTime {
		return true
	}
	l.hadAPI = false
	return false
}

func comparePods(a, b *Pod) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.UID, b.UID))
}
