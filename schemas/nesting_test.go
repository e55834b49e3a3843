package schemas

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// serviceTemplate is a database and a service on it, as it stands in a resource of
// type Template.
const serviceTemplate = `
          apiVersion: windlass/v1
          kind: Template
          metadata: {name: service}
          spec:
            environment: any
            parameters:
              - {name: image, type: String, required: true}
              - {name: network, type: String, required: true}
              - {name: replicas, type: Number, default: 2, maximum: 5}
            outputs:
              - {name: url, value: "http://${app.host}:${app.port}"}
              - {name: name, value: "${app.name}"}
              - {name: replicas, value: "${param.replicas}"}
            resources:
              - name: db
                type: Database
                properties: {engine: postgres, version: "15", networks: ["${param.network}"]}
              - name: app
                type: Compute
                dependsOn: [db]
                properties:
                  image: ${param.image}
                  replicas: ${param.replicas}
                  networks: ["${param.network}"]
                  ports: [{containerPort: 80}]
                  environment: {DATABASE_URL: "${db.url}", HOST: "${upper(db.host) + \"-\" + param.image}", COUNT: "${param.replicas}"}
`

// shopDocument uses the Template twice.
const shopDocument = `apiVersion: windlass/v1
kind: Infrastructure
metadata: {name: shop}
spec:
  environment: staging
  resources:
    - {name: backend, type: Network}
    - name: users
      type: Template
      dependsOn: [backend]
      properties:
        parameters: {image: "users:1", network: "${backend.name}", replicas: 3}
        template:` + serviceTemplate + `
    - name: web
      type: Compute
      dependsOn: [users]
      properties:
        image: "web:1"
        replicas: ${users.replicas}
        environment: {USERS: "${users.url}/users", TITLE: "${upper(users.name)}", COUNT: "${users.replicas}"}
`

func TestATemplateAsAResourceIsItsResources(t *testing.T) {
	document, err := Parse([]byte(shopDocument), nil)
	require.NoError(t, err)
	var names []string
	for _, r := range document.Spec.Resources {
		names = append(names, r.Name)
	}
	require.Equal(t, []string{"backend", "users-db", "users-app", "web"}, names)

	app := document.Resource("users-app")
	require.Equal(t, []string{"users-db", "backend"}, app.DependsOn)
	require.Equal(t, []string{"backend"}, document.Resource("users-db").DependsOn)
	require.Equal(t, "docker", app.Provider)
	compute, err := Decode[Compute](*app)
	require.NoError(t, err)
	require.Equal(t, "users:1", compute.Image)
	require.Equal(t, 3, *compute.Replicas)
	require.Equal(t, []string{"${backend.name}"}, compute.Networks)
	require.Equal(t, map[string]string{"DATABASE_URL": "${users-db.url}", "HOST": `${upper(users-db.host) + "-" + "users:1"}`, "COUNT": "3"}, compute.Environment)

	web := document.Resource("web")
	require.Equal(t, []string{"users-db", "users-app"}, web.DependsOn, "on all of its resources")
	compute, err = Decode[Compute](*web)
	require.NoError(t, err)
	require.Equal(t, 3, *compute.Replicas)
	require.Equal(t, map[string]string{"USERS": "http://${users-app.host}:${users-app.port}/users", "TITLE": "${upper(users-app.name)}", "COUNT": "3"}, compute.Environment)
}

func TestWhatAResourceOfTypeTemplateSaysHoldsForItsResources(t *testing.T) {
	text := strings.Replace(shopDocument, "dependsOn: [backend]\n", "provider: elsewhere\n      protect: true\n", 1)
	text = strings.Replace(text, "                type: Database\n", "                type: Database\n                provider: own\n", 1)
	document, err := Parse([]byte(text), nil)
	require.NoError(t, err)
	require.Equal(t, "own", document.Resource("users-db").Provider)
	require.Equal(t, "elsewhere", document.Resource("users-app").Provider)
	require.True(t, document.Resource("users-app").Protect)
	require.False(t, document.Resource("web").Protect)
}

func TestTemplatesUseTheOutputsOfEachOther(t *testing.T) {
	text := shopDocument + `    - name: gate
      type: Template
      properties:
        parameters: {image: "gate:1", network: "${backend.name}-${users.name}"}
        template:` + serviceTemplate
	document, err := Parse([]byte(text), nil)
	require.NoError(t, err)
	compute, err := Decode[Compute](*document.Resource("gate-app"))
	require.NoError(t, err)
	require.Equal(t, []string{"${backend.name}-${users-app.name}"}, compute.Networks)
}

