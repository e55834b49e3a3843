package docker

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
	"windlass/schemas/quantity"
)

func TestAReplicaIsReadyOnceItsCheckPasses(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		health *schemas.Health
		said   string
		want   plan.HealthState
	}{
		"over HTTP": {&schemas.Health{HTTP: &schemas.HTTPCheck{Path: "/healthz", Port: 8080}}, "waiting for replica 0: GET /healthz: 503 Service Unavailable: still starting", plan.HealthHealthy},
		"over TCP":  {&schemas.Health{TCP: &schemas.TCPCheck{Port: 8080}}, "", plan.HealthHealthy},
		"by a command in the container": {&schemas.Health{Exec: &schemas.ExecCheck{Command: []string{"/fixture", "check"}}, Interval: duration(200 * time.Millisecond), HealthyThreshold: 2},
			"waiting for replica 0: exec check: exit code", plan.HealthHealthy},
		"without a check": {nil, "", plan.HealthNone},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			d := l.compute("web", schemas.Compute{Networks: []string{l.network("net")}, Args: []string{"-healthy-after", "1s"}, Health: c.health})
			l.applied(d)
			require.Contains(t, l.spoken.String(), c.said)
			l.eventually(func() bool { return l.observed("web").State == plan.StateReady }, "ready")
			require.Equal(t, c.want, l.observed("web").Replicas[0].Health)
		})
	}
}

func TestAReplicaThatFailsIsReportedWithEvidence(t *testing.T) {
	t.Parallel()
	exec := &schemas.Health{Exec: &schemas.ExecCheck{Command: []string{"/fixture", "check"}}, Interval: duration(200 * time.Millisecond), StartPeriod: duration(500 * time.Millisecond)}
	cases := map[string]struct {
		args    []string
		health  *schemas.Health
		policy  schemas.RestartPolicy
		memory  quantity.Memory
		message string
		field   string
		// What the evidence must say.
		states []plan.ContainerState
		code   int
		check  string
		logs   string
		oom    bool
	}{
		"a check over HTTP that always fails": {args: []string{"-never-healthy"}, health: quickHTTP(), message: "replica 0 failed 3 health checks in a row",
			field: "properties.health", states: []plan.ContainerState{plan.ContainerRunning}, code: -1, check: "GET /healthz: 503 Service Unavailable: never healthy", logs: "listening on"},
		"a port that nobody listens on": {health: &schemas.Health{TCP: &schemas.TCPCheck{Port: 9}, Interval: duration(100 * time.Millisecond), StartPeriod: duration(0)},
			message: "connection refused", field: "properties.health", states: []plan.ContainerState{plan.ContainerRunning}, code: -1, check: "connect to port 9: connection refused"},
		"a command in the container that always fails": {args: []string{"-never-healthy"}, health: exec, message: "replica 0 failed 3 health checks in a row",
			field: "properties.health", states: []plan.ContainerState{plan.ContainerRunning}, code: -1, check: "exec check: exit code 1: unhealthy: 503"},
		"an end that the engine does not follow with a restart": {args: []string{"exit", "7", "30"}, health: patientHTTP(), policy: schemas.RestartNever,
			message: "ended with exit code 7", states: []plan.ContainerState{plan.ContainerExited}, code: 7, logs: "line 11\nline 12"},
		"an end after its check has failed": {args: []string{"-never-healthy", "-exit-after", "700ms", "-exit-code", "3"}, policy: schemas.RestartNever,
			health:  &schemas.Health{HTTP: &schemas.HTTPCheck{Port: 8080}, Interval: duration(50 * time.Millisecond), StartPeriod: duration(0)},
			message: "ended with exit code 3", states: []plan.ContainerState{plan.ContainerExited}, code: 3, logs: "listening on"},
		"an end with success before it was healthy": {args: []string{"exit", "0"}, health: patientHTTP(), policy: schemas.RestartOnFailure,
			message: "ended with exit code 0 before it was healthy", states: []plan.ContainerState{plan.ContainerExited}, code: 0},
		"restarts without end": {args: []string{"exit", "3", "1"}, health: &schemas.Health{HTTP: &schemas.HTTPCheck{Port: 8080}}, message: "times and did not become healthy; it ended with exit code 3", code: 3,
			states: []plan.ContainerState{plan.ContainerRestarting}, logs: "line 1"},
		"too little memory": {args: []string{"-allocate-mib", "64"}, health: patientHTTP(), policy: schemas.RestartNever, memory: "16Mi",
			message: "ended with exit code 137 (SIGKILL, as when it needs more than its memory limit of 16MiB) before it was healthy", code: 137, oom: true,
			states: []plan.ContainerState{plan.ContainerExited, plan.ContainerStopped}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			if c.code >= 0 {
				l.provider.endPatience = time.Minute
			}
			d := l.compute("web", schemas.Compute{Args: c.args, Health: c.health, RestartPolicy: c.policy, Resources: schemas.Requirements{MemoryLimit: c.memory}})
			f := l.fault(d, activities.Unhealthy)
			require.Contains(t, f.Message, c.message)
			require.Equal(t, c.field, f.Field)
			e := f.Evidence
			require.NotNil(t, e)
			require.Equal(t, containerName(d, 0), e.Container)
			require.Contains(t, c.states, plan.ContainerState(e.State))
			// A busy engine can lose it.
			require.Equal(t, c.oom && l.inspect(e.Container).State.OOMKilled, e.OOMKilled)
			require.Contains(t, e.Health, c.check)
			require.Contains(t, strings.Join(e.Logs, "\n"), c.logs)
			require.LessOrEqual(t, len(e.Logs), 20)
			switch {
			case c.code < 0:
				require.Nil(t, e.ExitCode)
			default:
				require.NotNil(t, e.ExitCode)
				require.Equal(t, c.code, *e.ExitCode)
			}
			require.Len(t, l.containers(), 1, "the failed container is left as evidence")
			left := l.containers()[0].ID
			require.Equal(t, plan.StateDegraded, l.observed("web").State)

			healthy := l.compute("web", schemas.Compute{Health: patientHTTP()})
			l.applied(healthy)
			require.Len(t, l.containers(), 1)
			require.NotEqual(t, left, l.containers()[0].ID)
		})
	}
}

