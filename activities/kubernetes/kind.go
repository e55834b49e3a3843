package kubernetes

import (
	"context"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"windlass/schemas"
)

// schemaKind is a kind of object in one version of its API.
type schemaKind = schema.GroupVersionKind

// The kinds of object that resources are made of.
var (
	kindNamespace     = schemaKind{Version: "v1", Kind: "Namespace"}
	kindConfigMap     = schemaKind{Version: "v1", Kind: "ConfigMap"}
	kindSecret        = schemaKind{Version: "v1", Kind: "Secret"}
	kindService       = schemaKind{Version: "v1", Kind: "Service"}
	kindClaim         = schemaKind{Version: "v1", Kind: "PersistentVolumeClaim"}
	kindPod           = schemaKind{Version: "v1", Kind: "Pod"}
	kindEvent         = schemaKind{Version: "v1", Kind: "Event"}
	kindDeployment    = schemaKind{Group: "apps", Version: "v1", Kind: "Deployment"}
	kindStatefulSet   = schemaKind{Group: "apps", Version: "v1", Kind: "StatefulSet"}
	kindJob           = schemaKind{Group: "batch", Version: "v1", Kind: "Job"}
	kindAutoscaler    = schemaKind{Group: "autoscaling", Version: "v2", Kind: "HorizontalPodAutoscaler"}
	kindBudget        = schemaKind{Group: "policy", Version: "v1", Kind: "PodDisruptionBudget"}
	kindNetworkPolicy = schemaKind{Group: "networking.k8s.io", Version: "v1", Kind: "NetworkPolicy"}
	kindIngress       = schemaKind{Group: "networking.k8s.io", Version: "v1", Kind: "Ingress"}
	kindGateway       = schemaKind{Group: "gateway.networking.k8s.io", Version: "v1", Kind: "Gateway"}
	kindHTTPRoute     = schemaKind{Group: "gateway.networking.k8s.io", Version: "v1", Kind: "HTTPRoute"}
)

// made are the kinds of object that the resources of a type have, in the order in which
// they are removed: what brings requests, what makes pods, and then what those used.
var made = map[schemas.ResourceType][]schemaKind{
	schemas.TypeNetwork:       {kindNetworkPolicy, kindConfigMap, kindNamespace},
	schemas.TypeStorage:       {kindConfigMap, kindClaim},
	schemas.TypeCompute:       {kindAutoscaler, kindService, kindDeployment, kindStatefulSet, kindJob, kindBudget, kindNetworkPolicy, kindSecret},
	schemas.TypeDatabase:      {kindService, kindStatefulSet, kindBudget, kindSecret, kindClaim},
	schemas.TypeLoadBalancer:  {kindHTTPRoute, kindGateway, kindIngress, kindService, kindNetworkPolicy, kindSecret},
	schemas.TypeSecurityGroup: {kindNetworkPolicy},
	schemas.TypeKubernetes:    {kindConfigMap},
}

// kinds are those of the objects that resources of the types have and that the cluster
// serves, each once.
func (p *Provider) kinds(ctx context.Context, types ...schemas.ResourceType) ([]schemaKind, error) {
	var all []schemaKind
	for _, t := range types {
		for _, kind := range made[t] {
			if slices.Contains(all, kind) {
				continue
			}
			if kind.Group == kindHTTPRoute.Group {
				served, err := p.client.Serves(ctx, kind)
				if err != nil {
					return nil, err
				}
				if p.routeless.Store(!served); !served {
					continue
				}
			}
			all = append(all, kind)
		}
	}
	return all, nil
}

// allTypes are the types of resource.
func allTypes() []schemas.ResourceType { return slices.Sorted(maps.Keys(made)) }
