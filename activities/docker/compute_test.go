package docker

import (
	"context"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/dev/images"
	"windlass/plan"
	"windlass/schemas"
)

func TestAComputeRunsItsReplicasAsDeclared(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	front, back := l.network("front"), l.network("back")
	data := l.applied(l.declare("data", schemas.TypeStorage, schemas.Storage{}))["name"]
	d := l.compute("web", schemas.Compute{
		Args:        []string{"serve", "-log-lines", "1"},
		Environment: map[string]string{"ZEBRA": "z", "ALPHA": "a ${generated.db.password} $${plain}"},
		User:        "1000:1000",
		WorkingDir:  "/tmp",
		Ports:       []schemas.Port{{ContainerPort: 8080}},
		Volumes:     []schemas.VolumeMount{{Source: data, MountPath: "/data", ReadOnly: true}},
		Networks:    []string{front, back},
		Resources:   schemas.Requirements{CPULimit: "0.5", CPURequest: "250m", MemoryLimit: "64Mi", MemoryRequest: "16Mi"},
		Replicas:    number(2), Health: patientHTTP(), StopGracePeriod: duration(1500 * time.Millisecond),
	})
	d.DependsOn = []string{"db"}
	predicted, err := l.provider.Outputs(d)
	require.NoError(t, err)
	require.Equal(t, schemas.Outputs{"name": "web", "host": "web", "port": "8080"}, predicted)
	require.Equal(t, predicted, l.applied(d))

	name := "test." + l.scope.Infrastructure + ".web.1." + d.SpecHash[:8]
	c := l.inspect(name)
	password, err := l.secrets.Reveal("${generated.db.password}")
	require.NoError(t, err)
	require.Subset(t, c.Config.Env, []string{"ALPHA=a " + password + " ${plain}", "ZEBRA=z"})
	require.Equal(t, "1000:1000", c.Config.User)
	require.Equal(t, "/tmp", c.Config.WorkingDir)
	require.Equal(t, 2, *c.Config.StopTimeout)
	require.EqualValues(t, 500_000_000, c.HostConfig.NanoCPUs)
	require.EqualValues(t, 256, c.HostConfig.CPUShares)
	require.EqualValues(t, 64<<20, c.HostConfig.Memory)
	require.EqualValues(t, 64<<20, c.HostConfig.MemorySwap)
	require.EqualValues(t, 16<<20, c.HostConfig.MemoryReservation)
	require.Equal(t, data, c.Mounts[0].Name)
	require.False(t, c.Mounts[0].RW)
	for _, joined := range []string{front, back} {
		require.Subset(t, c.NetworkSettings.Networks[joined].Aliases, []string{"web", "web-1"})
	}
	for key, value := range map[string]string{
		"environment": "test", "infrastructure": l.scope.Infrastructure, "resource": "web", "type": "Compute", "provider": "docker",
		"replica": "1", "replicas": "2", "revision": "1", "spec": d.SpecHash, "dependson": "db", "networks": front + "," + back,
	} {
		require.Equal(t, value, c.Config.Labels["io.windlass."+key], key)
	}
	for _, text := range append(valuesOf(c.Config.Labels), l.spoken.String()) {
		require.NotContains(t, text, password)
	}

	o := l.observed("web")
	require.Equal(t, plan.StateReady, o.State, o.Reason)
	require.Equal(t, predicted, o.Outputs)
	require.Equal(t, []string{"db"}, o.DependsOn)
	require.Len(t, o.Replicas, 2)
	require.Equal(t, plan.Replica{Index: 1, Name: name, ID: c.ID, Image: images.FixtureReference, SpecHash: d.SpecHash,
		State: plan.ContainerRunning, Health: plan.HealthHealthy, StartedAt: o.Replicas[1].StartedAt,
		Address: c.NetworkSettings.Networks[front].IPAddress.String()}, o.Replicas[1])
	require.WithinDuration(t, time.Now(), o.Replicas[1].StartedAt, time.Hour)

	before := l.containers()
	l.applied(d)
	require.ElementsMatch(t, idsOf(before), idsOf(l.containers()), "a second apply changes nothing")

	require.NoError(t, l.delete(d.Target))
	require.NoError(t, l.delete(d.Target), "gone is no error")
	require.Empty(t, l.containers())
	require.Len(t, l.names(), 3, "networks and volume are other resources")
}

