package schemas

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/schemas/quantity"
)

const (
	inFront = "\n  - {name: front, type: LoadBalancer, properties: {target: '${web.name}', networks: ['${net.name}'], listen: [{port: 8080}]}}\n  - {name: net, type: Network}"
	served  = "image: a, networks: ['${net.name}'], ports: [{containerPort: 8080}], "
)

func TestAStrategyThatCannotBeFollowedIsRefused(t *testing.T) {
	tests := map[string]struct{ properties, others, want string }{
		"rolling":                  {"{image: a, strategy: {maxSurge: 25%, maxUnavailable: 1, minReadySeconds: 5, progressDeadlineSeconds: 60, monitor: 1m, maxFailureRatio: 0.1}}", "", ""},
		"canary":                   {"{" + served + "strategy: {type: Canary, steps: [{weight: 10, analysis: {metrics: {maxErrorRatio: 0.01}}}, {weight: 50, pause: {}}]}}", inFront, ""},
		"blue-green":               {"{" + served + "strategy: {type: BlueGreen, warm: 10s}}", inFront, ""},
		"canary without a proxy":   {"{image: a, strategy: {type: Canary, steps: [{weight: 10}]}}", "", "strategy.type: Canary moves requests, which needs a LoadBalancer whose target is ${web.name}"},
		"canary without steps":     {"{" + served + "strategy: {type: Canary}}", inFront, "strategy.steps: a Canary needs at least one step"},
		"canary with a host port":  {"{image: a, ports: [{containerPort: 1, hostPort: 1}], strategy: {type: Canary, steps: [{weight: 10}]}}", "", "which cannot both have the host port 1"},
		"blue-green with a volume": {"{image: a, volumes: [{source: data, mountPath: /data}], strategy: {type: BlueGreen}}", "", "which cannot both have the volume data"},
		"surge of blue-green":      {"{" + served + "strategy: {type: BlueGreen, maxSurge: 1}}", inFront, "strategy.maxSurge: has no meaning with type BlueGreen, only with RollingUpdate"},
		"more than all":            {"{image: a, strategy: {maxSurge: 101%}}", "", "strategy.maxSurge"},
		"two checks":               {"{" + served + "strategy: {type: Canary, steps: [{weight: 1, analysis: {http: {port: 1}, exec: {command: [a]}}}]}}", inFront, "steps[0].analysis: has 2 checks"},
		"metrics without a bound":  {"{" + served + "strategy: {type: Canary, steps: [{weight: 1, analysis: {metrics: {quantile: 0.5}}}]}}", inFront, "steps[0].analysis.metrics: bounds nothing"},
		"a query without a bound":  {"{" + served + "strategy: {type: Canary, steps: [{weight: 1, analysis: {promql: {query: up}}}]}}", inFront, "steps[0].analysis.promql: bounds nothing"},
		"a limit that never holds": {"{" + served + "strategy: {type: Canary, steps: [{weight: 1, analysis: {failureLimit: 1, http: {port: 1}}}]}}", inFront, "steps[0].analysis.failureLimit: 1 of 1 measurements may fail"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte("apiVersion: windlass/v1\nkind: Infrastructure\nmetadata: {name: users}\nspec:\n  environment: staging\n  provider: docker\n  resources:\n  - {name: web, type: Compute, properties: "+test.properties+"}"+test.others+"\n"), nil)
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestAPortionIsACountOrAShare(t *testing.T) {
	for text, want := range map[string][2]int{`2`: {2, 2}, `"25%"`: {3, 2}, `"0%"`: {0, 0}, `"100%"`: {10, 10}} {
		var p quantity.Portion
		require.NoError(t, json.Unmarshal([]byte(text), &p))
		require.Equal(t, want, [2]int{p.Up(10), p.Down(10)}, text)
		again, err := json.Marshal(p)
		require.NoError(t, err)
		require.Equal(t, text, string(again))
	}
	var p quantity.Portion
	require.Error(t, json.Unmarshal([]byte(`"some"`), &p))
	require.Error(t, json.Unmarshal([]byte(`-1`), &p))
}
