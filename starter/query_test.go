package starter

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

// usersStatus is an Infrastructure whose last deployment failed and was rolled back.
func usersStatus() schemas.StatusAnswer {
	failure := unhealthy()
	since := time.Now().Add(-2 * time.Hour)
	resource := func(name string, state schemas.ResourceState, needs ...string) schemas.ResourceRecord {
		return schemas.ResourceRecord{
			Scope: users, Resource: name, Type: kinds[name], Provider: "docker", State: state, Revision: 2, DependsOn: needs,
			Cause: "is declared and not there", Since: since, Outputs: schemas.Outputs{"name": "staging-users-" + name},
		}
	}
	return schemas.StatusAnswer{
		Infrastructure: schemas.InfrastructureRecord{
			Scope: users, State: schemas.InfrastructureRolledBack, Revision: 3, Stable: 2,
			Deployment: "infrastructure/staging/users/rev-3", Since: since, Error: &failure,
		},
		Resources: []schemas.ResourceRecord{
			resource("backend", schemas.ResourceReady), resource("users", schemas.ResourceReady, "users-db"), resource("users-db", schemas.ResourceReady, "backend"),
		},
		Objects: []schemas.ResourceObject{
			{Resource: "users", Kind: "Deployment", Namespace: "staging-users-backend", Name: "users", Message: "Replicas: 2/3"},
			{Resource: "users", Kind: "Service", Namespace: "staging-users-backend", Name: "users", Ready: true},
			{Resource: "users-db", Kind: "PersistentVolumeClaim", Namespace: "staging-users-backend", Name: "users-db-data", Ready: true},
		},
		Replicas: []schemas.ReplicaStatus{
			{
				Resource: "users", Name: "staging-users-users-0", State: "Running", Health: "Healthy", StartedAt: since,
				CPU: 0.25, MemoryBytes: 24 << 20, MemoryLimitBytes: 64 << 20, NetworkInBytes: 1500, NetworkOutBytes: 2_500_000,
			},
		},
	}
}

func TestStatusShowsResourcesOutputsAndFailures(t *testing.T) {
	t.Parallel()
	w := startWorker(t, nil)
	w.know(usersStatus())
	p := ran(t, ExitDone, w.url, "status", "staging/users")
	requireGolden(t, "status", p.stdout.String())
	require.Empty(t, p.stderr.String())

	p = ran(t, ExitDone, w.url, "status", "staging/users", "--live")
	requireGolden(t, "status-live", p.stdout.String())

	p = ran(t, ExitDone, w.url, "status", "staging/users", "-o", "json")
	lines := jsonOutputOf(t, p, "status")
	require.Len(t, lines, 2)
	require.Equal(t, "rolledback", lines[1]["infrastructure"].(map[string]any)["state"])
}

func TestListIsATableOfInfrastructures(t *testing.T) {
	t.Parallel()
	w := startWorker(t, nil)
	p := ran(t, ExitDone, w.url, "list")
	require.Empty(t, p.stdout.String())
	require.Equal(t, "windlass: there is no Infrastructure\n", p.stderr.String())

	w.know(usersStatus())
	w.know(schemas.StatusAnswer{Infrastructure: schemas.InfrastructureRecord{
		Scope: schemas.Scope{Environment: "test", Infrastructure: "a"}, State: schemas.InfrastructureDeploying, Revision: 1, Since: time.Now().Add(-72 * time.Hour),
	}})
	p = ran(t, ExitDone, w.url, "list")
	requireGolden(t, "list", p.stdout.String())
	p = ran(t, ExitDone, w.url, "list", "-o", "json")
	require.Len(t, jsonOutputOf(t, p, "list")[1]["infrastructures"], 2)
}

func TestVersionNamesTheWorkerAndItsProviders(t *testing.T) {
	t.Parallel()
	w := startWorker(t, nil)
	p := ran(t, ExitDone, w.url, "version")
	require.Contains(t, p.stdout.String(), "\nworker    v1.2.3\nprovider  docker  Docker 20.10.24\nprovider  far  connection refused\n")
	p = ran(t, ExitDone, "", "version", "--client")
	require.Equal(t, 1, strings.Count(p.stdout.String(), "\n"))
}

