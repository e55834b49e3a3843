package starter

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

// usersPlan has an operation of every kind.
func usersPlan() schemas.PlanAnswer {
	return schemas.PlanAnswer{
		Scope: users, Revision: 3, Summary: "1 to create, 1 to update, 1 to delete, 1 retained, 1 unchanged",
		Operations: []schemas.Operation{
			{ID: "none backend", Action: schemas.ActionNone, Resource: "backend", Type: schemas.TypeNetwork, Cause: "is as declared"},
			{ID: "create cache", Action: schemas.ActionCreate, Resource: "cache", Type: schemas.TypeCompute, Cause: "is declared and not there"},
			{
				ID: "update users", Action: schemas.ActionUpdate, Resource: "users", Type: schemas.TypeCompute, Cause: `changes image from "users:1" to "users:2"`,
				Changes: []schemas.Change{
					{Path: "environment.LEVEL", To: "debug"}, {Path: "image", From: "users:1", To: "users:2"}, {Path: "ports[1]", From: map[string]any{"containerPort": 81}},
				},
			},
			{ID: "delete old", Action: schemas.ActionDelete, Resource: "old", Type: schemas.TypeStorage, Cause: "is no longer declared"},
			{ID: "retain archive", Action: schemas.ActionRetain, Resource: "archive", Type: schemas.TypeStorage, Cause: "is no longer declared, and was made to be retained"},
		},
	}
}

func TestAPlanIsASentencePerResourceThatChanges(t *testing.T) {
	t.Parallel()
	w := startWorker(t, nil)
	w.plans = usersPlan()
	file := filepath.Join(t.TempDir(), "users.yaml")
	require.NoError(t, os.WriteFile(file, []byte(usersDocument), 0o644))

	p := ran(t, ExitDone, w.url, "plan", file)
	requireGolden(t, "plan", p.stdout.String())
	p = ran(t, exitChanges, w.url, "plan", file, "--detailed-exitcode")
	require.Empty(t, p.stderr.String())
	p = ran(t, ExitDone, w.url, "plan", file, "-o", "json")
	lines := jsonOutputOf(t, p, "plan")
	require.Len(t, lines, 2)
	require.Len(t, lines[1]["operations"], 5)
	ran(t, ExitDone, w.url, "plan", "staging/users", "--destroy")
}

func TestAPlanSaysWhatIsTakenOverAndGivenBack(t *testing.T) {
	t.Parallel()
	lines := operationLines(nil, schemas.PlanAnswer{Operations: []schemas.Operation{
		{Action: schemas.ActionCreate, Adopted: true, Resource: "data", Type: schemas.TypeStorage, Cause: `volume "shop_data" is there`},
		{Action: schemas.ActionDelete, Adopted: true, Resource: "old", Type: schemas.TypeStorage, Cause: `is no longer declared; volume "old_data" stays`},
	}}, "")
	text := drawn(lines, 120)
	require.Contains(t, text, `  + data (Storage) is taken over: volume "shop_data" is there`)
	require.Contains(t, text, `  - old (Storage) is given back: it is no longer declared; volume "old_data" stays`)
}

func TestAPlanThatChangesNothingSaysSo(t *testing.T) {
	t.Parallel()
	w := startWorker(t, nil)
	w.plans = usersPlan()
	w.plans.Operations = w.plans.Operations[:1]
	file := filepath.Join(t.TempDir(), "users.yaml")
	require.NoError(t, os.WriteFile(file, []byte(usersDocument), 0o644))
	p := ran(t, ExitDone, w.url, "plan", file, "--detailed-exitcode")
	require.Contains(t, p.stdout.String(), "No changes: everything is as declared.")
	ran(t, ExitInternal, w.url, "plan", filepath.Join(t.TempDir(), "missing.yaml"), "--detailed-exitcode")
	ran(t, ExitUsage, w.url, "plan", filepath.Join(t.TempDir(), "missing.yaml"))
}

func TestAPlanSaysWhichFieldsAreNotUsed(t *testing.T) {
	t.Parallel()
	text := drawn(operationLines(nil, schemas.PlanAnswer{Operations: []schemas.Operation{
		{Action: schemas.ActionCreate, Resource: "edge", Type: schemas.TypeLoadBalancer, Provider: "prod-eu", Cause: "is declared and not there", Unused: []string{"properties.replicas", "properties.trafficPolicy.retry"}},
	}}, ""), 120)
	require.Contains(t, text, "      not used by provider prod-eu: properties.replicas, properties.trafficPolicy.retry")
}
