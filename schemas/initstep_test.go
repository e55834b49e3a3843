package schemas

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestInitStepsThatCannotBeToldApartAreRefused(t *testing.T) {
	tests := map[string]struct{ steps, want string }{
		"two of one name":    {"[{name: migrate}, {name: migrate}]", `spec.resources[0].properties.initSteps[1].name: init step "migrate" is declared twice`},
		"one without a name": {"[{image: b}]", `spec.resources[0].properties.initSteps[0]: "name" is missing`},
		"a name with a dot":  {"[{name: a.b}]", "spec.resources[0].properties.initSteps[0].name"},
		"a port":             {"[{name: a, ports: []}]", "spec.resources[0].properties.initSteps[0].ports: unknown field"},
		"two":                {"[{name: migrate, args: [up], environment: {A: b}}, {name: warm, image: b, command: [sh]}]", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte("apiVersion: windlass/v1\nkind: Infrastructure\nmetadata: {name: users}\nspec:\n  environment: staging\n  resources:\n  - {name: web, type: Compute, properties: {image: a, initSteps: "+test.steps+"}}\n"), nil)
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.want)
		})
	}
}
