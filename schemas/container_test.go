package schemas

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/schemas/quantity"
)

const cache = `apiVersion: windlass/v1
kind: Container
metadata: {name: cache}
spec:
  environment: staging
  unhealthyPolicy: replace
  restartBackoff: {initial: 2s}
  tags: {team: accounts}
  properties:
    image: windlass.local/redis:7
    environment: {TOKEN: "${secret.TOKEN}"}
    ports: [{containerPort: 6379, hostPort: 16379}]
    health: {tcp: {port: 6379}}
`

func TestAContainerIsTheOneComputeOfItsOwnInfrastructure(t *testing.T) {
	command, err := commandOf(t, CommandContainerRun, map[string]any{"document": cache})
	require.NoError(t, err)
	require.Equal(t, Scope{Environment: "staging", Infrastructure: "cache"}, command.Scope)
	require.Equal(t, &ContainerPolicy{
		Provider: "docker", UnhealthyPolicy: UnhealthyReplace,
		RestartBackoff: RestartBackoff{Initial: quantity.Duration(2 * time.Second), Max: quantity.Duration(time.Minute), Reset: quantity.Duration(5 * time.Minute)},
	}, command.Container)
	require.Equal(t, Scope{Environment: "staging", Infrastructure: ContainersName}, command.Infrastructure.Scope())
	require.Len(t, command.Infrastructure.Spec.Resources, 1)
	resource := command.Infrastructure.Spec.Resources[0]
	require.Equal(t, "cache", resource.Name)
	require.Equal(t, "docker", resource.Provider)
	require.Equal(t, map[string]string{"team": "accounts"}, resource.Tags)
	declared, err := Decode[Compute](resource)
	require.NoError(t, err)
	require.Equal(t, "windlass.local/redis:7", declared.Image)

	// What a provider says of a property has its place in the document.
	require.Equal(t, "spec.properties.image", command.Field("spec.resources[0].properties.image"))
	require.Equal(t, 10, command.Place("spec.resources[0].properties.image").Line)
}

func TestAWrongContainerIsRefusedWithItsPlace(t *testing.T) {
	for name, c := range map[string]struct {
		spec, field string
		line        int
		reason      string
	}{
		"several":             {"{environment: e, properties: {image: i, replicas: 2}}", "spec.properties.replicas", 4, "a Container is one container"},
		"a strategy":          {"{environment: e, properties: {image: i, strategy: {type: Recreate}}}", "spec.properties.strategy", 4, "has no meaning for a Container"},
		"no image":            {"{environment: e, properties: {}}", "spec.properties", 4, `"image" is missing`},
		"an unknown policy":   {"{environment: e, unhealthyPolicy: ignore, properties: {image: i}}", "spec.unhealthyPolicy", 4, `"ignore" is not accepted; accepted are "none", "restart", "replace", "stop"`},
		"somebody else":       {"{environment: e, properties: {image: \"${db.url}\"}}", "spec.properties.image", 4, `"db" is no resource of this document`},
		"delays upside down":  {"{environment: e, restartBackoff: {initial: 2m}, properties: {image: i}}", "spec.restartBackoff.initial", 4, "2m0s is longer than max, 1m0s"},
		"two checks":          {"{environment: e, properties: {image: i, health: {tcp: {port: 1}, http: {path: /, port: 1}}}}", "spec.properties.health", 4, "has 2 checks"},
		"an unknown property": {"{environment: e, properties: {image: i, imag: j}}", "spec.properties.imag", 4, "unknown field"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseContainer([]byte("apiVersion: windlass/v1\nkind: Container\nmetadata: {name: c}\nspec: " + c.spec))
			var faults Faults
			require.ErrorAs(t, err, &faults)
			require.Len(t, faults, 1, "%v", faults)
			require.Equal(t, c.field, faults[0].Field)
			require.Equal(t, c.line, faults[0].Line)
			require.Contains(t, faults[0].Reason, c.reason)
		})
	}
}

func TestTheDelayBetweenRestartsDoublesUpToItsLimit(t *testing.T) {
	b := ContainerPolicy{}.WithDefaults().RestartBackoff
	var delays []time.Duration
	for restarts := range 9 {
		delays = append(delays, b.Delay(restarts))
	}
	s := time.Second
	require.Equal(t, []time.Duration{0, s, 2 * s, 4 * s, 8 * s, 16 * s, 32 * s, 60 * s, 60 * s}, delays)
	require.Equal(t, time.Minute, b.Delay(1_000_000))
}

func TestTheSequenceOfAContainersEventsRises(t *testing.T) {
	earlier, later := time.Unix(1, 0), time.Unix(1, 1)
	require.Less(t, ContainerSequence(earlier, 1), ContainerSequence(earlier, 2))
	require.Less(t, ContainerSequence(earlier, 99), ContainerSequence(later, 1))
}
