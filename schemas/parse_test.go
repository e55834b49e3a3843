package schemas_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

const valid = `apiVersion: windlass/v1
kind: Infrastructure
metadata: {name: users, labels: {team: accounts}}
spec:
  environment: staging
  resources:
    - {name: backend, type: Network}
    - name: users-db
      type: Database
      properties: {engine: postgres, version: "15", networks: ["${backend.name}"]}
    - name: users
      type: Compute
      dependsOn: [users-db]
      properties:
        image: windlass.local/users:1.0.0
        replicas: 3
        networks: ["${backend.name}"]
        environment: {DATABASE_URL: "${users-db.url}", PORT: "8080"}
        ports: [{containerPort: 8080}]
        health: {http: {path: /healthz, port: 8080}, interval: 1s}
        resources: {cpuLimit: "0.5", memoryLimit: 64Mi}
`

func TestAValidDocumentIsReadWithItsDefaults(t *testing.T) {
	document, err := schemas.Parse([]byte(valid), nil)
	require.NoError(t, err)
	require.Equal(t, schemas.Scope{Environment: "staging", Infrastructure: "users"}, document.Scope())
	require.Equal(t, schemas.OnFailureRollback, document.Spec.OnFailure)
	require.Equal(t, "docker", document.Resource("users").Provider)

	dependencies, err := document.Resource("users").Dependencies()
	require.NoError(t, err)
	require.Equal(t, []string{"backend", "users-db"}, dependencies)

	compute, err := schemas.Decode[schemas.Compute](*document.Resource("users"))
	require.NoError(t, err)
	require.Equal(t, 3, *compute.Replicas)
	bytes, err := compute.Resources.MemoryLimit.Bytes()
	require.NoError(t, err)
	require.EqualValues(t, 64<<20, bytes)
}

func TestTheSameDocumentAsJSONIsTheSame(t *testing.T) {
	fromYAML, err := schemas.Parse([]byte(valid), nil)
	require.NoError(t, err)
	text, err := json.MarshalIndent(fromYAML, "", "\t")
	require.NoError(t, err)
	fromJSON, err := schemas.Parse(text, nil)
	require.NoError(t, err)
	require.Equal(t, marshal(t, fromYAML), marshal(t, fromJSON))
}

func marshal(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	require.NoError(t, err)
	return string(text)
}

