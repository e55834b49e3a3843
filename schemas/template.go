package schemas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

func decodeJSON(text []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	err := decoder.Decode(&value)
	return value, err
}

// instantiate replaces the parameters of a Template by values and turns it into
// an Infrastructure, in place. The tree has passed the schema only as far as its
// parameters, since ${param.x} may stand where a number belongs.
func (t *Tree) instantiate(values map[string]any) error {
	document, ok := t.Value.(map[string]any)
	if !ok || document["kind"] != KindTemplate {
		if len(values) > 0 {
			return Faults{t.Fault("kind", fmt.Sprintf("parameters are given but the document is no Template; accepted is %q", KindTemplate))}
		}
		return nil
	}
	spec, ok := document["spec"].(map[string]any)
	if !ok {
		return nil // the schema says what is wrong
	}
	declared, err := t.parameters(spec["parameters"])
	if err != nil {
		return err
	}
	arguments, err := t.arguments(declared, values)
	if err != nil {
		return err
	}
	delete(spec, "parameters")
	document["kind"] = KindInfrastructure
	t.typed = map[string]bool{}
	t.Value, err = walkStrings(document, "", func(path, text string) (any, error) {
		return t.substitute(path, text, arguments)
	})
	return err
}

func (t *Tree) parameters(value any) ([]Parameter, error) {
	if value == nil {
		return nil, nil
	}
	list, ok := value.([]any)
	if !ok {
		return nil, Faults{t.Fault("spec.parameters", "a list of parameters is expected")}
	}
	for i := range list {
		path := elementPath("spec.parameters", i)
		sub := t.sub(list[i], path)
		if err := sub.check("windlass:infrastructure#/$defs/parameter"); err != nil {
			faults, ok := err.(Faults)
			if !ok {
				return nil, err
			}
			for n := range faults {
				faults[n].Field = strings.TrimSuffix(path+"."+faults[n].Field, ".")
			}
			return nil, faults
		}
	}
	text, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	var parameters []Parameter
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	return parameters, decoder.Decode(&parameters)
}

// substitute replaces parameters in one text. A text that is nothing but one
// reference takes the parameter's value with its type.
func (t *Tree) substitute(path, text string, arguments map[string]argument) (any, error) {
	references, err := References(text)
	if err != nil {
		return nil, Faults{t.Fault(path, err.Error())}
	}
	for _, r := range references {
		if r.Namespace != NamespaceParameter {
			continue
		}
		a, known := arguments[r.Name]
		if !known {
			return nil, Faults{t.Fault(path, fmt.Sprintf("%s names no parameter of this Template", r))}
		}
		if err := a.usable(); err != nil {
			return nil, Faults{t.Fault(path, fmt.Sprintf("%s: %s", r, err))}
		}
	}
	if len(references) == 1 && references[0].Namespace == NamespaceParameter && text == references[0].String() {
		t.typed[path] = true
		return arguments[references[0].Name].value, nil
	}
	return Expand(text, func(r Reference) (string, error) {
		if r.Namespace != NamespaceParameter {
			return r.String(), nil
		}
		return plainText(arguments[r.Name].value), nil
	})
}
