package docker

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/dev/images"
	"windlass/plan"
	"windlass/schemas"
)

// shell is a Compute that shows what its init steps wrote on its volume and goes
// on. Its image is one with a shell.
func (l *lab) shell(c schemas.Compute, steps ...schemas.InitStep) plan.Desired {
	l.Helper()
	c.Image, c.InitSteps, c.StopGracePeriod = images.RedisReference, steps, duration(0)
	c.Command = []string{"sh", "-c", "cat /data/log 2>/dev/null; exec sleep 1000"}
	return l.compute("web", c)
}

func script(name, text string) schemas.InitStep {
	return schemas.InitStep{Name: name, Command: []string{"sh", "-c", text}}
}

// written are the lines that the init steps wrote before the replica started.
func (l *lab) written(d plan.Desired) []string {
	l.Helper()
	var lines []string
	l.eventually(func() bool {
		lines = l.provider.lastLines(l.Context(), containerName(d, 0), activities.NewSecretsNone())
		return len(lines) > 0
	}, "the replica shows what its steps wrote")
	return lines
}

func TestInitStepsRunInTheirOrderBeforeEachNewReplica(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	network := l.network("net")
	l.applied(l.declare("data", schemas.TypeStorage, schemas.Storage{}))
	l.applied(l.compute("other", schemas.Compute{Networks: []string{network}}))
	volume := l.target("data", schemas.TypeStorage)
	properties := schemas.Compute{Networks: []string{network}, Volumes: []schemas.VolumeMount{{Source: objectName(volume), MountPath: "/data"}}}
	slow := script("slow", `sleep 0.3; echo "slow $WHO" >>/data/log`)
	slow.Environment = map[string]string{"WHO": "${generated.web.password}"}
	steps := []schemas.InitStep{slow, script("fast", "getent hosts other >/dev/null && echo fast >>/data/log")}

	d := l.shell(properties, steps...)
	l.applied(d)
	password, err := l.secrets.Reveal("${generated.web.password}")
	require.NoError(t, err)
	once := []string{"slow " + password, "fast"}
	require.Equal(t, once, l.written(d))
	require.Len(t, l.containers(), 2, "the steps are gone")
	o := l.observed("web")
	require.Equal(t, plan.StateReady, o.State, o.Reason)
	require.Len(t, o.Replicas, 1)
	for _, text := range append(valuesOf(l.inspect(containerName(d, 0)).Config.Labels), l.spoken.String()) {
		require.NotContains(t, text, password)
	}

	l.kill(containerName(d, 0))
	l.applied(d)
	require.Equal(t, append(once, once...), l.written(d), "the same container shows the same lines again")

	properties.Environment = map[string]string{"VERSION": "2"}
	next := l.shell(properties, steps...)
	l.applied(next)
	require.Equal(t, append(once, once...), l.written(next), "a new container has its own run of the steps")
}

func TestAnInitStepThatFailsKeepsTheReplicaFromBeingMade(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	network := l.network("net")
	properties := schemas.Compute{Networks: []string{network}}
	before := l.shell(properties)
	l.applied(before)

	after := l.shell(properties, script("good", "true"), script("migrate", "echo no such table; exit 3"), script("never", "true"))
	f := l.fault(after, activities.Unhealthy)
	require.Equal(t, "init step migrate of replica 0 ended with exit code 3", f.Message)
	require.Equal(t, "properties.initSteps[1]", f.Field)
	require.Equal(t, []string{"no such table"}, f.Evidence.Logs)
	require.Equal(t, 3, *f.Evidence.ExitCode)
	require.Equal(t, containerName(after, 0)+".migrate", f.Evidence.Container)

	aliases := l.inspect(f.Evidence.Container).NetworkSettings.Networks[network].Aliases
	require.NotContains(t, aliases, "web", "others would take the step for the replica")
	require.Equal(t, "1 to update", l.summary(after))
	o := l.observed("web")
	require.Equal(t, plan.StateDegraded, o.State)
	require.Contains(t, o.Reason, "init step migrate of replica 0 is exited")
	require.Len(t, o.Replicas, 1)
	require.Equal(t, plan.ContainerRunning, o.Replicas[0].State, "the former version goes on")

	first := l.inspect(containerName(after, 0) + ".good")
	l.fault(after, activities.Unhealthy)
	require.Equal(t, first.State.StartedAt, l.inspect(containerName(after, 0)+".good").State.StartedAt, "what ended well is not repeated")

	require.Equal(t, "1 to update", l.summary(before), "the way back")
	l.applied(before)
	require.Len(t, l.containers(), 1)
	require.Equal(t, "1 unchanged", l.summary(before))

	l.fault(after, activities.Unhealthy)
	require.NoError(t, l.delete(after.Target))
	require.Empty(t, l.containers())
}

