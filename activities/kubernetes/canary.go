package kubernetes

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"windlass/activities"
	"windlass/activities/kubernetes/cluster"
	"windlass/activities/kubernetes/manifest"
	"windlass/plan"
	"windlass/plan/supervision"
	"windlass/schemas"
)

// route is a route of a LoadBalancer, with what declared it.
type route struct {
	found    *unstructured.Unstructured
	balancer plan.Desired
}

// routesTo are the routes of the LoadBalancers in front of a Compute, as the cluster has them.
func (p *Provider) routesTo(ctx context.Context, compute plan.Target, options manifest.Options) ([]route, error) {
	if options.Gateway == "" && options.GatewayClass == "" || !options.GatewayAPI {
		return nil, nil
	}
	labels := p.scopeLabels(compute.Scope)
	labels[manifest.LabelType] = string(schemas.TypeLoadBalancer)
	found, err := p.list(ctx, kindHTTPRoute, "", labels)
	if err != nil {
		return nil, err
	}
	var routes []route
	for _, o := range found {
		balancer, err := manifest.DesiredOf(o)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", named(o), err)
		}
		if to, err := manifest.Balances(balancer, compute.Resource); err != nil {
			return nil, err
		} else if to {
			routes = append(routes, route{o, balancer})
		}
	}
	return routes, nil
}

// beginBeside makes the part that runs beside the stable version, and gives it its share
// of the requests.
func (p *Provider) beginBeside(ctx context.Context, d plan.Desired, way supervision.Way, secrets activities.Secrets, say activities.Progress) error {
	options, err := p.offered(ctx)
	if err != nil {
		return err
	}
	objects, err := manifest.Canary(d, way.Beside.Replicas, options, secrets)
	if err != nil {
		return err
	}
	routes, err := p.routesTo(ctx, d.Target, options)
	if err != nil {
		return err
	}
	if len(routes) == 0 {
		return &activities.Fault{Kind: activities.Invalid, Resource: d.Resource, Field: "properties.strategy.type", Message: fmt.Sprintf("%s shares requests out by routes, and no LoadBalancer in front of this Compute publishes a port for requests", d.RolloutStrategy().Type),
			Hint: "publish a port of protocol HTTP by hostPort, or use RollingUpdate"}
	}
	for _, r := range routes {
		backend, err := manifest.CanaryBackend(r.balancer, d, options)
		if err != nil {
			return err
		}
		objects = append(objects, backend...)
	}
	for _, o := range objects {
		if o.GroupVersionKind() == kindDeployment && way.Paused {
			_ = unstructured.SetNestedField(o.Object, true, "spec", "paused") // spec is an object
		}
		if err := p.place(ctx, d, o, say); err != nil {
			return err
		}
	}
	return p.share(ctx, routes, options, &way.Beside.Weight, say)
}

// endShares has the routes send all requests to the stable version.
func (p *Provider) endShares(ctx context.Context, compute plan.Target, say activities.Progress) error {
	options, err := p.offered(ctx)
	if err != nil {
		return err
	}
	routes, err := p.routesTo(ctx, compute, options)
	if err != nil {
		return err
	}
	return p.share(ctx, routes, options, nil, say)
}

// share has routes give the canary a share of the requests; nil is that there is none. It
// applies them as their LoadBalancer does, so that each field has one owner.
func (p *Provider) share(ctx context.Context, routes []route, options manifest.Options, weight *int, say activities.Progress) error {
	for _, r := range routes {
		now, shared := manifest.ShareOf(r.found, r.balancer.Resource)
		if weight == nil && !shared || weight != nil && shared && now == int64(*weight) {
			continue
		}
		objects, err := manifest.Objects(r.balancer, options, nil)
		if err != nil {
			return err
		}
		for _, o := range objects {
			if cluster.ReferenceOf(o) != cluster.ReferenceOf(r.found) {
				continue
			}
			if weight != nil {
				if err := manifest.Share(o, r.balancer.Resource, int64(*weight)); err != nil {
					return err
				}
			}
			if _, err := p.put(ctx, o, r.found, false, say); err != nil {
				return err
			}
		}
	}
	return nil
}

// keepShare has a declared route give the canary the share that it has at present: that
// is the rollout's to say, and no difference.
func keepShare(want, found *unstructured.Unstructured) error {
	if want.GroupVersionKind() != kindHTTPRoute {
		return nil
	}
	balancer := want.GetLabels()[manifest.LabelResource]
	if weight, shared := manifest.ShareOf(found, balancer); shared {
		return manifest.Share(want, balancer, weight)
	}
	return nil
}

// ofCanary says whether an object is there for the time of a canary only.
func ofCanary(o *unstructured.Unstructured) bool { return o.GetLabels()[manifest.LabelPart] != "" }
