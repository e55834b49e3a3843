package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"windlass/activities/kubernetes/cluster"
	"windlass/activities/kubernetes/manifest"
	"windlass/plan"
)

// inventory names what was, or is about to be, made of a resource of type Kubernetes.
// Its objects can be of any kind, so that finding them by label alone would mean to ask
// for every kind that the cluster knows. It is a ConfigMap in the home namespace, written
// before anything is made and again after what is not declared any more is gone.
type inventory struct {
	reference cluster.Reference
	entries   []cluster.Reference
}

const inventoryKey = "objects"

// inventoryOf reads the inventory of a resource; one that is not there is empty.
func (p *Provider) inventoryOf(ctx context.Context, t plan.Target) (*inventory, error) {
	i := &inventory{reference: cluster.Reference{GroupVersionKind: kindConfigMap, Namespace: manifest.HomeNamespace(t.Scope), Name: manifest.ObjectName("windlass-objects-of-" + t.Resource)}}
	found, err := p.find(ctx, i.reference)
	if found == nil || err != nil {
		return i, err
	}
	if !p.owns(t, found) {
		return nil, foreign(t.Resource, found)
	}
	i.entries, err = entriesOf(found)
	return i, err
}

func entriesOf(o *unstructured.Unstructured) ([]cluster.Reference, error) {
	text, _, _ := unstructured.NestedString(o.Object, "data", inventoryKey)
	var entries []cluster.Reference
	for line := range strings.Lines(text) {
		var e struct{ Group, Version, Kind, Namespace, Name string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			return nil, fmt.Errorf("%s: line %q: %w", named(o), strings.TrimSpace(line), err)
		}
		entries = append(entries, cluster.Reference{GroupVersionKind: schemaKind{Group: e.Group, Version: e.Version, Kind: e.Kind}, Namespace: e.Namespace, Name: e.Name})
	}
	return entries, nil
}

// write has the inventory name the entries.
func (p *Provider) writeInventory(ctx context.Context, d plan.Desired, i *inventory, entries []cluster.Reference) error {
	var text strings.Builder
	for _, e := range entries {
		line, err := json.Marshal(map[string]string{"group": e.Group, "version": e.Version, "kind": e.Kind, "namespace": e.Namespace, "name": e.Name})
		if err != nil {
			return err
		}
		text.Write(line)
		text.WriteByte('\n')
	}
	o := object(i.reference, manifest.Labels(d))
	o.SetAnnotations(manifest.Annotations(d))
	if err := unstructured.SetNestedField(o.Object, text.String(), "data", inventoryKey); err != nil {
		return err
	}
	if _, err := p.client.Apply(ctx, o, cluster.ApplyOptions{}); err != nil {
		return err
	}
	i.entries = entries
	return nil
}

// union is what either of the lists has, each once, in their order.
func union(a, b []cluster.Reference) []cluster.Reference {
	all := slices.Clone(a)
	for _, r := range b {
		if !slices.Contains(all, r) {
			all = append(all, r)
		}
	}
	return all
}
