package schemas

import (
	"fmt"
	"sort"
	"strings"
)

// The namespaces of references that are no resources.
const (
	NamespaceParameter = "param"
	NamespaceSecret    = "secret"
	// NamespaceGenerated holds the placeholders of generated credentials; only
	// outputs contain them, documents may not.
	NamespaceGenerated = "generated"
)

// Reference is a ${namespace.name} in a text. For ${users-db.url} the namespace
// is a resource's name and the name one of its outputs.
type Reference struct{ Namespace, Name string }

// String is the reference as it is written.
func (r Reference) String() string { return "${" + r.Namespace + "." + r.Name + "}" }

// Expand replaces each reference in text by what replace returns for it. "$${"
// stands for a plain "${" and is left as it is, so that a text may be expanded
// in several passes; Unescape makes it plain in the last one. The error says
// which reference is malformed, or is the first that replace returned.
func Expand(text string, replace func(Reference) (string, error)) (string, error) {
	var out strings.Builder
	for {
		at := strings.Index(text, "${")
		if at < 0 {
			out.WriteString(text)
			return out.String(), nil
		}
		if at > 0 && text[at-1] == '$' {
			out.WriteString(text[:at+2])
			text = text[at+2:]
			continue
		}
		out.WriteString(text[:at])
		end := strings.IndexByte(text[at:], '}')
		if end < 0 {
			return "", fmt.Errorf("%q has no closing brace; write $${ for a plain ${", text[at:])
		}
		reference, err := parseReference(text[at+2 : at+end])
		if err != nil {
			return "", err
		}
		value, err := replace(reference)
		if err != nil {
			return "", err
		}
		out.WriteString(value)
		text = text[at+end+1:]
	}
}

// Unescape turns "$${" into "${".
func Unescape(text string) string { return strings.ReplaceAll(text, "$${", "${") }

func parseReference(inner string) (Reference, error) {
	namespace, name, ok := strings.Cut(inner, ".")
	if ok && namespace == NamespaceGenerated {
		return Reference{namespace, name}, nil
	}
	if !ok || namespace == "" || name == "" || strings.ContainsAny(inner, " \t\n${") || strings.Contains(name, ".") {
		return Reference{}, fmt.Errorf("%q is no reference; write ${resource.output}, ${param.name} or ${secret.NAME}, or $${ for a plain ${", "${"+inner+"}")
	}
	return Reference{namespace, name}, nil
}

// References lists the references in text, in order.
func References(text string) ([]Reference, error) {
	var found []Reference
	_, err := Expand(text, func(r Reference) (string, error) {
		found = append(found, r)
		return "", nil
	})
	return found, err
}

// walkStrings calls visit for every string in value, members in sorted order, and
// returns the value with each string replaced by what visit returned.
func walkStrings(value any, path string, visit func(path, text string) (any, error)) (any, error) {
	switch v := value.(type) {
	case string:
		return visit(path, v)
	case []any:
		out := make([]any, len(v))
		for i, element := range v {
			var err error
			if out[i], err = walkStrings(element, elementPath(path, i), visit); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		sort.Strings(names)
		out := make(map[string]any, len(v))
		for _, name := range names {
			var err error
			if out[name], err = walkStrings(v[name], memberPath(path, name), visit); err != nil {
				return nil, err
			}
		}
		return out, nil
	default:
		return value, nil
	}
}
