package kubernetes

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
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

// gatewayWorld is a world whose provider makes routes of the Gateway API.
func gatewayWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	var err error
	w.provider, err = New(Config{Name: "docker", Kubeconfig: kubeconfigOf(t, asWorker), QPS: 500, Burst: 1000, GatewayClass: "example"})
	require.NoError(t, err)
	return w
}

// canaried declares a Compute behind a LoadBalancer, with these steps.
func (w *world) canaried(image, steps string) *schemas.Infrastructure {
	return w.document(network,
		fmt.Sprintf(`{name: web, type: Compute, properties: {image: %q, replicas: 4, ports: [{containerPort: 8080}], networks: ["${backend.name}"], strategy: {type: Canary, progressDeadlineSeconds: 120, steps: [%s]}}}`, image, steps),
		`{name: edge, type: LoadBalancer, properties: {target: "${web.name}", listen: [{port: 80}]}}`)
}

// desiredOf is one resource of a document, as the next revision declares it.
func (w *world) desiredOf(document *schemas.Infrastructure, resource string) plan.Desired {
	w.Helper()
	w.revision++
	all, err := activities.Declare(document, w.revision, w.providers())
	require.NoError(w, err)
	i := slices.IndexFunc(all, func(d plan.Desired) bool { return d.Resource == resource })
	require.GreaterOrEqual(w, i, 0)
	return all[i]
}

// shares notes each share that the route gives the canary, until it is told to stop; -1 is
// without a canary.
func (w *world) shares() (stop func() []int64) {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	var done sync.WaitGroup
	var seen []int64
	done.Go(func() {
		_ = w.provider.client.Follow(ctx, cluster.ListOptions{Kind: kindHTTPRoute, Namespace: w.namespace("backend")}, func(e cluster.Event) (bool, error) {
			if e.Object == nil || e.Deleted {
				return false, nil
			}
			weight, shared := manifest.ShareOf(e.Object, "edge")
			if !shared {
				weight = -1
			}
			seen = append(seen, weight)
			return false, nil
		})
	})
	return func() []int64 {
		cancel()
		done.Wait()
		return slices.Compact(seen)
	}
}

func (w *world) share() int64 {
	w.Helper()
	route, err := w.provider.find(w.Context(), cluster.Reference{GroupVersionKind: kindHTTPRoute, Namespace: w.namespace("backend"), Name: "edge-80"})
	require.NoError(w, err)
	weight, shared := manifest.ShareOf(route, "edge")
	if !shared {
		return -1
	}
	return weight
}

func (w *world) requireNoCanary() {
	w.Helper()
	require.Equal(w, int64(-1), w.share())
	for _, kind := range made[schemas.TypeCompute] {
		found, err := w.provider.list(w.Context(), kind, "", map[string]string{manifest.LabelPart: "canary"})
		require.NoError(w, err)
		for _, o := range found {
			require.NotEqual(w, w.namespace("backend"), o.GetNamespace(), named(o))
		}
	}
}

func TestACanaryGetsItsSharesInOrderAndThenReplacesTheStableVersion(t *testing.T) {
	t.Parallel()
	w := gatewayWorld(t)
	const steps = "{weight: 10, pause: {duration: 10ms}}, {weight: 50, pause: {}}"
	first := w.canaried("a/web:1", steps)
	w.mustDeploy(first)
	w.requireNothingToDo(first)
	from, next := w.desiredOf(first, "web"), w.canaried("a/web:2", steps)
	to := w.desiredOf(next, "web")
	stop := w.shares()
	promoted := false
	s, _ := w.steered(from, to, 4, func(s *supervision.State) {
		if s.Phase != schemas.RolloutHolding || s.Step != 1 {
			return
		}
		require.Equal(t, int64(50), w.share())
		require.Equal(t, 50, *s.Status().Weight)
		require.Equal(t, 2, s.Seen.Declared, "as many as the share needs")
		// Neither the shares nor what runs beside are differences, and a balancer that is
		// applied leaves them.
		w.requireNothingToDo(first)
		_, err := w.provider.Apply(t.Context(), w.desiredOf(first, "edge"), w.vault.Open(w.scope), func(string) {})
		require.NoError(t, err)
		require.Equal(t, int64(50), w.share())
		promoted = true
		require.NoError(t, s.Command(schemas.RolloutPromote, "somebody", time.Now()))
	})
	require.Equal(t, schemas.RolloutSucceeded, s.Phase, "%+v", s.Failure)
	require.True(t, promoted)
	require.Equal(t, []int64{-1, 0, 10, 50, 100, -1}, stop())
	w.requireNoCanary()
	w.requireNothingToDo(next)
	w.destroy(t.Context())
	w.requireNothingLeft()
}

