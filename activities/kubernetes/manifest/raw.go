package manifest

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

// AnnotationApplied is on an object of a resource of type Kubernetes: its declared form,
// with the placeholders of secrets, as JSON that is compressed by gzip and encoded in
// base64. Annotations of one object have room for 256 KiB together.
const AnnotationApplied = LabelPrefix + "applied"

// Raw are the objects that a resource of type Kubernetes declares, in their order, with
// the labels and annotations of the resource.
func Raw(d plan.Desired, secrets activities.Secrets) (schemas.Kubernetes, []*unstructured.Unstructured, error) {
	t := &translation{Desired: d, secrets: secrets}
	k, err := t.rawObjects()
	for i := 0; i < len(t.objects) && err == nil; i++ {
		if t.objects[i], err = t.marked(t.objects[i]); err != nil {
			err = t.invalidDocument(k, i, err)
		}
	}
	if err != nil {
		return k, nil, err
	}
	return k, t.objects, nil
}

// rawObjects reads the objects as they are declared.
func (t *translation) rawObjects() (schemas.Kubernetes, error) {
	k, err := schemas.Decode[schemas.Kubernetes](t.Declaration())
	if err != nil {
		return k, t.invalid("properties", err.Error(), "")
	}
	texts, err := documents(k)
	if err != nil {
		return k, t.invalid("properties.manifests", err.Error(), "")
	}
	known := map[string]bool{}
	for i, text := range texts {
		o, err := parsed(text)
		if err != nil {
			return k, t.invalidDocument(k, i, err)
		}
		key := fmt.Sprintf("%s %s/%s", o.GroupVersionKind().GroupKind(), o.GetNamespace(), o.GetName())
		if known[key] {
			return k, t.invalid(rawPath(k), fmt.Sprintf("%s %q is declared twice", o.GetKind(), o.GetName()), "")
		}
		known[key] = true
		t.objects = append(t.objects, o)
	}
	return k, nil
}

func rawPath(k schemas.Kubernetes) string {
	if k.Manifests != "" {
		return "properties.manifests"
	}
	return "properties.object"
}

// invalidDocument is err as a fault that says which of several documents it is about.
func (t *translation) invalidDocument(k schemas.Kubernetes, i int, err error) error {
	var fault *activities.Fault
	switch {
	case errors.As(err, &fault):
		return err
	case k.Manifests != "":
		return t.invalid(rawPath(k), fmt.Sprintf("document %d: %s", i+1, err), "")
	}
	return t.invalid(rawPath(k), err.Error(), "")
}

// documents are the objects of a resource as JSON.
func documents(k schemas.Kubernetes) ([][]byte, error) {
	if k.Manifests == "" {
		return [][]byte{k.Object}, nil
	}
	declared, err := schemas.ParseObjects([]byte(k.Manifests))
	if err != nil {
		return nil, err
	}
	texts := make([][]byte, len(declared))
	for i, d := range declared {
		texts[i] = d.Object
	}
	return texts, nil
}

// parsed reads one object.
func parsed(text []byte) (*unstructured.Unstructured, error) {
	var value any
	if err := unmarshal(text, &value); err != nil {
		return nil, err
	}
	members, ok := value.(fields)
	if !ok {
		return nil, errors.New("is no object")
	}
	o := &unstructured.Unstructured{Object: members}
	if o.GetAPIVersion() == "" || o.GetKind() == "" || o.GetName() == "" {
		return nil, errors.New("apiVersion, kind and metadata.name are expected")
	}
	for key := range merged(nonNil(o.GetLabels()), o.GetAnnotations()) {
		if strings.HasPrefix(key, LabelPrefix) {
			return nil, fmt.Errorf("%s %q has %q: keys that start with %s are reserved", o.GetKind(), o.GetName(), key, LabelPrefix)
		}
	}
	return o, nil
}

