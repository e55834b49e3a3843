package kubernetes

import (
	"encoding/json"
	"fmt"

	"windlass/activities"
	"windlass/activities/kubernetes/manifest"
	"windlass/plan"
	"windlass/schemas"
	"windlass/schemas/quantity"
)

// Permit implements activities.Provider.
func (p *Provider) Permit(desired plan.Desired, observed plan.Observed) error {
	if err := p.permitShares(desired); err != nil || len(observed.Properties) == 0 {
		return err
	}
	switch desired.Type {
	case schemas.TypeStorage:
		return permitSize(desired, observed)
	case schemas.TypeDatabase:
		if err := manifest.PermitDatabase(desired, observed); err != nil {
			return err
		}
		return permitSize(desired, observed)
	}
	return nil
}

// permitShares refuses a strategy that shares requests out where the cluster, as it was
// seen for this plan, has no routes that do it.
func (p *Provider) permitShares(d plan.Desired) error {
	if d.Type != schemas.TypeCompute {
		return nil
	}
	options := p.options
	options.GatewayAPI = !p.routeless.Load()
	return manifest.Check(d, options)
}

// permitSize refuses a smaller volume: no cluster can shrink one.
func permitSize(desired plan.Desired, observed plan.Observed) error {
	was, err := sizeOf(observed.Properties)
	if err != nil {
		return nil // an annotation that somebody wrote by hand
	}
	is, err := sizeOf(desired.Properties)
	if err != nil {
		return &activities.Fault{Kind: activities.Invalid, Resource: desired.Resource, Field: "properties.size", Message: err.Error(), Err: err}
	}
	if is >= was {
		return nil
	}
	return &activities.Fault{Kind: activities.Invalid, Resource: desired.Resource, Field: "properties.size",
		Message: fmt.Sprintf("a volume cannot become smaller: it has %d bytes, %d are declared", was, is),
		Hint:    fmt.Sprintf("declare a %s of another name, move the data, and remove this one", desired.Type)}
}

// sizeOf is the declared size of the volume of a Storage, or of a Database, which have it
// in the same property.
func sizeOf(properties json.RawMessage) (int64, error) {
	var s struct {
		Size quantity.Memory `json:"size"`
	}
	if err := json.Unmarshal(properties, &s); err != nil {
		return 0, err
	}
	return manifest.VolumeSize(s.Size).Bytes()
}
