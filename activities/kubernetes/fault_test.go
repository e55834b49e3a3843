package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/activities/kubernetes/cluster"
	"windlass/activities/kubernetes/manifest"
	"windlass/dev/kubernetes"
	"windlass/plan"
	"windlass/plan/supervision"
	"windlass/schemas"
)

// behindGate is a world whose provider reaches the cluster through a gate.
func behindGate(t *testing.T) (*world, *kubernetes.Gate) {
	t.Helper()
	gate := shared.Gate(t)
	w := newWorld(t)
	kubeconfig, err := gate.KubeconfigFor(kubernetes.Windlass, shared.Cluster(t).Token(kubernetes.Windlass))
	require.NoError(t, err)
	w.provider, err = New(Config{Name: w.provider.name, Kubeconfig: kubeconfig, QPS: 500, Burst: 1000})
	require.NoError(t, err)
	t.Cleanup(func() { // before the world is destroyed
		gate.Clear()
		require.NoError(t, gate.Mend())
	})
	return w, gate
}

// declare has a document be the newest revision.
func (w *world) declare(document *schemas.Infrastructure) []plan.Desired {
	w.Helper()
	w.revision++
	desired, err := activities.Declare(document, w.revision, w.providers())
	require.NoError(w, err)
	return desired
}

// attempt runs the plan of what is desired until the first error, and returns what of it
// is left to do then.
func (w *world) attempt(ctx context.Context, desired []plan.Desired) ([]schemas.Operation, error) {
	w.Helper()
	return w.goOn(ctx, w.planOf(w.Context(), desired).Operations, desired)
}

func (w *world) goOn(ctx context.Context, operations []schemas.Operation, desired []plan.Desired) ([]schemas.Operation, error) {
	w.Helper()
	byName := map[string]plan.Desired{}
	for _, d := range desired {
		byName[d.Resource] = d
	}
	for i, o := range operations {
		if err := w.operate(ctx, o, byName[o.Resource]); err != nil {
			return operations[i:], err
		}
	}
	return nil, nil
}

// requireAllKnown fails where an object of the Infrastructure is of no resource that is
// observed, so that nothing would ever remove it.
func (w *world) requireAllKnown() {
	w.Helper()
	observed, err := w.provider.Observe(w.Context(), w.scope)
	require.NoError(w, err)
	known := map[string]bool{}
	for _, o := range observed {
		known[o.Resource] = true
	}
	kinds, err := w.provider.kinds(w.Context(), allTypes()...)
	require.NoError(w, err)
	for _, kind := range kinds {
		found, err := w.provider.list(w.Context(), kind, "", manifest.ScopeLabels(w.scope))
		require.NoError(w, err)
		for _, o := range found {
			// The home namespace is of none, and whoever is told of a failure tries again.
			if resource := o.GetLabels()[manifest.LabelResource]; resource != "" {
				require.True(w, known[resource], "%s is of %q, which is not observed", named(o), resource)
			}
		}
	}
}

const (
	member  = `{name: web, type: Compute, properties: {image: "a/web:1", replicas: 2, ports: [{containerPort: 8080}], networks: ["${backend.name}"]}}`
	edge    = `{name: edge, type: LoadBalancer, properties: {target: "${web.name}", listen: [{port: 80}]}}`
	setting = `{name: settings, type: Kubernetes, properties: {manifests: "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {level: debug}}\n---\n{apiVersion: v1, kind: Service, metadata: {name: other}, spec: {ports: [{port: 80}]}}"}}`
)

// everything is a document with a resource of each sort that is made in its own way.
func (w *world) everything() *schemas.Infrastructure {
	w.Helper()
	return w.document(network, db, `{name: data, type: Storage, properties: {size: 1Gi}}`, member, edge, setting)
}

