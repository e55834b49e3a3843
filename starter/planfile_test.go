package starter

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

func TestAPlanInAFileIsDeployedAsItWasSeen(t *testing.T) {
	t.Parallel()
	w := startWorker(t, nil)
	w.plans = usersPlan()
	w.plans.Fingerprint = "0123"
	dir := t.TempDir()
	file, out := filepath.Join(dir, "users.yaml"), filepath.Join(dir, "plan.json")
	require.NoError(t, os.WriteFile(file, []byte(usersDocument), 0o644))
	ran(t, ExitDone, w.url, "plan", file, "--out", out)
	require.NoError(t, os.Remove(file), "the plan holds the document")

	ran(t, ExitDone, w.url, "deploy", "--plan", out)
	command := <-w.commands
	var request schemas.DeploymentRequested
	require.NoError(t, json.Unmarshal(command.Data(), &request))
	require.Equal(t, &schemas.PlanReference{Revision: 3, Fingerprint: "0123"}, request.Plan)
	var text string
	require.NoError(t, json.Unmarshal(request.Document, &text))
	require.Equal(t, usersDocument, text)
}

func TestAPlanFileThatCannotBeUsedSaysWhy(t *testing.T) {
	t.Parallel()
	url := startStack(t)
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		return path
	}
	tests := map[string]struct {
		arguments []string
		want      string
	}{
		"a file that is missing":      {[]string{"deploy", "--plan", filepath.Join(dir, "none.json")}, "no such file"},
		"a document":                  {[]string{"deploy", "--plan", write("users.yaml", usersDocument)}, "is no plan"},
		"a plan of another version":   {[]string{"deploy", "--plan", write("old.json", `{"schema":"windlass.plan/v0"}`)}, `its schema is "windlass.plan/v0"`},
		"a plan and a document":       {[]string{"deploy", "--plan", "a.json", "b.yaml"}, "one argument too many"},
		"a plan and other parameters": {[]string{"deploy", "--plan", "a.json", "--set", "a=b"}, "plan"},
		"a destruction in a file":     {[]string{"plan", "staging/users", "--destroy", "--out", "a.json"}, "a destruction takes no plan"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, ran(t, ExitUsage, url, test.arguments...).stderr.String(), test.want)
		})
	}
}
