package kubernetes

import (
	"context"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"windlass/activities"
	"windlass/activities/kubernetes/cluster"
	"windlass/activities/kubernetes/manifest"
	"windlass/plan"
	"windlass/schemas"
)

// The last lines of a log that evidence has, and how long a text of it is at most.
const (
	evidenceLines = 20
	evidenceWidth = 500
)

// InspectReplicas implements activities.SupervisedProvider.
func (p *Provider) InspectReplicas(ctx context.Context, declared plan.Desired, secrets activities.Secrets, _ activities.Progress) (*schemas.Evidence, error) {
	if err := p.reveal(ctx, declared, secrets); err != nil {
		return nil, err
	}
	return p.witness(ctx, declared, manifest.Namespace(declared), secrets)
}

// withEvidence adds to a fault what the pod that it is about said last. Where it names
// none, the first pod of the declared version that is not ready speaks for all.
func (p *Provider) withEvidence(ctx context.Context, d plan.Desired, namespace string, secrets activities.Secrets, fault *activities.Fault) error {
	fault.Resource = d.Resource
	if fault.Evidence != nil {
		p.complete(ctx, namespace, secrets, fault.Evidence)
		return fault
	}
	found, err := p.witness(ctx, d, namespace, secrets)
	if err != nil {
		return err
	}
	fault.Evidence = found
	return fault
}

// witness is what is found at the first pod of the declared version that is not ready;
// nil where there is none.
func (p *Provider) witness(ctx context.Context, d plan.Desired, namespace string, secrets activities.Secrets) (*schemas.Evidence, error) {
	var found []*unstructured.Unstructured
	options := cluster.ListOptions{Kind: kindPod, Namespace: namespace, Labels: withCanary(manifest.VersionLabels(d))}
	_, err := p.client.List(ctx, options, func(o *unstructured.Unstructured) error {
		found = append(found, o)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, o := range found {
		pod, err := podOf(o)
		if err != nil || pod.DeletionTimestamp != nil {
			continue
		}
		if ready, message, _ := cluster.Status(o); !ready {
			e := evidenceOf(pod)
			e.Health = message
			p.complete(ctx, namespace, secrets, e)
			return e, nil
		}
	}
	return nil, nil
}

// evidenceOf is what the status of a pod tells of the first of its containers that is not
// as it should be.
func evidenceOf(pod *corev1.Pod) *schemas.Evidence {
	for _, status := range pod.Status.InitContainerStatuses {
		if ended := status.State.Terminated; !status.Ready && (ended == nil || ended.ExitCode != 0) {
			return evidence(pod, status)
		}
	}
	for _, status := range pod.Status.ContainerStatuses {
		if !status.Ready {
			return evidence(pod, status)
		}
	}
	return &schemas.Evidence{Container: pod.Name}
}

// evidence is what the status of a pod tells of one of its containers.
func evidence(pod *corev1.Pod, status corev1.ContainerStatus) *schemas.Evidence {
	e := &schemas.Evidence{Container: pod.Name}
	for _, step := range pod.Spec.InitContainers {
		if step.Name == status.Name {
			e.Container += "/" + status.Name
		}
	}
	state, _ := stateOf(status)
	e.State = string(state)
	ended := status.State.Terminated
	if ended == nil {
		ended = status.LastTerminationState.Terminated
	}
	if ended != nil {
		code := int(ended.ExitCode)
		e.ExitCode, e.OOMKilled = &code, ended.Reason == reasonOutOfMemory
	}
	return e
}

// complete adds to evidence what the events and the log of its pod say. What cannot be
// read is not there: the failure that it belongs to is what counts.
func (p *Provider) complete(ctx context.Context, namespace string, secrets activities.Secrets, e *schemas.Evidence) {
	pod, container, _ := strings.Cut(e.Container, "/")
	if warning := p.lastWarning(ctx, namespace, pod); warning != "" {
		e.Health = warning
	}
	e.Health = shortened(secrets.Redact(e.Health))
	// Of a container that has been started again, the run before tells why.
	for _, previous := range []bool{true, false} {
		lines, err := p.client.Logs(ctx, namespace, pod, container, evidenceLines, previous)
		if err != nil || len(lines) == 0 {
			continue
		}
		// Redacted as a whole: a secret may span lines, and a cut one would not be recognised.
		for line := range strings.SplitSeq(secrets.Redact(strings.Join(lines, "\n")), "\n") {
			e.Logs = append(e.Logs, shortened(strings.TrimRight(line, "\r")))
		}
		return
	}
}

// shortened is a text without what no event can hold.
func shortened(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), evidenceWidth)], "")
}

// lastWarning is what the newest warning about a pod says; empty is nothing.
func (p *Provider) lastWarning(ctx context.Context, namespace, pod string) string {
	var message string
	var newest time.Time
	err := p.events(ctx, namespace, kindPod.Kind, pod, func(e *corev1.Event) {
		if at := when(e); e.Type == corev1.EventTypeWarning && !at.Before(newest) {
			message, newest = e.Message, at
		}
	})
	if err != nil {
		p.logger.Warn("cannot read the events of a pod", "pod", pod, "error", err)
	}
	return message
}

// events visits what the cluster has noted about an object.
func (p *Provider) events(ctx context.Context, namespace, kind, name string, visit func(*corev1.Event)) error {
	options := cluster.ListOptions{Kind: kindEvent, Namespace: namespace, Fields: "involvedObject.kind=" + kind + ",involvedObject.name=" + name}
	_, err := p.client.List(ctx, options, func(o *unstructured.Unstructured) error {
		var e corev1.Event
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &e); err != nil {
			return err
		}
		visit(&e)
		return nil
	})
	return err
}

// when is when an event happened last. Who notes one fills in one of several fields.
func when(e *corev1.Event) time.Time {
	at := e.CreationTimestamp.Time
	if e.LastTimestamp.After(at) {
		at = e.LastTimestamp.Time
	}
	if e.EventTime.After(at) {
		at = e.EventTime.Time
	}
	if e.Series != nil && e.Series.LastObservedTime.After(at) {
		at = e.Series.LastObservedTime.Time
	}
	return at
}

// reveal has the secrets know every value that the pods of a resource are given, so that
// none of them is told.
func (p *Provider) reveal(ctx context.Context, d plan.Desired, secrets activities.Secrets) error {
	options, err := p.offered(ctx)
	if err != nil {
		return err
	}
	_, err = manifest.Objects(d, options, secrets)
	return err
}