func TestWhateverRequestFailsTheNextAttemptGoesOn(t *testing.T) {
	failed := func(t *testing.T, err error) {
		t.Helper()
		require.True(t, activities.IsKind(err, activities.Unavailable), "%v", err)
	}
	gone := func(t *testing.T, err error) {
		t.Helper()
		require.ErrorIs(t, err, context.Canceled)
	}
	tests := map[string]struct {
		trouble kubernetes.Trouble
		// leaves says that the caller goes when there is trouble.
		leaves bool
		want   func(*testing.T, error)
	}{
		"since the server fails":                             {kubernetes.Trouble{Code: http.StatusInternalServerError}, false, failed},
		"since the answer is lost":                           {kubernetes.Trouble{Code: http.StatusBadGateway, Late: true}, false, failed},
		"since the caller is gone":                           {kubernetes.Trouble{Late: true}, true, gone},
		"since the caller is gone before the server sees it": {kubernetes.Trouble{Code: http.StatusInternalServerError}, true, gone},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, gate := behindGate(t)
			var leave atomic.Pointer[context.CancelFunc]
			test.trouble.Writes, test.trouble.Times, test.trouble.Once = true, -1, true
			if test.leaves {
				test.trouble.Do = func() { (*leave.Load())() }
			}
			// walk tries until there is no more trouble, each time one request further. Who
			// was gone plans anew, but for what was to be removed: that is not seen any more.
			walk := func(desired []plan.Desired) (attempts int) {
				count := gate.Make(test.trouble)
				defer gate.Clear()
				operations := w.planOf(t.Context(), desired).Operations
				for {
					before := count()
					ctx, cancel := context.WithCancel(t.Context())
					leave.Store(&cancel)
					left, err := w.goOn(ctx, operations, desired)
					cancel()
					w.requireAllKnown()
					if err != nil {
						require.Greater(t, count(), before, "%v", err)
						test.want(t, err)
					}
					if operations = left; test.leaves && desired != nil {
						operations = w.planOf(t.Context(), desired).Operations
					}
					if count() == before {
						require.NoError(t, err)
						return attempts
					}
					attempts++
					require.Less(t, attempts, 200)
				}
			}
			document := w.everything()
			require.Greater(t, walk(w.declare(document)), 10)
			w.requireNothingToDo(document)
			require.Greater(t, walk(nil), 5)
			w.requireNothingLeft()
		})
	}
}

func TestAServerThatIsStartedAgainInTheMiddleIsWaitedFor(t *testing.T) {
	w, _ := behindGate(t)
	document := w.document(web("fate.test/slow/4s:1", 3, ""))
	desired := w.declare(document)
	restart := make(chan error, 1)
	var once atomic.Bool
	_, err := w.provider.Apply(t.Context(), desired[0], w.vault.Open(w.scope), func(text string) {
		if strings.HasPrefix(text, "waiting until Deployment") && !once.Swap(true) {
			go func() {
				shared.Cluster(t).StopServer()
				restart <- shared.Cluster(t).StartServer(t.Context())
			}()
		}
	})
	require.NoError(t, <-restart)
	require.NoError(t, err)
	w.requireNothingToDo(document)

	t.Run("while a request is made", func(t *testing.T) {
		w, gate := behindGate(t)
		document := w.document(network, member)
		desired := w.declare(document)
		gate.Make(kubernetes.Trouble{Method: http.MethodPatch, Path: "/deployments/", Do: func() { shared.Cluster(t).StopServer() }})
		_, err := w.attempt(t.Context(), desired)
		require.True(t, activities.IsKind(err, activities.Unavailable), "%v", err)
		require.NoError(t, shared.Cluster(t).StartServer(t.Context()))
		_, err = w.attempt(t.Context(), desired)
		require.NoError(t, err)
		w.requireNothingToDo(document)
		w.destroy(t.Context())
		w.requireNothingLeft()
	})
}

