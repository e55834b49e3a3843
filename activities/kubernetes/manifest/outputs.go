package manifest

import (
	"fmt"
	"strconv"

	"windlass/plan"
	"windlass/schemas"
	"windlass/schemas/traffic"
)

// Outputs are the values that a resource offers to others. A host is a name of the
// cluster's DNS that holds in every namespace.
func Outputs(d plan.Desired) (schemas.Outputs, error) {
	t := &translation{Desired: d}
	host := fmt.Sprintf("%s.%s.svc", ServiceName(d.Resource), Namespace(d))
	switch d.Type {
	case schemas.TypeNetwork:
		return t.networkOutputs()
	case schemas.TypeStorage:
		return t.storageOutputs()
	case schemas.TypeCompute:
		c, err := schemas.Decode[schemas.Compute](d.Declaration())
		if err != nil {
			return nil, t.invalid("properties", err.Error(), "")
		}
		port := ""
		if len(c.Ports) > 0 {
			port = strconv.Itoa(c.Ports[0].ContainerPort)
		}
		return schemas.Outputs{"name": d.Resource, "host": host, "port": port}, nil
	case schemas.TypeDatabase:
		return t.databaseOutputs(host)
	case schemas.TypeLoadBalancer:
		b, err := schemas.Decode[schemas.LoadBalancer](d.Declaration())
		if err != nil {
			return nil, t.invalid("properties", err.Error(), "")
		}
		return balancerOutputs(d.Resource, host, b.WithDefaults()), nil
	case schemas.TypeKubernetes:
		return t.rawOutputs()
	}
	return schemas.Outputs{"name": d.Resource}, nil
}

func balancerOutputs(resource, host string, b schemas.LoadBalancer) schemas.Outputs {
	first := b.Listen[0]
	scheme := "http"
	if first.Protocol == traffic.TCP {
		scheme = "tcp"
	}
	return schemas.Outputs{
		"name": resource, "host": host, "port": strconv.Itoa(first.Port),
		"url": fmt.Sprintf("%s://%s:%d", scheme, host, first.Port), "address": "",
	}
}
