package kubernetes

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"windlass/activities"
	"windlass/activities/kubernetes/cluster"
	"windlass/activities/kubernetes/manifest"
	"windlass/schemas"
)

const (
	network = `{name: backend, type: Network}`
	db      = `{name: users-db, type: Database, properties: {engine: postgres, version: "15", networks: ["${backend.name}"]}}`
	group   = `{name: web-access, type: SecurityGroup, properties: {ingress: [{protocol: TCP, fromPort: 8080}], egress: [{protocol: TCP, fromPort: 5432, targets: [{resource: users-db}]}]}}`
	subnet  = `{name: backend, type: Network, properties: {subnet: 10.40.0.0/24}}`
)

func scaling(fewest, most int) string {
	return fmt.Sprintf(`{name: web, type: Compute, properties: {image: a/web:1, resources: {cpuRequest: 100m}, scaling: {minInstances: %d, maxInstances: %d, targetCPUUtilization: 0.5}}}`, fewest, most)
}

func TestEveryTypeOfResource(t *testing.T) {
	tests := map[string]struct {
		first, changed []string
		// want is the plan of the change; object is one that is changed by hand to change.
		want   []string
		object func(w *world) string
		change any
		drift  string
	}{
		"Network": {
			first:   []string{network},
			changed: []string{`{name: backend, type: Network, properties: {internal: true}}`},
			want:    []string{`update backend: adds internal as true`},
			object: func(w *world) string {
				return "/apis/networking.k8s.io/v1/namespaces/" + w.namespace("backend") + "/networkpolicies/backend"
			},
			change: map[string]any{"spec": map[string]any{"ingress": nil}},
			drift:  "spec.ingress of NetworkPolicy",
		},
		"Storage": {
			first:   []string{`{name: data, type: Storage, properties: {size: 1Gi}}`},
			changed: []string{`{name: data, type: Storage, properties: {size: 2Gi}}`},
			want:    []string{`update data: changes size from "1Gi" to "2Gi"`},
			object: func(w *world) string {
				return "/api/v1/namespaces/" + w.namespace("") + "/persistentvolumeclaims/data"
			},
			change: map[string]any{"metadata": map[string]any{"labels": map[string]any{"app.kubernetes.io/part-of": "other"}}},
			drift:  "metadata.labels.app.kubernetes.io/part-of of PersistentVolumeClaim",
		},
		"Compute": {
			first:   []string{`{name: web, type: Compute, properties: {image: a/web:1, replicas: 2, ports: [{containerPort: 8080}]}}`},
			changed: []string{`{name: web, type: Compute, properties: {image: a/web:2, replicas: 3, ports: [{containerPort: 8080}]}}`},
			want:    []string{`update web: changes image from "a/web:1" to "a/web:2", changes replicas from 2 to 3`},
			object:  func(w *world) string { return "/apis/apps/v1/namespaces/" + w.namespace("") + "/deployments/web" },
			change:  map[string]any{"spec": map[string]any{"replicas": 5}},
			drift:   `spec.replicas of Deployment "web"`,
		},
		"a Compute that scales": {
			first:   []string{scaling(2, 4)},
			changed: []string{scaling(2, 6)},
			want:    []string{`update web: changes scaling.maxInstances from 4 to 6`},
			object: func(w *world) string {
				return "/apis/autoscaling/v2/namespaces/" + w.namespace("") + "/horizontalpodautoscalers/web"
			},
			change: map[string]any{"spec": map[string]any{"maxReplicas": 100}},
			drift:  "spec.maxReplicas of HorizontalPodAutoscaler",
		},
		"a job": {
			first:   []string{`{name: migrate, type: Compute, properties: {image: a/migrate:1, endState: completed}}`},
			changed: []string{`{name: migrate, type: Compute, properties: {image: a/migrate:2, endState: completed}}`},
			want:    []string{`update migrate: changes image from "a/migrate:1" to "a/migrate:2"`},
			object:  func(w *world) string { return "/apis/batch/v1/namespaces/" + w.namespace("") + "/jobs/migrate" },
			change:  map[string]any{"metadata": map[string]any{"labels": map[string]any{"app.kubernetes.io/part-of": "other"}}},
			drift:   "metadata.labels.app.kubernetes.io/part-of of Job",
		},
		"Database": {
			first:   []string{network, db},
			changed: []string{network, `{name: users-db, type: Database, properties: {engine: postgres, version: "15", networks: ["${backend.name}"], resources: {memoryLimit: 1Gi}}}`},
			want:    []string{`update users-db: adds resources as {"memoryLimit":"1Gi"}`},
			object: func(w *world) string {
				return "/api/v1/namespaces/" + w.namespace("backend") + "/secrets/" + w.only(kindSecret)
			},
			change: map[string]any{"data": map[string]any{"server.POSTGRES_PASSWORD": "Z3Vlc3NlZA=="}},
			drift:  "server.POSTGRES_PASSWORD of Secret",
		},
		"LoadBalancer": {
			first: []string{network, `{name: web, type: Compute, properties: {image: "a/web:1", ports: [{containerPort: 8080}], networks: ["${backend.name}"]}}`,
				`{name: edge, type: LoadBalancer, properties: {target: "${web.name}", listen: [{port: 80}]}}`},
			changed: []string{network, `{name: web, type: Compute, properties: {image: "a/web:1", ports: [{containerPort: 8080}], networks: ["${backend.name}"]}}`,
				`{name: edge, type: LoadBalancer, properties: {target: "${web.name}", listen: [{port: 81}]}}`},
			want: []string{`update edge: changes listen[0].port from 80 to 81`},
			object: func(w *world) string {
				return "/api/v1/namespaces/" + w.namespace("backend") + "/services/edge"
			},
			change: map[string]any{"spec": map[string]any{"sessionAffinity": "ClientIP", "selector": map[string]any{"windlass.io/resource": "other"}}},
			drift:  "spec.selector.windlass.io/resource of Service",
		},
		"SecurityGroup": {
			first: []string{subnet, db, group, `{name: web, type: Compute, properties: {image: "a/web:1", networks: ["${backend.name}"], securityGroups: ["${web-access.name}"]}}`},
			changed: []string{subnet, db, `{name: web-access, type: SecurityGroup, properties: {ingress: [{protocol: TCP, fromPort: 9090}]}}`,
				`{name: web, type: Compute, properties: {image: "a/web:1", networks: ["${backend.name}"], securityGroups: ["${web-access.name}"]}}`},
			want: []string{`update web-access: removes egress, changes ingress[0].fromPort from 8080 to 9090`},
			object: func(w *world) string {
				return "/apis/networking.k8s.io/v1/namespaces/" + w.namespace("backend") + "/networkpolicies/web-access"
			},
			change: map[string]any{"spec": map[string]any{"policyTypes": []string{"Egress"}}},
			drift:  "spec.policyTypes of NetworkPolicy",
		},
		"Kubernetes": {
			first:   []string{`{name: settings, type: Kubernetes, properties: {object: {apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {level: debug}}}}`},
			changed: []string{`{name: settings, type: Kubernetes, properties: {object: {apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {level: info}}}}`},
			want:    []string{`update settings: changes object.data.level from "debug" to "info"`},
			object:  func(w *world) string { return "/api/v1/namespaces/" + w.namespace("") + "/configmaps/settings" },
			change:  map[string]any{"data": map[string]any{"level": "none"}},
			drift:   "data.level of ConfigMap",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			first, changed := w.document(test.first...), w.document(test.changed...)
			w.mustDeploy(first)
			w.requireNothingToDo(first)

			for _, o := range w.observed() {
				require.NotEmpty(t, o.Objects, "status shows no object of %s", o.Resource)
			}
			require.Equal(t, test.want, moves(w.plan(t.Context(), changed)))
			w.mustDeploy(changed)
			w.requireNothingToDo(changed)

			require.NoError(t, shared.Cluster(t).Request(t.Context(), http.MethodPatch, test.object(w), test.change, nil))
			found := moves(w.plan(t.Context(), changed))
			require.Len(t, found, 1)
			require.Contains(t, found[0], test.drift)
			w.mustDeploy(changed)
			w.requireNothingToDo(changed)

			require.NoError(t, shared.Cluster(t).Request(t.Context(), http.MethodDelete, test.object(w), nil, nil))
			found = moves(w.plan(t.Context(), changed))
			require.Len(t, found, 1)
			w.mustDeploy(changed)
			w.requireNothingToDo(changed)

			w.destroy(t.Context())
			w.requireNothingLeft()
		})
	}
}

func TestAJobIsReadyWhenItIsDone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	job := func(image string) *schemas.Infrastructure {
		return w.document(`{name: migrate, type: Compute, properties: {image: "` + image + `", replicas: 2, endState: completed}}`)
	}
	document := job("fate.test/slow/3s:1")
	d := w.declare(document)[0]
	w.mustDeploy(document)
	found, err := w.provider.client.Get(t.Context(), cluster.Reference{GroupVersionKind: kindJob, Namespace: manifest.Namespace(d), Name: manifest.ObjectName("migrate")})
	require.NoError(t, err)
	succeeded, _, _ := unstructured.NestedInt64(found.Object, "status", "succeeded")
	require.EqualValues(t, 2, succeeded)
	w.requireNothingToDo(document)

	_, err = w.deploy(job("fate.test/crash:1"))
	require.True(t, activities.IsKind(err, activities.Unhealthy), "%v", err)
	require.ErrorContains(t, err, "ended with exit code 1")
}
