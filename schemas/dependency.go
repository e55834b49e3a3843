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
	_, err := r.expand(func(reference Reference) (string, error) {
		switch reference.Namespace {
		case NamespaceParameter, NamespaceSecret, NamespaceGenerated:
		default:
			names = append(names, reference.Namespace)
		}
		return "", nil
	})
	sort.Strings(names)
	return slices.Compact(names), err
}

// Resolved returns the properties with every reference to a resource replaced by
// what lookup returns for it. Secrets stay placeholders.
func (r Resource) Resolved(lookup func(Reference) (string, error)) (json.RawMessage, error) {
	return r.expand(func(reference Reference) (string, error) {
		if reference.Namespace == NamespaceSecret {
			return reference.String(), nil
		}
		return lookup(reference)
	})
}

func (r Resource) expand(replace func(Reference) (string, error)) (json.RawMessage, error) {
	if len(r.Properties) == 0 {
		return json.RawMessage("{}"), nil
	}
	value, err := decodeJSON(r.Properties)
	if err != nil {
		return nil, fmt.Errorf("properties of %q: %w", r.Name, err)
	}
	value, err = walkStrings(value, "properties", func(path, text string) (any, error) {
		expanded, err := Expand(text, replace)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", r.Name, path, err)
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
