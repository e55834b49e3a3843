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

// substitute replaces parameters in one text, and evaluates the expressions that
// refer to nothing else. A text that is nothing but one of those takes the value
// with its type. Expressions that refer to resources too keep their place, with the
// values of the parameters in them.
func (t *Tree) substitute(path, text string, arguments map[string]argument) (any, error) {
	parts, err := split(text)
	if err != nil {
		return nil, Faults{t.Fault(path, err.Error())}
	}
	lookup := func(r Reference, defaulted bool) (any, error) { return lookUp(arguments, r, defaulted) }
	var out strings.Builder
	for _, p := range parts {
		var value any = p.plain
		typed := false
		switch {
		case p.reference != nil:
			value, err = lookup(*p.reference, false)
			typed = p.reference.Namespace == NamespaceParameter
		case p.expression != nil && p.expression.needsResources():
			value, err = p.expression.filled(lookup)
		case p.expression != nil:
			value, err = p.expression.evaluate(lookup)
			typed = true
		}
		if err != nil {
			return nil, Faults{t.Fault(path, err.Error())}
		}
		if typed && len(parts) == 1 {
			t.typed[path] = true
			return value, nil
		}
		out.WriteString(plainText(value))
	}
	if t.grown += out.Len(); t.grown > maxGrowth {
		return nil, Faults{t.Fault(path, fmt.Sprintf("the document holds more than %d bytes of text once its parameters are filled in", maxGrowth))}
	}
	return out.String(), nil
}

// maxGrowth bounds the text of a Template with its parameters filled in, so that a
// long value that is used often cannot exhaust a reader.
const maxGrowth = 8 * MaxDocumentBytes
