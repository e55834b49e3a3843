package schemas_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

const template = `apiVersion: windlass/v1
kind: Template
metadata: {name: web}
spec:
  environment: ${param.environment}
  parameters:
    - {name: environment, type: String, required: true}
    - {name: replicas, type: Number, default: 2}
    - {name: internal, type: Boolean}
    - {name: args, type: List, default: [serve]}
  resources:
    - {name: net, type: Network, properties: {internal: "${param.internal}"}}
    - name: web
      type: Compute
      properties:
        image: windlass.local/fixture:1
        replicas: ${param.replicas}
        args: ${param.args}
        environment: {TITLE: "web in ${param.environment} x${param.replicas}", COST: "$${5}", TOKEN: "${secret.TOKEN}"}
        networks: ["${net.name}"]
`

func TestATemplateTakesTypedValues(t *testing.T) {
	for name, values := range map[string]map[string]any{
		"as a command line gives them": {"environment": "staging", "replicas": "3", "internal": "true", "args": "serve,-v"},
		"as JSON gives them":           {"environment": "staging", "replicas": json.Number("3"), "internal": true, "args": []any{"serve", "-v"}},
	} {
		t.Run(name, func(t *testing.T) {
			document, err := schemas.Parse([]byte(template), values)
			require.NoError(t, err)
			require.Equal(t, schemas.KindInfrastructure, document.Kind)
			require.Equal(t, "staging", document.Spec.Environment)
			network, err := schemas.Decode[schemas.Network](*document.Resource("net"))
			require.NoError(t, err)
			require.True(t, network.Internal)
			web, err := schemas.Decode[schemas.Compute](*document.Resource("web"))
			require.NoError(t, err)
			require.Equal(t, 3, *web.Replicas)
			require.Equal(t, []string{"serve", "-v"}, web.Args)
			require.Equal(t, map[string]string{"TITLE": "web in staging x3", "COST": "$${5}", "TOKEN": "${secret.TOKEN}"}, web.Environment)
		})
	}
}

func TestDefaultsFillWhatIsNotGiven(t *testing.T) {
	document, err := schemas.Parse([]byte(template), map[string]any{"environment": "staging"})
	require.NoError(t, err)
	web, err := schemas.Decode[schemas.Compute](*document.Resource("web"))
	require.NoError(t, err)
	require.Equal(t, 2, *web.Replicas)
}

func TestAWrongParameterIsRefusedWithNameTypeAndAcceptedForm(t *testing.T) {
	for name, test := range map[string]struct {
		values map[string]any
		reason string
	}{
		"required but missing": {nil, `parameter "environment" is required; give a value of type String`},
		"not declared":         {map[string]any{"environment": "a", "size": "b"}, `parameter "size" is given but not declared; declared are environment, replicas, internal, args`},
		"not a number":         {map[string]any{"environment": "a", "replicas": "many"}, `parameter "replicas" of type Number cannot be "many"; accepted is a number such as 3 or 0.5`},
		"not a truth value":    {map[string]any{"environment": "a", "internal": "yes"}, `parameter "internal" of type Boolean cannot be "yes"; accepted is true or false`},
		"not a list":           {map[string]any{"environment": "a", "args": json.Number("1")}, `parameter "args" of type List cannot be 1; accepted is a list, or text with commas such as a,b`},
		"a value out of range": {map[string]any{"environment": "a", "replicas": "-1"}, "-1 is too small; at least 0 is accepted"},
		"a name that is none":  {map[string]any{"environment": "a/b"}, "DNS label"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := schemas.Parse([]byte(template), test.values)
			require.ErrorContains(t, err, test.reason)
		})
	}
}

func TestAParameterThatStandsWhereTextBelongsIsText(t *testing.T) {
	text := strings.NewReplacer(`TITLE: "web in ${param.environment} x${param.replicas}"`, `COUNT: "${param.replicas}", FLAG: "${param.internal}", ARGS: "${param.args}"`,
		`args: ${param.args}`, `args: ["--count", "${param.replicas}"]`).Replace(template)
	document, err := schemas.Parse([]byte(text), map[string]any{"environment": "staging", "args": "serve,-v"})
	require.NoError(t, err)
	web, err := schemas.Decode[schemas.Compute](*document.Resource("web"))
	require.NoError(t, err)
	require.Equal(t, map[string]string{"COUNT": "2", "FLAG": "false", "ARGS": "serve,-v", "COST": "$${5}", "TOKEN": "${secret.TOKEN}"}, web.Environment)
	require.Equal(t, []string{"--count", "2"}, web.Args)
	require.Equal(t, 2, *web.Replicas)

	_, err = schemas.Parse([]byte(strings.Replace(text, "replicas: ${param.replicas}", "replicas: ${param.args}", 1)), map[string]any{"environment": "staging"})
	require.ErrorContains(t, err, "spec.resources[1].properties.replicas: a value of type integer is expected, found a value of type array")
}