// deep nests Templates in each other; the innermost has a Network.
func deep(levels int) string {
	inner := map[string]any{"name": "net", "type": "Network"}
	outputs := []any{map[string]any{"name": "name", "value": "${net.name}"}}
	for level := range levels {
		inner = map[string]any{"name": fmt.Sprintf("l%d", levels-level), "type": "Template", "properties": map[string]any{"template": map[string]any{
			"apiVersion": APIVersion, "kind": KindTemplate, "metadata": map[string]any{"name": "any"},
			"spec": map[string]any{"resources": []any{inner}, "outputs": outputs},
		}}}
		outputs = []any{map[string]any{"name": "name", "value": fmt.Sprintf("${l%d.name}", levels-level)}}
	}
	text, _ := json.Marshal(map[string]any{
		"apiVersion": APIVersion, "kind": KindInfrastructure, "metadata": map[string]any{"name": "deep"},
		"spec": map[string]any{"environment": "staging", "resources": []any{inner, map[string]any{
			"name": "web", "type": "Compute", "dependsOn": []any{"l1"}, "properties": map[string]any{"image": "a", "networks": []any{"${l1.name}"}},
		}}},
	})
	return string(text)
}

func TestTemplatesAreNestedInEachOther(t *testing.T) {
	document, err := Parse([]byte(deep(3)), nil)
	require.NoError(t, err)
	require.Equal(t, "l1-l2-l3-net", document.Spec.Resources[0].Name)
	require.Equal(t, []string{"l1-l2-l3-net"}, document.Resource("web").DependsOn)
	compute, err := Decode[Compute](*document.Resource("web"))
	require.NoError(t, err)
	require.Equal(t, []string{"${l1-l2-l3-net.name}"}, compute.Networks)

	_, err = Parse([]byte(deep(maxNesting)), nil)
	require.NoError(t, err)
	_, err = Parse([]byte(deep(maxNesting+1)), nil)
	require.ErrorContains(t, err, "Templates are nested deeper than 8 levels")
}

func TestFaultsInANestedTemplateNameTheirPlaceInTheText(t *testing.T) {
	const inside = "spec.resources[1].properties.template."
	line := func(text string) int {
		before, _, found := strings.Cut(shopDocument, text)
		require.True(t, found, text)
		return strings.Count(before, "\n") + 1
	}
	for name, test := range map[string]struct{ old, with, field, reason, at string }{
		"a parameter that is missing":      {`image: "users:1", `, "", inside + "spec.parameters[0]", `parameter "image" is required`, "- {name: image, type"},
		"a parameter out of range":         {"replicas: 3}", "replicas: 6}", inside + "spec.parameters[2]", `cannot be 6; accepted is a number, at most 5`, "- {name: replicas, type"},
		"a parameter not declared":         {"replicas: 3}", "size: 6}", inside + "spec.parameters", `parameter "size" is given but not declared`, "            parameters:"},
		"an unknown field":                 {"engine: postgres", "motor: postgres", inside + "spec.resources[0].properties", `"engine" is missing`, "properties: {engine"},
		"a reference to nothing":           {`"${db.url}"`, `"${cache.url}"`, inside + "spec.resources[1].properties.environment.DATABASE_URL", `"cache" is no resource of this Template; declared are db, app; what lies outside is given as a parameter`, "environment: {DATABASE_URL"},
		"a reference to what lies outside": {`"${db.url}"`, `"${backend.name}"`, inside + "spec.resources[1].properties.environment.DATABASE_URL", `"backend" is no resource of this Template`, "environment: {DATABASE_URL"},
		"a reference to no output":         {`"${db.url}"`, `"${db.link}"`, inside + "spec.resources[1].properties.environment.DATABASE_URL", `a Database has no output "link"`, "environment: {DATABASE_URL"},
		"an expression of wrong types":     {`upper(db.host)`, `db.port * 2`, inside + "spec.resources[1].properties.environment.HOST", "mismatched types text and number", "environment: {DATABASE_URL"},
		"a name that gets too long":        {"name: app\n", "name: " + strings.Repeat("a", 60) + "\n", inside + "spec.resources[1].name", `has 66 characters; at most 63 are accepted: shorten "users" or "aaa`, "- name: app"},
		"a name that is not fixed":         {"name: app\n", "name: ${param.image}\n", inside + "spec.resources[1].name", "has a fixed name", "- name: app"},
		"a name twice inside":              {"name: app\n", "name: db\n", inside + "spec.resources[1].name", `resource "db" is declared twice`, "- name: app"},
		"a name that is taken outside":     {"    - name: web\n", "    - {name: users-db, type: Network}\n    - name: web\n", "spec.resources[2].name", `resource "users-db" is declared twice`, "- name: web"},
		"a name twice outside":             {"name: web\n", "name: users\n", "spec.resources[1].name", `resource "users" is declared twice`, "- name: users"},
		"a file that nobody read":          {"        parameters: {image", "        file: api.yaml\n        parameters: {image", "spec.resources[1].properties.file", "files are read where the windlass command runs", "        parameters: {image"},
		"an Infrastructure":                {"          kind: Template", "          kind: Infrastructure", inside + "kind", `"Infrastructure" is not accepted; accepted is "Template"`, "          kind: Template"},
		"an output that is not there":      {"${users.url}", "${users.link}", "spec.resources[2].properties.environment.USERS", `${users.link}: Template "users" has no output "link"; it has name, replicas, url`, "environment: {USERS"},
		"an output declared twice":         {"{name: name, value", "{name: url, value", inside + "spec.outputs[1].name", `output "url" is declared twice`, "- {name: name, value"},
		"an output without a value":        {`- {name: name, value: "${app.name}"}`, "- {name: name}", inside + "spec.outputs[1]", `"value" is missing`, "- {name: name, value"},
		"a field that is unknown":          {"        parameters: {image", "        values: {a: b}\n        parameters: {image", "spec.resources[1].properties.values", "unknown field; accepted are file, parameters, template", "        parameters: {image"},
		"a dependency on itself":           {"dependsOn: [backend]", "dependsOn: [users]", inside + "spec.resources[0].dependsOn[0]", `"users-db" depends on itself`, "- name: db"},
		"a cycle by way of outputs":        {"image: \"users:1\"", "image: \"${web.name}\"", inside + "spec.resources[1].dependsOn", "the dependencies form a cycle: users-app -> web -> users-app", "dependsOn: [db]"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, shopDocument, test.old)
			_, err := Parse([]byte(strings.Replace(shopDocument, test.old, test.with, 1)), nil)
			var faults Faults
			require.ErrorAs(t, err, &faults)
			require.Equal(t, test.field, faults[0].Field, faults.Error())
			require.Contains(t, faults[0].Reason, test.reason)
			require.Equal(t, line(test.at), faults[0].Line, faults.Error())
		})
	}
}

