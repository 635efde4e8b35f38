package k8s

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// APIConfig says how the API server is asked. Inputs embed it. Begin from
// DefaultAPIConfig.
type APIConfig struct {
	// URL is its address. "" is that of the environment in a pod.
	URL string `toml:"api_url" expand:"all"`
	// TokenFile holds the bearer token, and is read again when it changes.
	TokenFile string `toml:"api_token_file" expand:"braces"`
	// CAFile vouches for the API server's certificate.
	CAFile string `toml:"api_ca_file" expand:"braces"`
}

// DefaultAPIConfig asks as the service account of the pod that kinglet runs in.
func DefaultAPIConfig() APIConfig { return APIConfig{TokenFile: tokenFile, CAFile: caFile} }

// Validate reports every fault, each under its TOML key.
func (c APIConfig) Validate() error {
	if c.URL == "" {
		return nil
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" {
		return errors.New("api_url: want https://HOST:PORT")
	}
	return nil
}

// listTimeout bounds one list: the pods of one node are a few hundred
// kilobytes.
const listTimeout = 30 * time.Second

// PodWatch keeps the pods of one node as the API server tells them, by a list
// and a watch of no more than them.
type PodWatch struct {
	config     *rest.Config
	node       string
	namespaces []string
	keep       Fields
	log        *slog.Logger
}

// NewPodWatch makes a watch that keeps these fields. With namespaces it asks
// for each of them alone, for which a Role in each will do; without, for all.
// It reads no file and opens no connection. An error says that there is no API
// server to be asked.
func NewPodWatch(cfg APIConfig, node Node, namespaces []string, keep Fields, userAgent string,
	lookup func(string) (string, bool), log *slog.Logger) (*PodWatch, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if node.Name == "" {
		return nil, ErrNoNode
	}
	address := cfg.URL
	if address == "" {
		host, _ := lookup("KUBERNETES_SERVICE_HOST")
		port, _ := lookup("KUBERNETES_SERVICE_PORT")
		if host == "" || port == "" {
			return nil, errors.New("there is no API server to be asked: kinglet does not run in a pod, want api_url")
		}
		address = "https://" + net.JoinHostPort(host, port)
	}
	if len(namespaces) == 0 {
		namespaces = []string{metav1.NamespaceAll}
	}
	rc := &rest.Config{
		Host: address, APIPath: "/api", UserAgent: userAgent,
		WarningHandler: rest.NoWarnings{}, // deprecations are for those who write pods
		Dial:           (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext,
		ContentConfig:  podContent(),
	}
	if u, err := url.Parse(address); err == nil && u.Scheme == "https" {
		rc.BearerTokenFile = cfg.TokenFile // read anew every minute
		rc.TLSClientConfig = rest.TLSClientConfig{CAFile: cfg.CAFile}
	}
	return &PodWatch{config: rc, node: node.Name, namespaces: namespaces, keep: keep, log: log}, nil
}

// Run watches until ctx ends. It calls deliver with this node's pods, ordered
// by namespace and name, once they are known and after every change; changes
// that come together are told together. Fault is called for every failed try
// with an error that says what to change, and with nil when all is well again.
// Neither is called at the same time as the other, or after Run has returned.
func (w *PodWatch) Run(ctx context.Context, deliver func([]*Pod), fault func(error)) error {
	client, err := rest.RESTClientFor(w.config)
	if err != nil {
		return fmt.Errorf("prepare to ask the API server: %w", err)
	}
	if c := client.Client; c != nil {
		defer c.CloseIdleConnections()
	}
	ctx = logr.NewContextWithSlogLogger(ctx, w.log.With("api_server", w.config.Host))
	all := &podStore{keep: w.keep, changed: make(chan struct{}, 1), parts: map[string]*podPart{}}
	var reflectors sync.WaitGroup
	defer reflectors.Wait()
	for _, namespace := range w.namespaces {
		part := all.part(namespace)
		r := cache.NewReflectorWithOptions(w.lister(client, namespace), &apiPod{}, part,
			cache.ReflectorOptions{Name: "pods of this node", TypeDescription: "pods"})
		reflectors.Go(func() { w.reflect(ctx, r, part, namespace) })
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-all.changed:
			pods, synced, err := all.snapshot()
			if fault(err); synced {
				deliver(pods)
			}
		}
	}
}

// The wait before the pods are listed again after a failure doubles between
// these: a restarting API server is not to be asked by every node at once, and
// a permission that was given shall not take long to be seen.
const (
	retryFirst = time.Second
	retryMost  = 30 * time.Second
)

