package manifest

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
	"windlass/schemas/quantity"
)

// The labels that decide whom an object belongs to, and which version it is of.
const (
	LabelPrefix         = "windlass.io/"
	LabelEnvironment    = LabelPrefix + "environment"
	LabelInfrastructure = LabelPrefix + "infrastructure"
	LabelResource       = LabelPrefix + "resource"
	LabelType           = LabelPrefix + "type"
	LabelProvider       = LabelPrefix + "provider"
	// LabelSpec is on pods: the beginning of the spec hash, since a label has room for 63
	// characters.
	LabelSpec = LabelPrefix + "spec"
	// labelGuarded is on the pods that have security groups, labelGroup with the name of
	// a group on those that are in it.
	labelGuarded = LabelPrefix + "guarded"
	labelGroup   = "group." + LabelPrefix
	labelTag     = "tag." + LabelPrefix
)

// The annotations that say which declaration made an object. They are those of package
// activities under another prefix.
const (
	AnnotationRevision      = LabelPrefix + "revision"
	AnnotationSpec          = LabelPrefix + "spec"
	AnnotationProperties    = LabelPrefix + "properties"
	AnnotationStrategy      = LabelPrefix + "strategy"
	AnnotationDependsOn     = LabelPrefix + "depends-on"
	AnnotationOutputs       = LabelPrefix + "outputs"
	AnnotationTags          = LabelPrefix + "tags"
	AnnotationDeleteTimeout = LabelPrefix + "delete-timeout"
	AnnotationProtect       = LabelPrefix + "protect"
	// AnnotationRetention is what becomes of a claim when it is not declared any more.
	AnnotationRetention = LabelPrefix + "retention"
	// AnnotationAdopts says in words what an object stands for that was taken over.
	AnnotationAdopts = LabelPrefix + "adopts"
)

// specLength is how much of the spec hash LabelSpec has: enough that two versions of one
// resource never have the same.
const specLength = 16

// ScopeLabels are the labels of everything of an Infrastructure.
func ScopeLabels(s schemas.Scope) map[string]string {
	return map[string]string{LabelEnvironment: s.Environment, LabelInfrastructure: s.Infrastructure}
}

// Identity are the labels of everything of a resource.
func Identity(t plan.Target) map[string]string {
	labels := ScopeLabels(t.Scope)
	labels[LabelResource], labels[LabelType], labels[LabelProvider] = t.Resource, string(t.Type), t.Provider
	return labels
}

// TargetOf reads the identity from labels.
func TargetOf(labels map[string]string) plan.Target {
	return plan.Target{
		Scope:    schemas.Scope{Environment: labels[LabelEnvironment], Infrastructure: labels[LabelInfrastructure]},
		Resource: strings.TrimSuffix(labels[LabelResource], canarySuffix), Type: schemas.ResourceType(labels[LabelType]), Provider: labels[LabelProvider],
	}
}

// Labels are the labels of every object of a resource. Tags that can be labels are some.
func Labels(d plan.Desired) map[string]string {
	labels := Identity(d.Target)
	labels["app.kubernetes.io/managed-by"] = "windlass"
	labels["app.kubernetes.io/name"] = d.Resource
	labels["app.kubernetes.io/part-of"] = d.Infrastructure
	for key, value := range d.Tags {
		key = labelTag + key
		if len(validation.IsQualifiedName(key)) == 0 && len(validation.IsValidLabelValue(value)) == 0 {
			labels[key] = value
		}
	}
	return labels
}

// VersionLabels are the labels of the pods of one version of a resource.
func VersionLabels(d plan.Desired) map[string]string {
	labels := Identity(d.Target)
	labels[LabelSpec] = d.SpecHash[:min(len(d.SpecHash), specLength)]
	return labels
}

// Annotations are the annotations of every object of a resource. They hold the
// placeholders of secrets and never what those stand for.
func Annotations(d plan.Desired) map[string]string {
	annotations := map[string]string{
		AnnotationRevision: strconv.Itoa(d.Revision), AnnotationSpec: d.SpecHash, AnnotationProperties: string(d.Properties),
		AnnotationDependsOn: strings.Join(d.DependsOn, ","),
	}
	put := func(name string, value any) {
		if text, err := json.Marshal(value); err == nil {
			annotations[name] = string(text)
		}
	}
	if outputs, err := Outputs(d); err == nil {
		put(AnnotationOutputs, outputs)
	}
	if d.Strategy != nil {
		put(AnnotationStrategy, d.Strategy)
	}
	if len(d.Tags) > 0 {
		put(AnnotationTags, d.Tags)
	}
	if d.Timeouts.Delete > 0 {
		annotations[AnnotationDeleteTimeout] = time.Duration(d.Timeouts.Delete).String()
	}
	if d.Protect {
		annotations[AnnotationProtect] = "true"
	}
	return annotations
}

