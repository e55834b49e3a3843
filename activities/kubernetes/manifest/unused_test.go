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
	const policy = `{"listen": [{"port": 80, "hostPort": 8080, "hostIP": "0.0.0.0"}, {"port": 81, "hostPort": 0}, {"port": 5432, "hostPort": 5433, "protocol": "TCP"}],
		"replicas": 2, "trafficPolicy": {"retry": {}, "timeout": {"requestTimeout": "1s", "idleTimeout": "1s"}}}`
	balancer := declared(schemas.TypeLoadBalancer, policy)
	require.Equal(t, []string{
		"properties.replicas", "properties.trafficPolicy.retry", "properties.trafficPolicy.timeout.idleTimeout", "properties.listen[0].hostIP",
	}, Unused(balancer, Options{GatewayClass: "shared"}))
	require.Equal(t, []string{
		"properties.replicas", "properties.trafficPolicy.retry", "properties.trafficPolicy.timeout.idleTimeout", "properties.listen[0].hostIP",
		"properties.listen[0].hostPort", "properties.trafficPolicy.timeout.requestTimeout",
	}, Unused(balancer, Options{}))
	require.Equal(t, []string{"properties.subnet"}, Unused(declared(schemas.TypeNetwork, `{"subnet": "10.0.0.0/24", "internal": true}`), Options{}))
	rolling := declared(schemas.TypeCompute, `{"image": "a", "health": {"startPeriod": "5s"}}`)
	rolling.Strategy = &schemas.Strategy{MaxFailureRatio: 0.1}
	require.Equal(t, []string{"properties.health.startPeriod", "properties.strategy.maxFailureRatio"}, Unused(rolling, Options{}))
	require.Empty(t, Unused(declared(schemas.TypeStorage, `{"size": "1Gi"}`), Options{}))
}
