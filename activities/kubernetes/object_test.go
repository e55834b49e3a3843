package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

// fiveKinds are objects of five kinds with many of their fields, and one field of each to
// be changed.
var fiveKinds = map[string]struct{ object, from, to string }{
	"Pod": {`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"one","labels":{"app":"one"},"annotations":{"note":"a: b"}},
		"spec":{"containers":[{"name":"main","image":"a/one:1","command":["/one"],"args":["-v"],"env":[{"name":"PORT","value":"8080"},{"name":"TOKEN","valueFrom":{"secretKeyRef":{"name":"secret","key":"token"}}}],
		"ports":[{"containerPort":8080,"protocol":"TCP"}],"resources":{"requests":{"cpu":"50m","memory":"16Mi"},"limits":{"memory":"64Mi"}},
		"readinessProbe":{"httpGet":{"path":"/healthz","port":8080,"scheme":"HTTP"},"timeoutSeconds":1,"periodSeconds":2,"successThreshold":1,"failureThreshold":3},
		"volumeMounts":[{"name":"data","mountPath":"/data"}],"securityContext":{"runAsNonRoot":true,"readOnlyRootFilesystem":true}}],
		"volumes":[{"name":"data","emptyDir":{}}],"terminationGracePeriodSeconds":5,"restartPolicy":"Always"}}`, `"a/one:1"`, `"a/one:2"`},
	"Service": {`{"apiVersion":"v1","kind":"Service","metadata":{"name":"svc"},"spec":{"selector":{"app":"one"},"type":"ClusterIP","sessionAffinity":"ClientIP",
		"ports":[{"name":"http","port":80,"targetPort":8080,"protocol":"TCP"},{"name":"admin","port":81,"targetPort":"admin","protocol":"TCP"}]}}`, `"port":81`, `"port":82`},
	"Deployment": {`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{"replicas":2,"selector":{"matchLabels":{"app":"web"}},"minReadySeconds":1,"revisionHistoryLimit":3,"progressDeadlineSeconds":60,
		"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxSurge":1,"maxUnavailable":0}},
		"template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"main","image":"a/web:1"}]}}}}`, `"replicas":2`, `"replicas":3`},
	"ConfigMap": {`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings"},"data":{"a":"1","text":"x\ny\n"},"binaryData":{"b":"AAE="}}`, `"a":"1"`, `"a":"2"`},
	"Secret":    {`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"secret"},"type":"Opaque","data":{"token":"aHVudGVyMg=="}}`, `"aHVudGVyMg=="`, `"aHVudGVyMw=="`},
}

// requireSays fails unless an object says everything that is wanted, whatever else it says.
func requireSays(t *testing.T, want string, found json.RawMessage) {
	t.Helper()
	var wanted, there any
	require.NoError(t, json.Unmarshal([]byte(want), &wanted))
	require.NoError(t, json.Unmarshal(found, &there))
	require.Empty(t, unsaid("", wanted, there))
}

func unsaid(path string, wanted, there any) []string {
	var all []string
	switch w := wanted.(type) {
	case map[string]any:
		t, _ := there.(map[string]any)
		for name, value := range w {
			all = append(all, unsaid(path+"."+name, value, t[name])...)
		}
	case []any:
		t, _ := there.([]any)
		for i, value := range w {
			if i >= len(t) {
				return append(all, fmt.Sprintf("%s[%d] is missing", path, i))
			}
			all = append(all, unsaid(fmt.Sprintf("%s[%d]", path, i), value, t[i])...)
		}
	default:
		if wanted != there {
			all = append(all, fmt.Sprintf("%s is %v, not %v", path, there, wanted))
		}
	}
	return all
}

