package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

// observeReplica describes one container as it is now.
func observeReplica(ctx context.Context, c *container.InspectResponse) plan.Replica {
	labels := c.Config.Labels
	networks := separated(labels[activities.LabelNetworks])
	r := plan.Replica{
		Index:    replicaIndex(labels),
		Name:     strings.TrimPrefix(c.Name, "/"),
		ID:       c.ID,
		Image:    c.Config.Image,
		SpecHash: labels[activities.LabelSpec],
		Job:      labels[activities.LabelEndState] == string(schemas.EndStateCompleted),
		State:    containerState(c.State, restartPolicy(c)),
		Restarts: c.RestartCount,
		Address:  address(c, networks),
		Drift:    drift(c),

		StartedAt: startedAt(c),
	}
	if r.State == plan.ContainerStopped || r.State == plan.ContainerExited {
		code := c.State.ExitCode
		r.ExitCode = &code
	}
	r.Health = observeHealth(ctx, c, r)
	return r
}

func restartPolicy(c *container.InspectResponse) container.RestartPolicyMode {
	if c.HostConfig == nil {
		return ""
	}
	return c.HostConfig.RestartPolicy.Name
}

// observeHealth is what the check says now. A check over HTTP or TCP is run once;
// while its start period lasts, a failure says only that the replica is starting.
// A replica with a check that does not run is Unhealthy.
func observeHealth(ctx context.Context, c *container.InspectResponse, r plan.Replica) plan.HealthState {
	var h schemas.Health
	text := c.Config.Labels[activities.LabelHealth]
	if text == "" || json.Unmarshal([]byte(text), &h) != nil || h.HTTP == nil && h.TCP == nil {
		return engineHealth(c)
	}
	h = h.WithDefaults()
	if r.State == plan.ContainerCreated {
		return plan.HealthStarting
	}
	if r.State != plan.ContainerRunning {
		return plan.HealthUnhealthy
	}
	bounded, cancel := context.WithTimeout(ctx, time.Duration(*h.Timeout))
	defer cancel()
	if v, _ := networkProbe(h).look(bounded, c, r.Address); v == passed {
		return plan.HealthHealthy
	}
	if time.Since(r.StartedAt) < time.Duration(*h.StartPeriod) {
		return plan.HealthStarting
	}
	return plan.HealthUnhealthy
}

// engineHealth is what the check that the engine runs itself says.
func engineHealth(c *container.InspectResponse) plan.HealthState {
	if c.State.Health == nil {
		return plan.HealthNone
	}
	switch c.State.Health.Status {
	case container.Starting:
		return plan.HealthStarting
	case container.Healthy:
		return plan.HealthHealthy
	case container.Unhealthy:
		return plan.HealthUnhealthy
	default:
		return plan.HealthNone
	}
}

// replicaTrouble says in words what is wrong with a replica; empty is nothing.
func replicaTrouble(r plan.Replica) string {
	switch {
	case r.State == plan.ContainerExited && *r.ExitCode == 0 && r.Health == plan.HealthNone:
		// Its work is done, and nothing says that it had to go on.
		return ""
	case r.ExitCode != nil:
		return fmt.Sprintf("replica %d is %s with exit code %d", r.Index, strings.ToLower(string(r.State)), *r.ExitCode)
	case r.Job:
		return fmt.Sprintf("replica %d has not completed", r.Index)
	case r.State != plan.ContainerRunning:
		return fmt.Sprintf("replica %d is %s", r.Index, strings.ToLower(string(r.State)))
	case len(r.Drift) > 0:
		return fmt.Sprintf("replica %d was changed: %s", r.Index, strings.Join(r.Drift, ", "))
	case r.Health == plan.HealthUnhealthy || r.Health == plan.HealthStarting:
		return fmt.Sprintf("replica %d is %s", r.Index, strings.ToLower(string(r.Health)))
	default:
		return ""
	}
}
