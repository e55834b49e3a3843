package schemas

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// plainText is a value as it stands in a text: the items of a list with commas
// between them, an object as JSON.
func plainText(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	case []any:
		items := make([]string, len(v))
		for i, item := range v {
			items[i] = plainText(item)
		}
		return strings.Join(items, ",")
	case map[string]any:
		return shown(v)
	}
	return fmt.Sprint(value)
}

// toText makes text of the parameters that stand where the schema at that location
// wants text and nothing else: a Number in a variable of the environment, say.
func (t *Tree) toText(location string) error {
	if len(t.typed) == 0 {
		return nil
	}
	schema, err := compile(location)
	if err != nil {
		return err
	}
	var invalid *jsonschema.ValidationError
	if errors.As(schema.Validate(t.Value), &invalid) {
		t.mendText(invalid)
	}
	return nil
}

func (t *Tree) mendText(e *jsonschema.ValidationError) {
	for _, cause := range e.Causes {
		t.mendText(cause)
	}
	if k, ok := e.ErrorKind.(*kind.Type); ok && slices.Equal(k.Want, []string{"string"}) && t.typed[t.path(e.InstanceLocation)] {
		t.Value = withText(t.Value, e.InstanceLocation)
	}
}

// withText is the value in which the one at that pointer is text.
func withText(value any, pointer []string) any {
	if len(pointer) == 0 {
		return plainText(value)
	}
	switch v := value.(type) {
	case map[string]any:
		v[pointer[0]] = withText(v[pointer[0]], pointer[1:])
	case []any:
		if i, err := strconv.Atoi(pointer[0]); err == nil && i < len(v) {
			v[i] = withText(v[i], pointer[1:])
		}
	}
	return value
}
