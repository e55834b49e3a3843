package schemas

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Kubernetes are objects of the Kubernetes API as they are, for what no other type says.
type Kubernetes struct {
	// Object is one object. Exactly one of Object and Manifests is set.
	Object json.RawMessage `json:"object,omitempty"`
	// Manifests are YAML documents separated by "---", each one object.
	Manifests string `json:"manifests,omitempty"`
	// Namespace is where objects are that are namespaced and name none; the default is
	// the namespace of the Infrastructure.
	Namespace string `json:"namespace,omitempty"`
	// Force takes over fields that another field manager owns.
	Force bool `json:"force,omitempty"`
}

// objectHead is what every object of the Kubernetes API says of itself.
type objectHead struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name string `json:"name"`
	} `json:"metadata"`
}

func (v *validation) kubernetes(index int, r *Resource) {
	k, err := Decode[Kubernetes](*r)
	if err != nil {
		v.fault(v.path(index, "properties"), err.Error())
		return
	}
	path := v.path(index, "properties")
	switch {
	case (len(k.Object) > 0) == (k.Manifests != ""):
		v.fault(path, "exactly one of object and manifests is expected")
	case len(k.Object) > 0:
		v.object(path+".object", k.Object)
	default:
		v.manifests(path+".manifests", k.Manifests)
	}
}

// manifests checks that every document of a text is an object that says what it is.
func (v *validation) manifests(path, text string) {
	objects, err := ParseObjects([]byte(text))
	var faults Faults
	switch {
	case errors.As(err, &faults):
		for _, f := range faults {
			v.fault(path, fmt.Sprintf("line %d of the text: %s", f.Line, f.Reason))
		}
	case err != nil:
		v.fault(path, err.Error())
	case len(objects) == 0:
		v.fault(path, "holds no object")
	}
}

// object checks that an object says what it is. What else is in it, its server knows.
func (v *validation) object(path string, text json.RawMessage) {
	var head objectHead
	if err := json.Unmarshal(text, &head); err != nil {
		v.fault(path, fmt.Sprintf("is no object of the Kubernetes API: %s", err))
		return
	}
	for _, member := range []struct{ name, value string }{
		{"apiVersion", head.APIVersion}, {"kind", head.Kind}, {"metadata.name", head.Metadata.Name},
	} {
		if member.value == "" {
			v.fault(path, fmt.Sprintf("%q is missing", member.name))
		}
	}
}
