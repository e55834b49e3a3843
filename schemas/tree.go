package schemas

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// Bounds on what is parsed, so that no document can exhaust a reader: a nested
// or aliased document is refused long before it costs memory or time.
const (
	// MaxDocumentBytes is the largest document or event that is read: 1 MiB.
	MaxDocumentBytes = 1 << 20
	// MaxDepth is how deep objects and lists may be nested.
	MaxDepth = 64
	// MaxNodes is how many values a document may hold, aliases expanded.
	MaxNodes = 200_000
	// maxGrowth bounds the text of a Template with its parameters filled in, so that
	// a long value that is used often cannot exhaust a reader.
	maxGrowth = 8 * MaxDocumentBytes
)

// Place is a position in a text; both numbers start at 1.
type Place struct{ Line, Column int }

// Tree is a parsed JSON or YAML text that remembers where each value stands.
type Tree struct {
	// Value is made of map[string]any, []any, string, json.Number, bool and nil.
	Value  any
	places map[string]Place
	// base is the path of Value in the whole text, empty for all of it.
	base string
	// origins are the paths below base at which the resources stand in the text, by
	// their place in Value, once resources of type Template are expanded.
	origins []string
	// outputs are those of a Template.
	outputs map[string]any
	// typed holds the paths of values that took the place of a ${param.name}, or of
	// an expression, with their type.
	typed map[string]bool
	// grown counts the bytes of text that were made of parameters.
	grown int
}

// ParseTree reads JSON when the text starts with "{" or "[", else YAML. The
// error is of type Faults.
func ParseTree(text []byte) (*Tree, error) {
	if len(text) > MaxDocumentBytes {
		return nil, Faults{{Reason: fmt.Sprintf("is %d bytes long; at most %d are read", len(text), MaxDocumentBytes)}}
	}
	start := bytes.TrimLeft(text, " \t\r\n")
	if len(start) == 0 {
		return nil, Faults{{Line: 1, Column: 1, Reason: "is empty; a document or an object is expected"}}
	}
	if start[0] == '{' || start[0] == '[' {
		return parseJSON(text)
	}
	return parseYAML(text)
}

// Place returns where the value of that path stands, or the nearest value around it.
func (t *Tree) Place(path string) Place {
	path = joinPath(t.base, t.origin(path))
	for {
		if p, ok := t.places[path]; ok || path == "" {
			return p
		}
		path = parentPath(path)
	}
}

// origin is the path of a value in the text.
func (t *Tree) origin(path string) string {
	rest, ok := strings.CutPrefix(path, "spec.resources[")
	if !ok {
		return path
	}
	index, member, _ := strings.Cut(rest, "]")
	if i, err := strconv.Atoi(index); err == nil && i < len(t.origins) {
		return t.origins[i] + member
	}
	return path
}

// Fault makes a fault at a path of the tree.
func (t *Tree) Fault(path, reason string) Fault {
	p := t.Place(path)
	return Fault{Field: t.origin(path), Line: p.Line, Column: p.Column, Reason: reason}
}

// grow counts text that was made, and refuses too much of it.
func (t *Tree) grow(path string, value any) error {
	text, _ := value.(string)
	if t.grown += len(text); t.grown > maxGrowth {
		return Faults{t.Fault(path, fmt.Sprintf("the document holds more than %d bytes of text once its parameters are filled in", maxGrowth))}
	}
	return nil
}

// Member returns the member of that name of an object at the root, with its
// places as they are in the whole text but paths that start at the member.
func (t *Tree) Member(name string) (*Tree, bool) {
	object, ok := t.Value.(map[string]any)
	if !ok {
		return nil, false
	}
	value, ok := object[name]
	if !ok {
		return nil, false
	}
	return t.sub(value, name), true
}

// sub is the value at that path, with its places as they are in the whole text but
// paths that start at the value.
func (t *Tree) sub(value any, path string) *Tree {
	return &Tree{Value: value, places: t.places, base: joinPath(t.base, t.origin(path))}
}

// joinPath is a path below another one.
func joinPath(base, path string) string {
	if base == "" || path == "" || path[0] == '[' {
		return base + path
	}
	return base + "." + path
}

func memberPath(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func elementPath(path string, index int) string {
	return path + "[" + strconv.Itoa(index) + "]"
}

func parentPath(path string) string {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '.' || path[i] == '[' {
			return path[:i]
		}
	}
	return ""
}

func tooDeep(path string, place Place) Faults {
	const shown = 40
	if len(path) > shown {
		path = path[:shown] + "..."
	}
	return Faults{{Field: path, Line: place.Line, Column: place.Column, Reason: fmt.Sprintf("is nested deeper than %d levels", MaxDepth)}}
}

func tooMany(place Place) Faults {
	return Faults{{Line: place.Line, Column: place.Column, Reason: fmt.Sprintf("holds more than %d values, aliases expanded", MaxNodes)}}
}
