package kubernetes

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"windlass/activities"
	"windlass/activities/kubernetes/cluster"
	"windlass/activities/kubernetes/manifest"
	"windlass/dev/kubernetes"
	"windlass/plan"
	"windlass/plan/rollout"
	"windlass/plan/supervision"
	"windlass/schemas"
)

// web declares a Compute with an image and a strategy.
func web(image string, replicas int, strategy string) string {
	return fmt.Sprintf(`{name: web, type: Compute, properties: {image: %q, replicas: %d, strategy: {%s}}}`, image, replicas, strategy)
}

// desired is the Compute of a document with one.
func (w *world) desired(document *schemas.Infrastructure) plan.Desired {
	w.Helper()
	w.revision++
	all, err := activities.Declare(document, w.revision, w.providers())
	require.NoError(w, err)
	require.True(w, all[0].Supervised)
	return all[0]
}

func version(d plan.Desired, replicas int) rollout.Version {
	return rollout.Version{Set: d.SpecHash, Replicas: replicas, Revision: d.Revision}
}

// supervised runs a rollout as the workflow does, and returns the state in which it ended
// with every exchange that was told on the way.
func (w *world) supervised(from, to plan.Desired, replicas int) (*supervision.State, []supervision.Exchange) {
	w.Helper()
	return w.steered(from, to, replicas, func(*supervision.State) {})
}

// steered is supervised with somebody who may command the rollout whenever it has gone on.
func (w *world) steered(from, to plan.Desired, replicas int, steer func(*supervision.State)) (*supervision.State, []supervision.Exchange) {
	w.Helper()
	s := supervision.New(to.RolloutStrategy(), version(to, replicas), version(from, replicas), true, time.Now())
	secrets, silent := w.vault.Open(w.scope), func(string) {}
	var told []supervision.Exchange
	for !s.Done() {
		if steer(s); s.Done() {
			break
		}
		goal := to
		if s.Back {
			goal = from
		}
		if !s.Begun {
			require.NoError(w, w.provider.BeginRollout(w.Context(), goal, s.Way, secrets, silent))
			s.Told(s.Way)
		}
		ctx, cancel := context.WithDeadline(w.Context(), s.Wake())
		e, err := w.provider.WatchRollout(ctx, goal, s.Beside, s.Seen, secrets, silent)
		ended := ctx.Err() != nil
		cancel()
		var fault *activities.Fault
		switch {
		case ended:
			s.Tick(time.Now())
			found, err := w.provider.InspectReplicas(w.Context(), goal, secrets, silent)
			require.NoError(w, err)
			s.Explain(found)
		case err != nil:
			require.ErrorAs(w, err, &fault)
			s.Fail(schemas.Failure{Kind: string(fault.Kind), Message: fault.Message, Evidence: fault.Evidence}, time.Now())
		default:
			told = append(told, e)
			s.Moved(e, time.Now())
		}
	}
	if s.Phase != schemas.RolloutFailed {
		goal := to
		if s.Back {
			goal = from
		}
		_, err := w.provider.FinishRollout(w.Context(), goal, silent)
		require.NoError(w, err)
	}
	return s, told
}

// samples watches the ready pods of a resource until it is told to stop, and returns the
// fewest and the most pods that there were at any time.
func (w *world) samples(d plan.Desired) (stop func() (fewestReady, most int)) {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	var done sync.WaitGroup
	pods := map[string]bool{}
	fewest, most, listed := 1<<30, 0, false
	done.Go(func() {
		options := cluster.ListOptions{Kind: kindPod, Labels: selector(manifest.Identity(d.Target))}
		_ = w.provider.client.Follow(ctx, options, func(e cluster.Event) (bool, error) {
			switch {
			case e.Object == nil:
				listed = true
			case e.Deleted || e.Object.GetDeletionTimestamp() != nil:
				delete(pods, e.Object.GetName())
			default:
				pod, err := podOf(e.Object)
				if err != nil {
					return true, err
				}
				ready, _ := readiness(pod)
				pods[pod.Name] = ready && pod.Status.Phase == corev1.PodRunning
			}
			if listed {
				n := 0
				for _, ready := range pods {
					if ready {
						n++
					}
				}
				fewest, most = min(fewest, n), max(most, len(pods))
			}
			return false, nil
		})
	})
	return func() (int, int) {
		cancel()
		done.Wait()
		return fewest, most
	}
}