func TestAllRequestsMoveAtOnceAndBackAtOnce(t *testing.T) {
	exchanged := func(w *world, image string) *schemas.Infrastructure {
		return w.document(network,
			fmt.Sprintf(`{name: web, type: Compute, properties: {image: %q, replicas: 4, ports: [{containerPort: 8080}], networks: ["${backend.name}"], strategy: {type: BlueGreen, warm: 1h}}}`, image),
			`{name: edge, type: LoadBalancer, properties: {target: "${web.name}", listen: [{port: 80}]}}`)
	}
	for order, test := range map[schemas.RolloutOrder]struct {
		ends   schemas.RolloutPhase
		shares []int64
	}{
		schemas.RolloutPromote: {schemas.RolloutSucceeded, []int64{-1, 0, 100, -1}},
		schemas.RolloutAbort:   {schemas.RolloutRolledBack, []int64{-1, 0, 100, -1}},
	} {
		t.Run(string(order), func(t *testing.T) {
			t.Parallel()
			w := gatewayWorld(t)
			first, next := exchanged(w, "a/web:1"), exchanged(w, "a/web:2")
			w.mustDeploy(first)
			from, to := w.desiredOf(first, "web"), w.desiredOf(next, "web")
			reference := cluster.Reference{GroupVersionKind: kindDeployment, Namespace: w.namespace("backend"), Name: "web"}
			before, err := w.provider.find(t.Context(), reference)
			require.NoError(t, err)
			stop, warm := w.shares(), false
			s, _ := w.steered(from, to, 4, func(s *supervision.State) {
				if s.Phase != schemas.RolloutWarm {
					return
				}
				require.Equal(t, int64(100), w.share())
				require.Equal(t, 4, s.Seen.Declared, "all of them")
				kept, err := w.provider.find(t.Context(), reference)
				require.NoError(t, err)
				require.Equal(t, before.Object["spec"], kept.Object["spec"], "the stable version is as it was")
				warm = true
				require.NoError(t, s.Command(order, "somebody", time.Now()))
			})
			require.True(t, warm)
			require.Equal(t, test.ends, s.Phase, "%+v", s.Failure)
			require.Equal(t, test.shares, stop())
			w.requireNoCanary()
			if test.ends == schemas.RolloutSucceeded {
				first = next
			}
			w.requireNothingToDo(first)
			w.destroy(t.Context())
			w.requireNothingLeft()
		})
	}
}

func TestACanaryThatFailsOrIsAbortedLeavesTheStableVersionAlone(t *testing.T) {
	for name, test := range map[string]struct {
		image, failure string
	}{
		"it crashes":    {"fate.test/crash:1", "ended with exit code 1 and was restarted"},
		"it is aborted": {"a/web:2", "was aborted by somebody"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := gatewayWorld(t)
			const steps = "{weight: 25, pause: {}}"
			first := w.canaried("a/web:1", steps)
			w.mustDeploy(first)
			from, to := w.desiredOf(first, "web"), w.desiredOf(w.canaried(test.image, steps), "web")
			reference := cluster.Reference{GroupVersionKind: kindDeployment, Namespace: w.namespace("backend"), Name: "web"}
			before, err := w.provider.find(t.Context(), reference)
			require.NoError(t, err)
			s, _ := w.steered(from, to, 4, func(s *supervision.State) {
				if s.Phase == schemas.RolloutHolding {
					require.NoError(t, s.Command(schemas.RolloutAbort, "somebody", time.Now()))
				}
			})
			require.Equal(t, schemas.RolloutRolledBack, s.Phase)
			require.Contains(t, s.Failure.Message, test.failure)
			if test.image == "fate.test/crash:1" {
				require.NotEmpty(t, s.Failure.Evidence.Logs)
			}
			w.requireNoCanary()
			after, err := w.provider.find(t.Context(), reference)
			require.NoError(t, err)
			require.Equal(t, before.Object["spec"], after.Object["spec"], "the stable Deployment was touched")
			w.requireNothingToDo(first)
		})
	}
}

func TestACanaryInFlightIsDestroyedWithItsInfrastructure(t *testing.T) {
	t.Parallel()
	w := gatewayWorld(t)
	const steps = "{weight: 25, pause: {}}"
	w.mustDeploy(w.canaried("a/web:1", steps))
	to := w.desiredOf(w.canaried("a/web:2", steps), "web")
	way := supervision.Way{Beside: supervision.Beside{Replicas: 1, Weight: 25}}
	require.NoError(t, w.provider.BeginRollout(t.Context(), to, way, w.vault.Open(w.scope), func(string) {}))
	require.Equal(t, int64(25), w.share())
	w.destroy(t.Context())
	w.requireNothingLeft()
}

