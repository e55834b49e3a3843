package docker

import (
	"github.com/moby/moby/api/types/container"

	"windlass/plan"
)

// podmanStopped is a state that only Podman reports: the container has ended, in
// whatever way, and Podman has not cleaned up after it yet.
const podmanStopped container.ContainerState = "stopped"

// containerState maps the engine's state of a container. The engine has one state,
// exited, both for a container that was stopped and for one that ended by itself.
// It is Stopped here when either
//
//   - the engine would have restarted it, had it ended by itself: its restart
//     policy is always or unless-stopped, or it is on-failure and the exit code is
//     not 0; or
//   - the exit code is that of SIGTERM (143) or SIGKILL (137), and the kernel did
//     not kill it for want of memory.
//
// A container that never ran, because the engine could not start it, is Exited;
// so is one that the engine is removing or failed to remove.
func containerState(state *container.State, policy container.RestartPolicyMode) plan.ContainerState {
	switch state.Status {
	case container.StateCreated:
		return plan.ContainerCreated
	case container.StateRunning:
		return plan.ContainerRunning
	case container.StatePaused:
		return plan.ContainerPaused
	case container.StateRestarting:
		return plan.ContainerRestarting
	case container.StateExited, podmanStopped:
		if stopped(state, policy) {
			return plan.ContainerStopped
		}
	}
	return plan.ContainerExited
}

func stopped(state *container.State, policy container.RestartPolicyMode) bool {
	switch {
	case state.Error != "" || state.OOMKilled:
		return false
	case state.ExitCode == 137 || state.ExitCode == 143:
		return true
	case policy == container.RestartPolicyAlways, policy == container.RestartPolicyUnlessStopped:
		return true
	default:
		return policy == container.RestartPolicyOnFailure && state.ExitCode != 0
	}
}