func TestFaultsNameFieldLineAndReason(t *testing.T) {
	replace := func(old, with string) string {
		require.Contains(t, valid, old)
		return strings.Replace(valid, old, with, 1)
	}
	for name, test := range map[string]struct {
		text, field, reason string
		line                int
	}{
		"an empty text":                   {"", "", "is empty", 1},
		"text that is no YAML":            {"a: b: c\n", "", "is not valid YAML", 1},
		"text that is no JSON":            {"{\n  \"a\": ,\n}", "", "is not valid JSON", 2},
		"JSON that ends too early":        {"{\"a\": [1,", "", "ends too early", 1},
		"text after the JSON value":       {"{}\n{}", "", "more text", 2},
		"a second YAML document":          {valid + "---\na: 1\n", "", "second YAML document", 22},
		"a list instead of an object":     {"[]", "", "object", 1},
		"a member given twice in JSON":    {"{\"a\": 1,\n\"a\": 2}", "a", "given twice", 2},
		"a member given twice in YAML":    {"a: 1\na: 2\n", "a", "given twice", 2},
		"a wrong version":                 {replace("windlass/v1", "windlass/v2"), "apiVersion", `accepted is "windlass/v1"`, 1},
		"an unknown kind":                 {replace("kind: Infrastructure", "kind: Infra"), "kind", `"Infra" is not accepted`, 2},
		"an unknown field":                {replace("replicas: 3", "replica: 3"), "spec.resources[2].properties.replica", "unknown field; accepted are args, command", 16},
		"an unknown field in the spec":    {replace("  resources:", "  zone: a\n  resources:"), "spec.zone", "unknown field", 6},
		"a missing field":                 {replace("image: windlass.local/users:1.0.0", "user: root"), "spec.resources[2].properties", `"image" is missing`, 14},
		"an unknown type":                 {replace("type: Network", "type: Net"), "spec.resources[0].type", `"Net" is not accepted; accepted are "Network"`, 7},
		"a number where text belongs":     {replace(`version: "15"`, `version: 15`), "spec.resources[1].properties.version", "put it in quotes", 10},
		"text where a number belongs":     {replace("replicas: 3", "replicas: three"), "spec.resources[2].properties.replicas", "integer", 16},
		"too many replicas":               {replace("replicas: 3", "replicas: 1001"), "spec.resources[2].properties.replicas", "1001 is too large; at most 1000", 16},
		"a wrong duration":                {replace("interval: 1s", "interval: soon"), "spec.resources[2].properties.health.interval", "a duration such as 30s", 20},
		"a wrong amount of memory":        {replace("64Mi", "64MB"), "spec.resources[2].properties.resources.memoryLimit", "64Mi", 21},
		"a request above the limit":       {replace("memoryLimit: 64Mi", "memoryLimit: 64Mi, memoryRequest: 65Mi"), "spec.resources[2].properties.resources.memoryRequest", "larger than the limit", 21},
		"a name with a slash":             {replace("name: users,", "name: a/b,"), "metadata.name", "DNS label", 3},
		"a name with dots":                {replace("name: users,", "name: ..,"), "metadata.name", "DNS label", 3},
		"a name of 300 characters":        {replace("name: users,", "name: "+strings.Repeat("a", 300)+","), "metadata.name", "300 characters long; at most 63", 3},
		"an environment with a slash":     {replace("environment: staging", "environment: a/b"), "spec.environment", "DNS label", 5},
		"a resource declared twice":       {replace("name: users-db", "name: backend"), "spec.resources[1].name", `"backend" is declared twice`, 8},
		"a dependency that is missing":    {replace("dependsOn: [users-db]", "dependsOn: [db]"), "spec.resources[2].dependsOn[0]", `"db" is no resource of this document; declared are backend, users-db, users`, 13},
		"a dependency on itself":          {replace("dependsOn: [users-db]", "dependsOn: [users]"), "spec.resources[2].dependsOn[0]", "depends on itself", 13},
		"a reference to nothing":          {replace("${users-db.url}", "${db.url}"), "spec.resources[2].properties.environment.DATABASE_URL", `"db" is no resource`, 18},
		"a reference to no output":        {replace("${users-db.url}", "${users-db.link}"), "spec.resources[2].properties.environment.DATABASE_URL", "it has name, host, port, user, password, url", 18},
		"a reference without a brace":     {replace("${users-db.url}", "${users-db.url"), "spec.resources[2].properties.environment.DATABASE_URL", "no closing brace", 18},
		"a parameter outside a Template":  {replace("${users-db.url}", "${param.url}"), "spec.resources[2].properties.environment.DATABASE_URL", "only a Template has parameters", 18},
		"a generated placeholder":         {replace("${users-db.url}", "${generated.users-db.password}"), "spec.resources[2].properties.environment.DATABASE_URL", "cannot be used", 18},
		"replicas that share a host port": {replace("containerPort: 8080", "containerPort: 8080, hostPort: 80"), "spec.resources[2].properties.ports[0].hostPort", "3 replicas cannot all publish host port 80", 19},
		"a health check of no kind":       {replace("http: {path: /healthz, port: 8080}, ", ""), "spec.resources[2].properties.health", "has 0 checks", 20},
		"a health check that nobody asks": {replace("replicas: 3", "endState: running"), "spec.resources[2].properties.health", "has no meaning with endState running", 20},
		"a health check of a job":         {replace("replicas: 3", "endState: completed"), "spec.resources[2].properties.health", "a job is judged by its exit code", 20},
		"an end state that is none":       {replace("replicas: 3", "endState: done"), "spec.resources[2].properties.endState", "running", 16},
		"an engine that is none":          {replace("engine: postgres", "engine: oracle"), "spec.resources[1].properties.engine", `accepted are "postgres", "redis", "valkey"`, 10},
		"a name in a Redis":               {replace("engine: postgres", "engine: redis, name: shop"), "spec.resources[1].properties.name", "has no meaning with engine redis, which has numbered databases", 10},
		"a user of a Valkey":              {replace("engine: postgres", "engine: valkey, user: keeper"), "spec.resources[1].properties.user", `has no meaning with engine valkey, which has the user "default"`, 10},
		"a variable with a bad name":      {replace("PORT:", "1PORT:"), "spec.resources[2].properties.environment.1PORT", "variable name", 18},
		"a password in plain text": {replace("replicas: 3", "registryCredentials: {username: a, password: b}"),
			"spec.resources[2].properties.registryCredentials.password", "never the secret itself", 16},
		"a document nested 10,000 deep in YAML": {"a: " + strings.Repeat("[", 10_000), "", "", 1},
		"a document nested 10,000 deep in JSON": {"{\"a\":" + strings.Repeat("[", 10_000), "a[0]", "nested deeper than 64 levels", 1},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := schemas.Parse([]byte(test.text), nil)
			var faults schemas.Faults
			require.ErrorAs(t, err, &faults)
			require.True(t, strings.HasPrefix(faults[0].Field, test.field), "field %q", faults[0].Field)
			require.Contains(t, faults[0].Reason, test.reason)
			require.Equal(t, test.line, faults[0].Line, faults.Error())
		})
	}
}

