// Package k8s is what kinglet asks of a cluster: which node it is on, the pages
// and pods of that node's kubelet, and, where the kubelet may not be asked, that
// node's pods of the API server. It asks for nothing of any other node, and
// writes nothing.
package k8s

import (
	"errors"
	"net/netip"
	"strings"
)

// Node is the node that kinglet runs on.
type Node struct {
	Name string // of the Node object
	IP   string // an address of it; "" if unknown
	// From is the environment variable that the name was read of; "" if it was
	// configured.
	From string
}

// nameVariables are where manifests put spec.nodeName, the surest first.
// HOSTNAME is Categraf's; without a manifest that sets it, it is the pod's.
func nameVariables() []string {
	return []string{"K8S_NODENAME", "K8S_NODE_NAME", "NODE_NAME", "KUBE_NODE_NAME", "HOSTNAME"}
}

// ipVariables are where manifests put status.hostIP. HOSTIP is Categraf's.
func ipVariables() []string {
	return []string{"HOSTIP", "HOST_IP", "NODE_IP", "K8S_NODE_IP"}
}

// ThisNode is the node as the environment tells it. Name overrides the
// environment's; "" does not.
func ThisNode(name string, lookup func(string) (string, bool)) Node {
	n := Node{Name: name}
	for _, variable := range nameVariables() {
		if n.Name != "" {
			break
		}
		if value, _ := lookup(variable); strings.TrimSpace(value) != "" {
			n.Name, n.From = strings.TrimSpace(value), variable
		}
	}
	for _, variable := range ipVariables() {
		value, _ := lookup(variable)
		if _, err := netip.ParseAddr(strings.TrimSpace(value)); err == nil {
			n.IP = strings.TrimSpace(value)
			break
		}
	}
	return n
}

// ErrNoNode says that nothing tells which node this is.
var ErrNoNode = errors.New("the name of this node is not known: set the environment variable K8S_NODENAME from the field spec.nodeName, or node_name")