func TestARolloutOfManyPodsStaysWithinItsBounds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const replicas, surge, unavailable = 200, 50, 20
	strategy := fmt.Sprintf("maxSurge: %d, maxUnavailable: %d, progressDeadlineSeconds: 120", surge, unavailable)
	first := w.document(web("fate.test/slow/300ms:1", replicas, strategy))
	w.mustDeploy(first)
	from := w.desired(first)
	to := w.desired(w.document(web("fate.test/slow/300ms:2", replicas, strategy)))
	stop := w.samples(from)
	s, told := w.supervised(from, to, replicas)
	fewest, _ := stop()
	require.Equal(t, schemas.RolloutSucceeded, s.Phase, "%+v", s.Failure)
	require.GreaterOrEqual(t, fewest, replicas-unavailable, "ready pods")
	require.Greater(t, len(told), 2, "progress is told on the way")
	for i := 1; i < len(told); i++ {
		require.GreaterOrEqual(t, told[i].Updated, told[i-1].Updated, "progress comes in order: %+v", told)
		require.LessOrEqual(t, told[i].Old, told[i-1].Old, "progress comes in order: %+v", told)
	}
	last := told[len(told)-1]
	require.NotZero(t, last.Newest)
	require.Equal(t, supervision.Exchange{Declared: replicas, Updated: replicas, Ready: replicas, Available: replicas, Complete: true, Newest: last.Newest}, last)
}

func TestAVersionThatPlainlyDoesNotComeUpGoesBackBeforeTheDeadline(t *testing.T) {
	tests := map[string]struct {
		properties string
		want       string
		evidence   func(*schemas.Evidence) string
	}{
		"its image cannot be pulled": {`image: "fate.test/no-image:1"`, "image fate.test/no-image:1 cannot be pulled", func(e *schemas.Evidence) string { return e.Container }},
		"it crashes":                 {`image: "fate.test/crash:1"`, "ended with exit code 1 and was restarted", func(e *schemas.Evidence) string { return strings.Join(e.Logs, "\n") }},
		"it needs too much memory":   {`image: "fate.test/out-of-memory:1"`, "since it wanted more memory than its limit", func(e *schemas.Evidence) string { return fmt.Sprint(*e.ExitCode) }},
		"it is not configured":       {`image: "fate.test/no-config:1"`, "cannot be made (CreateContainerConfigError)", func(e *schemas.Evidence) string { return e.Container }},
		"it fits on no node":         {`image: a, resources: {cpuRequest: "1000"}`, "no node can take pod", func(e *schemas.Evidence) string { return e.Container }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			const strategy = "strategy: {maxSurge: 1, progressDeadlineSeconds: 600}"
			good := w.document(`{name: web, type: Compute, properties: {image: a/web:1, replicas: 3, ` + strategy + `}}`)
			w.mustDeploy(good)
			from := w.desired(good)
			to := w.desired(w.document(`{name: web, type: Compute, properties: {` + test.properties + `, replicas: 3, ` + strategy + `}}`))
			stop := w.samples(from)
			s, _ := w.supervised(from, to, 3)
			fewest, _ := stop()
			require.Equal(t, schemas.RolloutRolledBack, s.Phase)
			require.Contains(t, s.Failure.Message, test.want)
			require.NotEmpty(t, test.evidence(s.Failure.Evidence))
			require.GreaterOrEqual(t, fewest, 3)
			w.requireNothingToDo(good)
		})
	}
}

