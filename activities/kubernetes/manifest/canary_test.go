package manifest

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestACanaryHasNothingThatTheStablePodsUseOrAreFoundBy(t *testing.T) {
	d := one(t, "it", compute(`environment: {TOKEN: "${secret.TOKEN}"}`))
	options := Options{}
	stable, err := Objects(d, options, nil)
	require.NoError(t, err)
	canary, err := Canary(d, 3, options, nil)
	require.NoError(t, err)
	names := map[string]bool{}
	for _, o := range stable {
		names[o.GetKind()+" "+o.GetName()] = true
	}
	secrets := map[string]string{}
	for _, o := range canary {
		require.False(t, names[o.GetKind()+" "+o.GetName()], "%s %s is of the stable version", o.GetKind(), o.GetName())
		require.Equal(t, d.Target, TargetOf(o.GetLabels()))
		secrets[o.GetKind()] = o.GetName()
		if o.GetKind() != "Deployment" {
			continue
		}
		labels, _, _ := unstructured.NestedStringMap(o.Object, "spec", "template", "metadata", "labels")
		require.NotEqual(t, d.Resource, labels[LabelResource])
		require.Equal(t, d.Target, TargetOf(labels))
		replicas, _, _ := unstructured.NestedInt64(o.Object, "spec", "replicas")
		require.EqualValues(t, 3, replicas)
	}
	require.Len(t, canary, 2)
	for _, o := range canary {
		if o.GetKind() == "Deployment" {
			require.Contains(t, fmt.Sprint(o.Object["spec"]), "name:"+secrets["Secret"])
		}
	}
}
