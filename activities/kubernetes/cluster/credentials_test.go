package cluster

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"windlass/activities"
	"windlass/dev/kubernetes"
)

// account is a kubeconfig file with credentials that a test renews.
type account struct {
	*testing.T
	dir  string
	gate *kubernetes.Gate
	// server is the address of the gate, or of the server itself.
	server string
}

func newAccount(t *testing.T) *account {
	t.Helper()
	gate := shared.Gate(t)
	return &account{T: t, dir: t.TempDir(), gate: gate, server: gate.URL()}
}

func (a *account) kubeconfig() string { return filepath.Join(a.dir, "kubeconfig") }

// write has the kubeconfig say who its user is.
func (a *account) write(user *api.AuthInfo) {
	a.Helper()
	config := api.NewConfig()
	config.Clusters["test"] = &api.Cluster{Server: a.server, CertificateAuthorityData: shared.Cluster(a.T).CA()}
	config.AuthInfos["test"] = user
	config.Contexts["test"] = &api.Context{Cluster: "test", AuthInfo: "test"}
	config.CurrentContext = "test"
	require.NoError(a, clientcmd.WriteToFile(*config, a.kubeconfig()))
}

// file has the text from now on, as a whole.
func (a *account) file(name, text string, mode os.FileMode) string {
	a.Helper()
	path := filepath.Join(a.dir, name)
	require.NoError(a, os.WriteFile(path+".new", []byte(text), mode))
	require.NoError(a, os.Rename(path+".new", path))
	return path
}

// credential has the program of the kubeconfig answer with a token.
func (a *account) credential(token string) {
	a.Helper()
	text, err := json.Marshal(map[string]any{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": map[string]any{"token": token}})
	require.NoError(a, err)
	a.file("credential", string(text), 0o600)
}

// program is one that a kubeconfig names for credentials. It counts how often it is run.
func (a *account) program() *api.AuthInfo {
	a.Helper()
	path := a.file("program", "#!/bin/sh\necho run >> '"+a.dir+"/runs'\nexec cat '"+a.dir+"/credential'\n", 0o700)
	return &api.AuthInfo{Exec: &api.ExecConfig{APIVersion: "client.authentication.k8s.io/v1", Command: path, InteractiveMode: api.NeverExecInteractiveMode}}
}

func TestRenewedCredentialsAreTakenAtOnce(t *testing.T) {
	t.Parallel()
	good := shared.Cluster(t).Token(kubernetes.Administrator)
	tests := map[string]struct {
		begin, renew func(a *account)
	}{
		"in a file that the kubeconfig names": {
			func(a *account) { a.write(&api.AuthInfo{TokenFile: a.file("token", "made-up", 0o600)}) },
			func(a *account) { a.file("token", good, 0o600) },
		},
		"in the kubeconfig itself": {
			func(a *account) { a.write(&api.AuthInfo{Token: "made-up"}) },
			func(a *account) { a.write(&api.AuthInfo{Token: good}) },
		},
		"by a program that the kubeconfig names": {
			func(a *account) { a.credential("made-up"); a.write(a.program()) },
			func(a *account) { a.credential(good) },
		},
		"as a certificate after a token": {
			func(a *account) {
				// A gate ends the connection, and with that what a certificate proves.
				a.server = shared.Cluster(a.T).URL()
				a.write(&api.AuthInfo{Token: "made-up"})
			},
			func(a *account) {
				path, err := shared.Cluster(a.T).KubeconfigWithCertificate("ann", "system:masters")
				require.NoError(a, err)
				config, err := clientcmd.LoadFromFile(path)
				require.NoError(a, err)
				a.write(config.AuthInfos["ann"])
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAccount(t)
			namespace := shared.Namespace(t)
			test.begin(a)
			c := clientWith(t, a.kubeconfig())
			for range 2 {
				_, err := c.Get(t.Context(), mapReference(namespace, "kube-root-ca.crt"))
				requireFault(t, err, activities.Unauthorized, `renew the credentials in the kubeconfig of provider "test"`)
				require.False(t, retryable(err))
			}
			test.renew(a)
			_, err := c.Apply(t.Context(), mapNamed(t, namespace, "a"), ApplyOptions{})
			require.NoError(t, err)
			_, err = c.Get(t.Context(), mapReference(namespace, "a"))
			require.NoError(t, err)
		})
	}
}

func TestATokenThatIsRenewedWhileItIsUsedIsNoticedByNobody(t *testing.T) {
	t.Parallel()
	namespace := shared.Namespace(t)
	a := newAccount(t)
	bind(t, namespace)
	a.write(&api.AuthInfo{TokenFile: a.file("token", issue(t, namespace, "first"), 0o600)})
	c := clientWith(t, a.kubeconfig())
	_, err := c.Apply(t.Context(), mapNamed(t, namespace, "a"), ApplyOptions{})
	require.NoError(t, err)
	ended := make(chan error, 1)
	news := make(chan string, 100)
	go func() {
		ended <- c.Follow(forever(t), ListOptions{Kind: configMap, Namespace: namespace}, func(e Event) (bool, error) {
			if e.Object != nil {
				news <- e.Object.GetName()
			}
			return e.Object != nil && e.Object.GetName() == "last", nil
		})
	}()
	<-news

	a.gate.Cut() // so that the watch has to be made anew, and by the new account
	frozen, err := shared.Cluster(t).KubeconfigFor("first-of-"+namespace, readFile(t, filepath.Join(a.dir, "token")))
	require.NoError(t, err)
	a.file("token", issue(t, namespace, "second"), 0o600)
	request(t, http.MethodDelete, "/api/v1/namespaces/"+namespace+"/serviceaccounts/first", nil)
	old := clientWith(t, frozen)
	eventually(t, func() error { // the server remembers for ten seconds whom it has let in
		if _, err := old.Get(t.Context(), mapReference(namespace, "a")); !activities.IsKind(err, activities.Unauthorized) {
			return fmt.Errorf("the old token still holds: %w", err)
		}
		return nil
	})

	require.NoError(t, a.gate.Mend())
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			_, err := c.Apply(t.Context(), mapNamed(t, namespace, fmt.Sprintf("a-%d", i)), ApplyOptions{})
			require.NoError(t, err)
		})
	}
	group.Wait()
	_, err = c.Create(t.Context(), mapNamed(t, namespace, "last"))
	require.NoError(t, err)
	require.NoError(t, <-ended)
}