func TestThePlanRefusesACanaryWhereTheClusterHasNoRoutes(t *testing.T) {
	t.Parallel()
	w := gatewayWorld(t)
	d := w.desiredOf(w.canaried("a/web:1", "{weight: 25}"), "web")
	refused := func(err error) {
		require.True(t, activities.IsKind(err, activities.Invalid), "%v", err)
		require.ErrorContains(t, err, "the cluster does not serve")
	}
	w.observed()
	_, err := w.provider.Adopts(t.Context(), d)
	require.NoError(t, err)
	require.NoError(t, w.provider.Permit(d, plan.Observed{Target: d.Target}))
	w.provider.routeless.Store(true) // as an observation of another cluster finds it
	_, err = w.provider.Adopts(t.Context(), d)
	refused(err)
	refused(w.provider.Permit(d, plan.Observed{Target: d.Target}))
	w.observed()
	require.NoError(t, w.provider.Permit(d, plan.Observed{Target: d.Target}), "this one has them")
}

func TestACanaryNeedsARoute(t *testing.T) {
	t.Parallel()
	w := gatewayWorld(t)
	document := w.document(network, `{name: web, type: Compute, properties: {image: a, ports: [{containerPort: 1}], networks: ["${backend.name}"], strategy: {type: Canary, steps: [{weight: 5}]}}}`,
		`{name: edge, type: LoadBalancer, properties: {target: "${web.name}", listen: [{port: 80, protocol: TCP}]}}`)
	w.mustDeploy(document)
	way := supervision.Way{Beside: supervision.Beside{Replicas: 1}}
	err := w.provider.BeginRollout(t.Context(), w.desiredOf(document, "web"), way, w.vault.Open(w.scope), func(string) {})
	var fault *activities.Fault
	require.ErrorAs(t, err, &fault)
	require.Equal(t, activities.Invalid, fault.Kind)
	require.Contains(t, fault.Message, "no LoadBalancer in front of this Compute publishes a port for requests")
}

func TestWhateverRequestOfACanaryFailsTheNextAttemptGoesOn(t *testing.T) {
	for name, late := range map[string]bool{"since the server fails": false, "since the answer is lost": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, gate := behindGate(t)
			w.provider.options.GatewayClass = "example"
			const steps = "{weight: 25, pause: {}}"
			first := w.canaried("a/web:1", steps)
			w.mustDeploy(first)
			from, next := w.desiredOf(first, "web"), w.canaried("a/web:2", steps)
			to := w.desiredOf(next, "web")
			secrets, silent := w.vault.Open(w.scope), func(string) {}
			// insist loses each request that changes something once, and returns how many.
			insist := func(work func() error) (lost int) {
				defer gate.Clear()
				gate.Make(kubernetes.Trouble{Code: http.StatusBadGateway, Late: late, Writes: true, Times: -1, Once: true})
				for work() != nil {
					lost++
					require.Less(t, lost, 50)
				}
				return lost
			}
			begin := func(d plan.Desired, way supervision.Way) int {
				return insist(func() error { return w.provider.BeginRollout(t.Context(), d, way, secrets, silent) })
			}
			watch := func(d plan.Desired, beside supervision.Beside) {
				for e := (supervision.Exchange{}); !e.Complete; {
					var err error
					e, err = w.provider.WatchRollout(t.Context(), d, beside, e, secrets, silent)
					require.NoError(t, err)
				}
			}
			finish := func(d plan.Desired) int {
				return insist(func() error { _, err := w.provider.FinishRollout(t.Context(), d, silent); return err })
			}
			step := supervision.Beside{Replicas: 1, Weight: 25}
			require.GreaterOrEqual(t, begin(to, supervision.Way{Beside: step}), 4, "a Deployment, a Service, a NetworkPolicy and a route")
			watch(to, step)
			require.Equal(t, int64(25), w.share())
			require.NotZero(t, begin(from, supervision.Way{Back: true}))
			require.Equal(t, int64(-1), w.share(), "the requests are back before anything is removed")
			watch(from, supervision.Beside{})
			require.GreaterOrEqual(t, finish(from), 3)
			w.requireNoCanary()
			w.requireNothingToDo(first)

			main := supervision.Beside{Replicas: 4, Weight: 100, Main: true}
			begin(to, supervision.Way{Beside: supervision.Beside{Replicas: 4, Weight: 100}})
			watch(to, supervision.Beside{Replicas: 4, Weight: 100})
			begin(to, supervision.Way{Beside: main})
			watch(to, main)
			require.Equal(t, int64(100), w.share())
			require.GreaterOrEqual(t, finish(to), 4)
			w.requireNoCanary()
			w.requireNothingToDo(next)
			w.destroy(t.Context())
			w.requireNothingLeft()
		})
	}
}
