package schemas

import (
	"fmt"
	"time"
)

// The sources of status events name the thing that moved.

// CommandSource is the source of command events of a scope.
func CommandSource(s Scope) string { return "/windlass/" + s.String() + "/commands" }

// DeploymentSource is the source of the events of one deployment.
func DeploymentSource(s Scope, revision int) string {
	return fmt.Sprintf("/windlass/%s/deployments/%d", s, revision)
}

// ResourceSource is the source of the events of one resource.
func ResourceSource(s Scope, resource string) string {
	return "/windlass/" + s.String() + "/resources/" + resource
}

// RolloutSource is the source of the events of the rollouts of one Compute.
func RolloutSource(s Scope, resource string) string {
	return "/windlass/" + s.String() + "/rollouts/" + resource
}

// CommandSequence is the sequence of a command's event: its place in the stream of commands.
func CommandSequence(stream uint64) string { return fmt.Sprintf("%020d", stream) }

// DeploymentSequence is the sequence of an event of a deployment and of the
// resources that it moves: it rises within the revision and from one to the next.
func DeploymentSequence(revision, counter int) string {
	return fmt.Sprintf("%08d.%08d", revision, counter)
}

// ContainerSource is the source of the events of one container.
func ContainerSource(s Scope) string { return "/windlass/" + s.String() + "/container" }

// ContainerSequence is the sequence of an event of a container: the time of the
// command that was served last, and how many events there were since.
func ContainerSequence(command time.Time, counter int) string {
	return fmt.Sprintf("%020d.%08d", command.UnixNano(), counter)
}
