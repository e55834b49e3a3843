package docker

import (
	"cmp"
	"fmt"
	"strconv"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

// Outputs implements activities.Provider.
func (p *Provider) Outputs(declared plan.Desired) (schemas.Outputs, error) {
	switch declared.Type {
	case schemas.TypeNetwork, schemas.TypeStorage, schemas.TypeSecurityGroup:
		name, err := adopted(declared)
		return schemas.Outputs{"name": cmp.Or(name, objectName(declared.Target))}, err
	case schemas.TypeCompute:
		compute, err := decode[schemas.Compute](declared)
		if err != nil {
			return nil, err
		}
		port := ""
		if len(compute.Ports) > 0 {
			port = strconv.Itoa(compute.Ports[0].ContainerPort)
		}
		return schemas.Outputs{"name": declared.Resource, "host": declared.Resource, "port": port}, nil
	case schemas.TypeDatabase:
		database, err := decode[schemas.Database](declared)
		if err != nil {
			return nil, err
		}
		return p.databaseOutputs(declared.Resource, database)
	default:
		return nil, &activities.Fault{Kind: activities.Invalid, Resource: declared.Resource, Field: "type",
			Message: fmt.Sprintf("the Docker provider has no type %q", declared.Type),
			Hint:    "use Network, Storage, Compute, Database or SecurityGroup"}
	}
}

// decode reads the properties of a resource.
func decode[T schemas.Network | schemas.Storage | schemas.Compute | schemas.Database | schemas.SecurityGroup](d plan.Desired) (T, error) {
	v, err := schemas.Decode[T](d.Declaration())
	if err != nil {
		return v, &activities.Fault{Kind: activities.Invalid, Resource: d.Resource, Field: "properties", Message: err.Error(), Err: err}
	}
	return v, nil
}
