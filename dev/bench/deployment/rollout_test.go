package deployment

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"windlass/activities"
	"windlass/dev/engine/host"
	"windlass/dev/images"
	"windlass/events"
	"windlass/schemas"
	"windlass/worker"
)

// surge is how many replicas there may be above the declared ones.
const surge = 5

// healthInterval lies between two looks at a replica that starts.
const healthInterval = 100 * time.Millisecond

// BenchmarkRolloutOfThirty compares moving 30 replicas at a surge of 5 with the same
// calls to the engine, in the same order, with nothing in between.
func BenchmarkRolloutOfThirty(b *testing.B) {
	engine, err := client.New(client.FromEnv)
	require.NoError(b, err)
	b.Cleanup(func() { _ = engine.Close() })
	s := start(b)
	s.startWorker(b)
	b.Cleanup(func() { removeAll(b, engine, s.environment) })
	for b.Loop() {
		var bareTimes, windlassTimes []time.Duration
		for range 3 {
			bareTimes = append(bareTimes, s.bareRollout(b, engine))
			windlassTimes = append(windlassTimes, s.rollout(b))
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(milliseconds(median(bareTimes)), "ms-bare")
		b.ReportMetric(milliseconds(median(windlassTimes)), "ms-windlass")
		b.ReportMetric(float64(median(windlassTimes))/float64(median(bareTimes)), "ratio")
	}
}

// fleetDocument declares the replicas of a version, and what else there is.
func (s *bench) fleetDocument(version, networks, more string) string {
	return fmt.Sprintf(`apiVersion: windlass/v1
kind: Infrastructure
metadata: {name: fleet}
spec:
  environment: %s
  resources:
    - name: web
      type: Compute
      properties:
        image: %s
        replicas: %d
        networks: [%s]
        args: ["-label", "%s"]
        ports: [{containerPort: 8080}]
        health: {http: {path: /healthz, port: 8080}, interval: %s}
        strategy: {maxSurge: %d}
%s`, s.environment, image, fleet, networks, version, healthInterval, surge, more)
}

// rollout is the time from the command to the event that says that all have moved.
func (s *bench) rollout(b *testing.B) time.Duration {
	b.Helper()
	follower := s.follow(b, "fleet", schemas.StatusDeploymentSucceeded, schemas.StatusDeploymentFailed)
	s.move(b, follower, s.fleetDocument("one", "", ""))
	begun := time.Now()
	s.move(b, follower, s.fleetDocument("two", "", ""))
	took := time.Since(begun)
	await(b, follower, s.publish(b, s.scope("fleet"), schemas.CommandDestroyRequested, schemas.DestroyRequested{Scope: s.scope("fleet")}))
	return took
}

func (s *bench) move(b *testing.B, follower *events.Follower, document string) {
	b.Helper()
	await(b, follower, s.publish(b, s.scope("fleet"), schemas.CommandDeploymentRequested, map[string]any{"document": document}))
}

// bareRollout makes the replicas and then exchanges them, as many at a time as may be
// above the declared ones: start, wait until healthy, stop the old one and remove it.
func (s *bench) bareRollout(b *testing.B, engine *client.Client) time.Duration {
	b.Helper()
	make := func(ctx context.Context, version string, i int) error {
		created, err := engine.ContainerCreate(ctx, client.ContainerCreateOptions{
			Name:   fmt.Sprintf("%s.bare.%d.%s", s.environment, i, version),
			Config: &container.Config{Image: image, Cmd: []string{"-label", version}, Labels: map[string]string{activities.LabelEnvironment: s.environment}},
		})
		if err != nil {
			return err
		}
		if _, err = engine.ContainerStart(ctx, created.ID, client.ContainerStartOptions{}); err != nil {
			return err
		}
		return untilHealthy(ctx, engine, created.ID)
	}
	group, ctx := errgroup.WithContext(b.Context())
	group.SetLimit(surge)
	for i := range fleet {
		group.Go(func() error { return make(ctx, "one", i) })
	}
	require.NoError(b, group.Wait())
	begun := time.Now()
	group, ctx = errgroup.WithContext(b.Context())
	group.SetLimit(surge)
	for i := range fleet {
		group.Go(func() error {
			if err := make(ctx, "two", i); err != nil {
				return err
			}
			old := fmt.Sprintf("%s.bare.%d.one", s.environment, i)
			if _, err := engine.ContainerStop(ctx, old, client.ContainerStopOptions{}); err != nil {
				return err
			}
			_, err := engine.ContainerRemove(ctx, old, client.ContainerRemoveOptions{})
			return err
		})
	}
	require.NoError(b, group.Wait())
	took := time.Since(begun)
	removeAll(b, engine, s.environment)
	return took
}

func untilHealthy(ctx context.Context, engine *client.Client, id string) error {
	for {
		c, err := engine.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
		if err != nil {
			return err
		}
		for _, n := range c.Container.NetworkSettings.Networks {
			response, err := http.Get("http://" + net.JoinHostPort(n.IPAddress.String(), "8080") + "/healthz")
			if err == nil {
				response.Body.Close()
				if response.StatusCode == http.StatusOK {
					return nil
				}
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(healthInterval):
		}
	}
}

// BenchmarkRolloutUnderLoad moves 30 replicas while they are used: by Windlass behind
// a LoadBalancer, and by docker-compose (Debian's package) with a published port for
// each. It reports the time and the requests that failed.
func BenchmarkRolloutUnderLoad(b *testing.B) {
	engine, err := client.New(client.FromEnv)
	require.NoError(b, err)
	b.Cleanup(func() { _ = engine.Close() })
	binary, err := images.ProxyBinary(b.Context())
	require.NoError(b, err)
	s := start(b)
	s.startWorkerWith(b, func(c *worker.Config) {
		c.DockerHost, c.ProxyBinary = "unix://"+engineSocket, binary
	})
	b.Cleanup(func() { removeAll(b, engine, s.environment) })
	compose := newCompose(b)
	for b.Loop() {
		port := freePorts(b, 1)
		network := `"${net.name}"`
		front := fmt.Sprintf("    - {name: net, type: Network}\n    - {name: front, type: LoadBalancer, properties: {target: \"${web.name}\", networks: [\"${net.name}\"], listen: [{port: 8080, hostPort: %d}]}}\n", port)
		follower := s.follow(b, "fleet", schemas.StatusDeploymentSucceeded, schemas.StatusDeploymentFailed)
		s.move(b, follower, s.fleetDocument("one", network, front))
		took, asked, failed := underLoad(b, []int{port}, func() { s.move(b, follower, s.fleetDocument("two", network, front)) })
		await(b, follower, s.publish(b, s.scope("fleet"), schemas.CommandDestroyRequested, schemas.DestroyRequested{Scope: s.scope("fleet")}))
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(milliseconds(took), "ms-windlass")
		b.ReportMetric(float64(asked), "requests-windlass")
		b.ReportMetric(float64(failed), "failed-windlass")

		compose.up(b, "one")
		took, asked, failed = underLoad(b, compose.ports(), func() { compose.up(b, "two") })
		compose.down(b)
		b.ReportMetric(milliseconds(took), "ms-compose")
		b.ReportMetric(float64(asked), "requests-compose")
		b.ReportMetric(float64(failed), "failed-compose")
	}
}

// callers ask at a time, each over connections that it keeps, with a pause that leaves
// the processors to the work.
const callers = 8

// underLoad measures what is done while the ports are asked in turn.
func underLoad(b *testing.B, ports []int, work func()) (took time.Duration, asked, failed int64) {
	b.Helper()
	ctx, stop := context.WithCancel(b.Context())
	var done sync.WaitGroup
	var requests, failures atomic.Int64
	for c := range callers {
		done.Go(func() {
			caller := http.Client{Transport: &http.Transport{}, Timeout: 5 * time.Second}
			defer caller.CloseIdleConnections()
			for n := c; ctx.Err() == nil; n++ {
				requests.Add(1)
				response, err := caller.Get(fmt.Sprintf("http://127.0.0.1:%d/who", ports[n%len(ports)]))
				if err != nil || response.StatusCode != http.StatusOK {
					failures.Add(1)
				}
				if err == nil {
					response.Body.Close()
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	begun := time.Now()
	work()
	took = time.Since(begun)
	stop()
	done.Wait()
	return took, requests.Load(), failures.Load()
}

// compose runs docker-compose in a folder of its own.
type compose struct {
	folder string
	first  int
}

func newCompose(b *testing.B) *compose {
	b.Helper()
	if _, err := exec.LookPath("docker-compose"); err != nil {
		require.NoError(b, host.InstallPackages(b.Context(), "docker-compose"))
	}
	c := &compose{folder: b.TempDir(), first: freePorts(b, fleet)}
	b.Cleanup(func() { c.down(b) })
	return c
}

// freePorts returns the first of so many ports in a row that nobody listens on.
func freePorts(b *testing.B, n int) int {
	b.Helper()
	for first := 20000; first < 60000; first += n {
		free := true
		for port := first; port < first+n && free; port++ {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if free = err == nil; free {
				_ = l.Close()
			}
		}
		if free {
			return first
		}
	}
	require.FailNow(b, "no ports are free")
	return 0
}

func (c *compose) ports() []int {
	ports := make([]int, fleet)
	for i := range ports {
		ports[i] = c.first + i
	}
	return ports
}

func (c *compose) run(b *testing.B, arguments ...string) {
	b.Helper()
	command := exec.Command("docker-compose", append([]string{"--project-name", "windlassbench"}, arguments...)...)
	command.Dir = c.folder
	output, err := command.CombinedOutput()
	require.NoError(b, err, "%s", output)
}

func (c *compose) up(b *testing.B, version string) {
	b.Helper()
	text := fmt.Sprintf("version: \"3\"\nservices:\n  web:\n    image: %s\n    command: [\"-label\", \"%s\"]\n    ports: [\"127.0.0.1:%d-%d:8080\"]\n", image, version, c.first, c.first+fleet-1)
	require.NoError(b, os.WriteFile(filepath.Join(c.folder, "docker-compose.yml"), []byte(text), 0o600))
	c.run(b, "up", "--detach", "--scale", fmt.Sprintf("web=%d", fleet))
}

func (c *compose) down(b *testing.B) {
	b.Helper()
	if _, err := os.Stat(filepath.Join(c.folder, "docker-compose.yml")); err == nil {
		c.run(b, "down", "--timeout", "1")
	}
}
