package docker

import (
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/stretchr/testify/require"

	"windlass/plan"
)

func TestContainerStatesAreMappedFaithfully(t *testing.T) {
	exited := func(code int) *container.State {
		return &container.State{Status: container.StateExited, ExitCode: code}
	}
	cases := map[string]struct {
		state  *container.State
		policy container.RestartPolicyMode
		want   plan.ContainerState
	}{
		"created":                            {&container.State{Status: container.StateCreated}, "", plan.ContainerCreated},
		"running":                            {&container.State{Status: container.StateRunning}, "", plan.ContainerRunning},
		"paused":                             {&container.State{Status: container.StatePaused}, "", plan.ContainerPaused},
		"restarting":                         {&container.State{Status: container.StateRestarting}, "", plan.ContainerRestarting},
		"dead":                               {&container.State{Status: container.StateDead}, "", plan.ContainerExited},
		"being removed":                      {&container.State{Status: container.StateRemoving}, "", plan.ContainerExited},
		"stopped in Podman, in whatever way": {&container.State{Status: "stopped", ExitCode: 3}, "", plan.ContainerExited},
		"ended by SIGTERM":                   {exited(143), container.RestartPolicyDisabled, plan.ContainerStopped},
		"ended by SIGKILL":                   {exited(137), container.RestartPolicyDisabled, plan.ContainerStopped},
		"killed for want of memory":          {&container.State{Status: container.StateExited, ExitCode: 137, OOMKilled: true}, "", plan.ContainerExited},
		"ended by itself with success":       {exited(0), container.RestartPolicyDisabled, plan.ContainerExited},
		"failed by itself":                   {exited(3), container.RestartPolicyDisabled, plan.ContainerExited},
		"down although always restarted":     {exited(0), container.RestartPolicyAlways, plan.ContainerStopped},
		"down although restarted on failure": {exited(2), container.RestartPolicyOnFailure, plan.ContainerStopped},
		"done, restarted on failure only":    {exited(0), container.RestartPolicyOnFailure, plan.ContainerExited},
		"never ran":                          {&container.State{Status: container.StateExited, ExitCode: 127, Error: "no such file"}, container.RestartPolicyAlways, plan.ContainerExited},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, containerState(c.state, c.policy))
		})
	}
}
