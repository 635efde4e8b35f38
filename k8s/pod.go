package k8s

import (
	"maps"
	"slices"
	"strings"
)

// Phases of a pod.
const (
	PodPending   = "Pending"
	PodRunning   = "Running"
	PodSucceeded = "Succeeded"
	PodFailed    = "Failed"
)

// Pod is what kinglet uses of a pod, and holds of it. It is immutable.
type Pod struct {
	Namespace, Name, UID string
	Node                 string // spec.nodeName
	Labels               map[string]string
	Annotations          map[string]string // those that Fields keeps
	Controller           Controller        // zero if it has none
	Phase                string            // PodRunning and so on; "" if it is not known yet
	Ready                string            // of the condition, lower case: "true", "false", "unknown"
	IP, HostIP           string            // as the kubelet says, "" before it does
	HostNetwork          bool
	Deleting             bool // it is being terminated
	FromAPI              bool // the kubelet has it from the API server, not from a file
	Containers           []Container
}

// Controller is what a pod belongs to.
type Controller struct{ Kind, Name string }

// Container is a container of a pod.
type Container struct {
	Name, Image, ID string
	Init            bool // an init container, sidecars among them
	Sidecar         bool // an init container that keeps running (restartPolicy: Always)
	State           State
	Restarts        int
	Ports           []Port
}

// State is what a container does.
type State uint8

// States of a container.
const (
	Unknown    State = iota // no status yet
	Waiting                 // to be started, for the first time or again
	Running                 //
	Terminated              // it has ended
)

// Port is a port that a container declares.
type Port struct {
	Name     string
	Number   int
	Protocol string // "TCP", "UDP" or "SCTP"
}

// Key names the pod as people do: namespace/name.
func (p *Pod) Key() string { return p.Namespace + "/" + p.Name }

// equal reports whether nothing that kinglet uses differs.
func (p *Pod) equal(q *Pod) bool {
	return p.Namespace == q.Namespace && p.Name == q.Name && p.UID == q.UID && p.Node == q.Node &&
		maps.Equal(p.Labels, q.Labels) && maps.Equal(p.Annotations, q.Annotations) && p.Controller == q.Controller &&
		p.Phase == q.Phase && p.Ready == q.Ready && p.IP == q.IP && p.HostIP == q.HostIP &&
		p.HostNetwork == q.HostNetwork && p.Deleting == q.Deleting && p.FromAPI == q.FromAPI &&
		slices.EqualFunc(p.Containers, q.Containers, func(a, b Container) bool {
			return a.Name == b.Name && a.Image == b.Image && a.ID == b.ID && a.Init == b.Init && a.Sidecar == b.Sidecar &&
				a.State == b.State && a.Restarts == b.Restarts && slices.Equal(a.Ports, b.Ports)
		})
}

// annotationBytes is the longest value of an annotation that is held. Longer
// ones are whole manifests, which nobody writes rules about.
const annotationBytes = 4 << 10

// Fields says which of a pod's annotations are of use. It must not change
// while it is in use.
type Fields struct {
	// Annotation reports whether the annotation of that name is kept; nil keeps
	// none. Values of more than 4 KiB never are.
	Annotation func(name string) bool
}

// wirePod is a pod as JSON has it, as far as kinglet reads it.
type wirePod struct {
	Metadata wireMeta      `json:"metadata"`
	Spec     wireSpec      `json:"spec"`
	Status   wirePodStatus `json:"status"`
}

type wireMeta struct {
	Name              string            `json:"name"`
	Namespace         string            `json:"namespace"`
	UID               string            `json:"uid"`
	DeletionTimestamp *string           `json:"deletionTimestamp"`
	Labels            map[string]string `json:"labels"`
	Annotations       map[string]string `json:"annotations"`
	OwnerReferences   []wireOwner       `json:"ownerReferences"`
}

type wireOwner struct {
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	Controller bool   `json:"controller"`
}

