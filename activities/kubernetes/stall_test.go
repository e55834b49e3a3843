package kubernetes

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"windlass/activities"
	"windlass/activities/kubernetes/manifest"
	"windlass/plan"
	"windlass/plan/supervision"
	"windlass/schemas"
)

// now is when the pods of these tests are looked at.
var now = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func ago(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }

// podWith is a pod of a Deployment that a node has had for an hour.
func podWith(change func(*corev1.Pod)) *corev1.Pod {
	started := ago(time.Hour)
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-1"}, Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyAlways},
		Status: corev1.PodStatus{Phase: corev1.PodPending, StartTime: &started}}
	change(pod)
	return pod
}

// containing is a pod with a container in a state.
func containing(status corev1.ContainerStatus, changes ...func(*corev1.Pod)) *corev1.Pod {
	return podWith(func(pod *corev1.Pod) {
		status.Name = "web"
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{status}
		for _, change := range changes {
			change(pod)
		}
	})
}

func waiting(reason string, changes ...func(*corev1.Pod)) *corev1.Pod {
	return containing(corev1.ContainerStatus{Image: "a/web:1", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: "so it is"}}}, changes...)
}

func startedAt(d time.Duration) func(*corev1.Pod) {
	return func(pod *corev1.Pod) { *pod.Status.StartTime = ago(d) }
}

// ended is a container that has ended so long ago, and was started again so often.
func ended(code, restarts int32, d time.Duration) corev1.ContainerStatus {
	return corev1.ContainerStatus{RestartCount: restarts, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
		LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, FinishedAt: ago(d)}}}
}

func unschedulable(d time.Duration, changes ...func(*corev1.Pod)) *corev1.Pod {
	return podWith(func(pod *corev1.Pod) {
		pod.Status.StartTime = nil
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: "0/3 nodes", LastTransitionTime: ago(d)}}
		for _, change := range changes {
			change(pod)
		}
	})
}

func TestWhenItIsPlainThatAPodWillNotComeUp(t *testing.T) {
	t.Parallel()
	never := func(pod *corev1.Pod) { pod.Spec.RestartPolicy = corev1.RestartPolicyNever }
	wanting := ended(137, 2, time.Second)
	wanting.LastTerminationState.Terminated.Reason = reasonOutOfMemory
	serving := ended(1, 9, time.Second)
	serving.Ready = true
	tests := map[string]struct {
		pod *corev1.Pod
		// message is part of the fault's; empty is none, and again is when to look once more.
		message string
		again   time.Duration
		kind    activities.FaultKind
	}{
		"an image that was not found once":       {waiting("ErrImagePull", startedAt(unpulledAfter-time.Second)), "", time.Second, ""},
		"an image that was not found twice":      {waiting("ImagePullBackOff", startedAt(unpulledAfter)), "image a/web:1 cannot be pulled by pod web-1 (ImagePullBackOff): so it is", 0, activities.NotFound},
		"a reference that is none":               {waiting("InvalidImageName", startedAt(0)), "image a/web:1 cannot be pulled", 0, activities.NotFound},
		"a configuration that is missing":        {waiting("CreateContainerConfigError", startedAt(0)), "container web of pod web-1 cannot be made (CreateContainerConfigError): so it is", 0, activities.Unhealthy},
		"one that is being made":                 {waiting("ContainerCreating"), "", 0, ""},
		"one that ended once":                    {containing(ended(1, 1, time.Second)), "", 0, ""},
		"one that ended twice":                   {containing(ended(3, 2, time.Second)), "container web of pod web-1 ended with exit code 3 and was restarted 2 times", 0, activities.Unhealthy},
		"one that wanted memory":                 {containing(wanting), "since it wanted more memory than its limit", 0, activities.Unhealthy},
		"one that serves again":                  {containing(serving), "", 0, ""},
		"one that ended long ago":                {containing(ended(1, 9, crashForgotten)), "", 0, ""},
		"one that is not started again":          {containing(ended(4, 0, time.Second), never), "ended with exit code 4", 0, activities.Unhealthy},
		"one that has done its work":             {containing(ended(0, 0, time.Second), never), "", 0, ""},
		"no node for a moment":                   {unschedulable(unschedulableAfter - time.Second), "", time.Second, ""},
		"no node":                                {unschedulable(unschedulableAfter), "no node can take pod web-1: 0/3 nodes", 0, activities.Unhealthy},
		"a node on which others are making room": {unschedulable(time.Hour, func(pod *corev1.Pod) { pod.Status.NominatedNodeName = "n" }), "", 0, ""},
		"one that is being removed":              {waiting("InvalidImageName", func(pod *corev1.Pod) { at := ago(0); pod.DeletionTimestamp = &at }), "", 0, ""},
		"one that a node has evicted":            {waiting("InvalidImageName", func(pod *corev1.Pod) { pod.Status.Phase = corev1.PodFailed }), "", 0, ""},
		"one that has failed and stays that way": {containing(ended(4, 0, time.Second), never, func(pod *corev1.Pod) { pod.Status.Phase = corev1.PodFailed }), "ended with exit code 4", 0, activities.Unhealthy},
		"a step before it that cannot be pulled": {podWith(func(pod *corev1.Pod) {
			pod.Status.InitContainerStatuses = waiting("InvalidImageName").Status.ContainerStatuses
		}), "cannot be pulled", 0, activities.NotFound},
		"one that waits while another has stalled": {waiting("ErrImagePull", startedAt(0), func(pod *corev1.Pod) {
			pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, waiting("InvalidImageName").Status.ContainerStatuses...)
		}), "InvalidImageName", 0, activities.NotFound},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, again := stall(test.pod, now)
			if test.message == "" {
				require.Nil(t, f)
				if test.again == 0 {
					require.Zero(t, again)
				} else {
					require.Equal(t, now.Add(test.again), again.UTC())
				}
				return
			}
			require.NotNil(t, f)
			require.Contains(t, f.Message, test.message)
			require.Equal(t, test.kind, f.Kind)
			require.NotNil(t, f.Evidence)
		})
	}
}

