package starter

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const shopDocument = `apiVersion: windlass/v1
kind: Template
metadata: {name: shop}
spec:
  environment: ${param.environment}
  parameters: [{name: environment, type: String, default: staging}]
  resources:
    - {name: backend, type: Network}
    - {name: uploads, type: Storage}
    - {name: users-db, type: Database, properties: {engine: postgres, version: "15", networks: ["${backend.name}"]}}
    - name: users
      type: Compute
      properties: {image: "users:1", networks: ["${backend.name}"], environment: {DATABASE_URL: "${users-db.url}"}}
    - name: media
      type: Compute
      dependsOn: [users]
      properties: {image: "media:1", volumes: [{source: "${uploads.name}", mountPath: /data}]}
`

func TestAGraphOfADocumentAsksNobody(t *testing.T) {
	t.Parallel()
	path := file(t, "shop.yaml", shopDocument)
	for format, golden := range map[string]string{"dot": "graph-dot", "mermaid": "graph-mermaid", "svg": "graph-svg"} {
		p := ran(t, ExitDone, "nats://127.0.0.1:1", "graph", path, "--format", format, "--set", "environment=production")
		requireGolden(t, golden, p.stdout.String())
		require.Empty(t, p.stderr.String())
	}
	p := ran(t, ExitDone, "nats://127.0.0.1:1", "graph", path)
	require.Contains(t, p.stdout.String(), `"users" -> "users-db"`, "the default is DOT")

	p = ran(t, ExitDone, "nats://127.0.0.1:1", "graph", path, "-o", "json")
	lines := jsonOutputOf(t, p, "graph")
	require.Len(t, lines, 2)
	require.Len(t, lines[1]["nodes"], 5)
}

func TestAGraphOfAPlanAndOfWhatIsDeployedHasStates(t *testing.T) {
	t.Parallel()
	w := startWorker(t, nil)
	w.plans = usersPlan()
	w.know(usersStatus())
	p := ran(t, ExitDone, w.url, "graph", file(t, "shop.yaml", shopDocument), "--plan", "-f", "mermaid")
	requireGolden(t, "graph-plan", p.stdout.String())
	p = ran(t, ExitDone, w.url, "graph", "staging/users", "-f", "mermaid")
	requireGolden(t, "graph-deployed", p.stdout.String())
	ran(t, ExitNotFound, w.url, "graph", "staging/nothing")
	require.Contains(t, completed(t, "--nats", w.url, "graph", ""), "staging/users\trolled back\n")
}

func TestAGraphThatCannotBeDrawnSaysWhy(t *testing.T) {
	t.Parallel()
	path := file(t, "shop.yaml", shopDocument)
	tests := map[string]struct {
		arguments []string
		code      ExitCode
		want      string
	}{
		"an unknown format":            {[]string{"graph", path, "--format", "png"}, ExitUsage, `"png" is no format of a graph; accepted are dot, mermaid, svg`},
		"a plan without a worker":      {[]string{"graph", path, "--plan"}, ExitUnreachable, "cannot reach NATS"},
		"a plan of what is deployed":   {[]string{"graph", "staging/users", "--plan"}, ExitUsage, `a file "staging/users" is written ./staging/users`},
		"a file that is missing":       {[]string{"graph", "./staging/users"}, ExitUsage, "no such file"},
		"a document with a fault":      {[]string{"graph", file(t, "bad.yaml", "kind: Template\n")}, ExitRejected, "is rejected"},
		"a resource that needs itself": {[]string{"graph", file(t, "cycle.yaml", shopDocument+"    - {name: a, type: Network, dependsOn: [a]}\n")}, ExitRejected, `"a" depends on itself`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := ran(t, test.code, "nats://127.0.0.1:1", test.arguments...)
			require.Contains(t, p.stderr.String(), test.want)
			require.Empty(t, p.stdout.String())
		})
	}
}
