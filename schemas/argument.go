package schemas

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// argument is the value that a parameter has in one instance of its Template.
type argument struct {
	parameter Parameter
	value     any
	// unset says that neither the deployment nor a default gave the value.
	unset bool
}

// usable refuses the empty value of a parameter that was not given one, where the
// parameter's own constraints do not accept it.
func (a argument) usable() error {
	if a.unset && !a.parameter.holds(a.value) {
		return fmt.Errorf("parameter %q is given no value; accepted is %s%s", a.parameter.Name, a.parameter.accepted(), a.parameter.purpose())
	}
	return nil
}

// lookUp is the value of a parameter. One that is given no value is nothing where
// an expression has a default for it, else empty.
func lookUp(arguments map[string]argument, r Reference, defaulted bool) (any, error) {
	a, known := arguments[r.Name]
	if !known {
		return nil, fmt.Errorf("%s names no parameter of this Template", r)
	}
	if a.unset && defaulted {
		return nil, nil
	}
	if err := a.usable(); err != nil {
		return nil, fmt.Errorf("%s: %w", r, err)
	}
	return a.value, nil
}

// arguments returns the value of every declared parameter. Faults are those of the
// declarations and those of the values.
func (t *Tree) arguments(declared []Parameter, values map[string]any) (map[string]argument, error) {
	var faults Faults
	arguments := map[string]argument{}
	for i, p := range declared {
		path := elementPath("spec.parameters", i)
		if _, twice := arguments[p.Name]; twice {
			faults = append(faults, t.Fault(memberPath(path, "name"), fmt.Sprintf("parameter %q is declared twice", p.Name)))
			continue
		}
		arguments[p.Name] = argument{}
		wrong := p.check()
		for _, member := range slices.Sorted(maps.Keys(wrong)) {
			faults = append(faults, t.Fault(memberPath(path, member), wrong[member]))
		}
		if len(wrong) > 0 {
			continue
		}
		a, err := p.argument(values[p.Name])
		if err != nil {
			faults = append(faults, t.Fault(path, err.Error()))
		}
		arguments[p.Name] = a
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if _, known := arguments[name]; !known {
			faults = append(faults, t.Fault("spec.parameters", fmt.Sprintf("parameter %q is given but not declared; declared are %s", name, parameterNames(declared))))
		}
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return arguments, nil
}

// argument is the parameter with the value given, where nil is none.
func (p Parameter) argument(given any) (argument, error) {
	switch {
	case given == nil && p.Required:
		return argument{}, fmt.Errorf("parameter %q is required; give a value of type %s%s", p.Name, p.Type, p.purpose())
	case given == nil && p.Default == nil:
		empty, err := p.convert(nil)
		return argument{parameter: p, value: empty, unset: true}, err
	case given == nil:
		given = p.Default
	}
	value, err := p.value(given)
	return argument{parameter: p, value: value}, err
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
