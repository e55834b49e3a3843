package schemas

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestADocumentIsScaled(t *testing.T) {
	document := `apiVersion: windlass/v1
kind: Infrastructure
metadata: {name: users}
spec:
  environment: staging
  scaling: {minInstances: 2, maxInstances: 6, targetCPUUtilization: 0.7}
  resources:
    - {name: data, type: Storage}
    - {name: web, type: Compute, properties: {image: "nginx:1", replicas: 3, environment: {KEY: "${secret.KEY}"}}}
    - {name: api, type: Compute, properties: {image: "nginx:1", resources: {cpuRequest: "1"}}}
`
	declared, err := Parse([]byte(document), nil)
	require.NoError(t, err)
	scaled, err := declared.Scaled("web", 6)
	require.NoError(t, err)
	web, err := Decode[Compute](*scaled.Resource("web"))
	require.NoError(t, err)
	require.Equal(t, 6, *web.Replicas)
	require.Equal(t, "${secret.KEY}", web.Environment["KEY"])
	before, err := Decode[Compute](*declared.Resource("web"))
	require.NoError(t, err)
	require.Equal(t, 3, *before.Replicas, "the document of before stays as it is")

	for name, c := range map[string]struct {
		resource      string
		replicas      int
		field, reason string
	}{
		"more than the scaling allows":  {"web", 7, "data.replicas", "from 2 to 6"},
		"fewer than the scaling allows": {"web", 1, "data.replicas", "from 2 to 6"},
		"one that scales by itself":     {"api", 3, "data.resource", "scales by itself"},
		"one of another type":           {"data", 3, "data.resource", "is no Compute of staging/users"},
		"one that is not there":         {"nothing", 3, "data.resource", "is no Compute of staging/users"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := declared.Scaled(c.resource, c.replicas)
			var faults Faults
			require.ErrorAs(t, err, &faults)
			require.Equal(t, c.field, faults[0].Field)
			require.Contains(t, faults[0].Reason, c.reason)
		})
	}
}
