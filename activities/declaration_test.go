package activities

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/plan"
	"windlass/schemas"
)

func TestDeclareResolvesReferencesAndKeepsPlaceholders(t *testing.T) {
	all, err := Declare(parsed(t, document), 3, Providers{"docker": newFake()})
	require.NoError(t, err)
	want := []struct {
		name       string
		kind       schemas.ResourceType
		dependsOn  []string
		properties string
	}{
		{"backend", schemas.TypeNetwork, []string{}, `{}`},
		{"db", schemas.TypeDatabase, []string{"backend"}, `{"engine":"postgres","version":"17","networks":["users-backend"]}`},
		{"web", schemas.TypeCompute, []string{"backend", "db"}, `{"image":"windlass.local/users:1","networks":["users-backend"],"environment":{
			"DATABASE_URL":"postgres://db:${generated.db.password}@users-db:5432/db","TOKEN":"${secret.API_TOKEN}","PLAIN":"$${not.a.reference}"}}`},
	}
	require.Len(t, all, len(want))
	for i, w := range want {
		d := all[i]
		require.Equal(t, plan.Target{Scope: users, Resource: w.name, Type: w.kind, Provider: "docker"}, d.Target)
		require.ElementsMatch(t, w.dependsOn, d.DependsOn)
		require.JSONEq(t, w.properties, string(d.Properties))
		require.Equal(t, 3, d.Revision)
		hash, err := plan.Hash(w.kind, d.Properties)
		require.NoError(t, err)
		require.Equal(t, hash, d.SpecHash)
	}
}

func TestDeclareDoesNotMindTheOrderOfTheDocument(t *testing.T) {
	forward := parsed(t, document)
	backward := parsed(t, document)
	r := backward.Spec.Resources
	r[0], r[2] = r[2], r[0]
	one, err := Declare(forward, 1, Providers{"docker": newFake()})
	require.NoError(t, err)
	two, err := Declare(backward, 1, Providers{"docker": newFake()})
	require.NoError(t, err)
	require.Equal(t, one, []plan.Desired{two[2], two[1], two[0]})
}

func TestDeclareSaysWhatCannotBeResolved(t *testing.T) {
	tests := map[string]struct {
		document string
		resource string
		field    string
		message  string
	}{
		"a provider that the worker lacks":       {strings.Replace(document, "type: Network", "type: Network, provider: moon", 1), "backend", "provider", `the worker has no provider "moon"`},
		"an output that is not offered as it is": {strings.Replace(document, "${db.url}", "${backend2.port}", 1) + "    - {name: backend2, type: Compute, properties: {image: a}}\n", "web", "", "${backend2.port} has no value"},
		"an expression that has no value":        {strings.Replace(document, "${db.url}", "${int(db.host)}", 1), "web", "properties.environment.DATABASE_URL", `a number, or text that is a whole number, is expected; "users-db" is none`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Declare(parsed(t, test.document), 1, Providers{"docker": newFake()})
			var fault *Fault
			require.ErrorAs(t, err, &fault)
			require.Equal(t, Invalid, fault.Kind)
			require.Equal(t, test.resource, fault.Resource)
			require.Equal(t, test.field, fault.Field)
			require.Contains(t, fault.Message, test.message)
		})
	}
}

func TestDeclareEvaluatesExpressionsOnPlaceholders(t *testing.T) {
	text := strings.Replace(document, "${db.url}", `${db.url + "?host=" + upper(db.host) + "&key=" + secret.API_TOKEN}`, 1)
	all, err := Declare(parsed(t, text), 1, Providers{"docker": newFake()})
	require.NoError(t, err)
	require.Contains(t, string(all[2].Properties), `postgres://db:${generated.db.password}@users-db:5432/db?host=USERS-DB\u0026key=${secret.API_TOKEN}`)
	require.Equal(t, []string{"backend", "db"}, all[2].DependsOn)
}

func TestNoDocumentDeclaresNothing(t *testing.T) {
	all, err := Declare(nil, 0, Providers{})
	require.NoError(t, err)
	require.Empty(t, all)
}

func TestTagsAreTakenForAPartOfTheDeclarationButOfAVolume(t *testing.T) {
	declare := func(tags string) map[string]string {
		t.Helper()
		text := "apiVersion: windlass/v1\nkind: Infrastructure\nmetadata: {name: users}\nspec:\n  environment: staging\n  resources:\n"
		for _, kind := range []string{"Network", "Storage"} {
			text += "    - {name: " + strings.ToLower(kind) + ", type: " + kind + tags + "}\n"
		}
		all, err := Declare(parsed(t, text), 1, Providers{"docker": newFake()})
		require.NoError(t, err)
		hashes := map[string]string{}
		for _, d := range all {
			hashes[d.Resource] = d.SpecHash
		}
		return hashes
	}
	plain, tagged := declare(""), declare(", tags: {team: accounts}")
	require.NotEqual(t, plain["network"], tagged["network"])
	require.Equal(t, plain["storage"], tagged["storage"])
}

func TestLabelsTellWhatTheDeclarationSaysOfTheResource(t *testing.T) {
	text := "apiVersion: windlass/v1\nkind: Infrastructure\nmetadata: {name: users}\nspec:\n  environment: staging\n  resources:\n" +
		"    - {name: data, type: Storage, protect: true, tags: {team: accounts}, timeouts: {create: 1m, delete: 90s}}\n"
	all, err := Declare(parsed(t, text), 1, Providers{"docker": newFake()})
	require.NoError(t, err)
	labels := DeclarationLabels(all[0])
	require.Equal(t, "true", labels[LabelProtect])
	require.Equal(t, "accounts", labels["io.windlass.tag.team"])
	require.Equal(t, "1m30s", labels[LabelDeleteTimeout])
}

func TestAStrategyIsNoPartOfAVersion(t *testing.T) {
	text := "apiVersion: windlass/v1\nkind: Infrastructure\nmetadata: {name: users}\nspec:\n  environment: staging\n  provider: docker\n  resources:\n  - {name: web, type: Compute, properties: {image: a"
	without, err := Declare(parsed(t, text+"}}\n"), 1, Providers{"docker": newFake()})
	require.NoError(t, err)
	with, err := Declare(parsed(t, text+", strategy: {type: Recreate}}}\n"), 1, Providers{"docker": newFake()})
	require.NoError(t, err)
	require.Equal(t, schemas.StrategyRecreate, with[0].Strategy.Type)
	require.Nil(t, without[0].Strategy)
	require.Equal(t, without[0].SpecHash, with[0].SpecHash)
	require.JSONEq(t, `{"image": "a"}`, string(with[0].Properties))
}
