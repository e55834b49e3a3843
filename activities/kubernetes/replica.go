package kubernetes

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"windlass/activities/kubernetes/manifest"
	"windlass/plan"
)

// pod notes a pod as a replica of its resource.
func (o *observation) pod(found *unstructured.Unstructured) {
	if found.GetLabels()[manifest.LabelResource] == "" {
		return // a pod that was declared as an object of its own
	}
	s := o.byTarget[manifest.TargetOf(found.GetLabels())]
	if s == nil || found.GetDeletionTimestamp() != nil {
		return
	}
	var pod corev1.Pod
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(found.Object, &pod); err != nil {
		return
	}
	s.observed.Replicas = append(s.observed.Replicas, s.replica(&pod))
}

// replica describes a pod. Its label has the beginning of the spec hash only; where that
// is the one of the newest declaration, the whole is known.
func (s *sighting) replica(pod *corev1.Pod) plan.Replica {
	r := plan.Replica{
		Name: pod.Name, ID: string(pod.UID), SpecHash: pod.Labels[manifest.LabelSpec], Address: pod.Status.PodIP,
		Job: pod.Spec.RestartPolicy != corev1.RestartPolicyAlways, State: plan.ContainerCreated, Health: plan.HealthNone,
	}
	for _, hash := range s.hashes {
		if r.SpecHash != "" && strings.HasPrefix(hash, r.SpecHash) {
			r.SpecHash = hash
		}
	}
	if pod.Status.StartTime != nil {
		r.StartedAt = pod.Status.StartTime.Time
	}
	if len(pod.Spec.Containers) > 0 {
		r.Image = pod.Spec.Containers[0].Image
		if pod.Spec.Containers[0].ReadinessProbe != nil {
			r.Health = plan.HealthStarting
		}
	}
	for _, status := range pod.Status.ContainerStatuses {
		r.Restarts += int(status.RestartCount)
		r.State, r.ExitCode = stateOf(status)
		if r.Health != plan.HealthNone && r.State == plan.ContainerRunning {
			r.Health = healthOf(status)
		}
	}
	return r
}

func stateOf(status corev1.ContainerStatus) (plan.ContainerState, *int) {
	switch {
	case status.State.Running != nil:
		return plan.ContainerRunning, nil
	case status.State.Terminated != nil:
		code := int(status.State.Terminated.ExitCode)
		return plan.ContainerExited, &code
	case status.RestartCount > 0:
		return plan.ContainerRestarting, nil
	}
	return plan.ContainerCreated, nil
}

// healthOf is what the readiness probe says, once the startup probe has passed.
func healthOf(status corev1.ContainerStatus) plan.HealthState {
	switch {
	case status.Ready:
		return plan.HealthHealthy
	case status.Started == nil || !*status.Started:
		return plan.HealthStarting
	}
	return plan.HealthUnhealthy
}
