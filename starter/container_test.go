package starter

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

var cache = schemas.ContainerScope("staging", "cache")

// reacting tells events in answer to each command: command events, and container events
// with the status that is given.
func reacting(status schemas.ContainerStatus, types ...string) func(event.Event) []schemas.Event {
	status.Environment, status.Container = "staging", "cache"
	return func(command event.Event) []schemas.Event {
		var told []schemas.Event
		for n, eventType := range types {
			e := schemas.Event{ID: command.ID() + strconv.Itoa(n), Type: eventType, Time: time.Now(), Subject: cache.String(), Sequence: schemas.ContainerSequence(time.Now(), n), CausationID: command.ID()}
			if strings.HasPrefix(schemas.ShortType(eventType), "command.") {
				e.Source = schemas.CommandSource(cache)
				e.Command = &schemas.CommandStatus{Scope: cache, CommandType: command.Type()}
				if eventType == schemas.StatusCommandRejected {
					e.Command.Faults = schemas.Faults{{Field: "data", Reason: "it does not run"}}
				}
			} else {
				e.Source, e.Container = schemas.ContainerSource(cache), &status
			}
			told = append(told, e)
		}
		return told
	}
}

func TestOrdersToAContainerAreSentAndWaitedFor(t *testing.T) {
	t.Parallel()
	const accepted = schemas.StatusCommandAccepted
	checked, unchecked := schemas.ContainerStatus{Health: "Starting"}, schemas.ContainerStatus{Health: "None"}
	three, none := 3, 0
	for name, c := range map[string]struct {
		verb, eventType string
		status          schemas.ContainerStatus
		told            []string
		want            ExitCode
	}{
		"stop":                  {"stop", schemas.CommandContainerStop, unchecked, []string{accepted, schemas.StatusContainerStopped}, ExitDone},
		"start, checked":        {"start", schemas.CommandContainerStart, checked, []string{accepted, schemas.StatusContainerStarted, schemas.StatusContainerHealthy}, ExitDone},
		"start, unchecked":      {"start", schemas.CommandContainerStart, unchecked, []string{accepted, schemas.StatusContainerStarted}, ExitDone},
		"start, unhealthy":      {"start", schemas.CommandContainerStart, checked, []string{accepted, schemas.StatusContainerStarted, schemas.StatusContainerUnhealthy}, ExitFailed},
		"start, a crash":        {"start", schemas.CommandContainerStart, schemas.ContainerStatus{Health: "Starting", ExitCode: &three}, []string{schemas.StatusContainerStarted, schemas.StatusContainerExited}, ExitFailed},
		"start, a job":          {"start", schemas.CommandContainerStart, schemas.ContainerStatus{Health: "Starting", ExitCode: &none}, []string{schemas.StatusContainerStarted, schemas.StatusContainerExited}, ExitDone},
		"pause":                 {"pause", schemas.CommandContainerPause, unchecked, []string{accepted, schemas.StatusContainerPaused}, ExitDone},
		"resume":                {"resume", schemas.CommandContainerResume, unchecked, []string{accepted, schemas.StatusContainerResumed}, ExitDone},
		"restart":               {"restart", schemas.CommandContainerRestart, unchecked, []string{accepted, schemas.StatusContainerStopped, schemas.StatusContainerStarted}, ExitDone},
		"remove":                {"remove", schemas.CommandContainerRemove, unchecked, []string{accepted, schemas.StatusContainerRemoved}, ExitDone},
		"what is refused":       {"pause", schemas.CommandContainerPause, unchecked, []string{schemas.StatusCommandRejected}, ExitRejected},
		"what is superseded":    {"restart", schemas.CommandContainerRestart, unchecked, []string{accepted, schemas.StatusContainerStopped, schemas.StatusCommandSuperseded}, ExitSuperseded},
		"what cannot be done":   {"remove", schemas.CommandContainerRemove, schemas.ContainerStatus{Error: &schemas.Failure{Kind: "Conflict", Message: "no"}}, []string{accepted, schemas.StatusContainerFailed}, ExitFailed},
		"what nobody waits for": {"stop", schemas.CommandContainerStop, unchecked, nil, ExitDone},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWorker(t, reacting(c.status, c.told...))
			arguments := []string{"container", c.verb, "staging/cache", "--reason", "why"}
			if c.told != nil {
				arguments = append(arguments, "--wait")
			}
			p := ran(t, c.want, w.url, arguments...)
			if c.told == nil {
				require.Contains(t, p.stdout.String(), "follow it with: windlass events --follow staging/cache")
			}
			command := <-w.commands
			require.Equal(t, c.eventType, command.Type())
			require.JSONEq(t, `{"environment":"staging","container":"cache","reason":"why"}`, string(command.Data()))
		})
	}
}

// ranContainer is the container that the newest command runs.
func ranContainer(t *testing.T, w *fakeWorker) *schemas.Container {
	t.Helper()
	command := <-w.commands
	require.Equal(t, schemas.CommandContainerRun, command.Type())
	var data struct{ Document string }
	require.NoError(t, json.Unmarshal(command.Data(), &data))
	c, err := schemas.ParseContainer([]byte(data.Document))
	require.NoError(t, err)
	return c
}

