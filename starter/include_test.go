package starter

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

const cacheTemplate = `apiVersion: windlass/v1
kind: Template
metadata: {name: cache}
spec:
  environment: any
  parameters:
    - {name: size, type: Number, maximum: 8, default: 1}
  outputs:
    - {name: host, value: "${server.host}"}
  resources:
    - name: server
      type: Compute
      properties: {image: "cache:1", replicas: "${param.size}"}
`

// directory writes files and returns where they are.
func directory(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	return dir
}

// usingFiles is a document with a Template of that text in a resource of its own.
func usingFiles(properties string) string {
	return `apiVersion: windlass/v1
kind: Infrastructure
metadata: {name: users}
spec:
  environment: staging
  resources:
    - name: cache
      type: Template
      properties:
        ` + properties + `
    - name: web
      type: Compute
      properties: {image: "web:1", environment: {CACHE: "${cache.host}"}}
`
}

func TestACommandCarriesTheFilesThatItsDocumentNames(t *testing.T) {
	t.Parallel()
	dir := directory(t, map[string]string{"cache.yaml": cacheTemplate, "with, comma.yaml": cacheTemplate, "cache.json": asJSON(t, cacheTemplate)})
	for _, properties := range []string{
		"file: cache.yaml", "file: cache.yaml   # the cache", `file: "cache.yaml"`, "file: 'with, comma.yaml'", `"file": cache.json`,
		"{file: cache.yaml}", "{parameters: {size: 2}, file: ./cache.yaml}", "{file: cache.json, parameters: {size: 2}}", "file: " + filepath.Join(dir, "cache.yaml"),
	} {
		t.Run(properties, func(t *testing.T) {
			text := usingFiles(properties)
			if strings.HasPrefix(properties, "{") {
				text = strings.Replace(text, "properties:\n        {", "properties: {", 1)
			}
			path := filepath.Join(dir, "users.yaml")
			require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
			s, err := newSource(path, path, []byte(text))
			require.NoError(t, err)
			document, err := schemas.Parse(s.text, nil)
			require.NoError(t, err, string(s.text))
			require.NotNil(t, document.Resource("cache-server"))
			require.Equal(t, strings.Count(text, "\n"), strings.Count(string(s.text), "\n"), "lines keep their numbers")
		})
	}
}

func asJSON(t *testing.T, text string) string {
	t.Helper()
	tree, err := schemas.ParseTree([]byte(text))
	require.NoError(t, err)
	encoded, err := json.MarshalIndent(tree.Value, "", "  ")
	require.NoError(t, err)
	return string(encoded)
}

func TestFilesInADocumentOnOneLineAreAllFound(t *testing.T) {
	t.Parallel()
	dir := directory(t, map[string]string{"a.yaml": cacheTemplate, "b.yaml": strings.Replace(cacheTemplate, `"cache:1"`, `"see, file: a.yaml"`, 1)})
	text := `{"apiVersion":"windlass/v1","kind":"Infrastructure","metadata":{"name":"users"},"spec":{"environment":"staging","resources":[` +
		`{"name":"a","type":"Template","properties":{"file":"a.yaml"}},{"name":"b","type":"Template","properties":{"file":"b.yaml"}},{"name":"c","type":"Template","properties":{"file":"a.yaml"}}]}}`
	s, err := newSource("users.json", filepath.Join(dir, "users.json"), []byte(text))
	require.NoError(t, err)
	document, err := schemas.Parse(s.text, nil)
	require.NoError(t, err)
	require.NotNil(t, document.Resource("a-server"))
	require.Contains(t, string(document.Resource("b-server").Properties), "see, file: a.yaml")
	require.NotNil(t, document.Resource("c-server"))
}