func TestACommandKnowsWhereAResourceOfATemplateStands(t *testing.T) {
	data, err := json.Marshal(map[string]any{"document": shopDocument})
	require.NoError(t, err)
	tree, err := ParseTree(data)
	require.NoError(t, err)
	command, err := ParseCommand(CommandDeploymentRequested, tree)
	require.NoError(t, err)
	require.Equal(t, "users-app", command.Infrastructure.Spec.Resources[2].Name)
	require.Equal(t, "spec.resources[1].properties.template.spec.resources[1].properties.image", command.Field("spec.resources[2].properties.image"))
	require.Equal(t, 35, command.Place("spec.resources[2].properties.image").Line)
	require.Equal(t, "spec.resources[2].properties.image", command.Field("spec.resources[3].properties.image"))
	require.Equal(t, "spec.environment", command.Field("spec.environment"))
}

func TestOutputsThatReferToEachOtherInACircleAreRefused(t *testing.T) {
	template := `{apiVersion: windlass/v1, kind: Template, metadata: {name: t}, spec: {parameters: [{name: it, type: String}], outputs: [{name: it, value: "${param.it}"}], resources: []}}`
	text := "apiVersion: windlass/v1\nkind: Infrastructure\nmetadata: {name: ring}\nspec:\n  environment: a\n  resources:\n" +
		"    - {name: a, type: Template, properties: {parameters: {it: \"${b.it}\"}, template: " + template + "}}\n" +
		"    - {name: b, type: Template, properties: {parameters: {it: \"${a.it}\"}, template: " + template + "}}\n"
	_, err := Parse([]byte(text), nil)
	require.ErrorContains(t, err, `line 7, column 7: spec.resources[0]: the outputs of "a" refer to themselves, by way of the outputs of other Templates`)
	_, err = Parse([]byte(strings.Replace(text, `"${b.it}"`, `"c"`, 1)), nil)
	require.NoError(t, err)
}

func TestAnInfrastructureHasNoOutputs(t *testing.T) {
	_, err := Parse([]byte(strings.Replace(shopDocument, "  resources:\n", "  outputs: []\n  resources:\n", 1)), nil)
	require.ErrorContains(t, err, "spec.outputs: only a Template has outputs")
}

func TestTheParametersOfTheWholeDoNotReachIntoANestedTemplate(t *testing.T) {
	text := strings.Replace(shopDocument, "kind: Infrastructure", "kind: Template", 1)
	text = strings.Replace(text, "  environment: staging\n", "  environment: staging\n  parameters: [{name: image, type: String, default: outer}, {name: count, type: Number, default: 4}]\n", 1)
	text = strings.Replace(text, "replicas: 3}", "replicas: \"${param.count + 1}\"}", 1)
	document, err := Parse([]byte(text), nil)
	require.NoError(t, err)
	compute, err := Decode[Compute](*document.Resource("users-app"))
	require.NoError(t, err)
	require.Equal(t, "users:1", compute.Image)
	require.Equal(t, 5, *compute.Replicas)
}

func FuzzNestingNeverCrashes(f *testing.F) {
	f.Add([]byte(shopDocument))
	f.Add([]byte(deep(2)))
	f.Add([]byte("kind: Infrastructure\nspec: {resources: [{type: Template, properties: {template: {kind: Template}}}]}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, err := Parse(text, nil); err != nil {
			var faults Faults
			require.ErrorAs(t, err, &faults)
		}
	})
}