func TestANetworkThatIsCutAndMendedIsWaitedFor(t *testing.T) {
	t.Parallel()
	w, gate := behindGate(t)
	cut := func(when string) (progress activities.Progress, mended chan error) {
		mended = make(chan error, 1)
		var once atomic.Bool
		return func(text string) {
			if strings.HasPrefix(text, when) && !once.Swap(true) {
				go func() {
					gate.Cut()
					time.Sleep(2 * time.Second) // it is away for so long
					mended <- gate.Mend()
				}()
			}
		}, mended
	}

	document := w.document(web("fate.test/slow/3s:1", 2, "maxSurge: 1"))
	desired := w.declare(document)
	progress, mended := cut("waiting until Deployment")
	_, err := w.provider.Apply(t.Context(), desired[0], w.vault.Open(w.scope), progress)
	require.NoError(t, err)
	require.NoError(t, <-mended)
	w.requireNothingToDo(document)

	next := w.document(web("fate.test/slow/3s:2", 2, "maxSurge: 1"))
	to := w.desired(next)
	secrets, seen := w.vault.Open(w.scope), supervision.Exchange{}
	require.NoError(t, w.provider.BeginRollout(t.Context(), to, supervision.Way{}, secrets, func(string) {}))
	progress, mended = cut("")
	for !seen.Complete {
		seen, err = w.provider.WatchRollout(t.Context(), to, supervision.Beside{}, seen, secrets, progress)
		require.NoError(t, err)
	}
	require.NoError(t, <-mended)
	_, err = w.provider.FinishRollout(t.Context(), to, func(string) {})
	require.NoError(t, err)
	w.requireNothingToDo(next)

	progress, mended = cut("removing Deployment")
	err = w.provider.Delete(t.Context(), to.Target, progress)
	if err != nil { // the request was on its way
		require.True(t, activities.IsKind(err, activities.Unavailable), "%v", err)
	}
	require.NoError(t, <-mended)
	w.destroy(t.Context())
	w.requireNothingLeft()
}

// refuse has the cluster refuse something in a namespace, and returns how to end that.
type refuse func(w *world, namespace string) (end func())

// quota allows so many of something in a namespace.
func quota(what string, most int) refuse {
	return func(w *world, namespace string) func() {
		path := "/api/v1/namespaces/" + namespace + "/resourcequotas"
		ask := func(method, path string, body any) {
			require.NoError(w, shared.Cluster(w.T).Request(w.Context(), method, path, body, nil))
		}
		ask(http.MethodPost, path, map[string]any{"metadata": map[string]any{"name": "few"}, "spec": map[string]any{"hard": map[string]any{what: fmt.Sprint(most)}}})
		require.Eventually(w, func() bool { // what is there has been counted
			var q struct {
				Status struct{ Used map[string]string }
			}
			require.NoError(w, shared.Cluster(w.T).Request(w.Context(), http.MethodGet, path+"/few", nil, &q))
			return q.Status.Used[what] != ""
		}, time.Minute, 20*time.Millisecond)
		return func() {
			ask(http.MethodDelete, path+"/few", nil)
			w.awaitProbe(namespace, "pods", "", false)
		}
	}
}

// policy refuses to create or change objects with an image that has the word.
func policy(group, kinds, images, word string) refuse {
	return func(w *world, namespace string) func() {
		const path = "/apis/admissionregistration.k8s.io/v1/"
		name := "images-of-" + namespace
		ask := func(method, path string, body any) {
			require.NoError(w, shared.Cluster(w.T).Request(context.Background(), method, path, body, nil))
		}
		ask(http.MethodPost, path+"validatingadmissionpolicies", `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: `+name+`}
spec:
  matchConstraints:
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: `+namespace+`}}
    resourceRules:
    - {apiGroups: ["`+group+`"], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [`+kinds+`]}
  validations:
  - {expression: "object.`+images+`.all(c, !c.image.contains('`+word+`'))", message: "images are immutable, and none of `+word+` is wanted here"}
`)
		ask(http.MethodPost, path+"validatingadmissionpolicybindings", `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: `+name+`}
spec: {policyName: `+name+`, validationActions: [Deny]}
`)
		w.awaitProbe(namespace, kinds, word, true)
		var ended atomic.Bool
		end := func() {
			if !ended.Swap(true) {
				ask(http.MethodDelete, path+"validatingadmissionpolicybindings/"+name, nil)
				ask(http.MethodDelete, path+"validatingadmissionpolicies/"+name, nil)
			}
		}
		w.Cleanup(end)
		return func() {
			end()
			w.awaitProbe(namespace, kinds, word, false)
		}
	}
}