func TestAVersionThatNeverGetsReadyGoesBackAtTheDeadline(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := w.document(web("a/web:1", 2, "maxSurge: 1"))
	w.mustDeploy(good)
	from := w.desired(good)
	// The way back has as long.
	s, _ := w.supervised(from, w.desired(w.document(web("fate.test/never-ready:1", 2, "maxSurge: 1, progressDeadlineSeconds: 20"))), 2)
	require.Equal(t, schemas.RolloutRolledBack, s.Phase)
	require.Equal(t, rollout.KindDeadline, s.Failure.Kind)
	w.requireNothingToDo(good)
}

// decree gives the pods of a resource a fate that they did not have.
func (w *world) decree(d plan.Desired, fate string) {
	w.Helper()
	_, err := w.provider.client.List(w.Context(), cluster.ListOptions{Kind: kindPod, Labels: selector(manifest.Identity(d.Target))}, func(o *unstructured.Unstructured) error {
		w.patch("/api/v1/namespaces/"+o.GetNamespace()+"/pods/"+o.GetName(), map[string]any{"metadata": map[string]any{"labels": map[string]any{kubernetes.FateLabel: fate}}})
		return nil
	})
	require.NoError(w, err)
}

func TestAVersionThatTurnsUnreadyWhileItIsWatchedGoesBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := w.document(web("a/web:1", 2, "maxSurge: 2"))
	w.mustDeploy(good)
	from := w.desired(good)
	to := w.desired(w.document(web("a/web:2", 2, "maxSurge: 2, monitor: 5m")))
	s, _ := w.steered(from, to, 2, func(s *supervision.State) {
		if s.Seen.Complete && !s.Back {
			w.decree(to, "unready")
		}
	})
	require.Equal(t, schemas.RolloutRolledBack, s.Phase)
	require.Contains(t, s.Failure.Message, "was ready and is not any more")
	w.requireNothingToDo(good)
}

func TestAPausedRolloutMovesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := w.document(web("a/web:1", 2, "maxSurge: 1"))
	w.mustDeploy(good)
	from := w.desired(good)
	to := w.desired(w.document(web("a/web:2", 2, "maxSurge: 1")))
	secrets, silent := w.vault.Open(w.scope), func(string) {}
	require.NoError(t, w.provider.BeginRollout(t.Context(), to, supervision.Way{Paused: true}, secrets, silent))
	e, err := w.provider.WatchRollout(t.Context(), to, supervision.Beside{}, supervision.Exchange{}, secrets, silent)
	require.NoError(t, err)
	require.Equal(t, supervision.Exchange{Declared: 2, Old: 2, OldAvailable: 2}, e)
	// The controller has looked at the paused Deployment, and has made no pod for it.
	require.Eventually(t, func() bool {
		o, err := w.provider.find(t.Context(), cluster.Reference{GroupVersionKind: kindDeployment, Namespace: w.namespace(""), Name: "web"})
		require.NoError(t, err)
		status, _ := o.Object["status"].(map[string]any)
		return fmt.Sprint(status["observedGeneration"]) == fmt.Sprint(o.GetGeneration()) && status["updatedReplicas"] == nil
	}, time.Minute, 50*time.Millisecond)
	s, _ := w.supervised(from, to, 2)
	require.Equal(t, schemas.RolloutSucceeded, s.Phase)
}

func TestStrategiesThatTheProviderDoesNotHaveAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	document := w.document(network, `{name: web, type: Compute, properties: {image: a, ports: [{containerPort: 1}], networks: ["${backend.name}"], strategy: {type: BlueGreen}}}`,
		`{name: edge, type: LoadBalancer, properties: {target: "${web.name}", listen: [{port: 80}]}}`)
	_, err := activities.Declare(document, 1, w.providers())
	var fault *activities.Fault
	require.ErrorAs(t, err, &fault)
	require.Equal(t, "web: properties.strategy.type", fault.Resource+": "+fault.Field)
	require.Equal(t, activities.Invalid, fault.Kind)
}
