package kubernetes

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/activities/kubernetes/cluster"
)

func TestABalancerGetsRoutesWhereTheClusterHasGateways(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		config func(*Config)
		parent string
		// gateways are how many are made.
		gateways int
	}{
		"of a class":         {func(c *Config) { c.GatewayClass = "example" }, "edge", 1},
		"one that is shared": {func(c *Config) { c.Gateway = "infra/shared" }, "shared", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			config := Config{Name: "docker", Kubeconfig: kubeconfigOf(t, asWorker), QPS: 500, Burst: 1000}
			test.config(&config)
			var err error
			w.provider, err = New(config)
			require.NoError(t, err)
			published := func(port int) []string {
				return []string{network, `{name: web, type: Compute, properties: {image: "a/web:1", ports: [{containerPort: 8080}], networks: ["${backend.name}"]}}`,
					fmt.Sprintf(`{name: edge, type: LoadBalancer, properties: {target: "${web.name}", listen: [{port: %d}], trafficPolicy: {timeout: {requestTimeout: 5s}}}}`, port)}
			}
			document := w.document(published(80)...)
			w.mustDeploy(document)
			w.requireNothingToDo(document)
			route, err := w.provider.find(t.Context(), cluster.Reference{GroupVersionKind: kindHTTPRoute, Namespace: w.namespace("backend"), Name: "edge-80"})
			require.NoError(t, err)
			spec := fmt.Sprint(route.Object["spec"])
			require.Contains(t, spec, "name:"+test.parent)
			require.Contains(t, spec, "request:5s")
			gateways, err := w.provider.list(t.Context(), kindGateway, w.namespace("backend"), nil)
			require.NoError(t, err)
			require.Len(t, gateways, test.gateways)

			moved := w.document(published(81)...)
			w.mustDeploy(moved)
			w.requireNothingToDo(moved)
			routes, err := w.provider.list(t.Context(), kindHTTPRoute, w.namespace("backend"), nil)
			require.NoError(t, err)
			require.Len(t, routes, 1, "the route of the former port is left")
			w.destroy(t.Context())
			w.requireNothingLeft()
		})
	}
}
