package k8s

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"kinglet/internal/tree"
)

// recorded is what a kubelet of Kubernetes 1.36 answered.
func recorded(t testing.TB, name string) []byte {
	t.Helper()
	return tree.Unzip(t, "testdata/"+name)
}

// podsServer is a kubelet that answers with what is in text.
type podsServer struct{ text atomic.Pointer[string] }

func (s *podsServer) set(text string) { s.text.Store(&text) }

func (s *podsServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/pods" {
		http.NotFound(w, r)
		return
	}
	_, _ = io.WriteString(w, *s.text.Load())
}

// lister asks a kubelet that answers with text.
func lister(t testing.TB, text string, keep Fields) (*PodLister, *podsServer) {
	t.Helper()
	answers := &podsServer{}
	answers.set(text)
	s := httptest.NewServer(answers)
	t.Cleanup(s.Close)
	k, err := NewKubelet(KubeletConfig{URL: s.URL}, Node{Name: "node1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k.NewPodLister(keep), answers
}

func keepAll() Fields { return Fields{Annotation: func(string) bool { return true }} }

func mustPods(t testing.TB, l *PodLister) ([]*Pod, bool) {
	t.Helper()
	pods, changed, err := l.Pods(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return pods, changed
}

// typed is a pod read with the types of k8s.io/api.
func typed(p *corev1.Pod) *Pod {
	want := &Pod{
		Namespace: p.Namespace, Name: p.Name, UID: string(p.UID), Node: p.Spec.NodeName, Labels: p.Labels, Annotations: p.Annotations,
		Phase: string(p.Status.Phase), Ready: "unknown", IP: p.Status.PodIP, HostIP: p.Status.HostIP, HostNetwork: p.Spec.HostNetwork,
		Deleting: p.DeletionTimestamp != nil, FromAPI: p.Annotations["kubernetes.io/config.source"] == "api",
	}
	for _, o := range p.OwnerReferences {
		if o.Controller != nil && *o.Controller {
			want.Controller = Controller{o.Kind, o.Name}
		}
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			want.Ready = strings.ToLower(string(c.Status))
		}
	}
	add := func(containers []corev1.Container, statuses []corev1.ContainerStatus, init bool) {
		for _, c := range containers {
			made := Container{Name: c.Name, Image: c.Image, Init: init, Sidecar: init && c.RestartPolicy != nil && *c.RestartPolicy == "Always"}
			for _, port := range c.Ports {
				made.Ports = append(made.Ports, Port{port.Name, int(port.ContainerPort), string(port.Protocol)})
			}
			for _, s := range statuses {
				if s.Name != c.Name {
					continue
				}
				made.ID, made.Restarts, made.State = s.ContainerID, int(s.RestartCount), Waiting
				if s.State.Running != nil {
					made.State = Running
				} else if s.State.Terminated != nil {
					made.State = Terminated
				}
			}
			want.Containers = append(want.Containers, made)
		}
	}
	add(p.Spec.Containers, p.Status.ContainerStatuses, false)
	add(p.Spec.InitContainers, p.Status.InitContainerStatuses, true)
	return want
}

// TestPodsAreAsKubernetesHasThem reads recorded answers, and one with all that
// they lack, with the types of k8s.io/api too.
func TestPodsAreAsKubernetesHasThem(t *testing.T) {
	made, err := os.ReadFile("testdata/kubelet-pods-made.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"85 pods": recorded(t, "kubelet-pods-80.json.gz"), "3 pods": recorded(t, "kubelet-pods.json.gz"), "made": made,
	} {
		t.Run(name, func(t *testing.T) {
			var list corev1.PodList
			if err := json.Unmarshal(text, &list); err != nil {
				t.Fatal(err)
			}
			l, _ := lister(t, string(text), keepAll())
			got, changed := mustPods(t, l)
			if len(got) != len(list.Items) || !changed {
				t.Fatalf("%d pods, changed %v; want %d", len(got), changed, len(list.Items))
			}
			byKey := map[string]*Pod{}
			for _, p := range got {
				byKey[p.Key()] = p
			}
			for i := range list.Items {
				want := typed(&list.Items[i])
				if diff := cmp.Diff(want, byKey[want.Key()], cmp.Transformer("none", func(m map[string]string) map[string]string {
					if len(m) == 0 {
						return nil
					}
					return m
				})); diff != "" {
					t.Errorf("%s (-want +got):\n%s", want.Key(), diff)
				}
			}
		})
	}
}

func TestOnlyUsedAnnotationsAreHeld(t *testing.T) {
	long := strings.Repeat("x", annotationBytes+1)
	l, _ := lister(t, `{"items":[{"metadata":{"name":"a","annotations":{"keep/a":"1","drop/b":"2","keep/long":"`+long+`"}}}]}`,
		Fields{Annotation: func(name string) bool { return strings.HasPrefix(name, "keep/") }})
	pods, _ := mustPods(t, l)
	if diff := cmp.Diff(map[string]string{"keep/a": "1"}, pods[0].Annotations); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// listOf is a kubelet's answer with these pods.
func listOf(pods ...string) string {
	return `{"kind":"PodList","items":[` + strings.Join(pods, ",") + `]}`
}

// aPod is one of the API server, with more of its JSON.
func aPod(name, more string) string {
	return `{"metadata":{"namespace":"shop","name":"` + name + `","uid":"` + name + `","annotations":{"kubernetes.io/config.source":"api"}}` + more + `}`
}

func TestWhatDidNotChangeIsToldSo(t *testing.T) {
	l, answers := lister(t, listOf(aPod("a", ""), aPod("b", "")), Fields{})
	first, changed := mustPods(t, l)
	if !changed || len(first) != 2 {
		t.Fatalf("%d pods, changed %v", len(first), changed)
	}
	for _, tt := range []struct {
		name, text string
		changed    bool
		pods       int
	}{
		{"the same", listOf(aPod("a", ""), aPod("b", "")), false, 2},
		{"in another order", listOf(aPod("b", ""), aPod("a", "")), false, 2},
		{"in what is not used", listOf(aPod("a", `,"status":{"startTime":"2026-01-01T00:00:00Z"}`), aPod("b", "")), false, 2},
		{"in its address", listOf(aPod("a", `,"status":{"podIP":"10.0.0.1"}`), aPod("b", "")), true, 2},
		{"one more", listOf(aPod("a", `,"status":{"podIP":"10.0.0.1"}`), aPod("b", ""), aPod("c", "")), true, 3},
		{"one less", listOf(aPod("b", ""), aPod("c", "")), true, 2},
		{"another of its name", listOf(aPod("b", ""), strings.Replace(aPod("c", ""), `"uid":"c"`, `"uid":"c2"`, 1)), true, 2},
	} {
		answers.set(tt.text)
		pods, changed := mustPods(t, l)
		if changed != tt.changed || len(pods) != tt.pods {
			t.Errorf("%s: changed %v, %d pods", tt.name, changed, len(pods))
		}
	}
	before, _ := mustPods(t, l)
	after, _ := mustPods(t, l)
	if before[0] != after[0] {
		t.Error("a pod that did not change was decoded again")
	}
}

func TestBadAnswersLeaveThePods(t *testing.T) {
	good := listOf(aPod("a", ""))
	l, answers := lister(t, good, Fields{})
	mustPods(t, l)
	for _, tt := range []struct{ name, text, want string }{
		{"cut off", good[:len(good)-5], "read the kubelet's pods: unexpected EOF"},
		{"a pod that is none", `{"items":[{"metadata":7}]}`, "read the kubelet's pods: json: cannot unmarshal number into Go struct field wirePod.metadata of type k8s.wireMeta"},
		{"no list", `{"kind":"Status"}`, "read the kubelet's pods: the answer holds no list of pods: want a JSON object with items"},
	} {
		answers.set(tt.text)
		if _, _, err := l.Pods(t.Context()); message(err) != tt.want {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
	answers.set(good)
	if _, changed := mustPods(t, l); changed {
		t.Error("what was good before is a change")
	}
}

func TestSlowKubeletIsGivenUp(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"items":[`)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, _, err := mustKubelet(t, KubeletConfig{URL: s.URL}, Node{}).NewPodLister(Fields{}).Pods(ctx)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

// TestRestartingKubeletIsWaitedFor: a kubelet knows the pods of files at once,
// those of the API server when it has reached it.
func TestRestartingKubeletIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &PodLister{}
		for _, tt := range []struct {
			fromAPI  bool
			after    time.Duration
			settling bool
		}{
			{false, 0, false}, // one that has no API server
			{true, time.Second, false},
			{false, time.Second, true},
			{false, 9 * time.Minute, true},
			{true, time.Second, false},
			{false, time.Second, true},
			{false, settleTime, false}, // that many pods have really gone
			{false, time.Second, false},
			{true, time.Second, false},
		} {
			<-time.After(tt.after)
			if got := l.settling(tt.fromAPI); got != tt.settling {
				t.Errorf("from the API %v, after %v: settling %v", tt.fromAPI, tt.after, got)
			}
		}
	})
	l, answers := lister(t, listOf(aPod("a", "")), Fields{})
	mustPods(t, l)
	answers.set(`{"items":null}`)
	if _, _, err := l.Pods(t.Context()); !errors.Is(err, ErrSettling) {
		t.Errorf("%v, want %v", err, ErrSettling)
	}
}

func BenchmarkPods(b *testing.B) {
	text := recorded(b, "kubelet-pods-80.json.gz")
	var list struct{ Items []json.RawMessage }
	if err := json.Unmarshal(text, &list); err != nil {
		b.Fatal(err)
	}
	l, answers := lister(b, string(text), Fields{})
	mustPods(b, l)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer() // a kubelet gives them in another order each time
		rand.Shuffle(len(list.Items), func(i, j int) { list.Items[i], list.Items[j] = list.Items[j], list.Items[i] })
		shuffled, err := json.Marshal(map[string]any{"items": list.Items})
		if err != nil {
			b.Fatal(err)
		}
		answers.set(string(shuffled))
		b.StartTimer()
		if _, changed := mustPods(b, l); changed {
			b.Fatal("a change of order is a change")
		}
	}
	b.ReportMetric(float64(len(list.Items)), "pods")
}