func TestTheEvidenceOfAPodIsThatOfWhatWentWrong(t *testing.T) {
	t.Parallel()
	wanting := ended(137, 2, time.Second)
	wanting.LastTerminationState.Terminated.Reason = reasonOutOfMemory
	e := evidenceOf(containing(wanting))
	require.Equal(t, "web-1", e.Container)
	require.Equal(t, 137, *e.ExitCode)
	require.True(t, e.OOMKilled)

	e = evidenceOf(podWith(func(pod *corev1.Pod) {
		step := ended(9, 2, time.Second)
		step.Name = "prepare"
		pod.Spec.InitContainers = []corev1.Container{{Name: "prepare"}}
		pod.Status.InitContainerStatuses = []corev1.ContainerStatus{step}
		pod.Status.ContainerStatuses = waiting("PodInitializing").Status.ContainerStatuses
	}))
	require.Equal(t, "web-1/prepare", e.Container)
	require.Equal(t, 9, *e.ExitCode)
	require.False(t, e.OOMKilled)
}

// deployment is one with as many replicas that its controller has brought about.
func deployment(t *testing.T, replicas int32, conditions ...appsv1.DeploymentCondition) *unstructured.Unstructured {
	t.Helper()
	d := &appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: &replicas},
		Status: appsv1.DeploymentStatus{Replicas: replicas, UpdatedReplicas: replicas, AvailableReplicas: replicas, Conditions: conditions}}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(d)
	require.NoError(t, err)
	o := &unstructured.Unstructured{Object: content}
	o.SetGroupVersionKind(kindDeployment)
	return o
}

