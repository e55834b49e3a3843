package kubernetes

import (
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"windlass/activities"
	"windlass/schemas"
)

const (
	// unschedulableAfter is how long a pod may find no node: one that is there already and
	// about to be free takes no longer.
	unschedulableAfter = 15 * time.Second
	// unpulledAfter is how old a pod of which an image could not be pulled may be: the
	// kubelet has tried twice by then, unless the first time took so long.
	unpulledAfter = 15 * time.Second
	// refusedAfter is how long the server may refuse the pods of a controller, which tries
	// again: what refuses them may be about to change.
	refusedAfter = 10 * time.Second
	// crashesUntilPlain is how often a container may end by itself before it is plain that
	// it will go on doing so, and crashForgotten is after how long an end says nothing any
	// more: the kubelet has forgotten it too.
	crashesUntilPlain = 2
	crashForgotten    = 10 * time.Minute

	reasonOutOfMemory = "OOMKilled"
)

// errNoNode is the cause of a fault of a pod that no node can take.
var errNoNode = errors.New("no node can take the pod")

// inactive says that a controller has given a pod up, such as one that a node has evicted,
// and leaves it there to be looked at.
func inactive(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp != nil || pod.Spec.RestartPolicy == corev1.RestartPolicyAlways && (pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded)
}

// stall is why a pod will plainly not come up, with what is known of it; nil where it
// still may. The second value is when to look again although nothing is told; zero is never.
func stall(pod *corev1.Pod, now time.Time) (*activities.Fault, time.Time) {
	if inactive(pod) {
		return nil, time.Time{}
	}
	var again time.Time
	for _, status := range append(append([]corev1.ContainerStatus{}, pod.Status.InitContainerStatuses...), pod.Status.ContainerStatuses...) {
		f, at := containerStall(pod, status, now)
		if f != nil {
			return f, time.Time{}
		}
		again = earlier(again, at)
	}
	f, at := unscheduled(pod, now)
	return f, earlier(again, at)
}

// unscheduled is a pod that no node can take, once that has stood for a while. One that
// waits until others have made room has a node.
func unscheduled(pod *corev1.Pod, now time.Time) (*activities.Fault, time.Time) {
	for _, c := range pod.Status.Conditions {
		if c.Type != corev1.PodScheduled || c.Status != corev1.ConditionFalse || c.Reason != corev1.PodReasonUnschedulable || pod.Status.NominatedNodeName != "" {
			continue
		}
		if at := c.LastTransitionTime.Add(unschedulableAfter); now.Before(at) {
			return nil, at
		}
		return &activities.Fault{Kind: activities.Unhealthy, Message: fmt.Sprintf("no node can take pod %s: %s", pod.Name, c.Message),
			Hint: "ask for less, or add nodes", Evidence: &schemas.Evidence{Container: pod.Name}, Err: errNoNode}, time.Time{}
	}
	return nil, time.Time{}
}

// containerStall is why a container will plainly not run; nil where it still may. The
// second value is when to look again.
func containerStall(pod *corev1.Pod, status corev1.ContainerStatus, now time.Time) (*activities.Fault, time.Time) {
	if w := status.State.Waiting; w != nil {
		switch w.Reason {
		case "ErrImagePull", "ImagePullBackOff":
			if at := begun(pod).Add(unpulledAfter); now.Before(at) {
				return nil, at
			}
			return unpulled(pod, status), time.Time{}
		case "InvalidImageName", "ErrImageNeverPull":
			return unpulled(pod, status), time.Time{}
		case "CreateContainerConfigError", "CreateContainerError", "RunContainerError":
			return &activities.Fault{Kind: activities.Unhealthy,
				Message: fmt.Sprintf("container %s of pod %s cannot be made (%s): %s", status.Name, pod.Name, w.Reason, w.Message), Evidence: evidence(pod, status)}, time.Time{}
		}
	}
	ended := status.State.Terminated
	if ended == nil {
		ended = status.LastTerminationState.Terminated
	}
	switch {
	case ended == nil:
	case pod.Spec.RestartPolicy == corev1.RestartPolicyNever && ended.ExitCode != 0:
		return crashed(pod, status, ended), time.Time{}
	case pod.Spec.RestartPolicy == corev1.RestartPolicyAlways && status.RestartCount >= crashesUntilPlain && !status.Ready && now.Before(ended.FinishedAt.Add(crashForgotten)):
		return crashed(pod, status, ended), time.Time{}
	}
	return nil, time.Time{}
}