func TestAProgramForCredentialsIsRunNoMoreThanItMust(t *testing.T) {
	t.Parallel()
	namespace := shared.Namespace(t)
	a := newAccount(t)
	a.credential(shared.Cluster(t).Token(kubernetes.Administrator))
	a.write(a.program())
	c := clientWith(t, a.kubeconfig())
	for range 5 {
		_, err := c.Get(t.Context(), mapReference(namespace, "kube-root-ca.crt"))
		require.NoError(t, err)
	}
	require.Equal(t, "run\n", readFile(t, filepath.Join(a.dir, "runs")))
}

func TestAProgramForCredentialsThatFailsIsNamed(t *testing.T) {
	t.Parallel()
	namespace := shared.Namespace(t)
	a := newAccount(t)
	a.write(a.program())
	a.file("program", "#!/bin/sh\nexit 3\n", 0o700)
	c := clientWith(t, a.kubeconfig())
	_, err := c.Get(t.Context(), mapReference(namespace, "kube-root-ca.crt"))
	requireFault(t, err, activities.Unavailable, `see why the program that the kubeconfig of provider "test" names for credentials fails`, "exit code 3")
	a.credential(shared.Cluster(t).Token(kubernetes.Administrator))
	a.program()
	_, err = c.Get(t.Context(), mapReference(namespace, "kube-root-ca.crt"))
	require.NoError(t, err)
}

func TestARefusalStaysOneWhereTheKubeconfigIsGone(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.write(&api.AuthInfo{Token: "made-up"})
	c := clientWith(t, a.kubeconfig())
	require.NoError(t, os.Remove(a.kubeconfig()))
	_, err := c.Get(t.Context(), mapReference("default", "a"))
	requireFault(t, err, activities.Unauthorized, "renew the credentials")
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

// bind lets the service accounts of a namespace do everything in it.
func bind(t *testing.T, namespace string) {
	t.Helper()
	request(t, http.MethodPost, "/apis/rbac.authorization.k8s.io/v1/namespaces/"+namespace+"/rolebindings", map[string]any{
		"metadata": map[string]any{"name": "all"},
		"roleRef":  map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
		"subjects": []any{map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:serviceaccounts:" + namespace}},
	})
}

// issue makes a service account and returns a token of it.
func issue(t *testing.T, namespace, name string) string {
	t.Helper()
	accounts := "/api/v1/namespaces/" + namespace + "/serviceaccounts"
	request(t, http.MethodPost, accounts, map[string]any{"metadata": map[string]any{"name": name}})
	var answer struct{ Status struct{ Token string } }
	require.NoError(t, shared.Cluster(t).Request(t.Context(), http.MethodPost, accounts+"/"+name+"/token", map[string]any{"spec": map[string]any{"expirationSeconds": int64(time.Hour / time.Second)}}, &answer))
	require.NotEmpty(t, answer.Status.Token)
	return answer.Status.Token
}
