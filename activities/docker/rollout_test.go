package docker

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
	"windlass/schemas/traffic"
)

func (l *lab) started(d plan.Desired, index int) string {
	l.Helper()
	name, err := l.provider.StartReplica(l.Context(), d, index, l.secrets, l.spoken.say)
	require.NoError(l, err)
	return name
}

func (l *lab) surveyed(d plan.Desired) activities.Survey {
	l.Helper()
	s, err := l.provider.Survey(l.Context(), d, l.spoken.say)
	require.NoError(l, err)
	return s
}

func TestAReplicaMovesStepByStep(t *testing.T) {
	t.Parallel()
	l := newBalancedLab(t)
	before, after := l.web("a", 2), l.web("b", 2)
	l.applied(before)
	l.applied(l.edge(nil))

	name := l.started(after, 0)
	require.Equal(t, name, l.started(after, 0), "begun again, it is adopted")
	require.NoError(t, l.provider.AwaitReplica(t.Context(), after, 0, l.secrets, l.spoken.say))
	old := containerName(before, 0)
	found := l.surveyed(after)
	require.True(t, found.Balanced)
	require.Len(t, found.Replicas, 3)
	for _, r := range found.Replicas {
		require.True(t, r.Available, "%+v", r)
		require.Equal(t, r.Set == before.SpecHash, r.Routed, "%+v", r)
	}

	change := activities.Routing{Join: []string{name}, Leave: []string{old}}
	for range 2 { // the second time nothing changes
		require.NoError(t, l.provider.Route(t.Context(), after, change, l.spoken.say))
	}
	require.True(t, routingOf(l.configuration()).serves(name))
	require.False(t, routingOf(l.configuration()).serves(old))
	version := l.configuration().Version
	require.NoError(t, l.provider.Route(t.Context(), after, change, l.spoken.say))
	require.Equal(t, version, l.configuration().Version)

	for range 2 {
		require.NoError(t, l.provider.DrainReplica(t.Context(), before.Target, old, l.spoken.say))
		require.NoError(t, l.provider.RemoveReplica(t.Context(), before.Target, old, l.spoken.say))
	}
	require.Len(t, l.surveyed(after).Replicas, 2)
}

func TestAShareOfTheRequestsGoesToTheNewVersion(t *testing.T) {
	t.Parallel()
	l := newBalancedLab(t)
	before, after := l.web("a", 2), l.web("b", 2)
	l.applied(before)
	l.applied(l.edge(nil))
	name := l.started(after, 0)
	require.NoError(t, l.provider.AwaitReplica(t.Context(), after, 0, l.secrets, l.spoken.say))
	weight := 20
	require.NoError(t, l.provider.Route(t.Context(), after, activities.Routing{Join: []string{name}, Weight: &weight}, l.spoken.say))
	require.Equal(t, []traffic.Subset{{Name: newVersion, Weight: 20}, {Name: oldVersion, Weight: 80}}, l.configuration().Services[0].Subsets)
	const asked = 1000
	counts, c := map[string]int{}, l.caller()
	defer c.CloseIdleConnections()
	for range asked {
		text, err := c.get("/who")
		require.NoError(t, err)
		counts[text[strings.LastIndexByte(text, ' ')+1:]]++
	}
	// Within five standard deviations of what chance gives.
	require.InDelta(t, 0.2*asked, counts["b"], 5*math.Sqrt(asked*0.2*0.8), "%v", counts)
	require.NoError(t, l.provider.Route(t.Context(), after, activities.Routing{}, l.spoken.say))
	require.Empty(t, l.configuration().Services[0].Subsets)
}

func TestAReplicaThatFailedIsKeptOutOfTheWay(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.compute("web", schemas.Compute{Args: []string{"-never-healthy"}, Health: quickHTTP()})
	name := l.started(d, 0)
	fault := requireFault(t, l.provider.AwaitReplica(t.Context(), d, 0, l.secrets, l.spoken.say), activities.Unhealthy)
	require.NotNil(t, fault.Evidence)
	for range 2 { // the second time it is set aside already
		found, err := l.provider.SetAsideReplica(t.Context(), d, 0, l.secrets, l.spoken.say)
		require.NoError(t, err)
		require.Contains(t, strings.Join(found.Logs, "\n"), "listening")
	}
	kept := l.inspect(name + asideSuffix)
	require.False(t, kept.State.Running)
	require.Equal(t, container.RestartPolicyDisabled, kept.HostConfig.RestartPolicy.Name)
	require.Empty(t, l.observedOrNone("web"), "it counts no more")

	// The next one that fails takes its place.
	second := l.started(d, 0)
	_, err := l.provider.SetAsideReplica(t.Context(), d, 0, l.secrets, l.spoken.say)
	require.NoError(t, err)
	require.NotEqual(t, kept.ID, l.inspect(second+asideSuffix).ID)
	require.Len(t, l.containers(), 1)

	require.Empty(t, l.surveyed(d).Replicas)
	require.Empty(t, l.containers(), "the next rollout has removed it")
	l.started(d, 0)
	_, err = l.provider.SetAsideReplica(t.Context(), d, 0, l.secrets, l.spoken.say)
	require.NoError(t, err)
	require.NoError(t, l.delete(d.Target))
	require.Empty(t, l.containers())
	found, err := l.provider.SetAsideReplica(t.Context(), d, 0, l.secrets, l.spoken.say)
	require.NoError(t, err)
	require.Nil(t, found, "nothing is there")
}

