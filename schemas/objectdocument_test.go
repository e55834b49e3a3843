package schemas

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestObjectsAreReadFromSeveralDocuments(t *testing.T) {
	text := `# what comes first
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---

---
{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"}, "spec": {"replicas": 3, "paused": false}}
---
apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: ConfigMap
    metadata: {name: settings}
    data: {port: "8080"}
  - apiVersion: example.com/v1
    kind: Menu
    metadata: {name: lunch}
    items: [soup]
`
	objects, err := ParseObjects([]byte(text))
	require.NoError(t, err)
	require.Len(t, objects, 4)
	require.JSONEq(t, `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","namespace":"shop"},"spec":{"replicas":3,"paused":false}}`, string(objects[1].Object))
	require.JSONEq(t, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings"},"data":{"port":"8080"}}`, string(objects[2].Object))
	for i := range objects {
		objects[i].Object = nil
	}
	require.Equal(t, []ObjectDocument{
		{APIVersion: "v1", Kind: "Namespace", Name: "shop", Line: 3},
		{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "web", Line: 9},
		{APIVersion: "v1", Kind: "ConfigMap", Name: "settings", Line: 14},
		{APIVersion: "example.com/v1", Kind: "Menu", Name: "lunch", Line: 18},
	}, objects)
	none, err := ParseObjects([]byte("# nothing\n---\n"))
	require.NoError(t, err)
	require.Empty(t, none)
}

func TestWhatIsNoObjectIsRefusedWithItsPlace(t *testing.T) {
	const head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\n"
	for name, c := range map[string]struct{ text, fault string }{
		"no YAML":              {head + "kind: [", "line 5: is not valid YAML: did not find expected node content"},
		"a list":               {head + "- a\n", "line 5, column 1: an object of the Kubernetes API is expected"},
		"no kind":              {head + "apiVersion: v1\nmetadata: {name: b}\n", `line 5, column 1: "kind" is missing, without which nobody knows which object this is`},
		"no name":              {head + "apiVersion: v1\nkind: Pod\nmetadata: {generateName: b-}\n", `line 5, column 1: "metadata.name" is missing, without which nobody knows which object this is`},
		"a name that is none":  {head + "apiVersion: v1\nkind: Pod\nmetadata:\n  name: 7\n", "line 8, column 3: metadata.name: text is expected"},
		"a key twice":          {head + "apiVersion: v1\nkind: Pod\nkind: Job\n", `line 7, column 1: kind: "kind" is given twice`},
		"nothing in a list":    {"kind: List\nitems:\n  - {apiVersion: v1, kind: Pod}\n", `line 3, column 5: items[0]: "metadata.name" is missing, without which nobody knows which object this is`},
		"metadata that is not": {"apiVersion: v1\nkind: Pod\nmetadata: here\n", `line 1, column 1: "metadata.name" is missing, without which nobody knows which object this is`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseObjects([]byte(c.text))
			var faults Faults
			require.ErrorAs(t, err, &faults)
			require.EqualError(t, err, c.fault)
		})
	}
}

func TestWhatOthersNeedComesFirst(t *testing.T) {
	order := []string{"CustomResourceDefinition", "ConfigMap", "RoleBinding", "Deployment", "ValidatingWebhookConfiguration"}
	for i := range order[1:] {
		require.Less(t, ObjectRank(order[i]), ObjectRank(order[i+1]))
	}
	require.Zero(t, ObjectRank("Namespace"))
	require.Equal(t, ObjectRank("Deployment"), ObjectRank("Menu"), "kinds that nobody knows are like any other")
}

func TestASubjectOfObjectsNamesProviderAndVerb(t *testing.T) {
	subject := ObjectSubject("prod-eu", ObjectApply)
	require.Equal(t, "windlass.objects.prod-eu.apply", subject)
	provider, verb := ParseObjectSubject(subject)
	require.Equal(t, "prod-eu", provider)
	require.Equal(t, ObjectApply, verb)
}
