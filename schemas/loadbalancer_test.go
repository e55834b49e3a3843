package schemas

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// balanced is a document with a LoadBalancer of these properties, on line 11, before
// a Compute of these.
func balanced(balancer, compute string) []byte {
	return []byte(`apiVersion: windlass/v1
kind: Infrastructure
metadata: {name: shop}
spec:
  environment: staging
  resources:
  - {name: backend, type: Network, properties: {subnet: 10.40.0.0/24}}
  - {name: other, type: Network}
  - {name: db, type: Database, properties: {engine: redis, version: "7"}}
  - {name: migrate, type: Compute, properties: {image: a, endState: completed, networks: ["${backend.name}"], ports: [{containerPort: 80}]}}
  - {name: edge, type: LoadBalancer, properties: ` + balancer + `}
  - {name: web, type: Compute, properties: ` + compute + `}
  - {name: published, type: Compute, properties: {image: a, ports: [{containerPort: 80, hostPort: 9000}]}}
`)
}

const web = `{image: a, networks: ["${backend.name}"], ports: [{containerPort: 8080}, {containerPort: 9090}, {containerPort: 53, protocol: UDP}]}`

func TestALoadBalancerTakesFromItsTargetWhatItDoesNotSay(t *testing.T) {
	document, err := Parse(balanced(`{target: "${web.name}", listen: [{port: 80}, {port: 81, targetPort: 9090, hostPort: 0, protocol: TCP}]}`, web), nil)
	require.NoError(t, err)
	b, err := Decode[LoadBalancer](*document.Resource("edge"))
	require.NoError(t, err)
	require.Equal(t, []string{"${backend.name}"}, b.Networks)
	require.Equal(t, 8080, b.Listen[0].TargetPort)
	require.Equal(t, 9090, b.Listen[1].TargetPort)

	b = b.WithDefaults()
	require.Equal(t, 1, *b.Replicas)
	require.Equal(t, 80, *b.Listen[0].HostPort)
	require.Equal(t, 0, *b.Listen[1].HostPort)
	require.Equal(t, "127.0.0.1", b.Listen[0].HostIP)
}

func TestALoadBalancerThatCannotWorkIsRefused(t *testing.T) {
	const at = "spec.resources[4].properties"
	tests := map[string]struct{ balancer, compute, field, want string }{
		"no target":                     {`{listen: [{port: 80}]}`, web, at, `target`},
		"no port":                       {`{target: "${web.name}", listen: []}`, web, at + ".listen", "1"},
		"a target by name":              {`{target: web, listen: [{port: 80}]}`, web, at + ".target", `"web" is not accepted; a reference to a Compute such as ${users.name} is expected`},
		"another output":                {`{target: "${web.host}", listen: [{port: 80}]}`, web, at + ".target", `"${web.host}" is not accepted`},
		"a target that is not declared": {`{target: "${shop.name}", listen: [{port: 80}]}`, web, at + ".target", `"shop" is no resource of this document`},
		"a Database":                    {`{target: "${db.name}", listen: [{port: 80}]}`, web, at + ".target", `"db" is a Database; a reference to a Compute is expected`},
		"a job":                         {`{target: "${migrate.name}", listen: [{port: 80}]}`, web, at + ".target", `"migrate" is a job, which serves nobody`},
		"a target without a network":    {`{target: "${web.name}", listen: [{port: 80}]}`, "{image: a, ports: [{containerPort: 8080}]}", at + ".target", `"web" is on no network`},
		"a network of its own":          {`{target: "${web.name}", networks: ["${other.name}"], listen: [{port: 80}]}`, web, at + ".networks", `none of them is a network of "web"`},
		"a target without a port":       {`{target: "${web.name}", listen: [{port: 80}]}`, `{image: a, networks: ["${backend.name}"]}`, at + ".listen[0]", `"web" declares no port; set targetPort`},
		"a port that the target lacks":  {`{target: "${web.name}", listen: [{port: 80, targetPort: 81}]}`, web, at + ".listen[0].targetPort", `"web" has no TCP port 81`},
		"a UDP port":                    {`{target: "${web.name}", listen: [{port: 80, targetPort: 53}]}`, web, at + ".listen[0].targetPort", `"web" has no TCP port 53`},
		"a port twice":                  {`{target: "${web.name}", listen: [{port: 80}, {port: 80, hostPort: 81}]}`, web, at + ".listen[1].port", "port 80 is listened on twice"},
		"a host port twice":             {`{target: "${web.name}", listen: [{port: 80}, {port: 81, hostPort: 80}]}`, web, at + ".listen[1].hostPort", "edge already publishes TCP port 80 on 127.0.0.1"},
		"a host port of another":        {`{target: "${web.name}", listen: [{port: 9000}]}`, web, "spec.resources[6].properties.ports[0].hostPort", "edge already publishes TCP port 9000 on 127.0.0.1"},
		"the port of the metrics":       {`{target: "${web.name}", listen: [{port: 9902}]}`, web, at + ".listen[0].port", "port 9902 is where a LoadBalancer serves its metrics"},
		"replicas that publish":         {`{target: "${web.name}", replicas: 2, listen: [{port: 80}]}`, web, at + ".listen[0]", "2 replicas cannot all publish host port 80; set hostPort: 0 or replicas: 1"},
		"clients without an authority":  {`{target: "${web.name}", listen: [{port: 80, tls: {certificate: "${secret.C}", key: "${secret.K}", allowedClients: [a]}}]}`, web, at + ".listen[0].tls.allowedClients", "has no meaning without clientCA"},
		"a key in the document":         {`{target: "${web.name}", listen: [{port: 80, tls: {certificate: "${secret.C}", key: "PEM"}}]}`, web, at + ".listen[0].tls.key", "a reference such as ${secret.NAME}, never the secret itself"},
		"groups without a subnet":       {`{target: "${web.name}", networks: ["${backend.name}", "${other.name}"], securityGroups: ["${web.name}"], listen: [{port: 80}]}`, web, at + ".securityGroups", `Network "other" has no IPv4 subnet`},
		"a policy that is none":         {`{target: "${web.name}", listen: [{port: 80}], trafficPolicy: {loadBalancer: Fastest}}`, web, at + ".trafficPolicy.loadBalancer", "RoundRobin"},
		"a check without an interval":   {`{target: "${web.name}", listen: [{port: 80}], trafficPolicy: {healthCheck: {interval: 0s}}}`, web, at + ".trafficPolicy.healthCheck.interval", "is no time; a duration such as 30s is expected"},
		"a request larger than a limit": {`{target: "${web.name}", listen: [{port: 80}], resources: {cpuRequest: "2", cpuLimit: "1"}}`, web, at + ".resources.cpuRequest", "is larger than the limit"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(balanced(test.balancer, test.compute), nil)
			var faults Faults
			require.ErrorAs(t, err, &faults)
			for _, f := range faults {
				if f.Field == test.field && strings.Contains(f.Reason, test.want) {
					require.Positive(t, f.Line)
					require.Positive(t, f.Column)
					return
				}
			}
			require.Failf(t, "not refused as expected", "%v", err)
		})
	}
}

