package schemas

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const engines = `apiVersion: windlass/v1
kind: Providers
providers:
  - name: docker
    kind: docker
  - name: edge-1
    kind: docker
    docker:
      host: tcp://10.0.0.7:2376
      certPath: certs/edge-1
      parallelism: 8
      postgresImage: registry.example/postgres:{version}
  - name: prod-eu
    kind: kubernetes
    kubernetes: {kubeconfig: prod.kubeconfig, context: eu, requestsPerSecond: 20.5, burst: 40, gateway: infra/edge}
`

func TestProvidersAreReadWithTheirPlaces(t *testing.T) {
	document, err := ParseProviders([]byte(engines))
	require.NoError(t, err)
	require.Equal(t, []Provider{
		{Name: "docker", Kind: ProviderDocker, Place: Place{Line: 4, Column: 5}},
		{Name: "edge-1", Kind: ProviderDocker, Place: Place{Line: 6, Column: 5}, Docker: &DockerProvider{
			Host: "tcp://10.0.0.7:2376", CertPath: "certs/edge-1", Parallelism: 8, PostgresImage: "registry.example/postgres:{version}",
		}},
		{Name: "prod-eu", Kind: ProviderKubernetes, Place: Place{Line: 13, Column: 5}, Kubernetes: &KubernetesProvider{
			Kubeconfig: "prod.kubeconfig", Context: "eu", RequestsPerSecond: 20.5, Burst: 40, Gateway: "infra/edge",
		}},
	}, document.Providers)
}

func TestWrongProvidersAreRefusedWithTheirPlace(t *testing.T) {
	const head = "apiVersion: windlass/v1\nkind: Providers\nproviders:\n"
	for name, c := range map[string]struct{ text, fault string }{
		"no YAML":              {head + "  - name: [", "line 4: is not valid YAML: did not find expected node content"},
		"another kind":         {"apiVersion: windlass/v1\nkind: Provider\nproviders: [{name: a, kind: docker}]\n", `line 2, column 1: kind: "Provider" is not accepted; accepted is "Providers"`},
		"nobody":               {"apiVersion: windlass/v1\nkind: Providers\nproviders: []\n", "line 3, column 1: providers: has 0 entries; at least 1 are expected"},
		"no name":              {head + "  - kind: docker\n", `line 4, column 5: providers[0]: "name" is missing`},
		"a name that is none":  {head + "  - kind: docker\n    name: Edge_1\n", `line 5, column 5: providers[0].name: "Edge_1" is not accepted; a DNS label: lower-case letters, digits and "-", at most 63 characters, a letter or digit at both ends is expected`},
		"one name twice":       {head + "  - {name: a, kind: docker}\n  - {name: b, kind: docker}\n  - {kind: docker, name: a}\n", `line 6, column 20: providers[2].name: "a" is the name of the provider in line 4 already`},
		"an unknown kind":      {head + "  - name: a\n    kind: nomad\n", `line 5, column 5: providers[0].kind: "nomad" is not accepted; accepted are "docker", "kubernetes"`},
		"an engine as cluster": {head + "  - name: a\n    kind: kubernetes\n    docker: {}\n", "line 6, column 5: providers[0].docker: has no meaning with kind kubernetes; leave it out, or correct the kind"},
		"a cluster as engine":  {head + "  - name: a\n    kind: docker\n    kubernetes: {}\n", "line 6, column 5: providers[0].kubernetes: has no meaning with kind docker; leave it out, or correct the kind"},
		"two ways in":          {head + "  - name: a\n    kind: kubernetes\n    kubernetes: {inCluster: true, context: eu}\n", "line 6, column 35: providers[0].kubernetes.context: has no meaning with inCluster, which takes the service account of the pod; leave one of them out"},
		"two files":            {head + "  - name: a\n    kind: kubernetes\n    kubernetes: {inCluster: true, kubeconfig: k}\n", "line 6, column 35: providers[0].kubernetes.kubeconfig: has no meaning with inCluster, which takes the service account of the pod; leave one of them out"},
		"two gateways":         {head + "  - name: a\n    kind: kubernetes\n    kubernetes: {gateway: a/b, gatewayClass: c}\n", "line 6, column 18: providers[0].kubernetes.gateway: is shared by all LoadBalancers, and gatewayClass has each make one of its own; leave one of them out"},
		"half a gateway":       {head + "  - name: a\n    kind: kubernetes\n    kubernetes: {gateway: edge}\n", `line 6, column 18: providers[0].kubernetes.gateway: "edge" is not accepted; NAMESPACE/NAME of a Gateway is expected`},
		"an unknown field":     {head + "  - name: a\n    kind: docker\n    docker: {hots: x}\n", "line 6, column 14: providers[0].docker.hots: unknown field; accepted are certPath, host, parallelism, postgresImage, redisImage, valkeyImage"},
		"no work at a time":    {head + "  - name: a\n    kind: docker\n    docker: {parallelism: 0}\n", "line 6, column 14: providers[0].docker.parallelism: 0 is too small; at least 1 is accepted"},
		"TLS on a socket":      {head + "  - name: a\n    kind: docker\n    docker: {host: \"unix:///run/docker.sock\", certPath: certs}\n", "line 6, column 47: providers[0].docker.certPath: has no meaning with a socket of this machine as host; leave it out"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseProviders([]byte(c.text))
			var faults Faults
			require.ErrorAs(t, err, &faults)
			require.EqualError(t, err, c.fault)
		})
	}
}

func TestEverythingThatIsWrongWithProvidersIsTold(t *testing.T) {
	_, err := ParseProviders([]byte("apiVersion: windlass/v1\nkind: Providers\nproviders:\n  - {name: a, kind: x}\n  - {name: B, kind: docker}\n"))
	var faults Faults
	require.ErrorAs(t, err, &faults)
	require.Len(t, faults, 2)
	require.Equal(t, []int{4, 5}, []int{faults[0].Line, faults[1].Line})
}
