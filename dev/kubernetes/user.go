package kubernetes

import (
	"crypto/rand"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
)

// The users that every cluster knows.
const (
	// Administrator may do everything: it is in the group system:masters.
	Administrator = "administrator"
	// Windlass is in no group and may do nothing but ask what it may do, until a test binds a role to it.
	Windlass = "windlass"
	// Stranger is in no group either, for tests of what another user sees.
	Stranger = "stranger"

	controllerManagerUser = "system:kube-controller-manager"
	schedulerUser         = "system:kube-scheduler"
)

// User is somebody whom the API server knows by a bearer token.
type User struct {
	Name   string
	Groups []string
}

var builtInUsers = []User{
	{Name: Administrator, Groups: []string{"system:masters"}},
	{Name: Windlass},
	{Name: Stranger},
	{Name: controllerManagerUser},
	{Name: schedulerUser},
}

// writeTokens makes a token for each user and writes the file by which the server knows them.
func writeTokens(path string, users []User) (tokens map[string]string, err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	tokens = map[string]string{}
	table := csv.NewWriter(file)
	for _, user := range users {
		tokens[user.Name] = rand.Text()
		row := []string{tokens[user.Name], user.Name, user.Name}
		if len(user.Groups) > 0 {
			row = append(row, strings.Join(user.Groups, ","))
		}
		if err := table.Write(row); err != nil {
			return nil, err
		}
	}
	table.Flush()
	return tokens, table.Error()
}

// The parts of a kubeconfig file that are needed here.
type (
	kubeconfig struct {
		APIVersion     string         `json:"apiVersion"`
		Kind           string         `json:"kind"`
		Clusters       []namedCluster `json:"clusters"`
		Users          []namedUser    `json:"users"`
		Contexts       []namedContext `json:"contexts"`
		CurrentContext string         `json:"current-context"`
	}
	namedCluster struct {
		Name    string `json:"name"`
		Cluster struct {
			Server                   string `json:"server"`
			CertificateAuthorityData []byte `json:"certificate-authority-data"`
		} `json:"cluster"`
	}
	namedUser struct {
		Name string      `json:"name"`
		User credentials `json:"user"`
	}
	credentials struct {
		Token                 string `json:"token,omitempty"`
		ClientCertificateData []byte `json:"client-certificate-data,omitempty"`
		ClientKeyData         []byte `json:"client-key-data,omitempty"`
	}
	namedContext struct {
		Name    string `json:"name"`
		Context struct {
			Cluster string `json:"cluster"`
			User    string `json:"user"`
		} `json:"context"`
	}
)

// contextName is that of the only cluster and the only context in each kubeconfig file.
const contextName = "test"

var notInFileNames = regexp.MustCompile(`[^\w.-]+`)

// writeKubeconfig writes a file with one context for the user at a server and returns its path. A file of the same name is
// replaced whole, so that a client that watches it never reads half of it.
func (c *Cluster) writeKubeconfig(server, name, user string, with credentials) (path string, err error) {
	cluster := namedCluster{Name: contextName}
	cluster.Cluster.Server = server
	cluster.Cluster.CertificateAuthorityData = c.CA()
	selected := namedContext{Name: contextName}
	selected.Context.Cluster = contextName
	selected.Context.User = user
	content, err := json.MarshalIndent(kubeconfig{
		APIVersion:     "v1",
		Kind:           "Config",
		Clusters:       []namedCluster{cluster},
		Users:          []namedUser{{Name: user, User: with}},
		Contexts:       []namedContext{selected},
		CurrentContext: contextName,
	}, "", "  ")
	if err != nil {
		return "", err
	}
	path = c.kubeconfigPath(name)
	unfinished := path + ".unfinished"
	if err := os.WriteFile(unfinished, content, 0o600); err != nil {
		return "", err
	}
	if err := os.Rename(unfinished, path); err != nil {
		return "", err
	}
	return path, nil
}

func (c *Cluster) kubeconfigPath(name string) string {
	return c.path(notInFileNames.ReplaceAllString(name, "-") + ".kubeconfig")
}

// Kubeconfig returns the path of a kubeconfig file of the Administrator with the context "test".
func (c *Cluster) Kubeconfig() string { return c.administrator }

// KubeconfigFor writes a kubeconfig file for a user with a bearer token and returns its path. The token may be one of Token, of
// a service account, or one that the server does not know. The file of the same user is replaced. Files are removed with the
// cluster.
func (c *Cluster) KubeconfigFor(user, token string) (path string, err error) {
	path, err = c.writeKubeconfig(c.URL(), user, user, credentials{Token: token})
	if err != nil {
		return "", fmt.Errorf("kubeconfig of %s: %w", user, err)
	}
	return path, nil
}

// KubeconfigWithCertificate is like KubeconfigFor, for any user name and groups, proved by a client certificate.
func (c *Cluster) KubeconfigWithCertificate(user string, groups ...string) (path string, err error) {
	certificate, key, err := c.authority.client(user, groups)
	if err == nil {
		path, err = c.writeKubeconfig(c.URL(), user+"-certificate", user, credentials{ClientCertificateData: certificate, ClientKeyData: key})
	}
	if err != nil {
		return "", fmt.Errorf("kubeconfig with certificate of %s: %w", user, err)
	}
	return path, nil
}

// Token returns the bearer token of a user: Administrator, Windlass, Stranger or one of Options.Users. It is empty for others.
func (c *Cluster) Token(user string) string { return c.tokens[user] }