func TestAContainerIsRunFromAFileOrFromFlags(t *testing.T) {
	t.Parallel()
	w := startWorker(t, reacting(schemas.ContainerStatus{Health: "None"}, schemas.StatusCommandAccepted, schemas.StatusContainerStarted))
	file := filepath.Join(t.TempDir(), "cache.yaml")
	const document = "apiVersion: windlass/v1\nkind: Container\nmetadata: {name: cache}\nspec:\n  environment: staging\n  properties: {image: redis:7}\n"
	require.NoError(t, os.WriteFile(file, []byte(document), 0o600))
	p := ran(t, ExitDone, w.url, "container", "run", file, "--wait")
	require.Contains(t, p.stdout.String(), "staging/cache container started\n")
	require.Equal(t, "cache", ranContainer(t, w).Metadata.Name)
	p = ran(t, ExitDone, "", "validate", file)
	require.Contains(t, p.stdout.String(), "cache.yaml: valid: container staging/cache\n")

	p = ran(t, ExitDone, w.url, "container", "run", "staging/cache", "--image", "redis:7", "--env", "A=b=c", "--publish", "6379:6380", "--network", "back",
		"--restart", "OnFailure", "--unhealthy", "stop", "--pull", "Always", "--provider", "edge", "--wait", "-o", "json", "serve")
	lines := jsonOutputOf(t, p, "container.run")
	require.Equal(t, "cache", lines[1]["container"])
	require.NotContains(t, lines[1], "infrastructure")
	require.Equal(t, "cache", lines[len(lines)-1]["container"])
	c := ranContainer(t, w)
	require.Equal(t, schemas.UnhealthyStop, c.Spec.UnhealthyPolicy)
	require.Equal(t, "edge", c.Spec.Provider)
	require.JSONEq(t, `{"image":"redis:7","args":["serve"],"environment":{"A":"b=c"},"ports":[{"containerPort":6380,"hostPort":6379}],
		"networks":["back"],"restartPolicy":"OnFailure","pullPolicy":"Always"}`, string(c.Spec.Properties))
}

func TestAContainerThatIsWrongIsNotSent(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "cache.yaml")
	require.NoError(t, os.WriteFile(file, []byte("apiVersion: windlass/v1\nkind: Container\nmetadata: {name: cache}\nspec:\n  environment: staging\n  properties: {image: redis:7, replicas: 2}\n"), 0o600))
	for name, c := range map[string]struct {
		arguments []string
		want      ExitCode
		says      string
	}{
		"the file":      {[]string{"run", file}, ExitRejected, "cache.yaml:6:32: spec.properties.replicas: a Container is one container"},
		"no file":       {[]string{"run", file + ".nothing"}, ExitUsage, "no such file"},
		"nothing":       {[]string{"run"}, ExitUsage, "FILE or ENV/NAME is missing"},
		"a flag":        {[]string{"run", "staging/cache", "--image", "i", "--unhealthy", "hope"}, ExitRejected, `"hope" is not accepted`},
		"a variable":    {[]string{"run", "staging/cache", "--image", "i", "--env", "A"}, ExitUsage, "NAME=VALUE"},
		"a port":        {[]string{"run", "staging/cache", "--image", "i", "--publish", "80"}, ExitUsage, "HOST:CONTAINER"},
		"a name":        {[]string{"stop", "cache"}, ExitUsage, "names no container"},
		"too many":      {[]string{"run", file, "more"}, ExitUsage, "one argument too many"},
		"lines of logs": {[]string{"logs", "staging/cache", "--tail", "0"}, ExitUsage, "--tail 0 is not from 1 to 5000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := ran(t, c.want, "", append([]string{"container"}, c.arguments...)...)
			require.Contains(t, p.stderr.String(), c.says)
		})
	}
}

