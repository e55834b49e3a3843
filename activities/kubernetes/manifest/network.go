package manifest

import (
	"cmp"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"windlass/plan"
	"windlass/schemas"
	"windlass/schemas/quantity"
)

// Reference names an object that exists.
type Reference struct{ Kind, Namespace, Name string }

// Adopted is what a resource takes over; one without a name is nothing.
func Adopted(d plan.Desired) (Reference, error) {
	t := &translation{Desired: d}
	switch d.Type {
	case schemas.TypeNetwork:
		n, err := schemas.Decode[schemas.Network](d.Declaration())
		return Reference{Kind: "Namespace", Name: n.Adopt}, err
	case schemas.TypeStorage:
		s, err := schemas.Decode[schemas.Storage](d.Declaration())
		if err != nil || s.Adopt == "" {
			return Reference{}, err
		}
		namespace, err := t.claimNamespace()
		return Reference{Kind: "PersistentVolumeClaim", Namespace: namespace, Name: s.Adopt}, err
	}
	return Reference{}, nil
}

// standIn is the object that carries the labels for something that was taken over, which
// has none of them.
func (t *translation) standIn(namespace string, adopted Reference) {
	o := t.add("v1", "ConfigMap", namespace, ObjectName("windlass-stands-for-"+t.Resource), fields{"data": fields{"kind": adopted.Kind, "name": adopted.Name}})
	annotations := o.GetAnnotations()
	annotations[AnnotationAdopts] = fmt.Sprintf("%s %q", adopted.Kind, adopted.Name)
	o.SetAnnotations(annotations)
}

func (t *translation) networkOutputs() (schemas.Outputs, error) {
	n, err := schemas.Decode[schemas.Network](t.Declaration())
	if err != nil {
		return nil, t.invalid("properties", err.Error(), "")
	}
	return schemas.Outputs{"name": cmp.Or(n.Adopt, NetworkNamespace(t.Target))}, nil
}

// network is a namespace whose pods take connections from each other only. Pods with
// security groups are left out: their groups decide alone.
func (t *translation) network(n schemas.Network) error {
	if n.Adopt != "" {
		if n.Internal {
			return t.invalid("properties.internal", "a namespace that is taken over is left as it is", "leave one of them out")
		}
		t.standIn(n.Adopt, Reference{Kind: "Namespace", Name: n.Adopt})
		return nil
	}
	name := NetworkNamespace(t.Target)
	namespace := t.add("v1", "Namespace", "", name, nil)
	labels, err := t.declaredLabels(n.Labels)
	if err != nil {
		return err
	}
	namespace.SetLabels(merged(labels, namespace.GetLabels()))
	same := []any{fields{"podSelector": fields{}}}
	spec := fields{
		"podSelector": fields{"matchExpressions": []any{unguarded()}},
		"policyTypes": []any{"Ingress"},
		"ingress":     []any{fields{"from": same}},
	}
	if n.Internal {
		spec["policyTypes"] = []any{"Ingress", "Egress"}
		spec["egress"] = []any{fields{"to": same}, nameService()}
	}
	t.add("networking.k8s.io/v1", "NetworkPolicy", name, ObjectName(t.Resource), fields{"spec": spec})
	return nil
}

// unguarded selects pods without security groups.
func unguarded() fields { return fields{"key": labelGuarded, "operator": "DoesNotExist"} }

// nameService allows questions to the cluster's DNS.
func nameService() fields {
	return fields{
		"to":    []any{fields{"namespaceSelector": fields{"matchLabels": fields{"kubernetes.io/metadata.name": "kube-system"}}}},
		"ports": []any{fields{"port": 53, "protocol": "UDP"}, fields{"port": 53, "protocol": "TCP"}},
	}
}

// declaredLabels refuses labels of the document that are Windlass's own or that no object
// can have.
func (t *translation) declaredLabels(labels map[string]string) (map[string]string, error) {
	const field = "properties.labels"
	for _, key := range sortedKeys(labels) {
		if strings.Contains(key, LabelPrefix) {
			return nil, t.invalid(field, fmt.Sprintf("label %q: keys with %q are reserved", key, LabelPrefix), "use another key")
		}
		if reasons := append(validation.IsQualifiedName(key), validation.IsValidLabelValue(labels[key])...); len(reasons) > 0 {
			return nil, t.invalid(field, fmt.Sprintf("label %q with value %q: %s", key, labels[key], strings.Join(reasons, "; ")), "")
		}
	}
	return nonNil(labels), nil
}

func (t *translation) claimNamespace() (string, error) {
	namespaces, err := t.usedIn()
	if err != nil {
		return "", err
	}
	if len(namespaces) > 1 {
		return "", t.invalid("type", fmt.Sprintf("what mounts it is in the namespaces %s, and a volume is in one", strings.Join(namespaces, " and ")), "have everything that mounts it join the same network")
	}
	return namespaces[0], nil
}

func (t *translation) storageOutputs() (schemas.Outputs, error) {
	s, err := schemas.Decode[schemas.Storage](t.Declaration())
	if err != nil {
		return nil, t.invalid("properties", err.Error(), "")
	}
	return schemas.Outputs{"name": cmp.Or(s.Adopt, ObjectName(t.Resource))}, nil
}

// defaultSize is the size of a volume that declares none: a claim has to name one.
const defaultSize quantity.Memory = "1Gi"

// VolumeSize is the size of a volume that declares one, or none.
func VolumeSize(declared quantity.Memory) quantity.Memory { return cmp.Or(declared, defaultSize) }

func (t *translation) storage(s schemas.Storage) error {
	namespace, err := t.claimNamespace()
	if err != nil {
		return err
	}
	if s.Adopt != "" {
		t.standIn(namespace, Reference{Kind: "PersistentVolumeClaim", Name: s.Adopt})
		return nil
	}
	if len(s.Options) > 0 {
		return t.invalid("properties.options", "the Kubernetes provider has no options of volumes", "name a storage class with driver, which has them")
	}
	labels, err := t.declaredLabels(s.Labels)
	if err != nil {
		return err
	}
	t.claim(namespace, ObjectName(t.Resource), s, labels)
	return nil
}

// claim adds the claim of a volume that one node writes to.
func (t *translation) claim(namespace, name string, s schemas.Storage, labels map[string]string) {
	spec := fields{
		"accessModes": []any{"ReadWriteOnce"},
		"resources":   fields{"requests": fields{"storage": amount(string(VolumeSize(s.Size)), wholeBytes)}},
	}
	if s.Driver != "" {
		spec["storageClassName"] = s.Driver
	}
	o := t.add("v1", "PersistentVolumeClaim", namespace, name, fields{"spec": spec})
	o.SetLabels(merged(labels, o.GetLabels()))
	annotations := o.GetAnnotations()
	annotations[AnnotationRetention] = string(cmp.Or(s.Retention, schemas.RetentionDelete))
	o.SetAnnotations(annotations)
}