// awaitProbe waits until the server refuses a pod or a Deployment with an image, or does
// not any more: what was made for that holds a moment later.
func (w *world) awaitProbe(namespace, kinds, image string, refused bool) {
	w.Helper()
	spec := map[string]any{"containers": []any{map[string]any{"name": "probe", "image": "probe/" + image}}}
	path, object := "/api/v1", map[string]any{"metadata": map[string]any{"name": "probe"}, "spec": spec}
	if kinds == "deployments" {
		labels := map[string]any{"test": "probe"}
		path, object["spec"] = "/apis/apps/v1", map[string]any{"selector": map[string]any{"matchLabels": labels}, "template": map[string]any{"metadata": map[string]any{"labels": labels}, "spec": spec}}
	}
	require.Eventually(w, func() bool {
		err := shared.Cluster(w.T).Request(w.Context(), http.MethodPost, path+"/namespaces/"+namespace+"/"+kinds+"?dryRun=All", object, nil)
		return (err != nil) == refused
	}, time.Minute, 50*time.Millisecond)
}

// refusals are what a cluster may have against the pods of a Compute or the Compute itself.
var refusals = map[string]struct {
	refuse refuse
	// words are in the message, and hint in the hint of what is told.
	words []string
	hint  string
}{
	"a quota for pods":           {quota("pods", 2), []string{"no pod can be made", "exceeded quota: few"}, "quota"},
	"a policy for pods":          {policy("", "pods", "spec.containers", "bad"), []string{"no pod can be made", "none of bad is wanted here"}, "policy"},
	"a policy for Deployments":   {policy("apps", "deployments", "spec.template.spec.containers", "bad"), []string{`apply Deployment "web"`, "none of bad is wanted here"}, "change what it objects to"},
	"a quota for a Deployment's": {quota("limits.memory", 1), []string{"no pod can be made", "failed quota: few"}, "quota"},
}

func TestWhatTheClusterRefusesOfAFirstDeployment(t *testing.T) {
	for name, test := range refusals {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.mustDeploy(w.document(network))
			end := test.refuse(w, w.namespace("backend"))
			document := w.document(network, `{name: web, type: Compute, properties: {image: "a/bad:1", replicas: 4, networks: ["${backend.name}"]}}`)
			started := time.Now()
			_, err := w.deploy(document)
			require.Less(t, time.Since(started), 5*time.Minute, "its deadline would be after ten")
			w.requireTold(err, test.words, test.hint)
			w.requireAllKnown()

			end()
			w.mustDeploy(document)
			w.requireNothingToDo(document)
			w.destroy(t.Context())
			w.requireNothingLeft()
		})
	}

	for kind, declared := range map[string]string{
		"a StatefulSet": `{name: web, type: Database, properties: {engine: postgres, version: "17", networks: ["${backend.name}"]}}`,
		"a Job":         `{name: web, type: Compute, properties: {image: "a/web:1", endState: completed, networks: ["${backend.name}"]}}`,
	} {
		t.Run("a quota for the pods of "+kind, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.mustDeploy(w.document(network))
			end := quota("pods", 0)(w, w.namespace("backend"))
			document := w.document(network, declared)
			_, err := w.deploy(document)
			w.requireTold(err, []string{"no pod can be made", "exceeded quota: few"}, "quota")
			end()
			w.mustDeploy(document)
			w.destroy(t.Context())
			w.requireNothingLeft()
		})
	}

	t.Run("and nothing is left of what was given up", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.mustDeploy(w.document(network))
		policy("apps", "deployments", "spec.template.spec.containers", "bad")(w, w.namespace("backend"))
		_, err := w.deploy(w.document(network, `{name: web, type: Compute, properties: {image: "a/bad:1", replicas: 4, networks: ["${backend.name}"]}}`))
		require.True(t, activities.IsKind(err, activities.Invalid), "%v", err)
		w.destroy(t.Context())
		w.requireNothingLeft()
	})
}

