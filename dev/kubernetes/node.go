package kubernetes

import (
	"context"
	"fmt"
	"slices"
)

// KWOK plays the kubelet of the nodes with this annotation and leaves others alone.
const (
	fakeNodeAnnotation = "kwok.x-k8s.io/node"
	fakeNodeValue      = "fake"
)

// The parts of a Node that a start needs.
type (
	node struct {
		APIVersion string     `json:"apiVersion,omitempty"`
		Kind       string     `json:"kind,omitempty"`
		Metadata   metadata   `json:"metadata"`
		Spec       nodeSpec   `json:"spec"`
		Status     nodeStatus `json:"status"`
	}
	metadata struct {
		Name        string            `json:"name"`
		Annotations map[string]string `json:"annotations,omitempty"`
		Labels      map[string]string `json:"labels,omitempty"`
	}
	nodeSpec struct {
		Taints []struct {
			Key string `json:"key"`
		} `json:"taints,omitempty"`
	}
	nodeStatus struct {
		Addresses       []nodeAddress     `json:"addresses,omitempty"`
		Capacity        map[string]string `json:"capacity,omitempty"`
		Allocatable     map[string]string `json:"allocatable,omitempty"`
		DaemonEndpoints struct {
			KubeletEndpoint struct {
				Port int `json:"Port"`
			} `json:"kubeletEndpoint"`
		} `json:"daemonEndpoints"`
		Conditions []condition `json:"conditions,omitempty"`
	}
	nodeAddress struct {
		Type    string `json:"type"`
		Address string `json:"address"`
	}
	condition struct {
		Type   string `json:"type"`
		Status string `json:"status"`
	}
)

// capacity is that of each node: more than any test asks for, unless it wants to ask for too much.
var capacity = map[string]string{"cpu": "64", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": "1000"}

func (c *Cluster) createNodes(ctx context.Context) error {
	for i := 1; i <= c.options.Nodes; i++ {
		name := fmt.Sprintf("node-%d", i)
		object := node{
			APIVersion: "v1",
			Kind:       "Node",
			Metadata: metadata{
				Name:        name,
				Annotations: map[string]string{fakeNodeAnnotation: fakeNodeValue},
				Labels: map[string]string{
					"kubernetes.io/hostname":      name,
					"kubernetes.io/os":            "linux",
					"kubernetes.io/arch":          "amd64",
					"topology.kubernetes.io/zone": fmt.Sprintf("zone-%d", i),
				},
			},
			Status: nodeStatus{
				Addresses:   []nodeAddress{{"InternalIP", loopback}, {"Hostname", name}},
				Capacity:    capacity,
				Allocatable: capacity,
			},
		}
		object.Status.DaemonEndpoints.KubeletEndpoint.Port = c.kubelet.port()
		if err := c.api.create(ctx, "/api/v1/nodes", object); err != nil {
			return fmt.Errorf("create %s: %w", name, err)
		}
	}
	return nil
}

// createStorageClass makes the default class, whose claims KWOK fulfils in place of a provisioner.
func (c *Cluster) createStorageClass(ctx context.Context) error {
	err := c.api.create(ctx, "/apis/storage.k8s.io/v1/storageclasses", map[string]any{
		"metadata":             metadata{Name: "standard", Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"}},
		"provisioner":          Provisioner,
		"allowVolumeExpansion": true,
	})
	if err != nil {
		return fmt.Errorf("create the storage class: %w", err)
	}
	return nil
}

// usable says what is still missing for a pod to be made and run.
func (c *Cluster) usable(ctx context.Context) error {
	var nodes struct{ Items []node }
	if err := c.api.get(ctx, "/api/v1/nodes", &nodes); err != nil {
		return err
	}
	for _, node := range nodes.Items {
		if !node.Status.ready() {
			return fmt.Errorf("%s is not ready", node.Metadata.Name)
		}
		if len(node.Spec.Taints) > 0 {
			return fmt.Errorf("%s has the taint %s", node.Metadata.Name, node.Spec.Taints[0].Key)
		}
	}
	// Without it, pods of the namespace are refused.
	return c.api.get(ctx, "/api/v1/namespaces/default/serviceaccounts/default", nil)
}

func (s nodeStatus) ready() bool {
	return slices.Contains(s.Conditions, condition{Type: "Ready", Status: "True"})
}