func TestAFirstReplicaThatNeverCameIsSeenByItsInitStep(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.shell(schemas.Compute{}, script("migrate", "exit 1"))
	d.DependsOn = []string{"db"}
	l.fault(d, activities.Unhealthy)
	o := l.observed("web")
	require.Equal(t, []string{"db"}, o.DependsOn)
	require.Equal(t, "replica 0 is missing; init step migrate of replica 0 is exited", o.Reason)
	measured, err := l.provider.Metrics(t.Context(), d.Target)
	require.NoError(t, err)
	require.Empty(t, measured)
}

func TestFaultsOfInitStepsNameTheirField(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	tests := map[string]struct {
		step  schemas.InitStep
		kind  activities.FaultKind
		field string
	}{
		"a command that is not there":         {schemas.InitStep{Name: "a", Command: []string{"no-such-command"}}, activities.Invalid, "properties.initSteps[1].command"},
		"an image that is not there":          {schemas.InitStep{Name: "a", Image: "windlass.local/none:1"}, activities.NotFound, "properties.initSteps[1].image"},
		"an image whose program ends at once": {schemas.InitStep{Name: "a", Image: images.FixtureReference, Args: []string{"exit", "2"}}, activities.Unhealthy, "properties.initSteps[1]"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := l.fault(l.shell(schemas.Compute{}, script("first", "true"), test.step), test.kind)
			require.Equal(t, test.field, f.Field)
		})
	}
}

func TestImagesOfInitStepsArePulledWithTheOthers(t *testing.T) {
	t.Parallel()
	l := &lab{T: t, provider: newProvider(t, "")}
	credentials := &schemas.RegistryCredentials{Username: "ci", Password: "${secret.TOKEN}"}
	found, err := l.provider.Images(l.compute("web", schemas.Compute{
		Image: "registry.test/app:1", PullPolicy: schemas.PullAlways, RegistryCredentials: credentials,
		InitSteps: []schemas.InitStep{{Name: "a"}, {Name: "b", Image: "registry.test/tool:1"}, {Name: "c", Image: "redis:7"}},
	}))
	require.NoError(t, err)
	require.Equal(t, []activities.Image{
		{Reference: "registry.test/app:1", Policy: schemas.PullAlways, Credentials: credentials, Field: "properties.image"},
		{Reference: "registry.test/tool:1", Policy: schemas.PullAlways, Credentials: credentials, Field: "properties.initSteps[1].image"},
		{Reference: "redis:7", Policy: schemas.PullAlways, Field: "properties.initSteps[2].image"},
	}, found)
}

func TestWhateverCallOfInitStepsIsLostEachRunsOnce(t *testing.T) {
	t.Parallel()
	version := func(l *lab, n int) plan.Desired {
		volume := l.target("data", schemas.TypeStorage)
		return l.shell(schemas.Compute{Volumes: []schemas.VolumeMount{{Source: objectName(volume), MountPath: "/data"}}},
			script("first", fmt.Sprintf("echo first %d >>/data/log", n)),
			script("second", fmt.Sprintf("sleep 0.1; echo second %d >>/data/log", n)))
	}
	data := func(l *lab) plan.Desired { return l.declare("data", schemas.TypeStorage, schemas.Storage{}) }
	t.Run("creating", func(t *testing.T) {
		t.Parallel()
		walk(t, 9,
			func(l *lab, _ int) error { l.clear(); return nil },
			func(l *lab, _ int) error { return l.applyEach(data(l), version(l, 1)) },
			func(l *lab, _ int) {
				l.requireExactly(data(l), version(l, 1))
				require.Equal(l, []string{"first 1", "second 1"}, l.written(version(l, 1)))
			})
	})
	t.Run("updating", func(t *testing.T) {
		t.Parallel()
		walk(t, 10,
			once(func(l *lab) error { return l.applyEach(data(l), version(l, 0)) }),
			func(l *lab, n int) error { return l.applyEach(version(l, n)) },
			func(l *lab, n int) {
				l.requireExactly(data(l), version(l, n))
				lines := strings.Join(l.written(version(l, n)), "\n")
				require.True(l, strings.HasSuffix(lines, fmt.Sprintf("second %d\nfirst %d\nsecond %d", n-1, n, n)), lines)
			})
	})
}