func TestObjectsOfFiveKindsAreCreatedReadUpdatedListedAndDeleted(t *testing.T) {
	w := newWorldWith(t, kubeconfigOf(t, asOperator))
	namespace := shared.Namespace(t)
	for kind, c := range fiveKinds {
		t.Run(kind, func(t *testing.T) {
			p, ctx := w.provider, t.Context()
			var head struct{ Metadata struct{ Name string } }
			require.NoError(t, json.Unmarshal([]byte(c.object), &head))
			reference := schemas.ObjectReference{Kind: kind, Namespace: namespace, Name: head.Metadata.Name}
			write := func(object string) schemas.ObjectWriteRequest {
				return schemas.ObjectWriteRequest{Object: json.RawMessage(object), Namespace: namespace}
			}
			_, err := p.UpdateObject(ctx, write(c.object))
			require.True(t, activities.IsKind(err, activities.NotFound), "%v", err)
			dry := write(c.object)
			dry.DryRun = true
			answer, err := p.CreateObject(ctx, dry)
			require.NoError(t, err)
			require.Equal(t, schemas.ObjectCreated, answer.Outcome)
			_, err = p.GetObject(ctx, reference)
			require.True(t, activities.IsKind(err, activities.NotFound), "%v", err)

			answer, err = p.CreateObject(ctx, write(c.object))
			require.NoError(t, err)
			require.Equal(t, schemas.ObjectCreated, answer.Outcome)
			_, err = p.CreateObject(ctx, write(c.object))
			require.True(t, activities.IsKind(err, activities.Conflict), "%v", err)
			answer, err = p.GetObject(ctx, reference)
			require.NoError(t, err)
			requireSays(t, c.object, answer.Object)

			// As it was read, with one field changed.
			changed := strings.Replace(string(answer.Object), c.from, c.to, 1)
			require.NotEqual(t, string(answer.Object), changed)
			require.Eventually(t, func() bool { // controllers write there too
				now, err := p.GetObject(ctx, reference)
				require.NoError(t, err)
				answer, err = p.UpdateObject(ctx, write(strings.Replace(string(now.Object), c.from, c.to, 1)))
				if activities.IsKind(err, activities.Conflict) {
					return false
				}
				require.NoError(t, err)
				return true
			}, time.Minute, 10*time.Millisecond)
			require.Equal(t, schemas.ObjectUpdated, answer.Outcome)
			requireSays(t, strings.Replace(c.object, c.from, c.to, 1), answer.Object)

			list, err := p.ListObjects(ctx, schemas.ObjectListRequest{Kind: strings.ToLower(kind) + "s", Namespace: namespace})
			require.NoError(t, err)
			names := map[string]schemas.ObjectSummary{}
			for _, o := range list.Objects {
				require.Equal(t, kind, o.Kind)
				require.Equal(t, namespace, o.Namespace)
				names[o.Name] = o
			}
			require.Contains(t, names, reference.Name)
			require.WithinDuration(t, time.Now(), names[reference.Name].Created, 10*time.Minute)

			answer, err = p.DeleteObject(ctx, schemas.ObjectDeleteRequest{ObjectReference: reference, DryRun: true})
			require.NoError(t, err)
			require.Equal(t, schemas.ObjectDeleted, answer.Outcome)
			_, err = p.GetObject(ctx, reference)
			require.NoError(t, err, "nothing was deleted yet")
			answer, err = p.DeleteObject(ctx, schemas.ObjectDeleteRequest{ObjectReference: reference})
			require.NoError(t, err)
			require.Contains(t, []schemas.ObjectOutcome{schemas.ObjectDeleted, schemas.ObjectDeleting}, answer.Outcome)
			require.Eventually(t, func() bool {
				_, err := p.GetObject(ctx, reference)
				return activities.IsKind(err, activities.NotFound)
			}, time.Minute, 50*time.Millisecond)
		})
	}
}

