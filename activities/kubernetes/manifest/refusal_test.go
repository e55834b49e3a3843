package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

const (
	network = `{name: backend, type: Network, properties: {subnet: 10.40.0.0/24}}`
	other   = `{name: front, type: Network, properties: {subnet: 10.41.0.0/24}}`
	group   = `{name: web-access, type: SecurityGroup}`
	web     = `{name: web, type: Compute, properties: {image: a, networks: ["${backend.name}"], ports: [{containerPort: 80}]}}`
)

// compute declares a Compute with these properties.
func compute(properties string) string {
	return `{name: it, type: Compute, properties: {image: registry.test/a:1, ` + properties + `}}`
}

// balancer declares a LoadBalancer with these properties.
func balancer(properties string) string {
	return `{name: it, type: LoadBalancer, properties: {target: "${web.name}", ` + properties + `}}`
}

func TestWhatAClusterCannotDoIsRefusedWithItsField(t *testing.T) {
	const pair = `certificate: "${secret.C}", key: "${secret.K}"`
	shared, own := Options{GatewayAPI: true, Gateway: "gateways/public"}, Options{GatewayAPI: true, GatewayClass: "envoy"}
	tests := map[string]struct {
		resources []string
		options   Options
		// field and message are those of the fault of the resource "it".
		field, message string
	}{
		"labels that are Windlass's own": {
			resources: []string{`{name: it, type: Network, properties: {labels: {tag.windlass.io/team: a}}}`},
			field:     "properties.labels", message: `keys with "windlass.io/" are reserved`,
		},
		"labels that no object can have": {
			resources: []string{`{name: it, type: Storage, properties: {labels: {team: two words}}}`},
			field:     "properties.labels", message: `label "team" with value "two words"`,
		},
		"the internals of a namespace that is taken over": {
			resources: []string{`{name: it, type: Network, properties: {adopt: existing, internal: true}}`},
			field:     "properties.internal", message: "a namespace that is taken over is left as it is",
		},
		"options of a volume": {
			resources: []string{`{name: it, type: Storage, properties: {options: {o: size=1g}}}`},
			field:     "properties.options", message: "has no options of volumes",
		},
		"a volume in two namespaces": {
			resources: []string{`{name: it, type: Storage}`, network,
				`{name: one, type: Compute, properties: {image: a, volumes: [{source: "${it.name}", mountPath: /data}]}}`,
				`{name: two, type: Compute, properties: {image: a, networks: ["${backend.name}"], volumes: [{source: "${it.name}", mountPath: /data}]}}`},
			field: "type", message: "staging-shop and staging-shop-backend, and a volume is in one",
		},
		"a Compute on two networks": {
			resources: []string{network, other, compute(`networks: ["${backend.name}", "${front.name}"]`)},
			field:     "properties.networks", message: "a pod is in one namespace",
		},
		"a Database on two networks": {
			resources: []string{network, other, `{name: it, type: Database, properties: {engine: postgres, version: "17", networks: ["${backend.name}", "${front.name}"]}}`},
			field:     "properties.networks", message: "a pod is in one namespace",
		},
		"a LoadBalancer on two networks": {
			resources: []string{network, other, web, balancer(`networks: ["${backend.name}", "${front.name}"], listen: [{port: 80}]`)},
			field:     "properties.networks", message: "a pod is in one namespace",
		},
		"a network that is no namespace": {
			resources: []string{compute(`networks: [my_network]`)},
			field:     "properties.networks", message: `"my_network" is no name of a namespace`,
		},
		"a policy by which services are not restarted": {
			resources: []string{compute(`restartPolicy: OnFailure`)},
			field:     "properties.restartPolicy", message: "is OnFailure, but the pods of a service are always restarted",
		},
		"a BlueGreen strategy": {
			resources: []string{network, compute(`networks: ["${backend.name}"], ports: [{containerPort: 80}], strategy: {type: BlueGreen}`),
				`{name: edge, type: LoadBalancer, properties: {target: "${it.name}", listen: [{port: 80}]}}`},
			field: "properties.strategy.type", message: "BlueGreen shares requests out by routes of the Gateway API",
		},
		"a Canary strategy": {
			resources: []string{network, compute(`networks: ["${backend.name}"], ports: [{containerPort: 80}], strategy: {type: Canary, steps: [{weight: 5}]}`),
				`{name: edge, type: LoadBalancer, properties: {target: "${it.name}", listen: [{port: 80}]}}`},
			field: "properties.strategy.type", message: "Canary shares requests out by routes of the Gateway API",
		},
		"a Canary strategy that measures": {
			resources: []string{network, compute(`networks: ["${backend.name}"], ports: [{containerPort: 80}], strategy: {type: Canary, steps: [{weight: 5, analysis: {http: {port: 80}}}]}`),
				`{name: edge, type: LoadBalancer, properties: {target: "${it.name}", listen: [{port: 80}]}}`},
			options: own, field: "properties.strategy.steps[0].analysis", message: "the Kubernetes provider measures nothing",
		},
		"the name of a user": {
			resources: []string{compute(`user: www-data`)},
			field:     "properties.user", message: `"www-data" is no number of a user`,
		},
		"the name of a group": {
			resources: []string{compute(`user: "33:www-data"`)},
			field:     "properties.user", message: `"www-data" is no number of a group`,
		},
		"a negative user": {
			resources: []string{compute(`user: "-1"`)},
			field:     "properties.user", message: `"-1" is no number of a user`,
		},
		"a user with too many bits": {
			resources: []string{compute(`user: "2147483648"`)},
			field:     "properties.user", message: `"2147483648" is no number of a user`,
		},
		"an image that is none": {
			resources: []string{`{name: it, type: Compute, properties: {image: "Not An Image"}}`},
			field:     "properties.image", message: `"Not An Image" is no image reference`,
		},
		"the image of a step that is none": {
			resources: []string{compute(`initSteps: [{name: a, args: [b]}, {name: c, image: "Not An Image"}]`)},
			field:     "properties.initSteps[1].image", message: `"Not An Image" is no image reference`,
		},
		"a secret in a command": {
			resources: []string{compute(`command: [sh, "-c", "login ${secret.PASSWORD}"]`)},
			field:     "properties.command[2]", message: "holds a secret",
		},
		"a secret in an argument of a step": {
			resources: []string{`{name: db, type: Database, properties: {engine: postgres, version: "17"}}`, compute(`initSteps: [{name: a, args: ["${db.url}"]}]`)},
			field:     "properties.initSteps[0].args[0]", message: "holds a secret",
		},
		"a secret in a check": {
			resources: []string{compute(`health: {exec: {command: [check, "${secret.PASSWORD}"]}}`)},
			field:     "properties.health.exec.command[1]", message: "holds a secret",
		},
		"a secret in the path of a check": {
			resources: []string{compute(`health: {http: {port: 80, path: "/?token=${secret.TOKEN}"}}`)},
			field:     "properties.health.http.path", message: "holds a secret",
		},
		"a secret in a label": {
			resources: []string{`{name: it, type: Storage, properties: {labels: {token: "${secret.TOKEN}"}}}`},
			field:     "properties.labels.token", message: "holds a secret",
		},
		"a declaration that is longer than annotations": {
			resources: []string{compute(`args: ["` + strings.Repeat("long ", 60_000) + `"]`)},
			field:     "properties", message: "too long to be kept with the objects, which have room for 262144 bytes",
		},
		"security groups of a LoadBalancer": {
			resources: []string{network, group, web, balancer(`listen: [{port: 80}], securityGroups: ["${web-access.name}"]`)},
			field:     "properties.securityGroups", message: "has no pods of its own",
		},
		"certificates of clients": {
			resources: []string{network, web, balancer(`listen: [{port: 80}, {port: 443, tls: {` + pair + `, clientCA: "${secret.CA}"}}]`)},
			field:     "properties.listen[1].tls.clientCA", message: "does not ask clients for certificates",
		},
		"TLS of a TCP port": {
			resources: []string{network, web, balancer(`listen: [{port: 443, protocol: TCP, tls: {` + pair + `}}]`)},
			field:     "properties.listen[0].tls", message: "passes the bytes of a TCP port on as they are",
		},
		"TLS of a port that is not published": {
			resources: []string{network, web, balancer(`listen: [{port: 443, hostPort: 0, tls: {` + pair + `}}]`)},
			field:     "properties.listen[0].tls", message: "this port is not published",
		},
		"TLS at a gateway that is shared": {
			resources: []string{network, web, balancer(`listen: [{port: 443, tls: {` + pair + `}}]`)}, options: shared,
			field: "properties.listen", message: "TLS ends at the gateway gateways/public of the provider",
		},
		"one port on two addresses": {
			resources: []string{network, web, balancer(`listen: [{port: 80, hostIP: 127.0.0.1}, {port: 81, hostPort: 80, hostIP: 127.0.0.2}]`)}, options: own,
			field: "properties.listen[1].hostPort", message: "port 80 is published twice",
		},
		"two ports by one Ingress": {
			resources: []string{network, web, balancer(`listen: [{port: 80}, {port: 81}]`)},
			field:     "properties.listen", message: "an Ingress takes all requests to one port",
		},
		"ICMP": {
			resources: []string{`{name: it, type: SecurityGroup, properties: {ingress: [{protocol: TCP}, {protocol: ICMP}]}}`},
			field:     "properties.ingress[1].protocol", message: "says nothing of ICMP",
		},
		"a LoadBalancer as the source of connections": {
			resources: []string{network, web, `{name: edge, type: LoadBalancer, properties: {target: "${web.name}", listen: [{port: 80}]}}`,
				`{name: it, type: SecurityGroup, properties: {ingress: [{protocol: TCP, sources: [{resource: web}, {resource: edge}]}]}}`},
			field: "properties.ingress[0].sources[1].resource", message: `"edge" is a LoadBalancer`,
		},
		"a LoadBalancer as the target of connections": {
			resources: []string{network, web, `{name: edge, type: LoadBalancer, properties: {target: "${web.name}", listen: [{port: 80}]}}`,
				`{name: it, type: SecurityGroup, properties: {egress: [{protocol: TCP}, {protocol: TCP, targets: [{resource: edge}]}]}}`},
			field: "properties.egress[1].targets[0].resource", message: `"edge" is a LoadBalancer`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := declared(t, infrastructure(test.resources...), test.options)
			var fault *activities.Fault
			require.True(t, errors.As(err, &fault), "%v", err)
			require.Equal(t, activities.Invalid, fault.Kind)
			require.Equal(t, "it", fault.Resource)
			require.Equal(t, test.field, fault.Field)
			require.Contains(t, fault.Message, test.message)
		})
	}
}