func TestANamespaceInWhichNothingCouldBeMadeIsRemoved(t *testing.T) {
	tests := map[string]string{
		"of a Compute": `{name: web, type: Compute, properties: {image: "a/bad:1"}}`,
		"of objects":   setting,
	}
	for name, declared := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			home := w.namespace("")
			namespace := object(cluster.Reference{GroupVersionKind: kindNamespace, Name: home}, w.provider.scopeLabels(w.scope))
			require.NoError(t, shared.Cluster(t).Request(t.Context(), http.MethodPost, "/api/v1/namespaces", namespace.Object, nil))
			if declared == setting {
				// What every namespace has counts, and so nothing else may be made.
				require.Eventually(t, func() bool {
					return shared.Cluster(t).Request(t.Context(), http.MethodGet, "/api/v1/namespaces/"+home+"/configmaps/kube-root-ca.crt", nil, nil) == nil
				}, time.Minute, 20*time.Millisecond)
				quota("count/configmaps", 1)(w, home)
			} else {
				policy("apps", "deployments", "spec.template.spec.containers", "bad")(w, home)
			}
			_, err := w.deploy(w.document(declared))
			var fault *activities.Fault
			require.ErrorAs(t, err, &fault)
			require.True(t, fault.Kind.Permanent(), "%v", err)
			w.requireNothingLeft()
		})
	}
}

func (w *world) requireTold(err error, words []string, hint string) {
	w.Helper()
	var fault *activities.Fault
	require.ErrorAs(w, err, &fault)
	require.True(w, fault.Kind.Permanent(), "%v", err)
	for _, word := range words {
		require.Contains(w, fault.Message, word)
	}
	require.Contains(w, fault.Hint, hint)
}

func TestWhatTheClusterRefusesOfARollout(t *testing.T) {
	for name, test := range refusals {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			const strategy = `networks: ["${backend.name}"], replicas: 2, strategy: {maxSurge: 1, maxUnavailable: 0, progressDeadlineSeconds: 600}`
			good := w.document(network, `{name: web, type: Compute, properties: {image: "a/web:1", `+strategy+`}}`)
			w.mustDeploy(good)
			of := func(document *schemas.Infrastructure) plan.Desired {
				for _, d := range w.declare(document) {
					if d.Resource == "web" {
						return d
					}
				}
				panic("no web")
			}
			from := of(good)
			test.refuse(w, w.namespace("backend"))
			to := of(w.document(network, `{name: web, type: Compute, properties: {image: "a/bad:2", `+strategy+`}}`))
			stop := w.samples(from)
			if err := w.provider.BeginRollout(t.Context(), to, supervision.Way{}, w.vault.Open(w.scope), func(string) {}); err != nil {
				w.requireTold(err, test.words, test.hint)
			} else {
				s, _ := w.supervised(from, to, 2)
				require.Equal(t, schemas.RolloutRolledBack, s.Phase)
				for _, word := range test.words {
					require.Contains(t, s.Failure.Message, word)
				}
			}
			fewest, _ := stop()
			require.GreaterOrEqual(t, fewest, 2)
			w.requireNothingToDo(good)
			w.destroy(t.Context())
			w.requireNothingLeft()
		})
	}
}