func TestWhoWatchesReplicasLearnsThatOneIsNotWellAnyMore(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		harm   func(l *lab, id string) error
		reason string
	}{
		"killed": {func(l *lab, id string) error {
			_, err := l.engine.ContainerKill(l.Context(), id, client.ContainerKillOptions{Signal: "KILL"})
			return err
		}, "replica 1 was ready, and"},
		"paused": {func(l *lab, id string) error {
			_, err := l.engine.ContainerPause(l.Context(), id, client.ContainerPauseOptions{})
			return err
		}, "replica 1 was ready, and is Paused"},
		"unhealthy": {func(l *lab, id string) error {
			return l.fetch(id, "/break")
		}, "replica 1 was ready, and failed 3 health checks in a row: GET /healthz: 503"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			d := l.compute("web", schemas.Compute{Replicas: number(2), Health: patientHTTP(), RestartPolicy: schemas.RestartNever})
			l.applied(d)
			watched := make(chan activities.UnhealthyReplica, 1)
			go func() {
				found, err := l.provider.WatchReplicas(l.Context(), d, []int{0, 1}, l.secrets, l.spoken.say)
				if err != nil {
					found.Fault = &activities.Fault{Message: err.Error()}
				}
				watched <- found
			}()
			l.eventually(func() bool { return strings.Contains(l.spoken.String(), "watching the replicas") }, "it watches")
			require.NoError(t, test.harm(l, l.inspect(containerName(d, 1)).ID))
			select {
			case found := <-watched:
				require.Contains(t, found.Fault.Message, test.reason)
				require.Equal(t, 1, found.Index)
			case <-time.After(time.Minute):
				require.Fail(t, "nobody noticed")
			}
		})
	}
}

// Removed before it is looked at again, since one that is being removed has ended first.
func TestWhoWatchesReplicasLearnsThatOneIsGone(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.compute("web", schemas.Compute{Replicas: number(2)})
	l.applied(d)
	_, err := l.engine.ContainerRemove(t.Context(), l.inspect(containerName(d, 1)).ID, client.ContainerRemoveOptions{Force: true})
	require.NoError(t, err)
	found, err := l.provider.WatchReplicas(t.Context(), d, []int{0, 1}, l.secrets, l.spoken.say)
	require.NoError(t, err)
	require.Equal(t, 1, found.Index)
	require.Contains(t, found.Fault.Message, "replica 1 was removed by something else")
}

// fetch asks a container over HTTP.
func (l *lab) fetch(id, path string) error {
	for _, n := range l.inspect(id).NetworkSettings.Networks {
		c := caller{address: fmt.Sprintf("http://%s:8080", n.IPAddress)}
		_, err := c.get(path)
		return err
	}
	return fmt.Errorf("%s has no address", id)
}

func TestReadyForAMomentIsNotEnough(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.compute("web", schemas.Compute{Args: []string{"-unhealthy-after", "1s"}, Health: patientHTTP()})
	d.Strategy = &schemas.Strategy{MinReadySeconds: 30}
	l.started(d, 0)
	fault := requireFault(t, l.provider.AwaitReplica(t.Context(), d, 0, l.secrets, l.spoken.say), activities.Unhealthy)
	require.Contains(t, fault.Message, "was ready, and failed 3 health checks in a row")
}