// marked is a declared object with the labels and annotations of the resource, and what
// its placeholders stand for. Its form with placeholders goes into an annotation, so that
// later it can be held against what is there.
func (t *translation) marked(o *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	o.SetLabels(merged(nonNil(o.GetLabels()), Identity(t.Target)))
	annotations := merged(nonNil(o.GetAnnotations()), map[string]string{AnnotationRevision: fmt.Sprint(t.Revision), AnnotationSpec: t.SpecHash})
	o.SetAnnotations(annotations)
	applied, err := pack(o)
	if err != nil {
		return nil, err
	}
	annotations[AnnotationApplied] = applied
	value, err := t.revealed(o.Object)
	if err != nil {
		return nil, err
	}
	o = &unstructured.Unstructured{Object: value.(fields)}
	o.SetAnnotations(annotations)
	return o, nil
}

func nonNil(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// revealed is a copy of a value with every placeholder replaced.
func (t *translation) revealed(value any) (any, error) {
	switch v := value.(type) {
	case string:
		return t.reveal(v)
	case []any:
		out := make([]any, len(v))
		for i, element := range v {
			var err error
			if out[i], err = t.revealed(element); err != nil {
				return nil, err
			}
		}
		return out, nil
	case fields:
		out := make(fields, len(v))
		for key, member := range v {
			var err error
			if out[key], err = t.revealed(member); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return value, nil
}

// packers are used again: each holds most of a megabyte, and objects are small.
var packers = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

func pack(o *unstructured.Unstructured) (string, error) {
	var packed bytes.Buffer
	w := packers.Get().(*gzip.Writer)
	defer packers.Put(w)
	w.Reset(&packed)
	if err := json.NewEncoder(w).Encode(o.Object); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(packed.Bytes()), nil
}

// AppliedForm is the form in which an object of a resource of type Kubernetes was
// declared, with the placeholders of secrets.
func AppliedForm(o *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	text := o.GetAnnotations()[AnnotationApplied]
	packed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	const most = 8 << 20
	plainText, err := io.ReadAll(io.LimitReader(r, most))
	if err != nil {
		return nil, err
	}
	var value any
	if err := unmarshal(plainText, &value); err != nil {
		return nil, err
	}
	members, ok := value.(fields)
	if !ok {
		return nil, errors.New("the declared form is no object")
	}
	form := &unstructured.Unstructured{Object: members}
	form.SetNamespace(o.GetNamespace())
	annotations := nonNil(form.GetAnnotations())
	annotations[AnnotationApplied] = text
	form.SetAnnotations(annotations)
	return form, nil
}

// RawNamespace is where the namespaced objects are that name no namespace.
func RawNamespace(s schemas.Scope, k schemas.Kubernetes) string {
	if k.Namespace != "" {
		return k.Namespace
	}
	return HomeNamespace(s)
}

// BroughtKinds are the kinds that the custom resource definitions among objects define,
// and whether their objects are namespaced.
func BroughtKinds(objects []*unstructured.Unstructured) map[schema.GroupKind]bool {
	kinds := map[schema.GroupKind]bool{}
	for _, o := range objects {
		if o.GetKind() != "CustomResourceDefinition" {
			continue
		}
		group, _, _ := unstructured.NestedString(o.Object, "spec", "group")
		kind, _, _ := unstructured.NestedString(o.Object, "spec", "names", "kind")
		scope, _, _ := unstructured.NestedString(o.Object, "spec", "scope")
		kinds[schema.GroupKind{Group: group, Kind: kind}] = scope == "Namespaced"
	}
	return kinds
}

// rawOutputs are those of the first object.
func (t *translation) rawOutputs() (schemas.Outputs, error) {
	k, err := t.rawObjects()
	if err != nil {
		return nil, err
	}
	first := t.objects[0]
	return schemas.Outputs{"name": first.GetName(), "namespace": cmp.Or(first.GetNamespace(), RawNamespace(t.Scope, k))}, nil
}
