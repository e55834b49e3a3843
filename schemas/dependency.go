package schemas

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"
)

// Dependencies returns the names of the resources that r needs, sorted: those it
// names in dependsOn and those its properties refer to.
func (r Resource) Dependencies() ([]string, error) {
	names := slices.Clone(r.DependsOn)
	_, err := r.walk(func(text string) (string, error) {
		references, err := References(text)
		for _, reference := range references {
			switch reference.Namespace {
			case NamespaceParameter, NamespaceSecret, NamespaceGenerated:
			default:
				names = append(names, reference.Namespace)
			}
		}
		return text, err
	})
	sort.Strings(names)
	return slices.Compact(names), err
}

// Resolved returns the properties with every reference to a resource replaced by
// what lookup returns for it, and every expression by its value. Secrets stay
// placeholders. The error is of type TextError.
func (r Resource) Resolved(lookup func(Reference) (string, error)) (json.RawMessage, error) {
	return r.walk(func(text string) (string, error) {
		return Evaluate(text, func(reference Reference) (string, error) {
			if reference.Namespace == NamespaceSecret {
				return reference.String(), nil
			}
			return lookup(reference)
		})
	})
}

// TextError says which text of a resource cannot be resolved, and why.
type TextError struct {
	Resource string
	// Field is the path in the resource, such as "properties.image".
	Field string
	Err   error
}

// Error is "resource: field: reason".
func (e *TextError) Error() string { return fmt.Sprintf("%s: %s: %s", e.Resource, e.Field, e.Err) }

// Unwrap returns the cause.
func (e *TextError) Unwrap() error { return e.Err }

// walk visits every text in the properties and replaces it by what visit returns.
func (r Resource) walk(visit func(text string) (string, error)) (json.RawMessage, error) {
	if len(r.Properties) == 0 {
		return json.RawMessage("{}"), nil
	}
	value, err := decodeJSON(r.Properties)
	if err != nil {
		return nil, fmt.Errorf("properties of %q: %w", r.Name, err)
	}
	value, err = walkStrings(value, "properties", func(path, text string) (any, error) {
		expanded, err := visit(text)
		if err != nil {
			return nil, &TextError{Resource: r.Name, Field: path, Err: err}
		}
		return expanded, nil
	})
	if err != nil {
		return nil, err
	}
	return json.Marshal(value)
}

// findCycle returns a cycle in the graph as a path that ends where it starts, or nil.
func findCycle(dependencies map[string][]string) []string {
	const visiting, visited = 1, 2
	state := map[string]int{}
	var path []string
	var visit func(name string) []string
	visit = func(name string) []string {
		switch state[name] {
		case visited:
			return nil
		case visiting:
			return append(slices.Clone(path[slices.Index(path, name):]), name)
		}
		state[name] = visiting
		path = append(path, name)
		for _, dependency := range dependencies[name] {
			if cycle := visit(dependency); cycle != nil {
				return cycle
			}
		}
		path = path[:len(path)-1]
		state[name] = visited
		return nil
	}
	names := make([]string, 0, len(dependencies))
	for name := range dependencies {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if cycle := visit(name); cycle != nil {
			return cycle
		}
	}
	return nil
}
