package activities

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/plan"
	"windlass/schemas"
)

// placing is a fake in whose place volumes and groups lie where they are used.
type placing struct{ *fake }

func (placing) PlacedByUse(kind schemas.ResourceType) bool {
	return kind == schemas.TypeStorage || kind == schemas.TypeSecurityGroup
}

func placedIn(t *testing.T, resources string, provider Provider) (map[string]plan.Desired, error) {
	t.Helper()
	text := "apiVersion: windlass/v1\nkind: Infrastructure\nmetadata: {name: users}\nspec:\n  environment: staging\n  resources:\n" + resources
	all, err := Declare(parsed(t, text), 1, Providers{"docker": provider})
	byName := map[string]plan.Desired{}
	for _, d := range all {
		byName[d.Resource] = d
	}
	return byName, err
}

const inTwoNetworks = `
  - {name: data, type: Storage}
  - {name: unused, type: Storage}
  - {name: front, type: Network}
  - {name: back, type: Network}
  - {name: web, type: Compute, properties: {image: a, networks: ["${front.name}", existing], volumes: [{source: "${data.name}", mountPath: /data, readOnly: true}]}}
  - {name: worker, type: Compute, properties: {image: a, networks: ["${back.name}"], volumes: [{source: "${data.name}", mountPath: /data, readOnly: true}]}}
  - {name: lone, type: Compute, properties: {image: a, volumes: [{source: "${data.name}", mountPath: /data, readOnly: true}]}}
`

func TestWhatIsPlacedByItsUseKnowsWhereItIsUsed(t *testing.T) {
	all, err := placedIn(t, inTwoNetworks, placing{newFake()})
	require.NoError(t, err)
	networks := func(name string) []string {
		var properties map[string][]string
		require.NoError(t, json.Unmarshal(all[name].Properties, &properties))
		return properties[PropertyNetworks]
	}
	require.Equal(t, []string{"", "existing", "users-back", "users-front"}, networks("data"))
	require.Equal(t, []string{"back", "front"}, all["data"].DependsOn)
	require.Empty(t, networks("unused"))
	require.Contains(t, string(all["unused"].Properties), PropertyNetworks)
	require.NotContains(t, string(all["web"].Properties), PropertyNetworks)
}

func TestOtherProvidersAreToldNothingOfPlaces(t *testing.T) {
	all, err := placedIn(t, inTwoNetworks, newFake())
	require.NoError(t, err)
	require.NotContains(t, string(all["data"].Properties), PropertyNetworks)
	require.Empty(t, all["data"].DependsOn)
}

func TestANetworkThatNeedsWhatHasToLieInItIsRefused(t *testing.T) {
	_, err := placedIn(t, `
  - {name: data, type: Storage}
  - {name: first, type: Compute, dependsOn: [data], properties: {image: a}}
  - {name: back, type: Network, dependsOn: [first]}
  - {name: web, type: Compute, properties: {image: a, networks: ["${back.name}"], volumes: [{source: "${data.name}", mountPath: /data}]}}
`, placing{newFake()})
	require.ErrorContains(t, err, `data: dependsOn: it has to lie in network "back", which depends on it`)
}

func TestAPlanOfPlacedResourcesHasTheirNetworksFirst(t *testing.T) {
	all, err := placedIn(t, inTwoNetworks, placing{newFake()})
	require.NoError(t, err)
	var desired []plan.Desired
	for _, d := range all {
		desired = append(desired, d)
	}
	var order []string
	for _, o := range plan.Diff(desired, nil).Operations {
		order = append(order, o.Resource)
	}
	require.Less(t, slices.Index(order, "front"), slices.Index(order, "data"))
	require.Less(t, slices.Index(order, "back"), slices.Index(order, "data"))
}

func TestAGroupKnowsWhichOfItsPeersAreLoadBalancers(t *testing.T) {
	all, err := placedIn(t, `
  - {name: back, type: Network, properties: {subnet: 10.40.0.0/24}}
  - {name: web, type: Compute, properties: {image: a, networks: ["${back.name}"], ports: [{containerPort: 80}]}}
  - {name: edge, type: LoadBalancer, properties: {target: "${web.name}", listen: [{port: 80}]}}
  - {name: door, type: LoadBalancer, properties: {target: "${web.name}", listen: [{port: 81}]}}
  - name: asking
    type: SecurityGroup
    properties:
      ingress: [{protocol: TCP, sources: [{resource: web}, {resource: edge}, {resource: edge}, {cidr: 10.0.0.0/8}]}]
      egress: [{protocol: TCP, targets: [{group: silent}, {resource: door}]}]
  - {name: silent, type: SecurityGroup, properties: {ingress: [{protocol: TCP, sources: [{resource: web}]}]}}
`, placing{newFake()})
	require.NoError(t, err)
	var properties map[string]any
	require.NoError(t, json.Unmarshal(all["asking"].Properties, &properties))
	require.Equal(t, []any{"door", "edge"}, properties[PropertyBalancers])
	require.Empty(t, all["asking"].DependsOn, "a peer makes no dependency")
	require.NotContains(t, string(all["silent"].Properties), PropertyBalancers)
}
