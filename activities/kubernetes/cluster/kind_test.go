package cluster

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"windlass/activities"
)

func TestKindsAsPeopleCallThem(t *testing.T) {
	t.Parallel()
	c := administrator(t)
	deployment := schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}
	for word, want := range map[string]schema.GroupVersionKind{
		"Deployment": deployment, "deployment": deployment, "deployments": deployment, "deploy": deployment,
		"deployments.apps": deployment, "deployments.v1.apps": deployment,
		"po": podKind, "cm": configMap, "ns": schema.GroupVersionKind{Version: "v1", Kind: "Namespace"},
		"ingresses.networking.k8s.io": {Group: "networking.k8s.io", Version: "v1", Kind: "Ingress"},
		"hpa":                         {Group: "autoscaling", Version: "v2", Kind: "HorizontalPodAutoscaler"},
	} {
		found, err := c.KindOf(t.Context(), word)
		require.NoError(t, err, word)
		require.Equal(t, want, found, word)
	}
	for _, word := range []string{"parcels", "deployments.shop", ""} {
		_, err := c.KindOf(t.Context(), word)
		requireFaultOf(t, err, activities.Invalid)
	}
}

func TestKindsThatAreInstalledMeanwhile(t *testing.T) {
	t.Parallel()
	c, namespace := administrator(t), shared.Namespace(t)
	cart := schema.GroupVersionKind{Group: "shop.example.test", Version: "v1", Kind: "Cart"}
	o := parsed(t, namespace, `{apiVersion: shop.example.test/v1, kind: Cart, metadata: {name: one}, spec: {items: 3}}`)
	served, err := c.Serves(t.Context(), cart)
	require.NoError(t, err)
	require.False(t, served)
	_, err = c.KindOf(t.Context(), "carts")
	requireFaultOf(t, err, activities.Invalid)

	definition := parsed(t, "", `{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: carts.shop.example.test}, spec: {
		group: shop.example.test, scope: Namespaced, names: {kind: Cart, plural: carts, singular: cart, shortNames: [ct]}, versions: [{name: v1, served: true, storage: true,
		schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {items: {type: integer}}}}}}}]}}`)
	require.Equal(t, "the server does not serve the kind Cart of shop.example.test/v1 yet", c.Unserved(t.Context(), definition))
	_, err = c.Apply(t.Context(), definition, ApplyOptions{})
	require.NoError(t, err)
	awaitReady(t, c, ReferenceOf(definition))
	require.Eventually(t, func() bool { return c.Unserved(t.Context(), definition) == "" }, time.Minute, 20*time.Millisecond)
	_, err = c.Apply(t.Context(), o, ApplyOptions{})
	require.NoError(t, err, "its kind is used at once")
	requireSays(t, o.Object, get(t, c, ReferenceOf(o)).Object, "found")
	for _, word := range []string{"ct", "cart", "Cart", "carts.shop.example.test"} {
		found, err := c.KindOf(t.Context(), word)
		require.NoError(t, err, word)
		require.Equal(t, cart, found)
	}

	require.NoError(t, c.Delete(t.Context(), ReferenceOf(definition), DeleteOptions{}))
	require.NoError(t, c.AwaitGone(t.Context(), ReferenceOf(definition), func(*unstructured.Unstructured) {}))
	_, err = c.Get(t.Context(), ReferenceOf(o))
	requireFaultOf(t, err, activities.NotFound)
	require.Eventually(t, func() bool {
		c.Rediscover()
		served, err := c.Serves(t.Context(), cart)
		return err == nil && !served
	}, time.Minute, 20*time.Millisecond)
}
