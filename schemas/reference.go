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

// part is a piece of a text: plain, a reference, or an expression.
type part struct {
	plain      string
	reference  *Reference
	expression *expression
}

// onlyPath are the characters of a ${...} that is a reference, good or bad, and no
// expression.
const onlyPath = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-."

// split takes a text with references and expressions apart. A plain part keeps "$${".
func split(text string) ([]part, error) { return splitBy(text, inBraces, parseBraces) }

// splitBy takes a text apart. What follows "${" is cut off by one function and read
// by the other.
func splitBy(text string, cut func(string) (string, bool), read func(string) (part, error)) ([]part, error) {
	var parts []part
	plain := ""
	for {
		at := strings.Index(text, "${")
		if at < 0 {
			plain += text
			break
		}
		if at > 0 && text[at-1] == '$' {
			plain += text[:at+2]
			text = text[at+2:]
			continue
		}
		plain += text[:at]
		inner, ok := cut(text[at+2:])
		if !ok {
			return nil, fmt.Errorf("%q has no closing brace; write $${ for a plain ${", text[at:])
		}
		if plain != "" {
			parts, plain = append(parts, part{plain: plain}), ""
		}
		p, err := read(inner)
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
		text = text[at+2+len(inner)+1:]
	}
	if plain != "" {
		parts = append(parts, part{plain: plain})
	}
	return parts, nil
}

// inBraces is the text up to the brace that closes it. Quotes hold any brace.
func inBraces(text string) (string, bool) {
	depth, quote := 0, byte(0)
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quote != 0 && c == '\\' && quote != '`':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'' || c == '`':
			quote = c
		case c == '{':
			depth++
		case c == '}' && depth == 0:
			return text[:i], true
		case c == '}':
			depth--
		}
	}
	return "", false
}

func parseBraces(inner string) (part, error) {
	if strings.Trim(inner, onlyPath) == "" {
		reference, err := parseReference(inner)
		return part{reference: &reference}, err
	}
	e, err := parseExpression(inner)
	return part{expression: e}, err
}

// Expand replaces each reference in text by what replace returns for it. "$${"
// stands for a plain "${" and is left as it is, so that a text may be expanded
// in several passes; Unescape makes it plain in the last one. The error says
// which reference is malformed, or is the first that replace returned. It knows no
// expressions: what replace returns may be a secret, which none may see.
func Expand(text string, replace func(Reference) (string, error)) (string, error) {
	parts, err := splitBy(text,
		func(rest string) (string, bool) { inner, _, ok := strings.Cut(rest, "}"); return inner, ok },
		func(inner string) (part, error) {
			reference, err := parseReference(inner)
			return part{reference: &reference}, err
		})
	if err != nil {
		return "", err
	}
	return assemble(parts, replace)
}

// Evaluate is Expand for texts with expressions, which it replaces by their values.
// The values that replace returns may hold placeholders of secrets; an expression
// that would change one is refused.
func Evaluate(text string, replace func(Reference) (string, error)) (string, error) {
	parts, err := split(text)
	if err != nil {
		return "", err
	}
	return assemble(parts, replace)
}

func assemble(parts []part, replace func(Reference) (string, error)) (string, error) {
	var out strings.Builder
	for _, p := range parts {
		value, err := any(p.plain), error(nil)
		switch {
		case p.reference != nil:
			value, err = replace(*p.reference)
		case p.expression != nil:
			value, err = p.expression.evaluate(func(o operand) (any, error) { return replace(o.Reference) })
		}
		if err != nil {
			return "", err
		}
		out.WriteString(plainText(value))
	}
	return out.String(), nil
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

// References lists the references in text, in order, those in expressions too.
func References(text string) ([]Reference, error) {
	parts, err := split(text)
	if err != nil {
		return nil, err
	}
	var found []Reference
	for _, p := range parts {
		switch {
		case p.reference != nil:
			found = append(found, *p.reference)
		case p.expression != nil:
			found = append(found, p.expression.references()...)
		}
	}
	return found, nil
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