func TestAReplicaWithoutACheckIsReadyUnlessItHasFailed(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		code, message string
	}{
		"a failure":    {"4", "replica 0 ended with exit code 4"},
		"work is done": {"0", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			d := l.compute("job", schemas.Compute{Args: []string{"exit", c.code, "1"}, RestartPolicy: schemas.RestartNever})
			w, err := computeWorkload(d, nil, l.secrets)
			require.NoError(t, err)
			r := &replica{provider: l.provider, workload: w, secrets: l.secrets, say: l.spoken.say}
			id, err := r.make(t.Context())
			require.NoError(t, err)
			l.eventually(func() bool { return !l.inspect(id).State.Running }, "ended")

			err = r.await(t.Context(), id, false)
			if c.message == "" {
				require.NoError(t, err)
				require.Equal(t, plan.StateReady, l.observed("job").State)
				return
			}
			f := requireFault(t, err, activities.Unhealthy)
			require.Equal(t, c.message, f.Message)
			require.Equal(t, []string{"line 1"}, f.Evidence.Logs)
			require.Equal(t, "replica 0 is exited with exit code 4", l.observed("job").Reason)
		})
	}
}

func TestAFailedReplicaIsMadeAnewByTheSameDeclaration(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.compute("web", schemas.Compute{Args: []string{"exit", "7"}, Health: patientHTTP(), RestartPolicy: schemas.RestartNever})
	l.fault(d, activities.Unhealthy)
	before := l.containers()[0].ID
	l.fault(d, activities.Unhealthy)
	require.Len(t, l.containers(), 1)
	require.NotEqual(t, before, l.containers()[0].ID)
}

func TestAFailedUpdateLeavesTheOldReplicasServing(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	network := l.network("net")
	good := l.compute("web", schemas.Compute{Replicas: number(2), Networks: []string{network}, Health: patientHTTP()})
	l.applied(good)
	serving := idsOf(l.containers())
	bad := l.compute("web", schemas.Compute{Replicas: number(2), Networks: []string{network}, Health: quickHTTP(), Args: []string{"-never-healthy"}})
	l.fault(bad, activities.Unhealthy)
	require.Len(t, l.containers(), 3, "only the first replica was tried")

	l.applied(good)
	require.ElementsMatch(t, serving, idsOf(l.containers()))
}
