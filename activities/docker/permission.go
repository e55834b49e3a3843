package docker

import (
	"fmt"
	"strings"

	"windlass/activities"
	"windlass/activities/database"
	"windlass/plan"
	"windlass/schemas"
)

// Permit implements activities.Provider. What it refuses would lose data, or end
// with a server that cannot read what its volume holds.
func (p *Provider) Permit(desired plan.Desired, observed plan.Observed) error {
	if desired.SpecHash == observed.SpecHash {
		return nil
	}
	switch desired.Type {
	case schemas.TypeNetwork:
		return permitNetwork(desired, observed)
	case schemas.TypeStorage:
		return permitStorage(desired, observed)
	case schemas.TypeDatabase:
		if err := database.Permit(p.databases, desired, observed); err != nil {
			return err
		}
		return permitData(desired, observed)
	default:
		return nil
	}
}

// permitNetwork refuses to exchange a network that was taken over for one that is
// made, or the other way: its containers would lose each other on the way.
func permitNetwork(d plan.Desired, o plan.Observed) error {
	after, err := decode[schemas.Network](d)
	if err != nil {
		return err
	}
	before, err := schemas.Decode[schemas.Network](schemas.Resource{Name: o.Resource, Type: o.Type, Properties: o.Properties})
	if err != nil || len(o.Properties) == 0 || before.Adopt == after.Adopt {
		return nil
	}
	return &activities.Fault{Kind: activities.Invalid, Resource: d.Resource, Field: "properties.adopt",
		Message: fmt.Sprintf("it is %q now and was %q, and a network is not exchanged under its containers", after.Adopt, before.Adopt),
		Hint:    "go back to the former declaration, or declare a Network of another name"}
}

// permitData refuses another size of a Database's volume.
func permitData(d plan.Desired, o plan.Observed) error {
	after, err := decode[schemas.Database](d)
	if err != nil {
		return err
	}
	before, err := schemas.Decode[schemas.Database](schemas.Resource{Name: o.Resource, Type: o.Type, Properties: o.Properties})
	if err != nil || before.Engine == "" || before.Size == after.Size {
		return nil
	}
	return &activities.Fault{Kind: activities.Invalid, Resource: d.Resource, Field: "properties.size",
		Message: fmt.Sprintf("the data volume was made with size %q, and the engine cannot change a volume", before.Size),
		Hint:    "go back to the former declaration, or declare a Database of another name and move the data"}
}

// permitStorage refuses every other declaration of a volume: the engine cannot
// change one, and making it anew would lose its data.
func permitStorage(d plan.Desired, o plan.Observed) error {
	field, change := "properties", "has another declaration"
	changes, err := plan.Changes(o.Properties, d.Properties)
	if err == nil && len(o.Properties) > 0 && len(changes) > 0 {
		property, _, _ := strings.Cut(changes[0].Path, ".")
		field, change = "properties."+property, changes[0].String()
	}
	return &activities.Fault{Kind: activities.Invalid, Resource: d.Resource, Field: field,
		Message: fmt.Sprintf("it %s, but the volume exists, and the engine cannot change a volume", change),
		Hint:    "go back to the former declaration, or declare a Storage of another name and move the data"}
}