func TestFilesNameFilesBesideThem(t *testing.T) {
	t.Parallel()
	outer := strings.Replace(usingFiles("file: cache.yaml"), "kind: Infrastructure", "kind: Template", 1)
	dir := directory(t, map[string]string{
		"users.yaml": usingFiles("file: lib/users.yaml"), "lib/users.yaml": strings.Replace(outer, "  resources:", "  outputs: [{name: host, value: \"${cache.host}\"}]\n  resources:", 1), "lib/cache.yaml": cacheTemplate,
	})
	p := ran(t, ExitDone, "", "validate", filepath.Join(dir, "users.yaml"))
	require.Contains(t, p.stdout.String(), "staging/users with 3 resources")
	p = ran(t, ExitDone, "", "graph", filepath.Join(dir, "users.yaml"))
	require.Contains(t, p.stdout.String(), `"web" -> "cache-cache-server"`)

	w := startWorker(t, nil)
	ran(t, ExitDone, w.url, "deploy", filepath.Join(dir, "users.yaml"))
	var request schemas.DeploymentRequested
	require.NoError(t, json.Unmarshal((<-w.commands).Data(), &request))
	var text string
	require.NoError(t, json.Unmarshal(request.Document, &text))
	_, err := schemas.Parse([]byte(text), nil)
	require.NoError(t, err, "nothing is read any more")
}

func TestAFaultInAFileNamesThatFile(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		files map[string]string
		want  string
	}{
		"a file that is missing":      {map[string]string{"users.yaml": usingFiles("file: other.yaml")}, `users.yaml:10:9: spec.resources[0].properties.file: "other.yaml" cannot be read: open `},
		"a file that is no YAML":      {map[string]string{"users.yaml": usingFiles("file: cache.yaml"), "cache.yaml": "a: [\n"}, "cache.yaml:1: is not valid YAML"},
		"a fault in a file":           {map[string]string{"users.yaml": usingFiles("file: cache.yaml"), "cache.yaml": strings.Replace(cacheTemplate, "replicas:", "replica:", 1)}, "cache.yaml:13:38: spec.resources[0].properties.template.spec.resources[0].properties.replica: unknown field"},
		"a wrong value for a file":    {map[string]string{"users.yaml": usingFiles("{file: cache.yaml, parameters: {size: 9}}"), "cache.yaml": cacheTemplate}, "cache.yaml:7:7: spec.resources[0].properties.template.spec.parameters[0]: parameter \"size\" of type Number cannot be 9; accepted is a number, at most 8"},
		"a file that names itself":    {map[string]string{"users.yaml": usingFiles("file: users.yaml")}, `users.yaml:10:9: spec.resources[0].properties.file: "users.yaml" names itself`},
		"files that name each other":  {map[string]string{"users.yaml": usingFiles("file: b.yaml"), "b.yaml": usingFiles("file: users.yaml")}, `b.yaml:10:9: spec.resources[0].properties.file: "users.yaml" names itself`},
		"a path on a line of its own": {map[string]string{"users.yaml": usingFiles("file: >-\n          cache.yaml"), "cache.yaml": cacheTemplate}, `"cache.yaml" is not found as file: PATH on that line`},
		"a file that is too long":     {map[string]string{"users.yaml": usingFiles("file: cache.yaml"), "cache.yaml": cacheTemplate + strings.Repeat("#", schemas.MaxDocumentBytes)}, "at most 1048576 are read"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := directory(t, test.files)
			p := ran(t, ExitRejected, "", "validate", filepath.Join(dir, "users.yaml"))
			require.Contains(t, p.stderr.String(), test.want)
		})
	}
}

func TestManifestsOfKubernetesComeFromAFile(t *testing.T) {
	const manifests = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {greeting: \"a \\\"b\\\" ✔\"}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: extra}\n"
	dir := directory(t, map[string]string{"users.yaml": `apiVersion: windlass/v1
kind: Infrastructure
metadata: {name: users}
spec:
  environment: staging
  resources:
    - name: extras
      type: Kubernetes
      properties:
        file: extras.yaml
`, "extras.yaml": manifests})
	document, err := (&app{}).read(filepath.Join(dir, "users.yaml"), parameterFlags{})
	require.NoError(t, err)
	parsed, err := schemas.Parse(document.text, nil)
	require.NoError(t, err)
	k, err := schemas.Decode[schemas.Kubernetes](parsed.Spec.Resources[0])
	require.NoError(t, err)
	require.Equal(t, manifests, k.Manifests)
}