func TestACycleIsSpelledOut(t *testing.T) {
	text := `apiVersion: windlass/v1
kind: Infrastructure
metadata: {name: ring}
spec:
  environment: test
  resources:
    - {name: a, type: Network, dependsOn: [b]}
    - {name: b, type: Network, dependsOn: [c]}
    - {name: c, type: Network, dependsOn: [a]}
`
	_, err := schemas.Parse([]byte(text), nil)
	require.EqualError(t, err, "line 7, column 32: spec.resources[0].dependsOn: the dependencies form a cycle: a -> b -> c -> a")
}

func TestAllFaultsOfAPassAreReportedInOrder(t *testing.T) {
	text := strings.Replace(strings.Replace(valid, "replicas: 3", "replicas: -1", 1), "type: Network", "type: Net", 1)
	_, err := schemas.Parse([]byte(text), nil)
	var faults schemas.Faults
	require.ErrorAs(t, err, &faults)
	require.Len(t, faults, 2)
	require.Less(t, faults[0].Line, faults[1].Line)
}

func TestAnAliasBombIsRefused(t *testing.T) {
	var bomb strings.Builder
	bomb.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n")
	for i := 1; i < 12; i++ {
		alias := fmt.Sprintf("*a%d", i-1)
		fmt.Fprintf(&bomb, "a%d: &a%d [%s]\n", i, i, strings.Join([]string{alias, alias, alias, alias, alias, alias, alias, alias, alias, alias}, ","))
	}
	_, err := schemas.Parse([]byte(bomb.String()), nil)
	require.ErrorContains(t, err, "more than 200000 values, aliases expanded")
}

func TestATextThatIsTooLongIsRefused(t *testing.T) {
	_, err := schemas.Parse(make([]byte, schemas.MaxDocumentBytes+1), nil)
	require.ErrorContains(t, err, "at most 1048576 are read")
}

func TestAnchorsAndMergesAreExpanded(t *testing.T) {
	text := strings.Replace(valid, "{cpuLimit: \"0.5\", memoryLimit: 64Mi}", "\n          <<: &small {cpuLimit: \"0.5\", memoryLimit: 64Mi}\n          cpuLimit: \"1\"", 1)
	document, err := schemas.Parse([]byte(text), nil)
	require.NoError(t, err)
	compute, err := schemas.Decode[schemas.Compute](*document.Resource("users"))
	require.NoError(t, err)
	require.Equal(t, schemas.Requirements{CPULimit: "1", MemoryLimit: "64Mi"}, compute.Resources)
}

func FuzzParseNeverCrashes(f *testing.F) {
	f.Add([]byte(valid))
	f.Add([]byte(`{"apiVersion":"windlass/v1","kind":"Template","spec":{"parameters":[{"name":"a","type":"Number"}],"resources":[{"x":"${param.a}"}]}}`))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("? {a: b}\n: c\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		document, err := schemas.Parse(text, nil)
		if err == nil {
			require.NotNil(t, document)
			return
		}
		var faults schemas.Faults
		require.True(t, errors.As(err, &faults), "%T: %v", err, err)
	})
}