func TestAVersionIsMeasured(t *testing.T) {
	t.Parallel()
	l := newBalancedLab(t)
	d := l.compute("web", schemas.Compute{
		Args: []string{"-fail-every", "5"}, Networks: []string{l.network}, Health: patientHTTP(), Ports: []schemas.Port{{ContainerPort: 8080}},
	})
	l.applied(d)
	l.applied(l.edge(nil))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() {
		for c := l.caller(); ctx.Err() == nil; {
			_, _ = c.get("/who")
		}
	}()
	ratio, latency := 0.05, duration(time.Microsecond)
	for name, test := range map[string]struct {
		analysis schemas.Analysis
		reason   string
	}{
		"errors":        {schemas.Analysis{Metrics: &schemas.MetricsAnalysis{MaxErrorRatio: &ratio}}, "requests failed, at most 5.0% may"},
		"latency":       {schemas.Analysis{Metrics: &schemas.MetricsAnalysis{MaxLatency: latency}}, "the 0.99 quantile of the latency is"},
		"few requests":  {schemas.Analysis{Metrics: &schemas.MetricsAnalysis{MaxLatency: latency, MinRequests: number(1_000_000)}}, "of which 1000000 are needed"},
		"well enough":   {schemas.Analysis{Metrics: &schemas.MetricsAnalysis{MaxErrorRatio: pointer(0.5), MaxLatency: duration(time.Minute)}}, ""},
		"a query":       {schemas.Analysis{PromQL: &schemas.PromQLAnalysis{Query: errorRatio, Max: &ratio}}, "at most 0.05 is accepted"},
		"too little":    {schemas.Analysis{PromQL: &schemas.PromQLAnalysis{Query: errorRatio, Min: pointer(0.5)}}, "at least 0.5 is accepted"},
		"well asked":    {schemas.Analysis{PromQL: &schemas.PromQLAnalysis{Query: errorRatio, Min: pointer(0.1), Max: pointer(0.3)}}, ""},
		"a quantile":    {schemas.Analysis{PromQL: &schemas.PromQLAnalysis{Query: `histogram_quantile(0.99, sum by (le) (rate(windlass_proxy_request_seconds_bucket{version="new"}[1m])))`, Max: pointer(60.0)}}, ""},
		"no value":      {schemas.Analysis{PromQL: &schemas.PromQLAnalysis{Query: "nothing_here", Max: &ratio}}, "nothing_here has no value"},
		"http":          {schemas.Analysis{HTTP: &schemas.HTTPAnalysis{Port: 8080, Path: "/healthz", Status: 418}}, "replica 0: GET /healthz: 200 OK"},
		"http is well":  {schemas.Analysis{HTTP: &schemas.HTTPAnalysis{Port: 8080, Path: "/healthz"}}, ""},
		"a command":     {schemas.Analysis{Exec: &schemas.ExecCheck{Command: []string{"/fixture", "nonsense"}}}, "replica 0: the command exited with"},
		"it may fail":   {schemas.Analysis{Count: 2, FailureLimit: 2, HTTP: &schemas.HTTPAnalysis{Port: 8080, Status: 418}}, ""},
		"no such thing": {schemas.Analysis{Exec: &schemas.ExecCheck{Command: []string{"/nothing-here"}}}, "replica 0: "},
	} {
		t.Run(name, func(t *testing.T) {
			test.analysis.Interval = duration(300 * time.Millisecond)
			if test.analysis.PromQL != nil {
				test.analysis.Interval = duration(2 * sampleInterval) // a rate is of two samples
			}
			step := schemas.Strategy{Steps: []schemas.CanaryStep{{Analysis: &test.analysis}}}.WithDefaults()
			err := l.provider.AnalyseReplicas(t.Context(), d, *step.Steps[0].Analysis, l.secrets, l.spoken.say)
			if test.reason == "" {
				require.NoError(t, err)
				return
			}
			require.Contains(t, requireFault(t, err, activities.Unhealthy).Message, test.reason)
		})
	}
}

// errorRatio is the share of the requests to the new version that failed.
const errorRatio = `sum(rate(windlass_proxy_requests_total{version="new", code="5xx"}[1m])) / sum(rate(windlass_proxy_requests_total{version="new"}[1m]))`

func TestAQueryThatCannotBeAskedIsRefusedWithItsPlace(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.compute("web", schemas.Compute{})
	d.Strategy = &schemas.Strategy{Type: schemas.StrategyCanary, Steps: []schemas.CanaryStep{{}, {Analysis: &schemas.Analysis{PromQL: &schemas.PromQLAnalysis{Query: "sum("}}}}}
	_, err := l.provider.Rolls(d)
	require.Equal(t, "properties.strategy.steps[1].analysis.promql.query", requireFault(t, err, activities.Invalid).Field)
}

func pointer[T any](v T) *T { return &v }

func TestAQuantileIsReadOffTheBucketThatItFallsInto(t *testing.T) {
	all := tally{buckets: map[float64]float64{0.1: 50, 0.2: 90, 1: 100, math.Inf(1): 100}}
	require.Equal(t, 100*time.Millisecond, all.quantile(0.5))
	require.Equal(t, 150*time.Millisecond, all.quantile(0.7))
	require.Equal(t, 920*time.Millisecond, all.quantile(0.99).Round(time.Millisecond))
	require.Equal(t, time.Second, tally{buckets: map[float64]float64{1: 0, math.Inf(1): 5}}.quantile(0.5))
	require.Zero(t, tally{}.quantile(0.5))
	earlier := tally{requests: 10, errors: 1, buckets: map[float64]float64{0.1: 40}}
	require.Equal(t, 10.0, all.since(earlier).buckets[0.1])
}
