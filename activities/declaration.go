package activities

import (
	"encoding/json"
	"errors"
	"fmt"

	"windlass/plan"
	"windlass/schemas"
)

// Declare turns a document into resources that providers can apply: references
// are resolved with the outputs that the providers predict, placeholders of
// secrets are kept. A nil document declares nothing.
func Declare(document *schemas.Infrastructure, revision int, providers Providers) ([]plan.Desired, error) {
	if document == nil {
		return nil, nil
	}
	names := make([]string, len(document.Spec.Resources))
	for i, r := range document.Spec.Resources {
		names[i] = r.Name
	}
	return declareSome(document, revision, providers, names)
}

// declareSome is Declare for the resources of those names. A name that is not in the
// document is left out.
func declareSome(document *schemas.Infrastructure, revision int, providers Providers, names []string) ([]plan.Desired, error) {
	d := declaration{document: document, revision: revision, providers: providers, byName: map[string]*schemas.Resource{}, done: map[string]*declared{}}
	for i := range document.Spec.Resources {
		d.byName[document.Spec.Resources[i].Name] = &document.Spec.Resources[i]
	}
	some := make([]plan.Desired, 0, len(names))
	for _, name := range names {
		declares := d.byName[name]
		if declares == nil {
			continue
		}
		r, err := d.resource(declares)
		if err != nil {
			return nil, err
		}
		some = append(some, r.desired)
	}
	return some, nil
}

type declaration struct {
	document  *schemas.Infrastructure
	revision  int
	providers Providers
	byName    map[string]*schemas.Resource
	done      map[string]*declared
}

type declared struct {
	desired plan.Desired
	outputs schemas.Outputs
}

// resource declares r after the resources that it refers to. Documents are free
// of cycles.
func (d *declaration) resource(r *schemas.Resource) (*declared, error) {
	if known, ok := d.done[r.Name]; ok {
		return known, nil
	}
	provider, err := d.providers.Get(r.Provider)
	if err != nil {
		return nil, at(err, r.Name, "provider")
	}
	properties, err := r.Resolved(func(reference schemas.Reference) (string, error) {
		target := d.byName[reference.Namespace]
		if target == nil {
			return "", &Fault{Kind: Invalid, Resource: r.Name, Message: fmt.Sprintf("%s names no resource", reference)}
		}
		other, err := d.resource(target)
		if err != nil {
			return "", err
		}
		value, ok := other.outputs[reference.Name]
		if !ok {
			return "", &Fault{Kind: Invalid, Resource: r.Name, Message: fmt.Sprintf("%s has no value: %s does not offer it as it is declared", reference, target.Name)}
		}
		return value, nil
	})
	if err != nil {
		return nil, unresolved(err)
	}
	strategy, properties, err := separateStrategy(r, properties)
	if err != nil {
		return nil, err
	}
	if properties, err = tagged(r, properties); err != nil {
		return nil, err
	}
	dependencies, err := r.Dependencies()
	if err != nil {
		return nil, err
	}
	if placing, ok := provider.(PlacingProvider); ok && placing.PlacedByUse(r.Type) {
		if properties, dependencies, err = d.placed(r, properties, dependencies); err != nil {
			return nil, err
		}
	}
	hash, err := plan.Hash(r.Type, properties)
	if err != nil {
		return nil, err
	}
	result := &declared{desired: plan.Desired{
		Target:   plan.Target{Scope: d.document.Scope(), Resource: r.Name, Type: r.Type, Provider: r.Provider},
		Revision: d.revision, SpecHash: hash, DependsOn: dependencies, Properties: properties,
		Protect: r.Protect, Tags: r.Tags, Timeouts: r.Timeouts, Strategy: strategy, ReplaceOn: provider.ReplaceOn(r.Type),
	}}
	switch rolling := provider.(type) {
	case ReplicaProvider:
		result.desired.Rolls, err = rolling.Rolls(result.desired)
	case SupervisedProvider:
		result.desired.Supervised, err = rolling.Supervises(result.desired)
		result.desired.Rolls = result.desired.Supervised
	}
	if err != nil {
		return nil, at(err, r.Name, "")
	}
	if selective, ok := provider.(SelectiveProvider); ok {
		result.desired.Unused = selective.Unused(result.desired)
	}
	if result.outputs, err = provider.Outputs(result.desired); err != nil {
		return nil, at(err, r.Name, "")
	}
	d.done[r.Name] = result
	return result, nil
}

// tagged tells the tags together with the properties, so that a change of them is
// a change of the declaration. A volume cannot be changed, and is not made anew for
// the sake of a tag.
func tagged(r *schemas.Resource, properties json.RawMessage) (json.RawMessage, error) {
	if len(r.Tags) == 0 || r.Type == schemas.TypeStorage {
		return properties, nil
	}
	var object map[string]any
	if err := json.Unmarshal(properties, &object); err != nil {
		return nil, fmt.Errorf("properties of %q: %w", r.Name, err)
	}
	object["tags"] = r.Tags
	return json.Marshal(object)
}

// separateStrategy takes the strategy of a Compute out of its properties: it says how
// replicas move, and not how they are.
func separateStrategy(r *schemas.Resource, properties json.RawMessage) (*schemas.Strategy, json.RawMessage, error) {
	if r.Type != schemas.TypeCompute {
		return nil, properties, nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(properties, &object); err != nil {
		return nil, nil, fmt.Errorf("properties of %q: %w", r.Name, err)
	}
	text, declared := object["strategy"]
	if !declared {
		return nil, properties, nil
	}
	var strategy schemas.Strategy
	if err := json.Unmarshal(text, &strategy); err != nil {
		return nil, nil, &Fault{Kind: Invalid, Resource: r.Name, Field: "properties.strategy", Message: err.Error(), Err: err}
	}
	delete(object, "strategy")
	rest, err := json.Marshal(object)
	return &strategy, rest, err
}

// unresolved makes a fault of an expression that has no value for what the outputs
// are: int("") for one.
func unresolved(err error) error {
	var fault *Fault
	var text *schemas.TextError
	if errors.As(err, &fault) || !errors.As(err, &text) {
		return err
	}
	return &Fault{Kind: Invalid, Resource: text.Resource, Field: text.Field, Message: text.Err.Error(), Err: err}
}
