package kubernetes_test

import (
	"net"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/dev/kubernetes"
)

func TestTheServerCanBeStoppedAndStarted(t *testing.T) {
	cluster := shared.Cluster(t)
	namespace := shared.Namespace(t)
	deploy(t, namespace, 2, template("any:1", nil, nil, nil))
	eventually(t, deploymentPath(namespace), func(d deployment) bool { return d.Status.ReadyReplicas == 2 })

	cluster.StopServer()
	address, err := url.Parse(cluster.URL())
	require.NoError(t, err)
	_, err = net.Dial("tcp", address.Host)
	require.Error(t, err)
	_, err = net.Listen("tcp", address.Host)
	require.Error(t, err, "the port is still the server's")
	cluster.StopServer()

	require.NoError(t, cluster.StartServer(t.Context()))
	require.NoError(t, cluster.StartServer(t.Context()))
	require.Equal(t, address.String(), cluster.URL())
	// The data are there, and the controllers found their way back.
	request(t, http.MethodPatch, deploymentPath(namespace), map[string]any{"spec": map[string]any{"replicas": 4}}, nil)
	eventually(t, deploymentPath(namespace), func(d deployment) bool { return d.Status.ReadyReplicas == 4 })
}

func TestTheServerSaysItsVersion(t *testing.T) {
	t.Parallel()
	var version struct{ GitVersion, Major, Minor string }
	request(t, http.MethodGet, "/version", nil, &version)
	require.Equal(t, "v"+kubernetes.Version, version.GitVersion)
	require.Equal(t, "1.37", version.Major+"."+version.Minor)
}
