package manifest

import (
	"encoding/json"
	"fmt"
	"path"
	"strconv"

	"windlass/schemas"
)

// secretFields are the patterns of the fields of each type that may hold a secret: what
// becomes of them is in a Secret.
var secretFields = map[schemas.ResourceType][]string{
	schemas.TypeCompute:      {"environment/*", "initSteps/*/environment/*", "registryCredentials/password"},
	schemas.TypeDatabase:     {"registryCredentials/password"},
	schemas.TypeLoadBalancer: {"listen/*/tls/*"},
}

// concealed refuses secrets in all other fields.
func (t *translation) concealed() error {
	var properties map[string]any
	if err := json.Unmarshal(t.Properties, &properties); err != nil {
		return t.invalid("properties", err.Error(), "")
	}
	// Tags are told together with the properties, and their texts stand for themselves.
	delete(properties, "tags")
	return t.conceal(properties, "properties", "")
}

// conceal looks for secrets in a value. Its path is told in the form of documents and in
// that of the patterns.
func (t *translation) conceal(value any, field, pattern string) error {
	switch v := value.(type) {
	case map[string]any:
		for _, name := range sortedKeys(v) {
			if err := t.conceal(v[name], field+"."+name, path.Join(pattern, name)); err != nil {
				return err
			}
		}
	case []any:
		for i, element := range v {
			if err := t.conceal(element, fmt.Sprintf("%s[%d]", field, i), path.Join(pattern, strconv.Itoa(i))); err != nil {
				return err
			}
		}
	case string:
		if holdsSecret(v) && !t.mayHoldSecret(pattern) {
			return t.invalid(field, "holds a secret, which everybody who may read objects of the cluster would see", "give it to a container by an environment variable")
		}
	}
	return nil
}

func (t *translation) mayHoldSecret(field string) bool {
	for _, pattern := range secretFields[t.Type] {
		if ok, err := path.Match(pattern, field); ok && err == nil {
			return true
		}
	}
	return false
}

// holdsSecret says whether a text has a placeholder of a secret.
func holdsSecret(text string) bool {
	references, err := schemas.References(text)
	return err == nil && len(references) > 0
}
