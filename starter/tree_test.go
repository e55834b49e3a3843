package starter

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

// told is a tree that has heard the story.
func told(s *story) *tree {
	t := newTree(users, noon)
	for _, e := range s.events {
		t.apply(e)
	}
	return t
}

func TestTheTreeShowsEveryMomentOfADeployment(t *testing.T) {
	two := 2
	rollback := func() *story {
		return newStory("c", 3).accepted().planned().creating("backend").ready("backend").
			creating("users-db").ready("users-db").creating("users").failing().
			deployment(schemas.StatusDeploymentFailed, schemas.DeploymentStatus{Error: failureOf("users"), RollbackTo: &two})
	}
	destroy := newStory("c", 3)
	destroy.destroy = true
	for name, s := range map[string]*story{
		"sent":         newStory("c", 3),
		"accepted":     newStory("c", 3).accepted(),
		"planned":      newStory("c", 3).accepted().planned(),
		"moving":       newStory("c", 3).accepted().planned().creating("backend").ready("backend").creating("users-db"),
		"ready":        newStory("c", 3).accepted().planned().creating("backend").ready("backend").creating("users-db").ready("users-db").creating("users").ready("users").succeeded(),
		"rejected":     newStory("c", 0).rejected(schemas.Fault{Field: "spec", Reason: "is missing"}),
		"failed":       newStory("c", 3).accepted().planned().creating("users").failing().deployment(schemas.StatusDeploymentFailed, schemas.DeploymentStatus{Error: failureOf("users"), Final: true}),
		"rolling-back": rollback(),
		"rolled-back": rollback().
			deployment(schemas.StatusDeploymentPlanned, schemas.DeploymentStatus{Operations: []schemas.Operation{
				{ID: "delete/users", Action: schemas.ActionDelete, Resource: "users", Type: schemas.TypeCompute, Cause: "is not in revision 2"},
			}}).
			resource(schemas.StatusResourceDeleting, "users", schemas.ResourceStatus{Cause: "is not in revision 2"}).
			resource(schemas.StatusResourceDeleted, "users", schemas.ResourceStatus{}).
			deployment(schemas.StatusDeploymentRolledBack, schemas.DeploymentStatus{Final: true, RollbackTo: &two}),
		"cancelled": newStory("c", 3).accepted().planned().creating("backend").deployment(schemas.StatusDeploymentCancelled, schemas.DeploymentStatus{Final: true}),
		"destroyed": destroy.accepted().
			deployment(schemas.StatusDeploymentPlanned, schemas.DeploymentStatus{Operations: []schemas.Operation{
				{ID: "delete/backend", Action: schemas.ActionDelete, Resource: "backend", Type: schemas.TypeNetwork, DependsOn: []string{"delete/users"}},
				{ID: "delete/users", Action: schemas.ActionDelete, Resource: "users", Type: schemas.TypeCompute},
			}}).
			resource(schemas.StatusResourceDeleting, "users", schemas.ResourceStatus{}).
			resource(schemas.StatusResourceDeleted, "users", schemas.ResourceStatus{}).
			resource(schemas.StatusResourceDeleting, "backend", schemas.ResourceStatus{}).
			resource(schemas.StatusResourceDeleted, "backend", schemas.ResourceStatus{}).
			succeeded(),
	} {
		t.Run(name, func(t *testing.T) {
			requireGolden(t, "tree-"+name, drawn(told(s).render(noon.Add(time.Minute), 0), 80))
		})
	}
}

func failureOf(name string) *schemas.Failure {
	return &schemas.Failure{Kind: "Unhealthy", Resource: name, Message: unhealthy().Message}
}

func TestARowWaitsOnlyForWhatIsNotDone(t *testing.T) {
	s := newStory("c", 3).accepted().planned()
	require.Equal(t, []string{"users-db", "backend"}, told(s).blockers(told(s).find("users")))
	s.creating("backend").ready("backend")
	require.Equal(t, []string{"users-db"}, told(s).blockers(told(s).find("users")))
	require.Empty(t, told(s).blockers(told(s).find("users-db")))
}

func TestTheNextDeploymentForgetsTheFailuresOfTheLast(t *testing.T) {
	tree := told(newStory("c", 3).accepted().planned().creating("users").failing().
		deployment(schemas.StatusDeploymentFailed, schemas.DeploymentStatus{Error: failureOf("users"), Final: true}))
	require.Len(t, tree.failures, 1, "the deployment repeats the failure of the resource")
	require.NotNil(t, tree.failures[0].Evidence)
	for _, e := range newStory("d", 4).accepted().planned().events {
		tree.apply(e)
	}
	require.Empty(t, tree.failures)
	require.Nil(t, tree.final)
	require.Equal(t, 4, tree.revision)
	require.Equal(t, "deploying", tree.state)
}

func TestALowTerminalKeepsWhatMovesInSight(t *testing.T) {
	var operations []schemas.Operation
	for n := range 40 {
		name := fmt.Sprintf("r%02d", n)
		operations = append(operations, schemas.Operation{ID: name, Action: schemas.ActionCreate, Resource: name, Type: schemas.TypeNetwork})
	}
	s := newStory("c", 1).deployment(schemas.StatusDeploymentPlanned, schemas.DeploymentStatus{Operations: operations})
	s.ready("r00").creating("r35").resource(schemas.StatusResourceFailed, "r39", schemas.ResourceStatus{Error: &schemas.Failure{Message: "no"}})
	lines := told(s).render(noon, 10)
	text := drawn(lines, 80)
	require.Len(t, lines, 10)
	require.Contains(t, text, "r35")
	require.Contains(t, text, "r39")
	require.NotContains(t, text, "r00", "what is ready makes room first")
	require.Contains(t, text, "… 32 more")
}

func TestNoLineIsWiderThanTheTerminal(t *testing.T) {
	s := newStory("c", 3).accepted().planned().creating("users").failing()
	for _, width := range []int{1, 20, 40, 80} {
		for _, l := range strings.Split(drawn(told(s).render(noon, 24), width), "\n") {
			require.LessOrEqual(t, len([]rune(l)), width)
		}
	}
}

func TestControlCharactersOfAContainerNeverReachTheTerminal(t *testing.T) {
	failure := schemas.Failure{
		Message:  "one\ntwo \x1b]0;title\x07",
		Evidence: &schemas.Evidence{Container: "c", Logs: []string{"\x1b[2J\x1b[31mred\x1b[0m \x9b31m \x1b[", "a\rb\u202e"}},
	}
	for _, l := range failureLines(failure) {
		for _, r := range l.text() {
			require.False(t, r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0x202e, "%q", l.text())
		}
	}
}

func TestAFleetHasOneLinePerInfrastructure(t *testing.T) {
	f := newFleet()
	other := schemas.Scope{Environment: "production", Infrastructure: "billing"}
	f.seed(schemas.ListAnswer{Infrastructures: []schemas.InfrastructureRecord{
		{Scope: other, State: schemas.InfrastructureRolledBack, Revision: 7, Stable: 6, Since: noon},
	}})
	for _, e := range newStory("c", 3).accepted().planned().creating("backend").events {
		f.apply(e)
	}
	requireGolden(t, "fleet", drawn(f.render(noon.Add(time.Minute), 24), 80))
}
