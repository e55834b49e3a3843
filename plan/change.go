package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"windlass/schemas"
)

// Changes lists the fields in which two declarations of a resource differ, in the
// order of their paths. Lists are compared place by place.
func Changes(before, after json.RawMessage) ([]schemas.Change, error) {
	from, err := value(before)
	if err != nil {
		return nil, fmt.Errorf("properties as they were: %w", err)
	}
	to, err := value(after)
	if err != nil {
		return nil, fmt.Errorf("properties as they are declared: %w", err)
	}
	return compare(nil, "", from, to), nil
}

func value(properties json.RawMessage) (any, error) {
	if len(properties) == 0 {
		return map[string]any{}, nil
	}
	var v any
	return v, json.Unmarshal(properties, &v)
}

func compare(changes []schemas.Change, path string, from, to any) []schemas.Change {
	switch from := from.(type) {
	case map[string]any:
		if to, ok := to.(map[string]any); ok {
			keys := map[string]bool{}
			for key := range from {
				keys[key] = true
			}
			for key := range to {
				keys[key] = true
			}
			for _, key := range slices.Sorted(maps.Keys(keys)) {
				changes = compare(changes, strings.TrimPrefix(path+"."+key, "."), from[key], to[key])
			}
			return changes
		}
	case []any:
		if to, ok := to.([]any); ok {
			for i := range max(len(from), len(to)) {
				changes = compare(changes, fmt.Sprintf("%s[%d]", path, i), at(from, i), at(to, i))
			}
			return changes
		}
	}
	if reflect.DeepEqual(from, to) {
		return changes
	}
	return append(changes, schemas.Change{Path: path, From: from, To: to})
}

// at is nil behind the end of the list.
func at(list []any, i int) any {
	if i < len(list) {
		return list[i]
	}
	return nil
}

// mentioned bounds the changes that a cause spells out.
const mentioned = 3

// inWords tells changes in one sentence, as the cause of an operation.
func inWords(changes []schemas.Change) string {
	var words []string
	for _, c := range changes[:min(len(changes), mentioned)] {
		words = append(words, c.String())
	}
	if more := len(changes) - mentioned; more > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(words, ", ")
}