func valuesOf(labels map[string]string) []string {
	var values []string
	for _, v := range labels {
		values = append(values, v)
	}
	return values
}

func idsOf(containers []listed) []string {
	var ids []string
	for _, c := range containers {
		ids = append(ids, c.ID)
	}
	return ids
}

func TestRestartPolicies(t *testing.T) {
	cases := map[string]struct {
		policy schemas.RestartPolicy
		ports  []schemas.Port
		want   container.RestartPolicyMode
	}{
		"always is the default": {want: container.RestartPolicyAlways},
		"on failure":            {policy: schemas.RestartOnFailure, want: container.RestartPolicyOnFailure},
		"never":                 {policy: schemas.RestartNever, want: container.RestartPolicyDisabled},
		"one that is stopped to hand over a port stays down": {ports: []schemas.Port{{ContainerPort: 1, HostPort: 1}}, want: container.RestartPolicyUnlessStopped},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			l := &lab{T: t, secrets: activities.NewSecretsNone()}
			w, err := computeWorkload(l.compute("web", schemas.Compute{RestartPolicy: c.policy, Ports: c.ports}), nil, l.secrets)
			require.NoError(t, err)
			require.Equal(t, c.want, w.host.RestartPolicy.Name)
		})
	}
}

func TestAnUpdateStartsTheNewBeforeItStopsTheOld(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	network := l.network("net")
	first := l.compute("web", schemas.Compute{Replicas: number(3), Networks: []string{network}, Health: patientHTTP()})
	l.applied(first)

	// The number of running containers never falls below what was there.
	watch, stop := context.WithCancel(t.Context())
	lowest := make(chan int, 1)
	go func() {
		least := 3
		for watch.Err() == nil {
			running := 0
			for _, c := range l.containers() {
				if c.State == container.StateRunning {
					running++
				}
			}
			least = min(least, running)
		}
		lowest <- least
	}()
	second := l.compute("web", schemas.Compute{Replicas: number(3), Networks: []string{network}, Health: patientHTTP(), Environment: map[string]string{"A": "b"}})
	second.Revision = 2
	l.applied(second)
	stop()
	require.Equal(t, 3, <-lowest)

	o := l.observed("web")
	require.Equal(t, plan.StateReady, o.State, o.Reason)
	require.Equal(t, second.SpecHash, o.SpecHash)
	require.Equal(t, 2, o.Revision)
	require.Len(t, l.containers(), 3)

	fewer := l.compute("web", schemas.Compute{Replicas: number(1), Networks: []string{network}, Health: patientHTTP()})
	l.applied(fewer)
	require.Len(t, l.containers(), 1, "surplus replicas go")
}

func TestReplicasThatHoldAVolumeAreStoppedFirst(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	data := l.applied(l.declare("data", schemas.TypeStorage, schemas.Storage{}))["name"]
	volumes := []schemas.VolumeMount{{Source: data, MountPath: "/data"}}
	network := l.network("net")
	first := l.compute("web", schemas.Compute{Volumes: volumes, Networks: []string{network}, Health: patientHTTP()})
	l.applied(first)

	broken := l.compute("web", schemas.Compute{Volumes: volumes, Networks: []string{network}, Health: quickHTTP(), Args: []string{"-never-healthy"}})
	l.fault(broken, activities.Unhealthy)
	old := l.inspect(containerName(first, 0))
	require.Equal(t, plan.ContainerStopped, containerState(old.State, old.HostConfig.RestartPolicy.Name), "the old one is kept, stopped")
	require.Len(t, l.containers(), 2)
	require.Equal(t, plan.StateDegraded, l.observed("web").State)
	require.Empty(t, l.observed("web").SpecHash)

	// Going back starts the old container again and removes the failed one.
	l.applied(first)
	require.Equal(t, []string{old.ID}, idsOf(l.containers()))
	require.Equal(t, plan.StateReady, l.observed("web").State)
}

// freePort is a port that nobody listens on, and below those of outgoing connections,
// which could take it before the engine does.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 10_000 + rand.IntN(10_000)
		if listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			require.NoError(t, listener.Close())
			return port
		}
	}
	require.FailNow(t, "no port is free")
	return 0
}

