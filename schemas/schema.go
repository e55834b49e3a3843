package schemas

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// InfrastructureSchema is the JSON Schema (draft 2020-12) of documents.
//
//go:embed infrastructure.schema.json
var InfrastructureSchema []byte

// CommandSchema is the JSON Schema of the data of commands: one definition for
// each type, named by the type's two middle words.
//
//go:embed command.schema.json
var CommandSchema []byte

// ContainerSchema is the JSON Schema of a document that declares a single container.
//
//go:embed container.schema.json
var ContainerSchema []byte

// ProvidersSchema is the JSON Schema of the document that says which providers a
// worker has.
//
//go:embed providers.schema.json
var ProvidersSchema []byte

var compiled = sync.OnceValues(func() (*jsonschema.Compiler, error) {
	compiler := jsonschema.NewCompiler()
	for name, text := range map[string][]byte{"windlass:infrastructure": InfrastructureSchema, "windlass:command": CommandSchema, "windlass:container": ContainerSchema, "windlass:providers": ProvidersSchema} {
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			return nil, fmt.Errorf("embedded schema %s: %w", name, err)
		}
		if err := compiler.AddResource(name, document); err != nil {
			return nil, fmt.Errorf("embedded schema %s: %w", name, err)
		}
	}
	return compiler, nil
})

var compiling sync.Mutex // a Compiler is not safe for concurrent use

func compile(location string) (*jsonschema.Schema, error) {
	compiler, err := compiled()
	if err != nil {
		return nil, err
	}
	compiling.Lock()
	defer compiling.Unlock()
	schema, err := compiler.Compile(location)
	if err != nil {
		return nil, fmt.Errorf("embedded schema %s: %w", location, err)
	}
	return schema, nil
}

// check validates the tree against the schema at that location; the error is of
// type Faults, in the order of the text.
func (t *Tree) check(location string) error {
	schema, err := compile(location)
	if err != nil {
		return err
	}
	var invalid *jsonschema.ValidationError
	switch err := schema.Validate(t.Value).(type) {
	case nil:
		return nil
	case *jsonschema.ValidationError:
		invalid = err
	default:
		return err
	}
	var faults Faults
	t.collect(invalid, &faults)
	sortFaults(faults)
	return slices.Compact(faults)
}

func sortFaults(faults Faults) {
	sort.SliceStable(faults, func(i, j int) bool {
		a, b := faults[i], faults[j]
		if a.Line != b.Line {
			return a.Line < b.Line
		}
		return a.Column < b.Column
	})
}

func (t *Tree) collect(e *jsonschema.ValidationError, faults *Faults) {
	if len(e.Causes) > 0 {
		for _, cause := range e.Causes {
			t.collect(cause, faults)
		}
		return
	}
	path := t.path(e.InstanceLocation)
	switch k := e.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			*faults = append(*faults, t.Fault(memberPath(path, name), "unknown field; accepted are "+accepted(e.SchemaURL)))
		}
	case *kind.Required:
		for _, name := range k.Missing {
			*faults = append(*faults, t.Fault(path, fmt.Sprintf("%q is missing", name)))
		}
	default:
		*faults = append(*faults, t.Fault(path, reason(e)))
	}
}

// path turns the tokens of a JSON pointer into a path, telling members named by
// digits from elements by looking at the value.
func (t *Tree) path(tokens []string) string {
	path, value := "", t.Value
	for _, token := range tokens {
		switch v := value.(type) {
		case []any:
			index, err := strconv.Atoi(token)
			if err != nil || index >= len(v) {
				return path
			}
			path, value = elementPath(path, index), v[index]
		case map[string]any:
			path, value = memberPath(path, token), v[token]
		}
	}
	return path
}

// accepted lists the members that the object schema at that location allows.
func accepted(location string) string {
	schema, err := compile(location)
	if err != nil {
		return "other fields"
	}
	if len(schema.Properties) == 0 {
		return schema.Description
	}
	names := make([]string, 0, len(schema.Properties))
	for name := range schema.Properties {
		names = append(names, name)
	}
	sort.Strings(names)
	return strings.Join(names, ", ")
}

// expectation says in words what the named definition at that location accepts: its
// description, as far as it describes one value and no object.
func expectation(location string) string {
	_, fragment, _ := strings.Cut(location, "#")
	name, named := strings.CutPrefix(fragment, "/$defs/")
	if !named || strings.Contains(name, "/") {
		return ""
	}
	schema, err := compile(location)
	if err != nil || len(schema.Properties) > 0 {
		return ""
	}
	return schema.Description
}

func reason(e *jsonschema.ValidationError) string {
	expected := expectation(e.SchemaURL)
	switch k := e.ErrorKind.(type) {
	case *kind.Type:
		if expected == "" {
			expected = "a value of type " + strings.Join(k.Want, " or ")
		}
		found := "found a value of type " + k.Got
		if k.Got == "number" && slices.Contains(k.Want, "string") {
			found = "found a number; put it in quotes"
		}
		return expected + " is expected, " + found
	case *kind.Enum:
		return fmt.Sprintf("%s is not accepted; accepted are %s", shown(k.Got), list(k.Want))
	case *kind.Const:
		return fmt.Sprintf("%s is not accepted; accepted is %s", shown(k.Got), shown(k.Want))
	case *kind.Pattern:
		if expected == "" {
			expected = "text of the form " + k.Want
		}
		return fmt.Sprintf("%s is not accepted; %s is expected", shown(k.Got), expected)
	case *kind.MaxLength:
		return fmt.Sprintf("is %d characters long; at most %d are accepted", k.Got, k.Want)
	case *kind.MinLength:
		return "is empty; text is expected"
	case *kind.Minimum:
		return fmt.Sprintf("%s is too small; at least %s is accepted", rational(k.Got), rational(k.Want))
	case *kind.Maximum:
		return fmt.Sprintf("%s is too large; at most %s is accepted", rational(k.Got), rational(k.Want))
	case *kind.MaxItems:
		return fmt.Sprintf("has %d entries; at most %d are accepted", k.Got, k.Want)
	case *kind.MinItems:
		return fmt.Sprintf("has %d entries; at least %d are expected", k.Got, k.Want)
	default:
		return "is not accepted: " + strings.ReplaceAll(e.Error(), "\n", " ")
	}
}

func rational(r interface{ FloatString(int) string }) string {
	text := r.FloatString(3)
	return strings.TrimRight(strings.TrimRight(text, "0"), ".")
}

func shown(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return "the value"
	}
	const most = 80
	if len(text) > most {
		return string(text[:most]) + "..."
	}
	return string(text)
}

func list(values []any) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = shown(v)
	}
	return strings.Join(texts, ", ")
}
