package docker

import (
	"cmp"
	"fmt"
	"net"
	"strconv"

	"windlass/activities"
	"windlass/activities/database"
	"windlass/plan"
	"windlass/schemas"
	"windlass/schemas/traffic"
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
		if err := withinEngine(declared.Resource, compute); err != nil {
			return nil, err
		}
		port := ""
		if len(compute.Ports) > 0 {
			port = strconv.Itoa(compute.Ports[0].ContainerPort)
		}
		return schemas.Outputs{"name": declared.Resource, "host": declared.Resource, "port": port}, nil
	case schemas.TypeLoadBalancer:
		balancer, err := decode[schemas.LoadBalancer](declared)
		if err != nil {
			return nil, err
		}
		return balancerOutputs(declared.Resource, balancer.WithDefaults()), nil
	case schemas.TypeDatabase:
		d, err := decode[schemas.Database](declared)
		if err != nil {
			return nil, err
		}
		engine, err := database.Find(p.databases, declared.Resource, d)
		if err != nil {
			return nil, err
		}
		return database.Outputs(engine, declared.Resource, declared.Resource, d), nil
	default:
		return nil, &activities.Fault{Kind: activities.Invalid, Resource: declared.Resource, Field: "type",
			Message: fmt.Sprintf("the Docker provider has no type %q", declared.Type),
			Hint:    "use Network, Storage, Compute, Database, LoadBalancer or SecurityGroup, or a provider of the kind kubernetes"}
	}
}

// withinEngine refuses what the engine cannot do for a Compute.
func withinEngine(resource string, c schemas.Compute) error {
	const hint = "leave it out, or use a provider of the kind kubernetes"
	switch {
	case c.Scaling != nil:
		return &activities.Fault{Kind: activities.Invalid, Resource: resource, Field: "properties.scaling", Message: "the Docker provider does not change the number of replicas by itself", Hint: hint}
	case c.ReadOnlyRootFilesystem != nil && *c.ReadOnlyRootFilesystem:
		return &activities.Fault{Kind: activities.Invalid, Resource: resource, Field: "properties.readOnlyRootFilesystem", Message: "the Docker provider does not make root file systems read-only", Hint: hint}
	}
	return nil
}

// balancerOutputs are those of the first port; the address is where the host
// publishes one, empty where it does not.
func balancerOutputs(resource string, b schemas.LoadBalancer) schemas.Outputs {
	first := b.Listen[0]
	scheme := "http"
	switch {
	case first.Protocol == traffic.TCP:
		scheme = "tcp"
	case first.TLS != nil:
		scheme = "https"
	}
	outputs := schemas.Outputs{
		"name": resource, "host": resource, "port": strconv.Itoa(first.Port),
		"url": fmt.Sprintf("%s://%s:%d", scheme, resource, first.Port), "address": "",
	}
	for _, l := range b.Listen {
		if *l.HostPort != 0 && outputs["address"] == "" {
			outputs["address"] = net.JoinHostPort(l.HostIP, strconv.Itoa(*l.HostPort))
		}
	}
	return outputs
}

// decode reads the properties of a resource.
func decode[T schemas.Network | schemas.Storage | schemas.Compute | schemas.Database | schemas.LoadBalancer | schemas.SecurityGroup](d plan.Desired) (T, error) {
	v, err := schemas.Decode[T](d.Declaration())
	if err != nil {
		return v, &activities.Fault{Kind: activities.Invalid, Resource: d.Resource, Field: "properties", Message: err.Error(), Err: err}
	}
	return v, nil
}