func TestWhatIsNotThereIsSaidInOneLine(t *testing.T) {
	t.Parallel()
	w := startWorker(t, nil)
	silent := startStack(t)
	bare := startNATS(t)
	const refused = "nats://user:secret@127.0.0.1:1"
	document := file(t, "users.yaml", usersDocument)
	for name, c := range map[string]struct {
		url  string
		args []string
		code ExitCode
		line string
	}{
		"nothing listens": {
			refused, []string{"list"}, ExitUnreachable,
			"cannot reach NATS at nats://user:xxxxx@127.0.0.1:1: connection refused; start windlass-dev, or name another address with --nats or NATS_URL",
		},
		"no worker": {
			silent, []string{"list"}, ExitUnreachable,
			"no worker answers at " + silent + ": none listens; start one with windlass-dev or windlass-worker",
		},
		"no streams to send to": {
			bare, []string{"deploy", document}, ExitUnreachable,
			"NATS at " + bare + " has no streams of Windlass yet; start windlass-dev or windlass-worker there, which makes them",
		},
		"no streams to follow": {
			bare, []string{"deploy", document, "--wait"}, ExitUnreachable,
			"NATS at " + bare + " has no streams of Windlass yet; start windlass-dev or windlass-worker there, which makes them",
		},
		"no streams to read": {
			bare, []string{"events"}, ExitUnreachable,
			"NATS at " + bare + " has no streams of Windlass yet; start windlass-dev or windlass-worker there, which makes them",
		},
		"not known":          {w.url, []string{"status", "staging/users"}, ExitNotFound, "no Infrastructure staging/users is known"},
		"not to destroy":     {w.url, []string{"destroy", "staging/users", "--yes"}, ExitNotFound, "no Infrastructure staging/users is known"},
		"the worker is ill":  {w.url, []string{"status", "staging/broken"}, ExitUnreachable, "the worker answers that it cannot: the bucket of records does not answer"},
		"a garbled answer":   {w.url, []string{"status", "staging/garbled"}, ExitInternal, "read the worker's answer to windlass.query.status: invalid character '<' looking for beginning of value"},
		"a refused question": {w.url, []string{"status", "staging/refused"}, ExitInternal, "the worker refuses the question: environment is missing"},
		"no credentials":     {w.url, []string{"list", "--creds", "missing.creds"}, ExitUsage, "--creds: stat missing.creds: no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			p := ran(t, c.code, c.url, c.args...)
			require.Equal(t, "windlass: "+c.line+"\n", p.stderr.String())
			require.Empty(t, p.stdout.String())

			p = ran(t, c.code, c.url, append(c.args, "-o", "json")...)
			lines := jsonOutputOf(t, p, c.args[0])
			require.Equal(t, map[string]any{"result": c.code.String(), "exitCode": float64(c.code), "error": c.line}, lines[len(lines)-1])
		})
	}
}

func TestAWrongCommandLineIsSaidInOneLine(t *testing.T) {
	t.Parallel()
	document := file(t, "users.yaml", usersDocument)
	for line, args := range map[string][]string{
		`unknown command "frob" for "windlass"; see windlass --help`:                                                               {"frob"},
		`ENV/NAME is missing: windlass status ENV/NAME [flags]; see windlass status --help`:                                        {"status"},
		`"b/c" is one argument too many: windlass watch [ENV/NAME] [flags]; see windlass watch --help`:                             {"watch", "a/b", "b/c"},
		`unknown flag: --frob; see windlass list --help`:                                                                           {"list", "--frob"},
		`invalid argument "xml" for "-o, --output" flag: "xml" is no format; accepted are text and json; see windlass list --help`: {"list", "-o", "xml"},
		`"users" names no Infrastructure; write ENVIRONMENT/NAME, such as staging/users`:                                           {"status", "users"},
		`"a/../b" names no Infrastructure; write ENVIRONMENT/NAME, such as staging/users`:                                          {"destroy", "a/../b"},
		`open missing.yaml: no such file or directory`:                                                                             {"deploy", "missing.yaml"},
		`--set "image" is not of the form NAME=VALUE`:                                                                              {"deploy", document, "--set", "image"},
		`--values: open missing.yaml: no such file or directory`:                                                                   {"validate", document, "--values", "missing.yaml"},
		`--timeout bounds --wait; give both or none`:                                                                               {"deploy", document, "--timeout", "1s"},
		`--id is empty`: {"deploy", document, "--id", ""},
		`destroy asks only on a terminal; elsewhere give --yes`:                                          {"destroy", "a/b"},
		`--since "noon" is neither a length of time such as 10m nor a time such as 2026-01-31T12:00:00Z`: {"events", "--since", "noon"},
		`--type "frob" is not known; accepted are ` + strings.Join(shortTypes(), ", "):                   {"events", "--type", "frob"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			p := ran(t, ExitUsage, "nats://127.0.0.1:1", args...)
			require.Equal(t, "windlass: "+line+"\n", p.stderr.String())
			require.Empty(t, p.stdout.String())
		})
	}
}

func TestInfrastructuresAreCompletedFromTheList(t *testing.T) {
	t.Parallel()
	w := startWorker(t, nil)
	w.know(usersStatus())
	for _, command := range []string{"status", "destroy", "watch", "events"} {
		require.Contains(t, completed(t, "--nats", w.url, command, ""), "staging/users\trolled back\n", command)
	}
	require.Equal(t, ":4\n", completed(t, "--nats", "nats://127.0.0.1:1", "status", ""), "what does not answer offers nothing")
	require.Contains(t, completed(t, "events", "--type", ""), "resource.ready\n")
	require.Contains(t, completed(t, "list", "-o", ""), "text\njson\n")
}

// completed is what a shell offers for the last argument.
func completed(t *testing.T, args ...string) string {
	t.Helper()
	var stdout, stderr buffer
	code := Main(t.Context(), append([]string{cobra.ShellCompRequestCmd}, args...), nil, &stdout, &stderr)
	require.Equal(t, 0, code, stderr.String())
	return stdout.String()
}
