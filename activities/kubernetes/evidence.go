package kubernetes

import (
	"context"

	"windlass/activities"
	"windlass/activities/kubernetes/cluster"
	"windlass/activities/kubernetes/manifest"
	"windlass/plan"
	"windlass/schemas"
)

// The last lines of a log that evidence has, and what of each.
const (
	evidenceLines = 20
	evidenceWidth = 500
)

// withEvidence adds to a fault what the pod that it is about said last. Where it names
// none, the first pod of the declared version that is not ready speaks for all.
func (p *Provider) withEvidence(ctx context.Context, d plan.Desired, namespace string, fault *activities.Fault) error {
	fault.Resource = d.Resource
	if fault.Evidence == nil {
		found, err := p.list(ctx, kindPod, namespace, manifest.VersionLabels(d))
		if err != nil {
			return err
		}
		for _, o := range found {
			if ready, message, _ := cluster.Status(o); !ready {
				fault.Evidence = &schemas.Evidence{Container: o.GetName(), Health: message}
				break
			}
		}
	}
	if fault.Evidence == nil {
		return fault
	}
	// Of a container that has been started again, the run before tells why.
	for _, previous := range []bool{true, false} {
		lines, err := p.client.Logs(ctx, namespace, fault.Evidence.Container, "", evidenceLines, previous)
		if err == nil && len(lines) > 0 {
			for _, line := range lines {
				fault.Evidence.Logs = append(fault.Evidence.Logs, line[:min(len(line), evidenceWidth)])
			}
			break
		}
	}
	return fault
}