func TestWhatIsAppliedByHandIsCreatedUpdatedOrUnchanged(t *testing.T) {
	w := newWorldWith(t, kubeconfigOf(t, asOperator))
	namespace := shared.Namespace(t)
	apply := func(object string, change func(*schemas.ObjectWriteRequest)) (schemas.ObjectAnswer, error) {
		request := schemas.ObjectWriteRequest{Object: json.RawMessage(object), Namespace: namespace}
		if change != nil {
			change(&request)
		}
		return w.provider.ApplyObject(t.Context(), request)
	}
	dryRun := func(r *schemas.ObjectWriteRequest) { r.DryRun = true }
	const one, two = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"a":"1"}}`, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"a":"2"}}`
	for _, step := range []struct {
		object string
		change func(*schemas.ObjectWriteRequest)
		want   schemas.ObjectOutcome
	}{
		{one, dryRun, schemas.ObjectCreated}, {one, nil, schemas.ObjectCreated}, {one, nil, schemas.ObjectUnchanged}, {one, dryRun, schemas.ObjectUnchanged},
		{two, dryRun, schemas.ObjectUpdated}, {two, nil, schemas.ObjectUpdated}, {two, nil, schemas.ObjectUnchanged},
	} {
		answer, err := apply(step.object, step.change)
		require.NoError(t, err)
		require.Equal(t, step.want, answer.Outcome)
		require.True(t, answer.Ready)
	}

	// Owning what is there already changes nothing that anybody could see.
	const other = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"d"},"data":{"a":"1"}}`
	_, err := w.provider.CreateObject(t.Context(), schemas.ObjectWriteRequest{Object: json.RawMessage(other), Namespace: namespace})
	require.NoError(t, err)
	answer, err := apply(other, nil)
	require.NoError(t, err)
	require.Equal(t, schemas.ObjectUnchanged, answer.Outcome)

	// Fields of another manager are taken by force only.
	const path = "/api/v1/namespaces/%s/configmaps/c?fieldManager=somebody"
	w.patch(fmt.Sprintf(path, namespace), map[string]any{"data": map[string]any{"a": "3"}})
	_, err = apply(two, nil)
	require.True(t, activities.IsKind(err, activities.Conflict), "%v", err)
	require.ErrorContains(t, err, ".data.a")
	answer, err = apply(two, func(r *schemas.ObjectWriteRequest) { r.Force = true })
	require.NoError(t, err)
	requireSays(t, two, answer.Object)
}

func TestWhatBelongsToAnInfrastructureIsChangedByForceOnly(t *testing.T) {
	w := newWorldWith(t, kubeconfigOf(t, asOperator))
	w.mustDeploy(w.document(`{name: settings, type: Kubernetes, properties: {object: {apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {a: "1"}}}}`))
	p, ctx, namespace := w.provider, t.Context(), w.namespace("")
	reference := schemas.ObjectReference{Kind: "cm", Namespace: namespace, Name: "settings"}
	write := schemas.ObjectWriteRequest{Object: json.RawMessage(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings"},"data":{"a":"2"}}`), Namespace: namespace}
	refusals := map[string]func() error{
		"apply":  func() error { _, err := p.ApplyObject(ctx, write); return err },
		"update": func() error { _, err := p.UpdateObject(ctx, write); return err },
		"delete": func() error {
			_, err := p.DeleteObject(ctx, schemas.ObjectDeleteRequest{ObjectReference: reference})
			return err
		},
		"create": func() error {
			found, err := p.GetObject(ctx, reference)
			require.NoError(t, err)
			_, err = p.CreateObject(ctx, schemas.ObjectWriteRequest{Object: found.Object})
			return err
		},
	}
	for verb, refused := range refusals {
		err := refused()
		require.True(t, activities.IsKind(err, activities.Conflict), verb)
		require.EqualError(t, err, fmt.Sprintf(`ConfigMap "settings" of namespace "%s" belongs to resource settings of %s; change its document, or force it, which is found as drift`, namespace, w.scope), verb)
	}
	write.Force = true
	answer, err := p.ApplyObject(ctx, write)
	require.NoError(t, err)
	require.Equal(t, schemas.ObjectUpdated, answer.Outcome)
	require.NotEmpty(t, moves(w.plan(ctx, w.document(`{name: settings, type: Kubernetes, properties: {object: {apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {a: "1"}}}}`))), "what was forced is drift")
	_, err = p.DeleteObject(ctx, schemas.ObjectDeleteRequest{ObjectReference: reference, Force: true})
	require.NoError(t, err)
}

