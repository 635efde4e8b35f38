package k8s

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
)

// apiPod is a pod as client-go hands it over: it knows no more of it than
// kinglet uses. k8s.io/api, which knows all, would cost megabytes.
type apiPod struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              wireSpec      `json:"spec"`
	Status            wirePodStatus `json:"status"`
}

type apiPodList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`
	Items           []apiPod `json:"items"`
}

// DeepCopyObject is for client-go. What lies below is never changed.
func (p *apiPod) DeepCopyObject() runtime.Object { copied := *p; return &copied }

// DeepCopyObject is for client-go. What lies below is never changed.
func (l *apiPodList) DeepCopyObject() runtime.Object { copied := *l; return &copied }

// pod is p, without what kinglet does not use.
func (p *apiPod) pod(keep Fields) *Pod {
	w := wirePod{
		Metadata: wireMeta{
			Name: p.Name, Namespace: p.Namespace, UID: string(p.UID), Labels: p.Labels, Annotations: p.Annotations,
		},
		Spec: p.Spec, Status: p.Status,
	}
	if p.DeletionTimestamp != nil {
		w.Metadata.DeletionTimestamp = new(string)
	}
	for _, owner := range p.OwnerReferences {
		w.Metadata.OwnerReferences = append(w.Metadata.OwnerReferences,
			wireOwner{owner.Kind, owner.Name, owner.Controller != nil && *owner.Controller})
	}
	made := w.pod(keep)
	made.FromAPI = true
	return made
}

// podContent reads pods, lists of them, and what the API server answers
// instead.
func podContent() rest.ContentConfig {
	version := schema.GroupVersion{Version: "v1"}
	scheme := runtime.NewScheme()
	scheme.AddKnownTypeWithName(version.WithKind("Pod"), &apiPod{})
	scheme.AddKnownTypeWithName(version.WithKind("PodList"), &apiPodList{})
	metav1.AddToGroupVersion(scheme, version)
	return rest.ContentConfig{
		GroupVersion:         &version,
		ContentType:          runtime.ContentTypeJSON,
		NegotiatedSerializer: serializer.NewCodecFactory(scheme).WithoutConversion(),
	}
}
