package schemas

import (
	"encoding/json"
	"fmt"
)

// Parse reads the YAML or JSON text of an Infrastructure, or of a Template with
// the values of its parameters, and checks everything that can be checked without
// asking a provider. A value may be text whatever the parameter's type, as a
// command line gives it. The error is of type Faults and holds all that one pass
// can find.
func Parse(text []byte, values map[string]any) (*Infrastructure, error) {
	tree, err := ParseTree(text)
	if err != nil {
		return nil, err
	}
	return tree.infrastructure(values)
}

func (t *Tree) infrastructure(values map[string]any) (*Infrastructure, error) {
	if err := t.instantiate(values); err != nil {
		return nil, err
	}
	if err := t.expand(0); err != nil {
		return nil, err
	}
	if err := t.toText("windlass:infrastructure"); err != nil {
		return nil, err
	}
	if err := t.check("windlass:infrastructure"); err != nil {
		return nil, err
	}
	text, err := json.Marshal(t.Value)
	if err != nil {
		return nil, fmt.Errorf("document: %w", err)
	}
	var document Infrastructure
	if err := json.Unmarshal(text, &document); err != nil {
		return nil, fmt.Errorf("document: %w", err)
	}
	if document.Spec.OnFailure == "" {
		document.Spec.OnFailure = OnFailureRollback
	}
	if document.Spec.Provider == "" {
		document.Spec.Provider = DefaultProvider
	}
	for i := range document.Spec.Resources {
		if document.Spec.Resources[i].Provider == "" {
			document.Spec.Resources[i].Provider = document.Spec.Provider
		}
	}
	if err := document.completeScaling(); err != nil {
		return nil, err
	}
	if err := document.completeLoadBalancers(); err != nil {
		return nil, err
	}
	if faults := t.validate(&document); len(faults) > 0 {
		sortFaults(faults)
		return nil, faults
	}
	return &document, nil
}
