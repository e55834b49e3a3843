package deployment

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"windlass/activities"
	"windlass/dev/images"
	"windlass/schemas"
)

const (
	image = images.FixtureReference
	fleet = 30
)

// BenchmarkThirtyContainers compares deploying 30 independent containers with
// creating and starting the same 30 by bare API calls at the parallelism that is
// best on this machine, in turn.
func BenchmarkThirtyContainers(b *testing.B) {
	engine, err := client.New(client.FromEnv)
	require.NoError(b, err)
	b.Cleanup(func() { _ = engine.Close() })
	s := start(b)
	s.startWorker(b)
	b.Cleanup(func() { removeAll(b, engine, s.environment) })

	parallelism, times := 0, map[int]time.Duration{}
	for _, p := range []int{1, 2, 4, 8} {
		times[p] = bare(b, engine, s.environment, p)
		if parallelism == 0 || times[p] < times[parallelism] {
			parallelism = p
		}
	}
	s.deployFleet(b, engine) // fills caches
	for b.Loop() {
		var bareTimes, windlassTimes []time.Duration
		for range 3 {
			bareTimes = append(bareTimes, bare(b, engine, s.environment, parallelism))
			windlassTimes = append(windlassTimes, s.deployFleet(b, engine))
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(float64(parallelism), "best-parallelism")
		b.ReportMetric(milliseconds(median(bareTimes)), "ms-bare")
		b.ReportMetric(milliseconds(median(windlassTimes)), "ms-windlass")
		b.ReportMetric(float64(median(windlassTimes))/float64(median(bareTimes)), "ratio")
	}
}

// deployFleet is the time from publishing the command to the event that says that
// all containers are ready.
func (s *bench) deployFleet(b *testing.B, engine *client.Client) time.Duration {
	b.Helper()
	follower := s.follow(b, "fleet", schemas.StatusDeploymentSucceeded, schemas.StatusDeploymentFailed)
	begun := time.Now()
	await(b, follower, s.deploy(b, "fleet", fleet))
	took := time.Since(begun)
	require.Len(b, listed(b, engine, s.environment), fleet)
	command := s.publish(b, s.scope("fleet"), schemas.CommandDestroyRequested, schemas.DestroyRequested{Scope: s.scope("fleet")})
	await(b, follower, command)
	return took
}

// bare makes the same containers with nothing in between.
func bare(b *testing.B, engine *client.Client, environment string, parallelism int) time.Duration {
	b.Helper()
	begun := time.Now()
	group, ctx := errgroup.WithContext(b.Context())
	group.SetLimit(parallelism)
	for i := range fleet {
		group.Go(func() error {
			created, err := engine.ContainerCreate(ctx, client.ContainerCreateOptions{
				Name:   fmt.Sprintf("%s.bare.%d", environment, i),
				Config: &container.Config{Image: image, Labels: map[string]string{activities.LabelEnvironment: environment}},
			})
			if err != nil {
				return err
			}
			_, err = engine.ContainerStart(ctx, created.ID, client.ContainerStartOptions{})
			return err
		})
	}
	require.NoError(b, group.Wait())
	took := time.Since(begun)
	removeAll(b, engine, environment)
	return took
}

func listed(b *testing.B, engine *client.Client, environment string) []string {
	b.Helper()
	filters := client.Filters{}.Add("label", activities.LabelEnvironment+"="+environment)
	result, err := engine.ContainerList(context.Background(), client.ContainerListOptions{All: true, Filters: filters})
	require.NoError(b, err)
	var ids []string
	for _, c := range result.Items {
		ids = append(ids, c.ID)
	}
	return slices.Clip(ids)
}

func removeAll(b *testing.B, engine *client.Client, environment string) {
	b.Helper()
	var group errgroup.Group
	group.SetLimit(4)
	for _, id := range listed(b, engine, environment) {
		group.Go(func() error {
			_, err := engine.ContainerRemove(context.Background(), id, client.ContainerRemoveOptions{Force: true})
			return err
		})
	}
	require.NoError(b, group.Wait())
}
