package k8s

import (
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestAFullStoreStillTakesWhatChanges(t *testing.T) {
	store := &podStore{changed: make(chan struct{}, 1), parts: map[string]*podPart{}}
	part := store.part("")
	pod := func(n int, node string) *apiPod {
		return &apiPod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: fmt.Sprintf("p%d", n)}, Spec: wireSpec{NodeName: node}}
	}
	for n := range maxPods + 1 {
		if err := part.Add(pod(n, "old")); err != nil {
			t.Fatal(err)
		}
	}
	if err := part.Update(pod(0, "new")); err != nil {
		t.Fatal(err)
	}
	if len(part.pods) != maxPods || part.pods["shop/p0"].Node != "new" {
		t.Errorf("%d pods, p0 is on %q; want %d, new", len(part.pods), part.pods["shop/p0"].Node, maxPods)
	}
}