func TestObjectsAreListedInPages(t *testing.T) {
	w := newWorldWith(t, kubeconfigOf(t, asOperator))
	namespace := shared.Namespace(t)
	for i := range 5 {
		_, err := w.provider.CreateObject(t.Context(), schemas.ObjectWriteRequest{Namespace: namespace, Object: json.RawMessage(
			fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c%d","labels":{"even":"%t"}}}`, i, i%2 == 0))})
		require.NoError(t, err)
	}
	request := schemas.ObjectListRequest{Kind: "cm", Namespace: namespace, Selector: "even", Limit: 2}
	var names []string
	pages := 0
	for more := true; more; more = request.Continue != "" {
		answer, err := w.provider.ListObjects(t.Context(), request)
		require.NoError(t, err)
		require.LessOrEqual(t, len(answer.Objects), 2)
		for _, o := range answer.Objects {
			names = append(names, o.Name)
		}
		request.Continue = answer.Continue
		pages++
	}
	require.Equal(t, []string{"c0", "c1", "c2", "c3", "c4"}, names)
	require.Equal(t, 3, pages)
	answer, err := w.provider.ListObjects(t.Context(), schemas.ObjectListRequest{Kind: "cm", Namespace: namespace, Selector: "even=true", Limit: 500})
	require.NoError(t, err)
	require.Len(t, answer.Objects, 3)
	_, err = w.provider.ListObjects(t.Context(), schemas.ObjectListRequest{Kind: "cm", Selector: "even in (", Limit: 500})
	require.True(t, activities.IsKind(err, activities.Invalid), "%v", err)
}

func TestAKindIsKnownByEveryNameOfIt(t *testing.T) {
	w := newWorldWith(t, kubeconfigOf(t, asOperator))
	for word, want := range map[string]string{
		"Deployment": "apps/v1, Kind=Deployment", "deployments": "apps/v1, Kind=Deployment", "deployment": "apps/v1, Kind=Deployment", "deploy": "apps/v1, Kind=Deployment",
		"deployments.apps": "apps/v1, Kind=Deployment", "Deployment.v1.apps": "apps/v1, Kind=Deployment", "ns": "/v1, Kind=Namespace", "po": "/v1, Kind=Pod",
		"netpol": "networking.k8s.io/v1, Kind=NetworkPolicy", "customresourcedefinitions.apiextensions.k8s.io": "apiextensions.k8s.io/v1, Kind=CustomResourceDefinition", "crd": "apiextensions.k8s.io/v1, Kind=CustomResourceDefinition",
	} {
		kind, err := w.provider.client.KindOf(t.Context(), word)
		require.NoError(t, err, word)
		require.Equal(t, want, kind.String(), word)
	}
	for _, word := range []string{"menus", "deployments.menu"} {
		_, err := w.provider.client.KindOf(t.Context(), word)
		require.True(t, activities.IsKind(err, activities.Invalid), "%q: %v", word, err)
		require.ErrorContains(t, err, fmt.Sprintf("has no kind that is called %q", word))
	}
	_, err := w.provider.client.KindOf(t.Context(), "")
	require.EqualError(t, err, "kind: is empty; name a kind, such as Deployment")
}

func TestAnObjectOfAKindThatCameWithItIsApplied(t *testing.T) {
	w := newWorldWith(t, shared.Cluster(t).Kubeconfig())
	namespace := shared.Namespace(t)
	const definition = `{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"dishes.kitchen.example"},
		"spec":{"group":"kitchen.example","scope":"Namespaced","names":{"plural":"dishes","singular":"dish","kind":"Dish","shortNames":["di"]},
		"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}]}}`
	dish := json.RawMessage(`{"apiVersion":"kitchen.example/v1","kind":"Dish","metadata":{"name":"soup"},"spec":{"hot":true}}`)
	p := w.provider
	_, err := p.ApplyObject(t.Context(), schemas.ObjectWriteRequest{Object: dish, Namespace: namespace})
	require.True(t, activities.IsKind(err, activities.Invalid), "%v", err)
	established := &unstructured.Unstructured{}
	require.NoError(t, established.UnmarshalJSON([]byte(strings.TrimSuffix(definition, "}")+`,"status":{"conditions":[{"type":"Established","status":"True"}]}}`)))
	require.Equal(t, schemas.ObjectCondition{Waits: "the server does not serve the kind Dish of kitchen.example/v1 yet"}, p.conditionOf(t.Context(), established))
	answer, err := p.ApplyObject(t.Context(), schemas.ObjectWriteRequest{Object: json.RawMessage(definition)})
	require.NoError(t, err)
	crd := schemas.ObjectReference{Kind: "crd", Name: "dishes.kitchen.example"}
	t.Cleanup(func() {
		_, err := p.DeleteObject(context.WithoutCancel(t.Context()), schemas.ObjectDeleteRequest{ObjectReference: crd})
		require.NoError(t, err)
	})
	require.Eventually(t, func() bool {
		answer, err = p.GetObject(t.Context(), crd)
		require.NoError(t, err)
		return answer.Ready
	}, time.Minute, 50*time.Millisecond)
	for _, want := range []schemas.ObjectOutcome{schemas.ObjectCreated, schemas.ObjectUnchanged} {
		answer, err = p.ApplyObject(t.Context(), schemas.ObjectWriteRequest{Object: dish, Namespace: namespace})
		require.NoError(t, err)
		require.Equal(t, want, answer.Outcome)
	}
	answer, err = p.UpdateObject(t.Context(), schemas.ObjectWriteRequest{Object: json.RawMessage(strings.Replace(string(dish), "true", "false", 1)), Namespace: namespace})
	require.NoError(t, err, "a kind of which the server wants to know the version")
	require.Equal(t, schemas.ObjectUpdated, answer.Outcome)
	list, err := p.ListObjects(t.Context(), schemas.ObjectListRequest{Kind: "di", Limit: 10})
	require.NoError(t, err)
	require.Len(t, list.Objects, 1)
}

func TestARefusalOfTheServerNamesItsCauses(t *testing.T) {
	w := newWorldWith(t, kubeconfigOf(t, asOperator))
	namespace := shared.Namespace(t)
	p := w.provider
	for name, c := range map[string]struct {
		object, message string
		kind            activities.FaultKind
	}{
		"an invalid object":     {`{"apiVersion":"v1","kind":"Service","metadata":{"name":"s"},"spec":{"ports":[{"port":0}]}}`, "spec.ports[0].port", activities.Invalid},
		"a field that is none":  {`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"s"},"spec":{"replikas":1}}`, "replikas", activities.Invalid},
		"no such namespace":     {`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c","namespace":"nowhere"}}`, `namespaces "nowhere" not found`, activities.NotFound},
		"an unknown kind":       {`{"apiVersion":"v1","kind":"Menu","metadata":{"name":"c"}}`, "does not serve the kind Menu of v1", activities.Invalid},
		"no object":             {`{"metadata":{"name":"c"}}`, "object: ", activities.Invalid},
		"brackets for a secret": {`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"},"data":{"a":"[redacted]"}}`, "illegal base64", activities.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := p.ApplyObject(t.Context(), schemas.ObjectWriteRequest{Object: json.RawMessage(c.object), Namespace: namespace})
			require.ErrorContains(t, err, c.message)
			require.True(t, activities.IsKind(err, c.kind), "%v", err)
		})
	}
	_, err := p.GetObject(t.Context(), schemas.ObjectReference{Kind: "cm", Name: "nothing"})
	require.EqualError(t, err, `the cluster of provider "docker" has no ConfigMap "nothing" of namespace "default"; see: windlass kubernetes list cm`)
	_, err = p.DeleteObject(t.Context(), schemas.ObjectDeleteRequest{ObjectReference: schemas.ObjectReference{Kind: "ns", Name: namespace}, Cascade: "some"})
	require.EqualError(t, err, `cascade: "some" is not accepted; accepted are background, foreground and orphan`)
}

func TestObjectsOfOneResourceAreRemovedRankByRank(t *testing.T) {
	t.Parallel()
	w := newWorldWith(t, kubeconfigOf(t, asOperator))
	document := func(kind, name, rest string) string {
		return fmt.Sprintf(`{apiVersion: v1, kind: %s, metadata: {name: %s%s}}`, kind, name, rest)
	}
	inside := ", namespace: " + w.scope.Infrastructure + "-own"
	w.mustDeploy(w.document(`{name: all, type: Kubernetes, properties: {manifests: "` + strings.Join([]string{
		document("Pod", "first", inside+`}, spec: {containers: [{name: a, image: a}]`),
		document("ConfigMap", "settings", inside),
		document("Pod", "second", inside+`}, spec: {containers: [{name: a, image: a}]`),
		document("Namespace", w.scope.Infrastructure+"-own", ""),
	}, `\n---\n`) + `"}}`))
	var said []string
	target := plan.Target{Scope: w.scope, Resource: "all", Type: schemas.TypeKubernetes, Provider: "docker"}
	require.NoError(t, w.provider.Delete(t.Context(), target, func(text string) {
		if strings.HasPrefix(text, "removing ") {
			said = append(said, text)
		}
	}))
	require.Equal(t, []string{"removing Pod second", "removing Pod first", "removing ConfigMap settings", "removing Namespace " + w.scope.Infrastructure + "-own", "removing ConfigMap windlass-objects-of-all"}, said)
}
