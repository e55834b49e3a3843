package manifest

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/plan"
	"windlass/schemas"
)

func TestFieldsThatSayNothingToAClusterAreNamed(t *testing.T) {
	declared := func(kind schemas.ResourceType, properties string) plan.Desired {
		return plan.Desired{Target: plan.Target{Type: kind}, Properties: json.RawMessage(properties)}
	}
	const policy = `{"listen": [{"port": 80}], "replicas": 2, "trafficPolicy": {"retry": {}, "timeout": {"requestTimeout": "1s"}}}`
	balancer := declared(schemas.TypeLoadBalancer, policy)
	require.Equal(t, []string{"properties.replicas", "properties.trafficPolicy.retry", "properties.trafficPolicy.timeout"}, Unused(balancer, Options{}))
	require.Equal(t, []string{"properties.replicas", "properties.trafficPolicy.retry"}, Unused(balancer, Options{GatewayClass: "shared"}))
	require.Equal(t, []string{"properties.subnet"}, Unused(declared(schemas.TypeNetwork, `{"subnet": "10.0.0.0/24", "internal": true}`), Options{}))
	rolling := declared(schemas.TypeCompute, `{"image": "a", "health": {"startPeriod": "5s"}}`)
	rolling.Strategy = &schemas.Strategy{MaxFailureRatio: 0.1}
	require.Equal(t, []string{"properties.health.startPeriod", "properties.strategy.maxFailureRatio"}, Unused(rolling, Options{}))
	require.Empty(t, Unused(declared(schemas.TypeStorage, `{"size": "1Gi"}`), Options{}))
}