func TestAPublishedPortIsHandedOver(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	port := freePort(t)
	compute := schemas.Compute{Ports: []schemas.Port{{ContainerPort: 8080, HostPort: port}}, Health: patientHTTP()}
	l.applied(l.compute("web", compute))
	compute.Environment = map[string]string{"VERSION": "2"}
	second := l.compute("web", compute)
	l.applied(second)
	require.Len(t, l.containers(), 1)
	response, err := http.Get("http://127.0.0.1:" + strconv.Itoa(port) + "/env")
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.Equal(t, plan.StateReady, l.observed("web").State)
}

func TestATakenPortIsAConflictThatNamesIt(t *testing.T) {
	t.Parallel()
	for name, taker := range map[string]func(l *lab) (port int, free func()){
		"by a process of the host": func(l *lab) (int, func()) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(l, err)
			return listener.Addr().(*net.TCPAddr).Port, func() { listener.Close() }
		},
		"by another container": func(l *lab) (int, func()) {
			port := freePort(l.T)
			d := l.compute("taker", schemas.Compute{Ports: []schemas.Port{{ContainerPort: 8080, HostPort: port}}})
			l.applied(d)
			return port, func() { require.NoError(l, l.delete(d.Target)) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			port, free := taker(l)
			d := l.compute("web", schemas.Compute{Ports: []schemas.Port{{ContainerPort: 9090, HostPort: freePort(t)}, {ContainerPort: 8080, HostPort: port}}})
			f := l.fault(d, activities.Conflict)
			require.Equal(t, "properties.ports[1].hostPort", f.Field)
			require.Contains(t, f.Message, strconv.Itoa(port))
			require.NotNil(t, f.Evidence)
			left := l.inspect(containerName(d, 0))

			free()
			l.applied(d)
			require.Equal(t, left.ID, l.inspect(containerName(d, 0)).ID, "the container is used again")
		})
	}
}

func TestContainersThatSomeoneTouchedAreBroughtBack(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	network := l.network("net")
	d := l.compute("web", schemas.Compute{Replicas: number(3), Networks: []string{network}, Health: patientHTTP()})
	l.applied(d)
	ids := []string{l.inspect(containerName(d, 0)).ID, l.inspect(containerName(d, 1)).ID, l.inspect(containerName(d, 2)).ID}

	_, err := l.engine.ContainerPause(t.Context(), ids[0], client.ContainerPauseOptions{})
	require.NoError(t, err)
	_, err = l.engine.ContainerStop(t.Context(), ids[1], client.ContainerStopOptions{})
	require.NoError(t, err)
	_, err = l.engine.ContainerRemove(t.Context(), ids[2], client.ContainerRemoveOptions{Force: true})
	require.NoError(t, err)

	o := l.observed("web")
	require.Equal(t, plan.StateDegraded, o.State)
	require.Equal(t, d.SpecHash, o.SpecHash)
	require.Equal(t, "replica 0 is paused; replica 1 is stopped with exit code 0; replica 2 is missing", o.Reason)
	require.Equal(t, plan.ContainerPaused, o.Replicas[0].State)
	require.Equal(t, plan.HealthUnhealthy, o.Replicas[0].Health)
	require.Equal(t, plan.ContainerStopped, o.Replicas[1].State)

	l.applied(d)
	require.Equal(t, plan.StateReady, l.observed("web").State, l.observed("web").Reason)
	require.Equal(t, ids[:2], []string{l.inspect(containerName(d, 0)).ID, l.inspect(containerName(d, 1)).ID})
}

func TestAReplicaThatTurnedUnhealthyIsMadeAnew(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	health := quickHTTP()
	health.StartPeriod = duration(10 * time.Second)
	d := l.compute("web", schemas.Compute{Networks: []string{l.network("net")}, Health: health})
	l.applied(d)
	before := l.observed("web").Replicas[0]
	response, err := http.Get("http://" + before.Address + ":8080/break")
	require.NoError(t, err)
	response.Body.Close()
	l.eventually(func() bool { return l.observed("web").Replicas[0].Health == plan.HealthUnhealthy }, "unhealthy after its start period")
	require.Equal(t, "replica 0 is unhealthy", l.observed("web").Reason)

	l.applied(d)
	after := l.observed("web")
	require.Equal(t, plan.StateReady, after.State)
	require.NotEqual(t, before.ID, after.Replicas[0].ID)
}

