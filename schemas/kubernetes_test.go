package schemas

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAnObjectOfKubernetesSaysWhatItIs(t *testing.T) {
	tests := map[string]struct{ properties, want string }{
		"an object":          {"{object: {apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {level: debug}}}", ""},
		"manifests":          {`{manifests: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n", force: true, namespace: shop}`, ""},
		"a second document":  {`{manifests: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n---\nkind: ConfigMap\nmetadata: {name: settings}\n"}`, `properties.manifests: line 5 of the text: "apiVersion" is missing`},
		"no document":        {`{manifests: "---\n"}`, "properties.manifests: holds no object"},
		"neither":            {"{namespace: shop}", "properties: exactly one of object and manifests is expected"},
		"both":               {"{object: {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}, manifests: a}", "exactly one of object and manifests"},
		"without a kind":     {"{object: {apiVersion: v1, metadata: {name: settings}}}", `properties.object: "kind" is missing`},
		"without a version":  {"{object: {kind: ConfigMap, metadata: {name: settings}}}", `properties.object: "apiVersion" is missing`},
		"without a name":     {"{object: {apiVersion: v1, kind: ConfigMap}}", `properties.object: "metadata.name" is missing`},
		"with another field": {"{objects: []}", "unknown field; accepted are force, manifests, namespace, object"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(inOneResource("Kubernetes", test.properties)), nil)
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.want)
		})
	}
}
