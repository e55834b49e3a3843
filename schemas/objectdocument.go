package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// ObjectDocument is an object of the Kubernetes API as a text declares it.
type ObjectDocument struct {
	APIVersion string
	Kind       string
	Namespace  string
	Name       string
	// Object is the whole as JSON.
	Object json.RawMessage
	// Line is where it starts in the text.
	Line int
}

// ParseObjects reads a text of any number of YAML documents, or one of JSON, each an
// object of the Kubernetes API or a List of such. They come in the order of the text.
// Documents that are empty are left out. The error is of type Faults.
func ParseObjects(text []byte) ([]ObjectDocument, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var all []ObjectDocument
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, yamlFault(err)
		}
		tree, err := newYAMLTree(&document)
		if err != nil {
			return nil, err
		}
		if tree.Value == nil {
			continue
		}
		// Not where the line of dashes is that the document starts with.
		tree.places[""] = Place{Line: document.Content[0].Line, Column: document.Content[0].Column}
		found, err := tree.objects(tree.Value, "")
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
}

// objects are the object at that path, or those of a List.
func (t *Tree) objects(value any, path string) ([]ObjectDocument, error) {
	object, ok := value.(map[string]any)
	if !ok {
		return nil, Faults{t.Fault(path, "an object of the Kubernetes API is expected")}
	}
	if items, ok := object["items"].([]any); ok && object["kind"] == "List" {
		var all []ObjectDocument
		for i, item := range items {
			found, err := t.objects(item, joinPath(path, elementPath("items", i)))
			if err != nil {
				return nil, err
			}
			all = append(all, found...)
		}
		return all, nil
	}
	d := ObjectDocument{Line: t.Place(path).Line}
	for member, into := range map[string]*string{"apiVersion": &d.APIVersion, "kind": &d.Kind, "metadata.namespace": &d.Namespace, "metadata.name": &d.Name} {
		of, name := object, member
		if inner, found := strings.CutPrefix(member, "metadata."); found {
			of, _ = object["metadata"].(map[string]any)
			name = inner
		}
		if given, there := of[name]; there {
			if *into, ok = given.(string); !ok {
				return nil, Faults{t.Fault(joinPath(path, member), "text is expected")}
			}
		}
	}
	for _, member := range []struct{ name, value string }{{"apiVersion", d.APIVersion}, {"kind", d.Kind}, {"metadata.name", d.Name}} {
		if member.value == "" {
			return nil, Faults{t.Fault(path, fmt.Sprintf("%q is missing, without which nobody knows which object this is", member.name))}
		}
	}
	var err error
	d.Object, err = json.Marshal(object)
	return []ObjectDocument{d}, err
}

// ObjectRank orders the kinds of objects that are applied together, the least first:
// what others lie in or are kinds of, then what pods refer to, then everything else, and
// at last what may refuse others. Those of rank 0 have to be ready before others follow.
func ObjectRank(kind string) int {
	switch kind {
	case "Namespace", "CustomResourceDefinition":
		return 0
	case "PriorityClass", "StorageClass", "RuntimeClass", "IngressClass", "GatewayClass", "ServiceAccount", "Secret", "ConfigMap", "Role", "ClusterRole":
		return 1
	case "RoleBinding", "ClusterRoleBinding", "PersistentVolume", "PersistentVolumeClaim", "ResourceQuota", "LimitRange":
		return 2
	case "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "APIService":
		return 4
	}
	return 3
}