func TestANamespaceThatDoesNotGoSaysWhatHoldsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mustDeploy(w.document(network))
	namespace := w.namespace("backend")
	held := "/api/v1/namespaces/" + namespace + "/configmaps/held"
	require.NoError(t, shared.Cluster(t).Request(t.Context(), http.MethodPost, "/api/v1/namespaces/"+namespace+"/configmaps", map[string]any{"metadata": map[string]any{"name": "held", "finalizers": []string{"test/hold"}}}, nil))
	w.provider.stuckAfter = 12 * time.Second
	target := plan.Target{Scope: w.scope, Resource: "backend", Type: schemas.TypeNetwork, Provider: w.provider.name}
	var mutex sync.Mutex
	var told []string
	err := w.provider.Delete(t.Context(), target, func(text string) {
		mutex.Lock()
		defer mutex.Unlock()
		told = append(told, text)
	})
	w.requireTold(err, []string{`Namespace "` + namespace + `" has not gone in 12s`, "test/hold in 1 resource instances", "configmaps. has 1 resource instances"}, "finalizers")
	require.True(t, slices.ContainsFunc(told, func(text string) bool {
		return strings.Contains(text, `waiting until Namespace "`+namespace+`" is gone: `) && strings.Contains(text, "test/hold")
	}), "%q", told)
	w.requireAllKnown()

	// What is declared again waits for it as well, and says the same.
	_, err = w.deploy(w.document(network))
	w.requireTold(err, []string{`Namespace "` + namespace + `" has not gone in 12s`, "test/hold"}, "finalizers")

	w.provider.stuckAfter = defaultStuckAfter
	w.patch(held, map[string]any{"metadata": map[string]any{"finalizers": nil}})
	require.NoError(t, w.provider.Delete(t.Context(), target, func(string) {}))
	w.requireNothingLeft()
}

func TestAnObjectThatDoesNotGoSaysWhatHoldsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	document := w.document(setting)
	w.mustDeploy(document)
	w.patch("/api/v1/namespaces/"+w.namespace("")+"/configmaps/settings", map[string]any{"metadata": map[string]any{"finalizers": []string{"test/hold"}}})
	w.provider.stuckAfter = time.Second
	left, err := w.attempt(t.Context(), nil)
	w.requireTold(err, []string{`ConfigMap "settings" of namespace "` + w.namespace("") + `" has not gone in 1s`, `"test/hold"`}, "finalizers")
	w.requireAllKnown()
	w.provider.stuckAfter = defaultStuckAfter
	w.patch("/api/v1/namespaces/"+w.namespace("")+"/configmaps/settings", map[string]any{"metadata": map[string]any{"finalizers": nil}})
	_, err = w.goOn(t.Context(), left, nil)
	require.NoError(t, err)
	w.requireNothingLeft()
}

func TestWhoWaitsForWhatDoesNotGoMayLeave(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mustDeploy(w.document(setting))
	r := cluster.Reference{GroupVersionKind: kindConfigMap, Namespace: w.namespace(""), Name: "settings"}
	w.patch("/api/v1/namespaces/"+r.Namespace+"/configmaps/settings", map[string]any{"metadata": map[string]any{"finalizers": []string{"test/hold"}}})
	ctx, cancel := context.WithCancelCause(t.Context())
	left := errors.New("left")
	err := w.attemptDelete(ctx, func(text string) {
		if strings.HasPrefix(text, "waiting until ConfigMap") {
			cancel(left)
		}
	})
	require.ErrorIs(t, err, context.Canceled)
	w.patch("/api/v1/namespaces/"+r.Namespace+"/configmaps/settings", map[string]any{"metadata": map[string]any{"finalizers": nil}})
}

func (w *world) attemptDelete(ctx context.Context, progress activities.Progress) error {
	return w.provider.Delete(ctx, plan.Target{Scope: w.scope, Resource: "settings", Type: schemas.TypeKubernetes, Provider: w.provider.name}, progress)
}