// reflect lists and watches until ctx ends. A watch that ended in an orderly
// way, as each does after some minutes, is begun again by the reflector.
func (w *PodWatch) reflect(ctx context.Context, r *cache.Reflector, part *podPart, namespace string) {
	wait := retryFirst
	for ctx.Err() == nil {
		begun := time.Now()
		err := r.ListAndWatchWithContext(ctx)
		if err != nil && ctx.Err() == nil {
			part.failed(w.explain(err, namespace))
		}
		if time.Since(begun) > retryMost {
			wait = retryFirst
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait/2 + rand.N(wait/2)):
		}
		wait = min(2*wait, retryMost)
	}
}

// lister asks for this node's pods of a namespace.
func (w *PodWatch) lister(client rest.Interface, namespace string) *cache.ListWatch {
	mine := fields.OneTermEqualSelector("spec.nodeName", w.node).String()
	request := func(options metav1.ListOptions) *rest.Request {
		options.FieldSelector = mine
		return client.Get().NamespaceIfScoped(namespace, namespace != metav1.NamespaceAll).Resource("pods").
			VersionedParams(&options, metav1.ParameterCodec)
	}
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			ctx, cancel := context.WithTimeout(ctx, listTimeout)
			defer cancel()
			list := &apiPodList{}
			return list, request(options).Do(ctx).Into(list)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.Watch = true
			return request(options).Watch(ctx)
		},
	}
}

// explain says what to change when the API server refuses.
func (w *PodWatch) explain(err error, namespace string) error {
	where := "its ClusterRole"
	if namespace != metav1.NamespaceAll {
		where = "its Role in " + namespace
	}
	switch {
	case apierrors.IsForbidden(err):
		return fmt.Errorf("the API server refuses the pods of this node: %s needs the verbs list and watch on pods: %w", where, err)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("the API server does not know the token: check api_token_file: %w", err)
	}
	return fmt.Errorf("ask the API server for the pods of this node: %w", err)
}

// podStore holds the pods of all namespaces that are asked for.
type podStore struct {
	keep    Fields
	changed chan struct{}

	mu    sync.Mutex
	parts map[string]*podPart
}

// podPart is what one reflector tells.
type podPart struct {
	store  *podStore
	pods   map[string]*Pod // by namespace/name
	synced bool
	err    error // of the last try
}

var _ cache.ReflectorStore = (*podPart)(nil)

func (s *podStore) part(namespace string) *podPart {
	p := &podPart{store: s, pods: map[string]*Pod{}}
	s.parts[namespace] = p
	return p
}

// snapshot is all pods, whether that is all of them, and what is wrong.
func (s *podStore) snapshot() (pods []*Pod, synced bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	synced = true
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(s.parts)) {
		p := s.parts[name]
		synced = synced && p.synced
		faults = append(faults, p.err)
		pods = slices.AppendSeq(pods, maps.Values(p.pods))
	}
	slices.SortFunc(pods, comparePods)
	return pods, synced, errors.Join(faults...)
}

// change runs f under the lock and tells that something changed.
func (p *podPart) change(f func()) {
	p.store.mu.Lock()
	f()
	p.store.mu.Unlock()
	select {
	case p.store.changed <- struct{}{}:
	default:
	}
}

func (p *podPart) failed(err error) { p.change(func() { p.err = err }) }

// Add and its siblings are called by the reflector.
func (p *podPart) Add(obj any) error { return p.put(obj) }

// Update puts a pod in the place of the one of its name.
func (p *podPart) Update(obj any) error { return p.put(obj) }

func (p *podPart) put(obj any) error {
	w, ok := obj.(*apiPod)
	if !ok {
		return fmt.Errorf("the API server gave a %T for a pod", obj)
	}
	pod := w.pod(p.store.keep)
	p.change(func() {
		p.err = nil
		if _, known := p.pods[pod.Key()]; known || len(p.pods) < maxPods {
			p.pods[pod.Key()] = pod
		}
	})
	return nil
}

// Delete removes a pod.
func (p *podPart) Delete(obj any) error {
	if w, ok := obj.(*apiPod); ok {
		p.change(func() { p.err = nil; delete(p.pods, w.Namespace+"/"+w.Name) })
	}
	return nil
}

// Replace makes a list all there is: what was deleted while nobody watched is
// gone with it.
func (p *podPart) Replace(list []any, _ string) error {
	pods := make(map[string]*Pod, len(list))
	for _, obj := range list {
		w, ok := obj.(*apiPod)
		if !ok {
			return fmt.Errorf("the API server gave a %T for a pod", obj)
		}
		if pod := w.pod(p.store.keep); len(pods) < maxPods {
			pods[pod.Key()] = pod
		}
	}
	p.change(func() { p.pods, p.synced, p.err = pods, true, nil })
	return nil
}

// Resync has nothing to do.
func (*podPart) Resync() error { return nil }
