package manifest

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

// LabelPart is on the objects that are there for the time of a canary only.
const LabelPart = LabelPrefix + "part"

// canarySuffix makes the resource label of a canary's pods another one than that of the
// stable pods, which the selectors of their Deployment and Services cannot tell apart
// otherwise. No resource has a dot in its name.
const canarySuffix = ".canary"

// CanaryName is the name of what stands beside an object during a canary.
func CanaryName(name string) string { return ServiceName(name + "-canary") }

// CanaryOf is the resource that the pods of a canary are labelled with.
func CanaryOf(resource string) string { return resource + canarySuffix }

// Canary are the objects of a Compute that run beside its stable version: a Deployment
// and the secrets of its pods. They belong to the Compute.
func Canary(d plan.Desired, replicas int, o Options, secrets activities.Secrets) ([]*unstructured.Unstructured, error) {
	apart := d
	apart.Resource = CanaryOf(d.Resource)
	objects, err := Objects(apart, o, secrets)
	if err != nil {
		return nil, err
	}
	var own []*unstructured.Unstructured
	for _, o := range objects {
		switch o.GetKind() {
		case "Deployment":
			o.SetName(CanaryName(d.Resource))
			if err := unstructured.SetNestedField(o.Object, int64(replicas), "spec", "replicas"); err != nil {
				return nil, err
			}
		case "Secret":
		default:
			continue
		}
		own = append(own, ofCanary(o, d))
	}
	return own, nil
}

// CanaryBackend are the objects of a LoadBalancer for the canary of its target: the Service
// to which routes send its share, and what lets that share through. They belong to the
// target.
func CanaryBackend(balancer, target plan.Desired, o Options) ([]*unstructured.Unstructured, error) {
	objects, err := Objects(balancer, o, nil)
	if err != nil {
		return nil, err
	}
	var own []*unstructured.Unstructured
	for _, o := range objects {
		var at []string
		switch {
		case o.GetKind() == "Service" && o.GetName() == ServiceName(balancer.Resource):
			at = []string{"spec", "selector", LabelResource}
		case o.GetKind() == "NetworkPolicy":
			at = []string{"spec", "podSelector", "matchLabels", LabelResource}
		default:
			continue
		}
		if err := unstructured.SetNestedField(o.Object, CanaryOf(target.Resource), at...); err != nil {
			return nil, err
		}
		o.SetName(CanaryName(balancer.Resource))
		own = append(own, ofCanary(o, target))
	}
	return own, nil
}

func ofCanary(o *unstructured.Unstructured, d plan.Desired) *unstructured.Unstructured {
	o.SetLabels(merged(Labels(d), map[string]string{LabelPart: "canary"}))
	o.SetAnnotations(Annotations(d))
	return o
}

// Balances says whether a declaration is that of a LoadBalancer in front of a resource.
func Balances(d plan.Desired, resource string) (bool, error) {
	b, err := schemas.Decode[schemas.LoadBalancer](d.Declaration())
	return err == nil && b.Target == resource, err
}

// Share has a route of a LoadBalancer give the canary its share, in percent.
func Share(route *unstructured.Unstructured, balancer string, weight int64) error {
	rules, backends := backendsOf(route)
	if len(backends) == 0 {
		return fmt.Errorf("route %s has no backend", route.GetName())
	}
	stable, _ := backends[0].(fields)
	stable["weight"] = 100 - weight
	canary := fields{"name": CanaryName(balancer), "port": stable["port"], "weight": weight}
	rule, _ := rules[0].(fields)
	rule["backendRefs"] = []any{stable, canary}
	return unstructured.SetNestedSlice(route.Object, rules, "spec", "rules")
}

// ShareOf is the share that a route of a LoadBalancer gives the canary, if there is one.
func ShareOf(route *unstructured.Unstructured, balancer string) (int64, bool) {
	_, backends := backendsOf(route)
	if len(backends) != 2 {
		return 0, false
	}
	canary, _ := backends[1].(fields)
	weight, ok := canary["weight"].(int64)
	return weight, ok && canary["name"] == CanaryName(balancer)
}

// backendsOf are the rules of a route, and the backends of the first.
func backendsOf(route *unstructured.Unstructured) (rules, backends []any) {
	rules, _, _ = unstructured.NestedSlice(route.Object, "spec", "rules")
	if len(rules) == 0 {
		return nil, nil
	}
	rule, _ := rules[0].(fields)
	backends, _ = rule["backendRefs"].([]any)
	return rules, backends
}