// begun is since when a node has a pod.
func begun(pod *corev1.Pod) time.Time {
	if pod.Status.StartTime != nil {
		return pod.Status.StartTime.Time
	}
	return pod.CreationTimestamp.Time
}

func unpulled(pod *corev1.Pod, status corev1.ContainerStatus) *activities.Fault {
	return &activities.Fault{Kind: activities.NotFound, Field: "properties.image",
		Message: fmt.Sprintf("image %s cannot be pulled by pod %s (%s): %s", status.Image, pod.Name, status.State.Waiting.Reason, status.State.Waiting.Message),
		Hint:    "check the reference and the credentials", Evidence: evidence(pod, status)}
}

func crashed(pod *corev1.Pod, status corev1.ContainerStatus, ended *corev1.ContainerStateTerminated) *activities.Fault {
	message := fmt.Sprintf("container %s of pod %s ended with exit code %d", status.Name, pod.Name, ended.ExitCode)
	if status.RestartCount > 0 {
		message += fmt.Sprintf(" and was restarted %d times", status.RestartCount)
	}
	if ended.Reason == reasonOutOfMemory {
		message += ", since it wanted more memory than its limit"
	}
	return &activities.Fault{Kind: activities.Unhealthy, Message: message, Evidence: evidence(pod, status)}
}

// refusal is why the server lets the controller of a Deployment make no pods, once that
// has stood for a while since somebody began to look; until then it is when to look again.
// What was refused before says nothing: the controller takes its time to find that it is
// not any more.
func refusal(o *unstructured.Unstructured, began, now time.Time) (*activities.Fault, time.Time) {
	var deployment appsv1.Deployment
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &deployment); err != nil {
		return nil, time.Time{}
	}
	for _, c := range deployment.Status.Conditions {
		if c.Type != appsv1.DeploymentReplicaFailure || c.Status != corev1.ConditionTrue {
			continue
		}
		since := c.LastTransitionTime.Time
		if since.Before(began) {
			since = began
		}
		if at := since.Add(refusedAfter); now.Before(at) {
			return nil, at
		}
		return podless(c.Message), time.Time{}
	}
	return nil, time.Time{}
}

func podless(message string) *activities.Fault {
	return &activities.Fault{Kind: activities.Unhealthy, Message: "no pod can be made: " + message, Hint: "ask for less, or have the quota or the policy changed"}
}

// errFewPods is the cause of a fault of an object whose controller has made fewer pods
// than it should.
var errFewPods = errors.New("fewer pods than there should be")

// lack is refusal for the controllers of StatefulSets and Jobs. They say in events only
// what keeps them, so that the fault is a suspicion, with errFewPods as its cause.
func lack(o *unstructured.Unstructured, pods int, began, now time.Time) (*activities.Fault, time.Time) {
	if pods >= wanted(o) {
		return nil, time.Time{}
	}
	if at := began.Add(refusedAfter); now.Before(at) {
		return nil, at
	}
	f := podless("its controller does not say why")
	f.Err = errFewPods
	return f, time.Time{}
}

// wanted is how many pods a StatefulSet or a Job should have now, those that have ended
// included; 0 where it is something else.
func wanted(o *unstructured.Unstructured) int {
	var field string
	switch o.GroupVersionKind() {
	case kindStatefulSet:
		field = "replicas"
	case kindJob:
		field = "parallelism"
	default:
		return 0
	}
	n, _, _ := unstructured.NestedInt64(o.Object, "spec", field)
	return int(n)
}