func TestFaultsOfAComputeNameTheField(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	joined := l.network("joined")
	cases := map[string]struct {
		compute schemas.Compute
		kind    activities.FaultKind
		field   string
		message string
	}{
		"an image that the engine lacks":  {schemas.Compute{Image: "windlass.local/nothing:1"}, activities.NotFound, "properties.image", "windlass.local/nothing:1"},
		"a volume that nobody made":       {schemas.Compute{Volumes: []schemas.VolumeMount{{Source: "no-such-volume", MountPath: "/data"}}}, activities.NotFound, "properties.volumes[0].source", "no-such-volume"},
		"a first network that is missing": {schemas.Compute{Networks: []string{"no-such-network"}}, activities.NotFound, "properties.networks[0]", "no-such-network"},
		"a next network that is missing":  {schemas.Compute{Networks: []string{joined, "no-such-network"}}, activities.NotFound, "properties.networks[1]", "no-such-network"},
		"a command that is not there":     {schemas.Compute{Command: []string{"/no-such-command"}}, activities.Invalid, "properties.command", "no-such-command"},
		"a user that is not there":        {schemas.Compute{User: "no-such-user"}, activities.Invalid, "", "no-such-user"},
		"an address that is not the host's": {schemas.Compute{Ports: []schemas.Port{{ContainerPort: 80, HostPort: 18080, HostIP: "192.0.2.1"}}},
			activities.Invalid, "properties.ports[0].hostIP", "192.0.2.1"},
		"too little memory":             {schemas.Compute{Resources: schemas.Requirements{MemoryLimit: "1Ki"}}, activities.Invalid, "", "memory"},
		"a secret that does not exist":  {schemas.Compute{Environment: map[string]string{"TOKEN": "${secret.NOTHING}"}}, activities.NotFound, "", "NOTHING"},
		"an amount that is no amount":   {schemas.Compute{Resources: schemas.Requirements{CPULimit: "much"}}, activities.Invalid, "properties.resources.cpuLimit", "much"},
		"an address that is no address": {schemas.Compute{Ports: []schemas.Port{{ContainerPort: 80, HostPort: 80, HostIP: "here"}}}, activities.Invalid, "properties.ports[0].hostIP", "here"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			l := &lab{T: t, engine: l.engine, provider: l.provider, scope: l.scope, secrets: l.secrets, spoken: l.spoken}
			d := l.compute("web", c.compute)
			f := l.fault(d, c.kind)
			require.Equal(t, c.field, f.Field, f.Error())
			require.Contains(t, strings.ToLower(f.Message), strings.ToLower(c.message))
			require.NoError(t, l.delete(d.Target))
		})
	}
	require.Equal(t, []string{"network " + joined}, l.names(), "no volume was made by the way")
}

func TestAContainerOfTheSameNameThatIsNotOursIsLeftAlone(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.compute("web", schemas.Compute{})
	made, err := l.engine.ContainerCreate(t.Context(), client.ContainerCreateOptions{
		Name: containerName(d, 0), Config: &container.Config{Image: images.FixtureReference, Labels: map[string]string{"io.windlass.resource": "web"}},
	})
	require.NoError(t, err)
	f := l.fault(d, activities.Conflict)
	require.Contains(t, f.Message, containerName(d, 0))
	require.NoError(t, l.delete(d.Target))
	require.Equal(t, []string{made.ID}, idsOf(l.containers()))
	all, err := l.provider.Observe(t.Context(), l.scope)
	require.NoError(t, err)
	require.Empty(t, all)
}

func TestASecretDoesNotShowInAnErrorOfTheEngine(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "TOKEN"), []byte("very-secret-token"), 0o600))
	vault, err := activities.NewVault([]byte(strings.Repeat("k", 32)), folder)
	require.NoError(t, err)
	l.secrets = vault.Open(l.scope)
	f := l.fault(l.compute("web", schemas.Compute{Command: []string{"/bin/${secret.TOKEN}"}}), activities.Invalid)
	require.NotContains(t, f.Error(), "very-secret-token")
	require.Contains(t, f.Error(), "[redacted]")
	require.NoError(t, f.Err)

	logging := l.compute("app", schemas.Compute{Args: []string{"${secret.TOKEN}"}, RestartPolicy: schemas.RestartNever, Health: patientHTTP()})
	f = l.fault(logging, activities.Unhealthy)
	require.Contains(t, strings.Join(f.Evidence.Logs, "\n"), "[redacted]")
	require.NotContains(t, strings.Join(f.Evidence.Logs, "\n"), "very-secret-token")
}