func TestAGroupMayNameALoadBalancer(t *testing.T) {
	text := balanced(`{target: "${web.name}", listen: [{port: 80}]}`, web)
	text = append(text, []byte("  - {name: inner, type: SecurityGroup, properties: {ingress: [{protocol: TCP, sources: [{resource: edge}]}]}}\n")...)
	_, err := Parse(text, nil)
	require.NoError(t, err)
}

// Whoever reads the Go types writes the same documents as whoever reads the schema.
func TestThePolicyOfTheSchemaIsThatOfTheProxy(t *testing.T) {
	text := balanced(`{target: "${web.name}", listen: [{port: 80}], trafficPolicy: {
      loadBalancer: Weighted, healthCheck: {path: /h, port: 1, interval: 1s, timeout: 2s, healthyThreshold: 1, unhealthyThreshold: 2},
      outlierDetection: {consecutiveFaults: 1, errorRatio: 0.5, minRequests: 2, interval: 3s, baseEjection: 4s, maxEjection: 5s, maxEjectedShare: 0.1},
      circuitBreaker: {maxFailures: 5, failureThreshold: 0.5, recoveryTimeout: 30s},
      retry: {maxRetries: 3, retryOn: [5xx, connect-failure, reset, timeout], retryTimeout: 1s, backoff: 2s, budget: 0.3, nonIdempotent: true},
      timeout: {requestTimeout: 5s, headerTimeout: 6s, connectTimeout: 7s, idleTimeout: 10s},
      limits: {maxConnections: 1, maxPending: 2, maxBodyBytes: 3}, drainTimeout: 8s, slowStart: 9s}}`, web)
	document, err := Parse(text, nil)
	require.NoError(t, err)
	b, err := Decode[LoadBalancer](*document.Resource("edge"))
	require.NoError(t, err)
	policy, err := json.Marshal(b.TrafficPolicy)
	require.NoError(t, err)
	tree, err := ParseTree(text)
	require.NoError(t, err)
	declared, err := json.Marshal(tree.Value.(map[string]any)["spec"].(map[string]any)["resources"].([]any)[4].(map[string]any)["properties"].(map[string]any)["trafficPolicy"])
	require.NoError(t, err)
	require.JSONEq(t, string(declared), string(policy), "nothing is lost between document and proxy")
}
