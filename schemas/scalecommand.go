package schemas

import (
	"encoding/json"
	"fmt"
	"slices"
)

// ScaleRequested is the data of a scale.requested command: the stable revision is deployed
// again, with another number of replicas of one Compute.
type ScaleRequested struct {
	Scope
	// Resource is the Compute, and Replicas, from 0 to 1,000, how many it is to have.
	Resource string `json:"resource"`
	Replicas int    `json:"replicas"`
	Reason   string `json:"reason,omitempty"`
}

// Scaled is the document with another number of replicas of a Compute. The error is of
// type Faults; its fields are those of a scale.requested command.
func (i *Infrastructure) Scaled(resource string, replicas int) (*Infrastructure, error) {
	refuse := func(field, format string, arguments ...any) (*Infrastructure, error) {
		return nil, Faults{{Field: "data." + field, Reason: fmt.Sprintf(format, arguments...)}}
	}
	at := slices.IndexFunc(i.Spec.Resources, func(r Resource) bool { return r.Name == resource })
	if at < 0 || i.Spec.Resources[at].Type != TypeCompute {
		return refuse("resource", "%q is no Compute of %s", resource, i.Scope())
	}
	var properties map[string]json.RawMessage
	if err := json.Unmarshal(i.Spec.Resources[at].Properties, &properties); err != nil {
		return nil, fmt.Errorf("properties of Compute %q: %w", resource, err)
	}
	if _, scales := properties["scaling"]; scales {
		return refuse("resource", "%q scales by itself between the bounds of its scaling; change those in the document", resource)
	}
	if s := i.Spec.Scaling; s != nil && (replicas < s.MinInstances || replicas > s.MaxInstances) {
		return refuse("replicas", "%d is outside of the scaling of the document, from %d to %d", replicas, s.MinInstances, s.MaxInstances)
	}
	properties["replicas"] = json.RawMessage(fmt.Sprint(replicas))
	text, err := json.Marshal(properties)
	if err != nil {
		return nil, fmt.Errorf("properties of Compute %q: %w", resource, err)
	}
	scaled := *i
	scaled.Spec.Resources = slices.Clone(i.Spec.Resources)
	scaled.Spec.Resources[at].Properties = text
	return &scaled, nil
}
