package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"windlass/activities/kubernetes/cluster"
)

// drift says in words what of an object is not as it is declared. Whatever is declared
// and found in the object as it stands is right; only where that cannot be seen, the
// server is asked what it would make of the declaration, so that what it or a webhook
// fills in is no difference.
func (p *Provider) drift(ctx context.Context, found, want *unstructured.Unstructured) ([]string, error) {
	if want.GetKind() == kindSecret.Kind {
		return secretDrift(found, want), nil
	}
	if err := keepShare(want, found); err != nil {
		return nil, err
	}
	if within(want.Object, found.Object) {
		return nil, nil
	}
	would, err := p.client.Apply(ctx, want, cluster.ApplyOptions{DryRun: true, Force: true})
	if refused(err) {
		return []string{fmt.Sprintf("%s cannot be put back as it is declared: %s", named(want), err)}, nil
	}
	if err != nil {
		return nil, err
	}
	return differences(named(want), found, would), nil
}

// within says whether everything that is wanted is found. Lists of things with names are
// compared by name, as the server merges them; of the rest nothing may be more or less.
func within(want, found any) bool {
	switch want := want.(type) {
	case map[string]any:
		there, ok := found.(map[string]any)
		if !ok {
			return len(want) == 0 && found == nil
		}
		for key, value := range want {
			if !within(value, there[key]) {
				return false
			}
		}
		return true
	case []any:
		there, ok := found.([]any)
		if !ok || len(want) != len(there) {
			return len(want) == 0 && found == nil
		}
		for i, value := range want {
			if !within(value, counterpart(value, i, there)) {
				return false
			}
		}
		return true
	}
	return equal(want, found)
}

// counterpart is the element of a list that has the name of the wanted one, or its place.
func counterpart(want any, at int, there []any) any {
	if object, ok := want.(map[string]any); ok && object["name"] != nil {
		for _, element := range there {
			if other, ok := element.(map[string]any); ok && other["name"] == object["name"] {
				return element
			}
		}
	}
	return there[at]
}

// equal compares numbers by their value: JSON has one kind of them, Go has several.
func equal(a, b any) bool {
	if reflect.DeepEqual(a, b) {
		return true
	}
	x, err := json.Marshal(a)
	if err != nil {
		return false
	}
	y, err := json.Marshal(b)
	return err == nil && string(x) == string(y)
}

// secretDrift compares the keys, since the values are not known here. A value that
// somebody else has written is theirs.
func secretDrift(found, want *unstructured.Unstructured) []string {
	there, _, _ := unstructured.NestedMap(found.Object, "data")
	declared, _, _ := unstructured.NestedMap(want.Object, "data")
	ours := ownedMembers(found, "f:data")
	var changes []string
	for _, key := range slices.Sorted(maps.Keys(declared)) {
		if _, ok := there[key]; !ok {
			changes = append(changes, fmt.Sprintf("%s has no %s any more", named(want), key))
		} else if !ours[key] {
			changes = append(changes, fmt.Sprintf("%s of %s was changed", key, named(want)))
		}
	}
	return changes
}

// ownedMembers are the members of an object's field that the field manager of Windlass owns.
func ownedMembers(o *unstructured.Unstructured, field string) map[string]bool {
	owned := map[string]bool{}
	for _, entry := range o.GetManagedFields() {
		if entry.Manager != cluster.FieldManager || entry.FieldsV1 == nil {
			continue
		}
		var fields map[string]map[string]any
		if json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields) != nil {
			continue
		}
		for key := range fields[field] {
			owned[strings.TrimPrefix(key, "f:")] = true
		}
	}
	return owned
}

// ofServer are the members of metadata that say nothing of what is declared.
var ofServer = []string{"managedFields", "resourceVersion", "generation", "creationTimestamp", "uid", "selfLink"}

// differences says in words where an object is not what the server would make of its
// declaration.
func differences(name string, found, would *unstructured.Unstructured) []string {
	clean := func(o *unstructured.Unstructured) map[string]any {
		c := o.DeepCopy().Object
		delete(c, "status")
		if metadata, ok := c["metadata"].(map[string]any); ok {
			for _, member := range ofServer {
				delete(metadata, member)
			}
		}
		return c
	}
	var paths []string
	differ("", clean(found), clean(would), func(path string, is, should any) {
		paths = append(paths, fmt.Sprintf("%s of %s is %s, not %s", path, name, shown(is), shown(should)))
	})
	const most = 3
	if more := len(paths) - most; more > 0 {
		paths = append(paths[:most], fmt.Sprintf("and %d more of %s", more, name))
	}
	return paths
}

func differ(path string, is, should any, tell func(path string, is, should any)) {
	if equal(is, should) {
		return
	}
	switch should := should.(type) {
	case map[string]any:
		if is, ok := is.(map[string]any); ok {
			keys := map[string]bool{}
			for key := range is {
				keys[key] = true
			}
			for key := range should {
				keys[key] = true
			}
			for _, key := range slices.Sorted(maps.Keys(keys)) {
				differ(strings.TrimPrefix(path+"."+key, "."), is[key], should[key], tell)
			}
			return
		}
	case []any:
		if is, ok := is.([]any); ok && len(is) == len(should) {
			for i := range should {
				differ(fmt.Sprintf("%s[%d]", path, i), is[i], should[i], tell)
			}
			return
		}
	}
	tell(path, is, should)
}

func shown(value any) string {
	if value == nil {
		return "not there"
	}
	text, err := json.Marshal(value)
	const most = 60
	if err != nil || len(text) > most {
		return "another one"
	}
	return string(text)
}