type wireSpec struct {
	NodeName       string          `json:"nodeName"`
	HostNetwork    bool            `json:"hostNetwork"`
	Containers     []wireContainer `json:"containers"`
	InitContainers []wireContainer `json:"initContainers"`
}

type wirePodStatus struct {
	Phase                 string          `json:"phase"`
	PodIP                 string          `json:"podIP"`
	HostIP                string          `json:"hostIP"`
	Conditions            []wireCondition `json:"conditions"`
	ContainerStatuses     []wireStatus    `json:"containerStatuses"`
	InitContainerStatuses []wireStatus    `json:"initContainerStatuses"`
}

type wireCondition struct {
	Type   string `json:"type"`
	Status string `json:"status"`
}

type wireContainer struct {
	Name          string `json:"name"`
	Image         string `json:"image"`
	RestartPolicy string `json:"restartPolicy"`
	Ports         []struct {
		Name          string `json:"name"`
		ContainerPort int    `json:"containerPort"`
		Protocol      string `json:"protocol"`
	} `json:"ports"`
}

type wireStatus struct {
	Name         string `json:"name"`
	ContainerID  string `json:"containerID"`
	RestartCount int    `json:"restartCount"`
	State        struct {
		Waiting    *struct{} `json:"waiting"`
		Running    *struct{} `json:"running"`
		Terminated *struct{} `json:"terminated"`
	} `json:"state"`
}

// configSource is the annotation in which a kubelet says where it has a pod
// from.
const configSource = "kubernetes.io/config.source"

// pod is w, without what kinglet does not use.
func (w *wirePod) pod(keep Fields) *Pod {
	m, s := &w.Metadata, &w.Status
	p := &Pod{
		Namespace: m.Namespace, Name: m.Name, UID: m.UID, Node: w.Spec.NodeName, Labels: m.Labels,
		Annotations: map[string]string{}, Phase: s.Phase, Ready: "unknown", IP: s.PodIP, HostIP: s.HostIP,
		HostNetwork: w.Spec.HostNetwork, Deleting: m.DeletionTimestamp != nil, FromAPI: m.Annotations[configSource] == "api",
		Containers: make([]Container, 0, len(w.Spec.Containers)+len(w.Spec.InitContainers)),
	}
	for name, value := range m.Annotations {
		if keep.Annotation != nil && len(value) <= annotationBytes && keep.Annotation(name) {
			p.Annotations[name] = value
		}
	}
	for _, owner := range m.OwnerReferences {
		if owner.Controller {
			p.Controller = Controller{owner.Kind, owner.Name}
			break
		}
	}
	for _, c := range s.Conditions {
		if c.Type == "Ready" {
			p.Ready = strings.ToLower(c.Status)
		}
	}
	for i := range w.Spec.Containers {
		p.Containers = append(p.Containers, w.Spec.Containers[i].container(s.ContainerStatuses))
	}
	for i := range w.Spec.InitContainers {
		c := w.Spec.InitContainers[i].container(s.InitContainerStatuses)
		c.Init, c.Sidecar = true, w.Spec.InitContainers[i].RestartPolicy == "Always"
		p.Containers = append(p.Containers, c)
	}
	return p
}

// container is w with what the statuses say of it.
func (w *wireContainer) container(statuses []wireStatus) Container {
	c := Container{Name: w.Name, Image: w.Image}
	for _, port := range w.Ports {
		protocol := port.Protocol
		if protocol == "" {
			protocol = "TCP"
		}
		c.Ports = append(c.Ports, Port{port.Name, port.ContainerPort, protocol})
	}
	for i := range statuses {
		status := &statuses[i]
		if status.Name != w.Name {
			continue
		}
		c.ID, c.Restarts = status.ContainerID, status.RestartCount
		switch {
		case status.State.Running != nil:
			c.State = Running
		case status.State.Terminated != nil:
			c.State = Terminated
		default:
			c.State = Waiting
		}
	}
	return c
}