// DesiredOf is the declaration that made an object, as its labels and annotations say.
func DesiredOf(o *unstructured.Unstructured) (plan.Desired, error) {
	annotations := o.GetAnnotations()
	d := plan.Desired{Target: TargetOf(o.GetLabels()), SpecHash: annotations[AnnotationSpec], Properties: json.RawMessage(annotations[AnnotationProperties])}
	var err error
	if d.Revision, err = strconv.Atoi(annotations[AnnotationRevision]); err != nil {
		return d, fmt.Errorf("annotation %s: %q is no number", AnnotationRevision, annotations[AnnotationRevision])
	}
	if names := annotations[AnnotationDependsOn]; names != "" {
		d.DependsOn = strings.Split(names, ",")
	}
	for name, into := range map[string]any{AnnotationStrategy: &d.Strategy, AnnotationTags: &d.Tags} {
		if text := annotations[name]; text != "" {
			if err := json.Unmarshal([]byte(text), into); err != nil {
				return d, fmt.Errorf("annotation %s: %w", name, err)
			}
		}
	}
	if text := annotations[AnnotationDeleteTimeout]; text != "" {
		bound, err := time.ParseDuration(text)
		if err != nil {
			return d, fmt.Errorf("annotation %s: %w", AnnotationDeleteTimeout, err)
		}
		d.Timeouts.Delete = quantity.Duration(bound)
	}
	d.Protect = annotations[AnnotationProtect] == "true"
	return d, nil
}

const (
	// nameLength is how long the names of namespaces and Services may be (RFC 1035).
	nameLength = 63
	// setNameLength is how long the name of a StatefulSet may be: its pods carry it in a
	// label, with a hash of up to ten characters behind it.
	// https://github.com/kubernetes/kubernetes/issues/64023
	setNameLength = nameLength - 11
	// hashLength is how much of its hash stands for what a name does not say.
	hashLength = 8
)

// ObjectName shortens a name to what every kind of object accepts. What is cut off is
// stood for by the beginning of its hash.
func ObjectName(name string) string { return shortened(name, nameLength) }

func shortened(name string, length int) string {
	if len(name) <= length {
		return name
	}
	return hashed(name, name, length)
}

// hashed is the beginning of a name with that of the hash of a text behind it.
func hashed(name, text string, length int) string {
	sum := sha256.Sum256([]byte(text))
	return strings.TrimRight(name[:min(len(name), length-hashLength-1)], "-") + "-" + hex.EncodeToString(sum[:])[:hashLength]
}

// ServiceName is the name of a resource's Service, which has to begin with a letter. The
// hash keeps one that does not apart from a resource that has the letter in its name.
func ServiceName(resource string) string {
	if resource != "" && resource[0] >= '0' && resource[0] <= '9' {
		return hashed("n"+resource, resource, nameLength)
	}
	return ObjectName(resource)
}

// HomeNamespace is the namespace of what is on no Network.
func HomeNamespace(s schemas.Scope) string {
	return ObjectName(s.Environment + "-" + s.Infrastructure)
}

// NetworkNamespace is the namespace that a Network is.
func NetworkNamespace(t plan.Target) string {
	return ObjectName(t.Environment + "-" + t.Infrastructure + "-" + t.Resource)
}

// Namespace is where the objects of a resource are that joins networks. More than one
// network is refused where the resource is translated.
func Namespace(d plan.Desired) string {
	if networks := d.Declaration().Networks(); len(networks) > 0 {
		return networks[0]
	}
	return HomeNamespace(d.Scope)
}

// namespace is Namespace, and refuses what no pod can be in.
func (t *translation) namespace() (string, error) {
	const field = "properties.networks"
	if len(t.Declaration().Networks()) > 1 {
		return "", t.invalid(field, "a pod is in one namespace, so that it can be on one network only", "name one network, and have the others reach it through a LoadBalancer")
	}
	name := Namespace(t.Desired)
	if reasons := validation.IsDNS1123Label(name); len(reasons) > 0 {
		return "", t.invalid(field, fmt.Sprintf("%q is no name of a namespace: %s", name, strings.Join(reasons, "; ")), "refer to a Network, or name a namespace that exists")
	}
	return name, nil
}

// ours says whether a namespace is made by Windlass for this Infrastructure, as far as
// the resource needs to know: a Network that it is on is one of its dependencies. Others
// were there before, and have neither the labels nor the isolation of a Network.
func (t *translation) ours(namespace string) bool {
	return namespace == HomeNamespace(t.Scope) || t.isNetwork(namespace)
}

func (t *translation) isNetwork(namespace string) bool {
	return slices.ContainsFunc(t.DependsOn, func(dependency string) bool {
		return namespace == NetworkNamespace(plan.Target{Scope: t.Scope, Resource: dependency})
	})
}

// usedIn are the namespaces of what uses a resource; the home namespace if nothing does.
func (t *translation) usedIn() ([]string, error) {
	networks, err := t.told(activities.PropertyNetworks)
	if len(networks) == 0 {
		networks = []string{""}
	}
	for i, name := range networks {
		networks[i] = cmp.Or(name, HomeNamespace(t.Scope))
	}
	return networks, err
}

// told is a list among the properties that is not the document's.
func (t *translation) told(member string) ([]string, error) {
	var properties map[string]json.RawMessage
	var list []string
	err := json.Unmarshal(t.Properties, &properties)
	if text := properties[member]; err == nil && text != nil {
		err = json.Unmarshal(text, &list)
	}
	if err != nil {
		return nil, t.invalid("properties", err.Error(), "")
	}
	return list, nil
}

// merged is a copy of labels with others over them.
func merged(labels, over map[string]string) map[string]string {
	all := maps.Clone(labels)
	maps.Copy(all, over)
	return all
}

// unmarshal reads JSON with whole numbers as int64, as unstructured objects have them.
func unmarshal(text []byte, into *any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	*into = numbers(*into)
	return nil
}

func numbers(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, member := range v {
			v[key] = numbers(member)
		}
	case []any:
		for i, element := range v {
			v[i] = numbers(element)
		}
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		if f, err := v.Float64(); err == nil {
			return f
		}
	}
	return value
}
