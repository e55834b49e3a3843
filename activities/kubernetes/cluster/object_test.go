package cluster

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"windlass/activities"
)

const (
	aPod = `
apiVersion: v1
kind: Pod
metadata: {name: one, labels: {app: web}, annotations: {note: "a: b"}}
spec:
  serviceAccountName: default
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 7
  priority: 0
  nodeSelector: {kubernetes.io/os: linux}
  tolerations:
  - {key: spot, operator: Exists, effect: NoSchedule}
  - {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 60}
  - {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 60}
  securityContext: {runAsUser: 1000, fsGroup: 2000, seccompProfile: {type: RuntimeDefault}}
  initContainers: [{name: first, image: "a/first:1", command: [run, "--once"]}]
  containers:
  - name: web
    image: a/web:1
    args: ["--port", "8080"]
    env: [{name: LEVEL, value: debug}, {name: KEY, valueFrom: {secretKeyRef: {name: keys, key: one, optional: true}}}]
    ports: [{name: http, containerPort: 8080, protocol: TCP}]
    resources: {requests: {cpu: 100m, memory: 64Mi}, limits: {memory: 128Mi}}
    readinessProbe: {httpGet: {path: /ready, port: http, scheme: HTTP}, periodSeconds: 3, failureThreshold: 4}
    lifecycle: {preStop: {exec: {command: [sleep, "1"]}}}
    volumeMounts: [{name: scratch, mountPath: /tmp}, {name: settings, mountPath: /etc/web, readOnly: true}]
  volumes: [{name: scratch, emptyDir: {sizeLimit: 1Gi}}, {name: settings, configMap: {name: web, optional: true, items: [{key: a, path: b}]}}]
`
	aService = `
apiVersion: v1
kind: Service
metadata: {name: one, labels: {app: web}}
spec:
  type: NodePort
  selector: {app: web}
  sessionAffinity: ClientIP
  sessionAffinityConfig: {clientIP: {timeoutSeconds: 600}}
  externalTrafficPolicy: Local
  publishNotReadyAddresses: true
  ports: [{name: http, port: 80, targetPort: http, protocol: TCP}, {name: dns, port: 53, targetPort: 5353, protocol: UDP}]
`
	aDeployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: one}
spec:
  replicas: 2
  minReadySeconds: 1
  revisionHistoryLimit: 3
  progressDeadlineSeconds: 90
  strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 50%, maxUnavailable: 1}}
  selector: {matchLabels: {app: web}, matchExpressions: [{key: tier, operator: In, values: [front]}]}
  template:
    metadata: {labels: {app: web, tier: front}}
    spec: {containers: [{name: web, image: "a/web:1", imagePullPolicy: Always}]}
`
	aConfigMap = `
apiVersion: v1
kind: ConfigMap
metadata: {name: one}
data: {level: debug, "file.yaml": "a: 1\nb: [2]\n", empty: ""}
binaryData: {picture: iVBORw0KGgo=}
`
	aSecret = `
