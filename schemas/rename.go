package schemas

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// rename gives the resources of a Template that is nested in a resource of that name
// the names that they have outside, and what refers to them with them. Nothing
// else can be referred to: what lies outside comes in by parameters, whose values
// are filled in later.
func (t *Tree) rename(outer string) error {
	var names []string
	for i, resource := range resourcesOf(t.Value) {
		r, _ := resource.(map[string]any)
		name, _ := r["name"].(string)
		path := memberPath(elementPath("spec.resources", i), "name")
		switch {
		case name == "":
			continue // the schema says what is wrong
		case strings.Contains(name, "${"):
			return Faults{t.Fault(path, fmt.Sprintf("%q: a resource of a nested Template has a fixed name; it is made unique by the name of the resource that uses the Template", name))}
		case len(outer)+1+len(name) > maxName:
			return Faults{t.Fault(path, fmt.Sprintf("the name %q has %d characters; at most %d are accepted: shorten %q or %q", outer+"-"+name, len(outer)+1+len(name), maxName, outer, name))}
		case slices.Contains(names, name):
			return Faults{t.Fault(path, fmt.Sprintf("resource %q is declared twice", name))}
		}
		names = append(names, name)
	}
	document, restore := withoutNested(t.Value.(map[string]any))
	renamed, err := walkStrings(document, "", func(path, text string) (any, error) {
		switch {
		case isName(path) && slices.Contains(names, text):
			return outer + "-" + text, nil
		case isName(path):
			return text, nil
		}
		replaced, err := renameText(text, outer, names)
		if err != nil {
			return nil, Faults{t.Fault(path, err.Error())}
		}
		return replaced, nil
	})
	if err != nil {
		return err
	}
	t.Value = renamed
	restore(t.Value)
	return nil
}

// isName says whether the text at that path is the name of a resource by itself.
func isName(path string) bool {
	rest, ok := strings.CutPrefix(path, "spec.resources[")
	if !ok {
		return false
	}
	_, member, _ := strings.Cut(rest, "]")
	return member == ".name" || strings.HasPrefix(member, ".dependsOn[") || peerName.MatchString(member)
}

// peerName is where a rule of a SecurityGroup names a resource.
var peerName = regexp.MustCompile(`^\.properties\.(ingress\[\d+\]\.sources|egress\[\d+\]\.targets)\[\d+\]\.(resource|group)$`)

func renameText(text, outer string, names []string) (string, error) {
	parts, err := split(text)
	if err != nil {
		return "", err
	}
	renamed := func(r Reference) (Reference, error) {
		switch {
		case slices.Contains(names, r.Namespace):
			return Reference{outer + "-" + r.Namespace, r.Name}, nil
		case slices.Contains([]string{NamespaceParameter, NamespaceSecret, NamespaceGenerated}, r.Namespace):
			return r, nil
		}
		return r, fmt.Errorf("%s: %q is no resource of this Template; declared are %s; what lies outside is given as a parameter", r, r.Namespace, strings.Join(names, ", "))
	}
	var b strings.Builder
	for _, p := range parts {
		written := p.plain
		switch {
		case p.reference != nil:
			r, err := renamed(*p.reference)
			if err != nil {
				return "", err
			}
			written = r.String()
		case p.expression != nil:
			source, err := p.expression.edited(func(o operand) (string, error) {
				r, err := renamed(o.Reference)
				return r.Namespace + "." + r.Name, err
			})
			if err != nil {
				return "", err
			}
			written = "${" + source + "}"
		}
		b.WriteString(written)
	}
	return b.String(), nil
}

// withoutNested takes the Templates out of the resources of a document, since their
// texts are for their own parameters and names. The function puts them back into
// the document, or a copy of it.
func withoutNested(document map[string]any) (map[string]any, func(any)) {
	templates := map[int]any{}
	for i, resource := range resourcesOf(document) {
		if properties := nestedProperties(resource); properties["template"] != nil {
			templates[i] = properties["template"]
			delete(properties, "template")
		}
	}
	return document, func(copied any) {
		list := resourcesOf(copied)
		for i, template := range templates {
			nestedProperties(list[i])["template"] = template
		}
	}
}

// nestedProperties are the properties of a resource of type Template, nil for others.
func nestedProperties(resource any) map[string]any {
	if !isNested(resource) {
		return nil
	}
	properties, _ := resource.(map[string]any)["properties"].(map[string]any)
	return properties
}
