package schemas

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const scales = "scaling: {minInstances: 2, maxInstances: 6, targetCPUUtilization: 0.7}"

func TestScalingThatContradictsItselfIsRefused(t *testing.T) {
	const asks = "image: a, resources: {cpuRequest: 100m}, "
	tests := map[string]struct{ properties, want string }{
		"by CPU":            {asks + scales, ""},
		"by the limit":      {"image: a, resources: {cpuLimit: '1'}, " + scales, ""},
		"with replicas":     {asks + "replicas: 2, " + scales, "spec.resources[0].properties.replicas: has no meaning with scaling"},
		"of a job":          {asks + "endState: completed, " + scales, "properties.scaling: has no meaning with endState completed"},
		"with a host port":  {asks + "ports: [{containerPort: 1, hostPort: 1}], " + scales, "properties.scaling: has no meaning with host port 1"},
		"without a request": {"image: a, " + scales, "properties.scaling.targetCPUUtilization: is a share of what a replica asks for"},
		"of memory without": {asks + "scaling: {minInstances: 1, maxInstances: 2, targetMemoryUtilization: 0.5}", "properties.scaling.targetMemoryUtilization: is a share"},
		"without a target":  {asks + "scaling: {minInstances: 1, maxInstances: 2}", "properties.scaling: has no target"},
		"upside down":       {asks + "scaling: {minInstances: 3, maxInstances: 2, targetCPUUtilization: 1}", "minInstances: 3 is more than maxInstances, 2"},
		"to nothing":        {asks + "scaling: {minInstances: 0, maxInstances: 2, targetCPUUtilization: 1}", "minInstances: 0 is too small"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(inOneResource("Compute", "{"+test.properties+"}")), nil)
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.want)
		})
	}
}

func inOneResource(kind, properties string) string {
	return "apiVersion: windlass/v1\nkind: Infrastructure\nmetadata: {name: users}\nspec:\n  environment: staging\n  resources:\n  - {name: web, type: " + kind + ", properties: " + properties + "}\n"
}

func TestTheScalingOfTheDocumentIsThatOfComputesThatDoNotSay(t *testing.T) {
	document, err := Parse([]byte(`apiVersion: windlass/v1
kind: Infrastructure
metadata: {name: users}
spec:
  environment: staging
  `+scales+`
  resources:
  - {name: web, type: Compute, properties: {image: a, resources: {cpuRequest: 100m}}}
  - {name: fixed, type: Compute, properties: {image: a, replicas: 3}}
  - {name: own, type: Compute, properties: {image: a, resources: {cpuRequest: 100m}, scaling: {minInstances: 1, maxInstances: 2, targetCPUUtilization: 0.5}}}
  - {name: migrate, type: Compute, properties: {image: a, endState: completed}}
`), nil)
	require.NoError(t, err)
	most := map[string]int{}
	for _, r := range document.Spec.Resources {
		c, err := Decode[Compute](r)
		require.NoError(t, err)
		if c.Scaling != nil {
			most[r.Name] = c.Scaling.MaxInstances
		}
	}
	require.Equal(t, map[string]int{"web": 6, "own": 2}, most)
}