apiVersion: v1
kind: Secret
metadata: {name: one}
type: kubernetes.io/basic-auth
data: {username: YW5u, password: c2VjcmV0}
immutable: false
`
)

func TestObjectsAreReadBackAsTheyWereMade(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		text string
		// change is what an update makes of a field that can be changed.
		field  []string
		change any
	}{
		"a Pod":        {aPod, []string{"metadata", "labels", "app"}, "other"},
		"a Service":    {aService, []string{"spec", "selector", "app"}, "other"},
		"a Deployment": {aDeployment, []string{"spec", "replicas"}, int64(5)},
		"a ConfigMap":  {aConfigMap, []string{"data", "level"}, "info"},
		"a Secret":     {aSecret, []string{"data", "password"}, "b3RoZXI="},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, want := administrator(t), parsed(t, shared.Namespace(t), test.text)
			r := ReferenceOf(want)
			_, err := c.Get(t.Context(), r)
			requireFaultOf(t, err, activities.NotFound)

			made, err := c.Create(t.Context(), want)
			require.NoError(t, err)
			requireSays(t, want.Object, made.Object, "made")
			_, err = c.Create(t.Context(), want)
			require.ErrorContains(t, requireFaultOf(t, err, activities.Conflict), `"one" already exists`)

			found, err := c.Get(t.Context(), r)
			require.NoError(t, err)
			requireSays(t, want.Object, found.Object, "found")
			require.Equal(t, made.GetUID(), found.GetUID())

			require.NoError(t, unstructured.SetNestedField(want.Object, test.change, test.field...))
			awaitReady(t, c, r)
			var updated *unstructured.Unstructured
			eventually(t, func() error { // controllers may write in between
				found := get(t, c, r)
				require.NoError(t, unstructured.SetNestedField(found.Object, test.change, test.field...))
				updated, err = c.Update(t.Context(), found)
				return err
			})
			requireSays(t, want.Object, updated.Object, "updated")

			names := map[string]string{}
			version, err := c.List(t.Context(), ListOptions{Kind: r.GroupVersionKind, Namespace: r.Namespace}, func(o *unstructured.Unstructured) error {
				names[o.GetName()] = o.GetKind()
				return nil
			})
			require.NoError(t, err)
			require.NotEmpty(t, version)
			require.Equal(t, want.GetKind(), names["one"])

			require.NoError(t, c.Delete(t.Context(), r, DeleteOptions{}))
			require.NoError(t, c.AwaitGone(t.Context(), r, func(*unstructured.Unstructured) {}))
			require.NoError(t, c.Delete(t.Context(), r, DeleteOptions{}), "what is gone can be deleted")
		})
	}
}

func get(t *testing.T, c *Client, r Reference) *unstructured.Unstructured {
	t.Helper()
	o, err := c.Get(t.Context(), r)
	require.NoError(t, err)
	return o
}

func TestObjectsOutsideOfNamespaces(t *testing.T) {
	t.Parallel()
	c := administrator(t)
	class := parsed(t, "", `{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: urgent}, value: 1000, description: what cannot wait}`)
	_, err := c.Create(t.Context(), class)
	require.NoError(t, err)
	requireSays(t, class.Object, get(t, c, ReferenceOf(class)).Object, "found")
	namespaced, err := c.Namespaced(t.Context(), class.GroupVersionKind())
	require.NoError(t, err)
	require.False(t, namespaced)
	require.NoError(t, c.Delete(t.Context(), ReferenceOf(class), DeleteOptions{}))
	_, err = c.Get(t.Context(), ReferenceOf(class))
	require.ErrorContains(t, requireFaultOf(t, err, activities.NotFound), `read PriorityClass "urgent"`)
}

func TestApplyingRemovesWhatIsNotSaidAnyMore(t *testing.T) {
	t.Parallel()
	c, namespace := administrator(t), shared.Namespace(t)
	o := parsed(t, namespace, `{apiVersion: v1, kind: ConfigMap, metadata: {name: one}, data: {a: "1", b: "2"}}`)
	_, err := c.Apply(t.Context(), o, ApplyOptions{})
	require.NoError(t, err)
	_, err = c.With(WriteOptions{Manager: "other"}).Apply(t.Context(), parsed(t, namespace, `{apiVersion: v1, kind: ConfigMap, metadata: {name: one}, data: {c: "3"}}`), ApplyOptions{})
	require.NoError(t, err)
	unstructured.RemoveNestedField(o.Object, "data", "b")
	made, err := c.Apply(t.Context(), o, ApplyOptions{})
	require.NoError(t, err)
	require.Equal(t, map[string]any{"a": "1", "c": "3"}, made.Object["data"])
}

func TestAnUpdateOfAnOlderVersionIsAConflict(t *testing.T) {
	t.Parallel()
	c, o := administrator(t), settings(t, shared.Namespace(t), "one", "a")
	old, err := c.Create(t.Context(), o)
	require.NoError(t, err)
	_, err = c.Update(t.Context(), settings(t, o.GetNamespace(), "one", "b"))
	require.NoError(t, err)
	_, err = c.Update(t.Context(), old)
	require.ErrorContains(t, requireFaultOf(t, err, activities.Conflict), "the object has been modified")
	requireSays(t, map[string]any{"value": "b"}, get(t, c, ReferenceOf(o)).Object["data"], "data")
}

func TestADryRunChangesNothing(t *testing.T) {
	t.Parallel()
	c, namespace := administrator(t), shared.Namespace(t)
	try := c.With(WriteOptions{DryRun: true})
	o, changed := settings(t, namespace, "one", "a"), settings(t, namespace, "one", "b")
	r := ReferenceOf(o)

	made, err := try.Create(t.Context(), o)
	require.NoError(t, err)
	requireSays(t, o.Object, made.Object, "made")
	_, err = try.Apply(t.Context(), o, ApplyOptions{})
	require.NoError(t, err)
	_, err = c.Apply(t.Context(), o, ApplyOptions{DryRun: true})
	require.NoError(t, err)
	_, err = c.Get(t.Context(), r)
	requireFaultOf(t, err, activities.NotFound)

	_, err = c.Create(t.Context(), o)
	require.NoError(t, err)
	made, err = try.Update(t.Context(), changed)
	require.NoError(t, err)
	requireSays(t, changed.Object, made.Object, "updated")
	_, err = c.Apply(t.Context(), changed, ApplyOptions{DryRun: true, Force: true})
	require.NoError(t, err)
	require.NoError(t, try.Delete(t.Context(), r, DeleteOptions{}))
	requireSays(t, o.Object, get(t, c, r).Object, "found")
}

func TestWhatIsDeletedIsWhatWasMeant(t *testing.T) {
	t.Parallel()
	c, o := administrator(t), settings(t, shared.Namespace(t), "one", "a")
	first, err := c.Create(t.Context(), o)
	require.NoError(t, err)
	requireFaultOf(t, c.Delete(t.Context(), ReferenceOf(o), DeleteOptions{UID: types.UID("another")}), activities.Conflict)
	_, err = c.Update(t.Context(), settings(t, o.GetNamespace(), "one", "b"))
	require.NoError(t, err)
	requireFaultOf(t, c.Delete(t.Context(), ReferenceOf(o), DeleteOptions{UID: first.GetUID(), ResourceVersion: first.GetResourceVersion()}), activities.Conflict)
	get(t, c, ReferenceOf(o))
	require.NoError(t, c.Delete(t.Context(), ReferenceOf(o), DeleteOptions{UID: first.GetUID()}))
	_, err = c.Get(t.Context(), ReferenceOf(o))
	requireFaultOf(t, err, activities.NotFound)
}

func TestWhatADeploymentHasMadeGoesAsIsSaid(t *testing.T) {
	t.Parallel()
	for propagation, left := range map[Propagation]bool{"": false, Background: false, Foreground: false, Orphan: true} {
		t.Run("by "+string(propagation), func(t *testing.T) {
			t.Parallel()
			c, o := administrator(t), parsed(t, shared.Namespace(t), aDeployment)
			_, err := c.Apply(t.Context(), o, ApplyOptions{})
			require.NoError(t, err)
			awaitReady(t, c, ReferenceOf(o))
			pods := func() (n int) {
				_, err := c.List(t.Context(), ListOptions{Kind: podKind, Namespace: o.GetNamespace()}, func(*unstructured.Unstructured) error { n++; return nil })
				require.NoError(t, err)
				return n
			}
			require.Equal(t, 2, pods())
			require.NoError(t, c.Delete(t.Context(), ReferenceOf(o), DeleteOptions{Propagation: propagation}))
			require.NoError(t, c.AwaitGone(t.Context(), ReferenceOf(o), func(*unstructured.Unstructured) {}))
			switch {
			case left:
				require.Equal(t, 2, pods())
			case propagation == Foreground:
				require.Zero(t, pods(), "they go first")
			default:
				require.Eventually(t, func() bool { return pods() == 0 }, time.Minute, 20*time.Millisecond)
			}
		})
	}
}

var podKind = schema.GroupVersionKind{Version: "v1", Kind: "Pod"}

// settings is a ConfigMap of one entry.
func settings(t *testing.T, namespace, name, value string) *unstructured.Unstructured {
	t.Helper()
	return parsed(t, namespace, fmt.Sprintf(`{apiVersion: v1, kind: ConfigMap, metadata: {name: %s}, data: {value: %q}}`, name, value))
}

// requireSays fails unless an object says everything that was declared of it.
func requireSays(t *testing.T, want, found any, path string) {
	t.Helper()
	switch want := want.(type) {
	case map[string]any:
		there, ok := found.(map[string]any)
		require.True(t, ok, "%s is %v", path, found)
		for key, value := range want {
			requireSays(t, value, there[key], path+"."+key)
		}
	case []any:
		there, ok := found.([]any)
		require.True(t, ok, "%s is %v", path, found)
		require.Len(t, there, len(want), path)
		for i, value := range want {
			requireSays(t, value, there[i], fmt.Sprintf("%s[%d]", path, i))
		}
	default:
		require.Equal(t, want, found, path)
	}
}

// requireFaultOf fails unless an error is a fault of that kind, and returns it.
func requireFaultOf(t *testing.T, err error, kind activities.FaultKind) *activities.Fault {
	t.Helper()
	var f *activities.Fault
	require.ErrorAs(t, err, &f)
	require.Equal(t, kind, f.Kind, f.Error())
	return f
}

// awaitReady waits until an object is as it is declared.
func awaitReady(t *testing.T, c *Client, r Reference) {
	t.Helper()
	eventually(t, func() error {
		if ready, message, _ := Status(get(t, c, r)); !ready {
			return fmt.Errorf("%s is not ready: %s", r, message)
		}
		return nil
	})
}

func TestWhatCannotBeChanged(t *testing.T) {
	t.Parallel()
	c, namespace := administrator(t), shared.Namespace(t)
	cases := map[string]struct {
		text   string
		change any
		field  []string
	}{
		"the selector of a Deployment": {aDeployment, map[string]any{"app": "other", "tier": "front"}, []string{"spec", "selector", "matchLabels"}},
		"the type of a Secret":         {aSecret, "Opaque", []string{"type"}},
		"the class of a volume": {`{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: one}, spec: {storageClassName: standard, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}`,
			"other", []string{"spec", "storageClassName"}},
		"the service of a StatefulSet": {`{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: one}, spec: {serviceName: one, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: a, image: "a:1"}]}}}}`,
			"two", []string{"spec", "serviceName"}},
		"the pods of a Job": {`{apiVersion: batch/v1, kind: Job, metadata: {name: one}, spec: {template: {spec: {restartPolicy: Never, terminationGracePeriodSeconds: 30, containers: [{name: a, image: "a:1"}]}}}}`,
			int64(31), []string{"spec", "template", "spec", "terminationGracePeriodSeconds"}},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := parsed(t, namespace, test.text)
			_, err := c.Apply(t.Context(), o, ApplyOptions{})
			require.NoError(t, err)
			require.NoError(t, unstructured.SetNestedField(o.Object, test.change, test.field...))
			_, err = c.Apply(t.Context(), o, ApplyOptions{})
			requireFaultOf(t, err, activities.Invalid)
			require.True(t, IsImmutable(err), err)
		})
	}
	_, err := c.Apply(t.Context(), parsed(t, namespace, `{apiVersion: v1, kind: Service, metadata: {name: two}, spec: {ports: [{port: 70000}]}}`), ApplyOptions{})
	require.False(t, IsImmutable(err), err)
}
