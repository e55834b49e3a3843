package schemas

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAnEndStateThatCannotBeReachedIsRefused(t *testing.T) {
	tests := map[string]struct{ properties, want string }{
		"healthy without a check": {"{image: a, endState: healthy}", "line 7, column 55: spec.resources[0].properties.endState: is healthy, but there is no health check"},
		"a job that restarts":     {"{image: a, endState: completed, restartPolicy: OnFailure}", "line 7, column 76: spec.resources[0].properties.restartPolicy: is OnFailure, but a job runs once"},
		"a job":                   {"{image: a, endState: completed, restartPolicy: Never}", ""},
		"a service":               {"{image: a, endState: running}", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte("apiVersion: windlass/v1\nkind: Infrastructure\nmetadata: {name: users}\nspec:\n  environment: staging\n  resources:\n  - {name: web, type: Compute, properties: "+test.properties+"}\n"), nil)
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestAJobRunsOnce(t *testing.T) {
	require.Equal(t, RestartNever, Compute{EndState: EndStateCompleted}.WithDefaults().RestartPolicy)
	require.Equal(t, RestartAlways, Compute{}.WithDefaults().RestartPolicy)
	require.Equal(t, EndStateHealthy, Compute{Health: &Health{}}.WithDefaults().EndState)
	require.Equal(t, EndStateRunning, Compute{}.WithDefaults().EndState)
}