func TestPodsThatTheServerRefuses(t *testing.T) {
	t.Parallel()
	refused := func(d time.Duration) *unstructured.Unstructured {
		return deployment(t, 1, appsv1.DeploymentCondition{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Message: "exceeded quota", LastTransitionTime: ago(d)})
	}
	f, again := refusal(refused(refusedAfter-time.Second), now.Add(-time.Hour), now)
	require.Nil(t, f)
	require.Equal(t, now.Add(time.Second), again.UTC())
	f, _ = refusal(refused(refusedAfter), now.Add(-time.Hour), now)
	require.NotNil(t, f)
	require.Equal(t, "no pod can be made: exceeded quota", f.Message)
	f, again = refusal(refused(time.Hour), now, now)
	require.Nil(t, f, "what was refused before somebody looked")
	require.Equal(t, now.Add(refusedAfter), again.UTC())
	f, again = refusal(deployment(t, 1), now, now)
	require.Nil(t, f)
	require.Zero(t, again)
}

func TestHowFarAnExchangeHasCome(t *testing.T) {
	t.Parallel()
	declared := plan.Desired{SpecHash: "new", Strategy: &schemas.Strategy{MinReadySeconds: 10}}
	version := manifest.VersionLabels(declared)[manifest.LabelSpec]
	pod := func(spec string, ready bool, since time.Duration, changes ...func(*corev1.Pod)) *corev1.Pod {
		status := corev1.ConditionFalse
		if ready {
			status = corev1.ConditionTrue
		}
		return podWith(func(pod *corev1.Pod) {
			pod.Labels = map[string]string{manifest.LabelSpec: spec}
			pod.CreationTimestamp = ago(time.Minute)
			pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: status, LastTransitionTime: ago(since)}}
			for _, change := range changes {
				change(pod)
			}
		})
	}
	late := func(pod *corev1.Pod) { pod.CreationTimestamp = ago(0) }
	complete := supervision.Exchange{Declared: 2, Updated: 2, Ready: 2, Available: 2, Complete: true, Newest: ago(time.Minute).Unix()}
	tests := map[string]struct {
		pods  []*corev1.Pod
		seen  supervision.Exchange
		want  supervision.Exchange
		again time.Duration
		fault string
	}{
		"half of it": {pods: []*corev1.Pod{pod(version, true, 10*time.Second), pod("old", true, time.Hour), pod("old", false, time.Hour)},
			want: supervision.Exchange{Declared: 2, Old: 2, OldAvailable: 1, Updated: 1, Ready: 1, Available: 1}},
		"a pod that is ready for too short a time": {pods: []*corev1.Pod{pod(version, true, 4*time.Second), pod("old", true, time.Hour)},
			want: supervision.Exchange{Declared: 2, Old: 1, OldAvailable: 1, Updated: 1, Ready: 1}, again: 6 * time.Second},
		"all of it": {pods: []*corev1.Pod{pod(version, true, time.Minute), pod(version, true, time.Minute)}, want: complete},
		"all, and one that was evicted": {pods: []*corev1.Pod{pod(version, true, time.Minute), pod(version, true, time.Minute),
			pod(version, false, time.Minute, func(pod *corev1.Pod) { pod.Status.Phase = corev1.PodFailed })}, want: complete},
		"a pod of a complete one that is not ready any more": {pods: []*corev1.Pod{pod(version, true, time.Minute), pod(version, false, time.Second)}, seen: complete,
			fault: "pod web-1 was ready and is not any more"},
		"a pod in the place of one of a complete one": {pods: []*corev1.Pod{pod(version, true, time.Minute), pod(version, false, time.Second, late)}, seen: complete,
			want: supervision.Exchange{Declared: 2, Updated: 2, Ready: 1, Available: 1}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := view{object: deployment(t, 2), pods: map[string]*corev1.Pod{}, version: version}
			for i, pod := range test.pods {
				v.pods[string(rune('a'+i))] = pod
			}
			got, fault, again := v.exchange(declared, supervision.Beside{}, test.seen, now)
			if test.fault != "" {
				require.NotNil(t, fault)
				require.Equal(t, test.fault, fault.Message)
				return
			}
			require.Nil(t, fault)
			require.Equal(t, test.want, got)
			if test.again == 0 {
				require.Zero(t, again)
			} else {
				require.Equal(t, now.Add(test.again), again.UTC())
			}
		})
	}
}
