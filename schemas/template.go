package schemas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
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
	resolved, err := t.arguments(declared, values)
	if err != nil {
		return err
	}
	delete(spec, "parameters")
	document["kind"] = KindInfrastructure
	t.Value, err = walkStrings(document, "", func(path, text string) (any, error) {
		return t.substitute(path, text, resolved)
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
		sub := &Tree{Value: list[i], places: map[string]Place{"": t.Place(elementPath("spec.parameters", i))}}
		if err := sub.check("windlass:infrastructure#/$defs/parameter"); err != nil {
			faults, ok := err.(Faults)
			if !ok {
				return nil, err
			}
			for n := range faults {
				faults[n].Field = strings.TrimSuffix(elementPath("spec.parameters", i)+"."+faults[n].Field, ".")
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

// arguments returns the value of every declared parameter.
func (t *Tree) arguments(declared []Parameter, values map[string]any) (map[string]any, error) {
	var faults Faults
	resolved := map[string]any{}
	for i, p := range declared {
		path := elementPath("spec.parameters", i)
		if _, twice := resolved[p.Name]; twice {
			faults = append(faults, t.Fault(memberPath(path, "name"), fmt.Sprintf("parameter %q is declared twice", p.Name)))
			continue
		}
		value, given := values[p.Name]
		if !given {
			if p.Required {
				faults = append(faults, t.Fault(path, fmt.Sprintf("parameter %q is required; give a value of type %s", p.Name, p.Type)))
			}
			value = p.Default
		}
		converted, err := p.convert(value)
		if err != nil {
			faults = append(faults, t.Fault(path, err.Error()))
		}
		resolved[p.Name] = converted
	}
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if _, known := resolved[name]; !known {
			faults = append(faults, t.Fault("spec.parameters", fmt.Sprintf("parameter %q is given but not declared; declared are %s", name, parameterNames(declared))))
		}
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return resolved, nil
}

func parameterNames(parameters []Parameter) string {
	if len(parameters) == 0 {
		return "none"
	}
	names := make([]string, len(parameters))
	for i, p := range parameters {
		names[i] = p.Name
	}
	return strings.Join(names, ", ")
}

// convert turns a value into the parameter's type. Text is accepted for every
// type, since that is all that a command line can give.
func (p Parameter) convert(value any) (any, error) {
	text, isText := value.(string)
	switch p.Type {
	case ParameterString:
		switch v := value.(type) {
		case nil:
			return "", nil
		case string:
			return v, nil
		}
		return "", p.refuse(value, "text in quotes")
	case ParameterNumber:
		switch v := value.(type) {
		case nil:
			return json.Number("0"), nil
		case json.Number:
			return v, nil
		case float64:
			return json.Number(strconv.FormatFloat(v, 'g', -1, 64)), nil
		case int:
			return json.Number(strconv.Itoa(v)), nil
		}
		if _, err := strconv.ParseFloat(text, 64); isText && err == nil && json.Valid([]byte(text)) {
			return json.Number(text), nil
		}
		return nil, p.refuse(value, "a number such as 3 or 0.5")
	case ParameterBoolean:
		switch value {
		case nil, false, "false":
			return false, nil
		case true, "true":
			return true, nil
		}
		return nil, p.refuse(value, "true or false")
	default:
		switch v := value.(type) {
		case nil:
			return []any{}, nil
		case []any:
			return v, nil
		}
		if isText && text == "" {
			return []any{}, nil
		}
		if isText {
			var items []any
			for item := range strings.SplitSeq(text, ",") {
				items = append(items, item)
			}
			return items, nil
		}
		return nil, p.refuse(value, "a list, or text with commas such as a,b")
	}
}

func (p Parameter) refuse(value any, accepted string) error {
	return fmt.Errorf("parameter %q of type %s cannot be %s; accepted is %s", p.Name, p.Type, shown(value), accepted)
}

// substitute replaces parameters in one text. A text that is nothing but one
// reference takes the parameter's value with its type.
func (t *Tree) substitute(path, text string, values map[string]any) (any, error) {
	references, err := References(text)
	if err != nil {
		return nil, Faults{t.Fault(path, err.Error())}
	}
	for _, r := range references {
		if _, known := values[r.Name]; r.Namespace == NamespaceParameter && !known {
			return nil, Faults{t.Fault(path, fmt.Sprintf("%s names no parameter of this Template", r))}
		}
	}
	if len(references) == 1 && references[0].Namespace == NamespaceParameter && text == references[0].String() {
		return values[references[0].Name], nil
	}
	return Expand(text, func(r Reference) (string, error) {
		if r.Namespace != NamespaceParameter {
			return r.String(), nil
		}
		if list, ok := values[r.Name].([]any); ok {
			items := make([]string, len(list))
			for i, item := range list {
				items[i] = fmt.Sprint(item)
			}
			return strings.Join(items, ","), nil
		}
		return fmt.Sprint(values[r.Name]), nil
	})
}
