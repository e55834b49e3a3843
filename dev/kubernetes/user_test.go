package kubernetes_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/dev/kubernetes"
)

// listNamespaces asks the server that a kubeconfig file names, with the credentials in it, and returns the HTTP status code.
func listNamespaces(t *testing.T, kubeconfig string) int {
	t.Helper()
	content, err := os.ReadFile(kubeconfig)
	require.NoError(t, err)
	var config struct {
		Clusters []struct {
			Cluster struct {
				Server string
				CA     []byte `json:"certificate-authority-data"`
			}
		}
		Users []struct {
			User struct {
				Token       string
				Certificate []byte `json:"client-certificate-data"`
				Key         []byte `json:"client-key-data"`
			}
		}
	}
	require.NoError(t, json.Unmarshal(content, &config))
	user := config.Users[0].User
	settings := &tls.Config{RootCAs: x509.NewCertPool()}
	require.True(t, settings.RootCAs.AppendCertsFromPEM(config.Clusters[0].Cluster.CA))
	if len(user.Certificate) > 0 {
		pair, err := tls.X509KeyPair(user.Certificate, user.Key)
		require.NoError(t, err)
		settings.Certificates = []tls.Certificate{pair}
	}
	transport := &http.Transport{TLSClientConfig: settings}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, config.Clusters[0].Cluster.Server+"/api/v1/namespaces", nil)
	require.NoError(t, err)
	if user.Token != "" {
		request.Header.Set("Authorization", "Bearer "+user.Token)
	}
	response, err := transport.RoundTrip(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response.StatusCode
}

func TestUsersMayDoWhatTheyMay(t *testing.T) {
	t.Parallel()
	cluster := shared.Cluster(t)
	withToken := func(user, token string) func() (string, error) {
		return func() (string, error) { return cluster.KubeconfigFor(user, token) }
	}
	cases := map[string]struct {
		kubeconfig func() (string, error)
		want       int
	}{
		"the administrator everything":          {func() (string, error) { return cluster.Kubeconfig(), nil }, http.StatusOK},
		"windlass nothing":                      {withToken(kubernetes.Windlass, cluster.Token(kubernetes.Windlass)), http.StatusForbidden},
		"a stranger nothing":                    {withToken(kubernetes.Stranger, cluster.Token(kubernetes.Stranger)), http.StatusForbidden},
		"a user of the options what its groups": {withToken("boss", cluster.Token("boss")), http.StatusOK},
		"a wrong token is not known":            {withToken("nobody", "wrong"), http.StatusUnauthorized},
		"a certificate says a group": {func() (string, error) {
			return cluster.KubeconfigWithCertificate("ann", "system:masters")
		}, http.StatusOK},
		"a certificate without a group": {func() (string, error) { return cluster.KubeconfigWithCertificate("bob") }, http.StatusForbidden},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			kubeconfig, err := c.kubeconfig()
			require.NoError(t, err)
			require.Equal(t, c.want, listNamespaces(t, kubeconfig))
		})
	}
	require.Empty(t, cluster.Token("nobody"))
}
