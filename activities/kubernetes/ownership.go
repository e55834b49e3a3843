package kubernetes

import (
	"fmt"
	"maps"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"windlass/activities"
	"windlass/activities/kubernetes/cluster"
	"windlass/activities/kubernetes/manifest"
	"windlass/plan"
)

// owns says whether an object is one of the target's. A namespace that was kept for what
// lies in it carries the labels of its scope alone, and is whoever's of that scope needs it.
func (p *Provider) owns(t plan.Target, o *unstructured.Unstructured) bool {
	if o.GetKind() == kindNamespace.Kind && o.GetLabels()[manifest.LabelResource] == "" {
		return carries(o.GetLabels(), p.scopeLabels(t.Scope))
	}
	return carries(o.GetLabels(), manifest.Identity(t))
}

// carries says whether labels contain all of those that are wanted.
func carries(there, wanted map[string]string) bool {
	for key, value := range wanted {
		if there[key] != value {
			return false
		}
	}
	return true
}

// foreign is the fault of an object that has a name which Windlass gives, but was not
// made by this provider for this resource.
func foreign(resource string, o *unstructured.Unstructured) error {
	where := ""
	if o.GetNamespace() != "" {
		where = fmt.Sprintf(" in namespace %q", o.GetNamespace())
	}
	return &activities.Fault{Kind: activities.Conflict, Resource: resource,
		Message: fmt.Sprintf("there is a %s named %q%s already that does not carry the labels of this resource", o.GetKind(), o.GetName(), where),
		Hint:    fmt.Sprintf("remove or rename that %s, or give the resource another name", o.GetKind())}
}

// selector finds what carries all of the labels.
func selector(wanted map[string]string) string { return labels.SelectorFromSet(wanted).String() }

// withCanary finds what carries all of the labels, or those of the canary of their resource.
func withCanary(wanted map[string]string) string {
	others := maps.Clone(wanted)
	delete(others, manifest.LabelResource)
	name := wanted[manifest.LabelResource]
	return fmt.Sprintf("%s,%s in (%s,%s)", selector(others), manifest.LabelResource, name, manifest.CanaryOf(name))
}

// refused says that the server understood a declaration and does not take it.
func refused(err error) bool {
	return activities.IsKind(err, activities.Invalid) || activities.IsKind(err, activities.Forbidden) || activities.IsKind(err, activities.Conflict)
}

// takenByHand says whether every field manager that is in the way changed the object by
// an update, as people do, and none declares its fields as Windlass does.
func takenByHand(o *unstructured.Unstructured) bool {
	for _, entry := range o.GetManagedFields() {
		ours := entry.Manager == cluster.FieldManager || entry.Manager == replicaKeeper
		if !ours && entry.Operation == metav1.ManagedFieldsOperationApply {
			return false
		}
	}
	return true
}
