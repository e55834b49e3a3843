package manifest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

// place is the part of a provider that declaring a document needs.
type place struct {
	activities.Provider
	options Options
}

func (place) ReplaceOn(schemas.ResourceType) []string { return nil }

func (place) PlacedByUse(kind schemas.ResourceType) bool {
	return kind == schemas.TypeStorage || kind == schemas.TypeSecurityGroup
}

func (p place) Outputs(d plan.Desired) (schemas.Outputs, error) {
	if err := Check(d, p.options); err != nil {
		return nil, err
	}
	return Outputs(d)
}

// declared are the resources of a document as a provider gets them.
func declared(t *testing.T, text string, o Options) ([]plan.Desired, error) {
	t.Helper()
	document, err := schemas.Parse([]byte(text), nil)
	require.NoError(t, err, text)
	return activities.Declare(document, 7, activities.Providers{schemas.DefaultProvider: place{options: o}})
}

// infrastructure is the text of a document with resources, each a line of YAML.
func infrastructure(resources ...string) string {
	text := "apiVersion: windlass/v1\nkind: Infrastructure\nmetadata: {name: shop}\nspec:\n  environment: staging\n  resources:\n"
	for _, r := range resources {
		text += "    - " + r + "\n"
	}
	return text
}

// one is the resource of a name, of a document that declares it.
func one(t *testing.T, name string, resources ...string) plan.Desired {
	t.Helper()
	all, err := declared(t, infrastructure(resources...), Options{})
	require.NoError(t, err)
	for _, d := range all {
		if d.Resource == name {
			return d
		}
	}
	require.FailNow(t, "not declared: "+name)
	return plan.Desired{}
}

// examples are the documents below testdata, with the options that a provider has for them.
var examples = map[string]Options{
	"network":        {},
	"storage":        {},
	"compute":        {},
	"database":       {RedisImage: "registry.test/redis:{version}-own"},
	"ingress":        {IngressClass: "nginx"},
	"gateway":        {GatewayAPI: true, GatewayClass: "envoy"},
	"shared-gateway": {GatewayAPI: true, Gateway: "gateways/public"},
	"securitygroup":  {},
	"names":          {GatewayAPI: true, GatewayClass: "envoy"},
}

func example(t *testing.T, name string) []plan.Desired {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name, "document.yaml"))
	require.NoError(t, err)
	all, err := declared(t, string(text), examples[name])
	require.NoError(t, err)
	return all
}

// The secrets of the examples begin so, that one can be told wherever it is.
const secretMark = "very secret"

// vault knows the secrets of the examples.
func vault(t *testing.T) *activities.Vault {
	t.Helper()
	dir := t.TempDir()
	certificate, key := pair(t)
	for name, value := range map[string]string{
		"API_TOKEN": secretMark + " token", "REGISTRY": secretMark + " password", "CERTIFICATE": certificate, "KEY": key,
		"A": "a", "B": "b", "C": certificate, "K": key,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(value), 0o600))
	}
	v, err := activities.NewVault(make([]byte, activities.MasterKeySize), dir)
	require.NoError(t, err)
	return v
}
