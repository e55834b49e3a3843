package starter

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

// usersRevisions are four revisions, of which the newest failed.
func usersRevisions() schemas.RevisionsAnswer {
	started := time.Now().Add(-3 * time.Hour)
	states := []schemas.InfrastructureState{
		schemas.InfrastructureFailed, schemas.InfrastructureDestroyed, schemas.InfrastructureReady, schemas.InfrastructureReady,
	}
	var answer schemas.RevisionsAnswer
	for i, state := range states {
		answer.Revisions = append(answer.Revisions, schemas.RevisionRecord{
			Scope: users, Revision: len(states) - i, State: state, Document: "0123456789abcdef", Command: "build-7",
			Started: started, Ended: started.Add(1500 * time.Millisecond),
		})
	}
	return answer
}

func TestRevisionsAreATable(t *testing.T) {
	t.Parallel()
	w := startWorker(t, nil)
	w.revisions = usersRevisions()
	p := ran(t, ExitDone, w.url, "revisions", "staging/users")
	requireGolden(t, "revisions", p.stdout.String())
	lines := jsonOutputOf(t, ran(t, ExitDone, w.url, "revisions", "staging/users", "-o", "json"), "revisions")
	require.Len(t, lines[1]["revisions"], 4)
}

func TestDiffShowsWhatLeadsFromOneRevisionToAnother(t *testing.T) {
	t.Parallel()
	w := startWorker(t, nil)
	w.plans = usersPlan()
	p := ran(t, ExitDone, w.url, "diff", "staging/users", "3", "4")
	require.Contains(t, p.stdout.String(), "staging/users  from revision 3 to revision 4\n")
	require.Contains(t, p.stdout.String(), `~ image: "users:1" -> "users:2"`)
	p = ran(t, ExitUsage, w.url, "diff", "staging/users", "3", "next")
	require.Contains(t, p.stderr.String(), `"next" is no revision`)
}

// Without a number, the way back leads to the newest revision before the present
// one that succeeded: not to a destruction, and not to what just failed.
func TestRollbackDeploysAnEarlierDocumentAgain(t *testing.T) {
	t.Parallel()
	for argument, want := range map[string]int{"": 2, "1": 1} {
		t.Run("revision "+argument, func(t *testing.T) {
			t.Parallel()
			w := startWorker(t, nil)
			w.revisions = usersRevisions()
			arguments := []string{"rollback", "staging/users"}
			if argument != "" {
				arguments = append(arguments, argument)
			}
			p := ran(t, ExitDone, w.url, arguments...)
			require.Contains(t, p.stderr.String(), "deploying the document of revision")
			command := <-w.commands
			require.Equal(t, schemas.CommandDeploymentRequested, command.Type())
			var request schemas.DeploymentRequested
			require.NoError(t, json.Unmarshal(command.Data(), &request))
			require.Equal(t, map[string]any{"revision": float64(want)}, request.Parameters)
		})
	}
}

func TestRollbackWithNothingToGoBackToSaysSo(t *testing.T) {
	t.Parallel()
	w := startWorker(t, nil)
	w.revisions = usersRevisions()
	w.revisions.Revisions = w.revisions.Revisions[3:]
	p := ran(t, ExitNotFound, w.url, "rollback", "staging/users")
	require.Contains(t, p.stderr.String(), "has no earlier revision that succeeded")
}
