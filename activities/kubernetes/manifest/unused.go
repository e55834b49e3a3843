package manifest

import (
	"encoding/json"
	"fmt"
	"strings"

	"windlass/plan"
	"windlass/schemas"
	"windlass/schemas/traffic"
)

// idle are the fields of each type that say nothing to a cluster: what they decide is
// another's matter there.
var idle = map[schemas.ResourceType][]string{
	schemas.TypeNetwork:  {"subnet"},
	schemas.TypeCompute:  {"health.startPeriod"},
	schemas.TypeDatabase: {"startPeriod"},
	schemas.TypeLoadBalancer: {
		"accessLog", "replicas", "resources", "stopGracePeriod",
		"trafficPolicy.circuitBreaker", "trafficPolicy.drainTimeout", "trafficPolicy.healthCheck", "trafficPolicy.limits",
		"trafficPolicy.loadBalancer", "trafficPolicy.outlierDetection", "trafficPolicy.retry", "trafficPolicy.slowStart",
		"trafficPolicy.timeout.connectTimeout", "trafficPolicy.timeout.headerTimeout", "trafficPolicy.timeout.idleTimeout",
	},
}

// Unused are the paths of the fields of a declaration that are not used, such as
// "properties.subnet".
func Unused(d plan.Desired, o Options) []string {
	var declared map[string]any
	if err := json.Unmarshal(d.Properties, &declared); err != nil {
		return nil // whoever translates it says so
	}
	var unused []string
	for _, path := range idle[d.Type] {
		if present(declared, path) {
			unused = append(unused, "properties."+path)
		}
	}
	if d.Type == schemas.TypeLoadBalancer {
		unused = append(unused, unusedInBalancer(d, o)...)
	}
	if d.Strategy != nil && d.Strategy.MaxFailureRatio > 0 {
		unused = append(unused, "properties.strategy.maxFailureRatio")
	}
	return unused
}

// unusedInBalancer are those that depend on how requests come into the cluster: to an
// Ingress they come by ports that its controller chooses.
func unusedInBalancer(d plan.Desired, o Options) []string {
	b, err := schemas.Decode[schemas.LoadBalancer](d.Declaration())
	if err != nil {
		return nil // whoever translates it says so
	}
	byGateway := o.Gateway != "" || o.GatewayClass != ""
	var unused []string
	for i, l := range b.Listen {
		path := fmt.Sprintf("properties.listen[%d]", i)
		if l.HostIP != "" {
			unused = append(unused, path+".hostIP")
		}
		if l.HostPort != nil && *l.HostPort != 0 && l.Protocol != traffic.TCP && !byGateway {
			unused = append(unused, path+".hostPort")
		}
	}
	if b.TrafficPolicy.Timeout.RequestTimeout != nil && !byGateway {
		unused = append(unused, "properties.trafficPolicy.timeout.requestTimeout")
	}
	return unused
}

// present says whether a declaration has a field.
func present(declared map[string]any, path string) bool {
	name, rest, deeper := strings.Cut(path, ".")
	value, there := declared[name]
	if !deeper || !there {
		return there
	}
	inner, ok := value.(map[string]any)
	return ok && present(inner, rest)
}

// routes says whether requests come by routes of the Gateway API.
func (o Options) routes() bool { return o.GatewayAPI && (o.Gateway != "" || o.GatewayClass != "") }