func TestWhatIsNoResourceOfObjectsIsRefused(t *testing.T) {
	_, err := Objects(plan.Desired{Target: plan.Target{Resource: "it", Type: "Template"}, Properties: json.RawMessage(`{}`)}, Options{}, nil)
	require.ErrorContains(t, err, `it: type: type "Template" is not made of objects of its own`)
	_, err = Objects(plan.Desired{Target: plan.Target{Resource: "it", Type: schemas.TypeCompute}, Properties: json.RawMessage(`{"replicas": "two"}`)}, Options{}, nil)
	require.ErrorContains(t, err, "it: properties: ")
}

// refusing reveals nothing.
type refusing struct{ activities.Secrets }

func (refusing) Reveal(text string) (string, error) { return "", fmt.Errorf("no secret of %s", text) }

func TestASecretThatIsNotThereKeepsEverythingFromBeingMade(t *testing.T) {
	const pair = `certificate: "${secret.C}", key: "${secret.K}"`
	for what, d := range map[string]plan.Desired{
		"${secret.TOKEN}":          one(t, "it", compute(`environment: {TOKEN: "${secret.TOKEN}"}`)),
		"${secret.REGISTRY}":       one(t, "it", compute(`registryCredentials: {username: a, password: "${secret.REGISTRY}"}`)),
		"${secret.C}":              one(t, "it", network, web, balancer(`listen: [{port: 443, tls: {`+pair+`}}]`)),
		"${generated.it.password}": one(t, "it", `{name: it, type: Database, properties: {engine: redis, version: "7"}}`),
	} {
		objects, err := Objects(d, Options{}, refusing{})
		require.EqualError(t, err, "no secret of "+what)
		require.Empty(t, objects)
	}
}