func TestContainersAreShown(t *testing.T) {
	t.Parallel()
	w := startWorker(t, nil)
	p := ran(t, ExitDone, w.url, "container", "list")
	require.Equal(t, "windlass: there is no container\n", p.stderr.String())

	code := 3
	failure := unhealthy()
	since := time.Now().Add(-2 * time.Hour)
	record := func(name, moved, state, health string) schemas.ContainerRecord {
		return schemas.ContainerRecord{
			ContainerStatus: schemas.ContainerStatus{Environment: "staging", Container: name, Provider: "docker", Image: "redis:7", Name: "staging._containers." + name + ".0.12345678", ID: "id", State: state, Health: health},
			Moved:           moved, Workflow: "container/staging/" + name, Since: since,
		}
	}
	broken := record("broken", "exited", "Exited", "None")
	broken.ExitCode, broken.Error, broken.Restarts = &code, &failure, 2
	healthy := schemas.ContainerView{Record: record("cache", "healthy", "Running", "Healthy"), Live: &schemas.ReplicaStatus{
		State: "Running", Health: "Healthy", StartedAt: since, CPU: 0.5, MemoryBytes: 24 << 20, MemoryLimitBytes: 64 << 20, NetworkInBytes: 1500, NetworkOutBytes: 2_500_000,
	}}
	w.containers = schemas.ContainersAnswer{Containers: []schemas.ContainerView{{Record: broken}, healthy}}
	requireGolden(t, "container-list", ran(t, ExitDone, w.url, "container", "list", "-e", "staging", "--removed").stdout.String())
	require.Equal(t, schemas.ContainersRequest{Environment: "staging", Removed: true}, w.asked)
	requireGolden(t, "container-stats", ran(t, ExitDone, w.url, "container", "stats", "staging/cache").stdout.String())
	require.Equal(t, schemas.ContainersRequest{Environment: "staging", Container: "cache", Live: true}, w.asked)
	requireGolden(t, "container-status-failed", ran(t, ExitDone, w.url, "container", "status", "staging/broken").stdout.String())
	w.containers.Containers = w.containers.Containers[1:]
	requireGolden(t, "container-status", ran(t, ExitDone, w.url, "container", "status", "staging/cache").stdout.String())
	require.Equal(t, schemas.ContainersRequest{Environment: "staging", Container: "cache", Removed: true, Live: true}, w.asked)
	lines := jsonOutputOf(t, ran(t, ExitDone, w.url, "container", "list", "-o", "json"), "container.list")
	require.Len(t, lines[1]["containers"], 1)
}

func TestLogsArePrintedAndFollowed(t *testing.T) {
	t.Parallel()
	w := startWorker(t, nil)
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	written := []schemas.LogLine{{Time: at, Stream: "stdout", Text: "one"}, {Time: at.Add(1), Stream: "stderr", Text: "two\x1b[31m"}, {Time: at.Add(2), Stream: "stdout", Text: "three"}}
	w.logs = func(request schemas.LogsRequest) schemas.LogsAnswer {
		answer := schemas.LogsAnswer{Truncated: request.Tail == 2}
		for _, l := range written {
			// The third line is there once the first two were read.
			if l.Time.After(request.After) && (l.Text != "three" || !request.After.IsZero()) {
				answer.Lines = append(answer.Lines, l)
			}
		}
		return answer
	}
	p := ran(t, ExitDone, w.url, "container", "logs", "staging/cache", "--tail", "2", "--timestamps")
	require.Equal(t, "2026-01-02T03:04:05.000000006Z one\n", p.stdout.String())
	require.Contains(t, p.stderr.String(), "two")
	require.NotContains(t, p.stderr.String(), "\x1b", "a terminal obeys nobody else")
	require.Contains(t, p.stderr.String(), "older lines are left out")

	p = start(t, w.url, "container", "logs", "staging/cache", "--follow")
	eventually(t, func() bool { return p.stdout.String() == "one\nthree\n" }, "the line that came later is printed")
	p.interrupt()
	require.Equal(t, ExitInterrupted, p.wait(t))

	lines := jsonOutputOf(t, ran(t, ExitDone, w.url, "container", "logs", "staging/cache", "-o", "json"), "container.logs")
	require.Equal(t, "stderr", lines[2]["stream"])
}

func TestContainersAreOfferedAndKeptOutOfTheFleet(t *testing.T) {
	t.Parallel()
	w := startWorker(t, nil)
	w.containers = schemas.ContainersAnswer{Containers: []schemas.ContainerView{{Record: schemas.ContainerRecord{
		ContainerStatus: schemas.ContainerStatus{Environment: "staging", Container: "cache"}, Moved: "healthy",
	}}}}
	offered, _ := (&app{url: w.url}).completeContainer(&cobra.Command{}, nil, "")
	require.Equal(t, []string{"staging/cache\thealthy"}, offered)

	f := newFleet()
	for _, e := range reacting(schemas.ContainerStatus{}, schemas.StatusCommandAccepted, schemas.StatusContainerStarted)(event.New(event.CloudEventsVersionV1)) {
		if e.Command != nil {
			e.Command.CommandType = schemas.CommandContainerRun
		}
		f.apply(e)
	}
	require.Empty(t, f.trees)
}

func TestAContainerEventIsOneLine(t *testing.T) {
	code := 3
	for want, c := range map[string]schemas.ContainerStatus{
		"started: the engine restarted it":             {Cause: "the engine restarted it"},
		"exited: exit code 3":                          {ExitCode: &code},
		"exited: the container ended with exit code 3": {ExitCode: &code, Error: &schemas.Failure{Kind: "Unhealthy", Message: "the container ended with exit code 3"}},
		"failed: NotFound: there is no such image":     {Error: &schemas.Failure{Kind: "NotFound", Message: "there is no such image"}},
		"stopped: it was unhealthy, exit code 3":       {Cause: "it was unhealthy", ExitCode: &code},
	} {
		c.Environment, c.Container = "staging", "cache"
		move, _, _ := strings.Cut(want, ":")
		e := schemas.Event{Type: "io.windlass.container." + move + ".v1", Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Container: &c}
		require.Equal(t, "2026-01-02T03:04:05Z staging/cache container "+want, plainLine(e))
	}
}
