package schemas

import (
	"bytes"
	"encoding/json"
	"fmt"
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
		if spec, _ := document["spec"].(map[string]any); spec["outputs"] != nil {
			return Faults{t.Fault("spec.outputs", fmt.Sprintf("only a Template has outputs; set kind: %s", KindTemplate))}
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
	document, restore := withoutNested(document)
	t.Value, err = walkStrings(document, "", func(path, text string) (any, error) {
		return t.substitute(path, text, arguments)
	})
	if err != nil {
		return err
	}
	restore(t.Value)
	return t.takeOutputs(t.Value.(map[string]any)["spec"].(map[string]any))
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
			return nil, placed(err, path)
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
	value, typed, err := fillText(text, true, func(r Reference, defaulted bool) (any, bool, error) {
		if r.Namespace != NamespaceParameter {
			return nil, false, nil
		}
		value, err := lookUp(arguments, r, defaulted)
		return value, true, err
	})
	if err != nil {
		return nil, Faults{t.Fault(path, err.Error())}
	}
	if typed {
		t.typed[path] = true
	}
	return value, t.grow(path, value)
}

// takeOutputs takes the outputs of a Template, with its parameters filled in, out of
// its document.
func (t *Tree) takeOutputs(spec map[string]any) error {
	outputs, given := spec["outputs"]
	if !given {
		return nil
	}
	if err := t.sub(outputs, "spec.outputs").check("windlass:infrastructure#/$defs/outputs"); err != nil {
		return placed(err, "spec.outputs")
	}
	delete(spec, "outputs")
	t.outputs = map[string]any{}
	for i, output := range outputs.([]any) {
		o := output.(map[string]any)
		name := o["name"].(string)
		if _, twice := t.outputs[name]; twice {
			return Faults{t.Fault(memberPath(elementPath("spec.outputs", i), "name"), fmt.Sprintf("output %q is declared twice", name))}
		}
		t.outputs[name] = o["value"]
	}
	return nil
}
