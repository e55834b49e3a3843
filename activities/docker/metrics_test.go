package docker

import (
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

func TestMetricsComeFromTheEngine(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.compute("web", schemas.Compute{Networks: []string{l.network("net")}, Replicas: number(2), Args: []string{"-allocate-mib", "40"},
		Resources: schemas.Requirements{MemoryLimit: "128Mi"}, Health: patientHTTP()})
	l.applied(d)
	metrics, err := l.provider.Metrics(t.Context(), d.Target)
	require.NoError(t, err)
	require.Len(t, metrics, 2)
	for i, m := range metrics {
		require.Equal(t, containerName(d, i), m.Replica)
		require.GreaterOrEqual(t, m.CPU, 0.0)
		require.Greater(t, m.MemoryBytes, int64(40<<20))
		require.Less(t, m.MemoryBytes, int64(128<<20))
		require.Equal(t, int64(128<<20), m.MemoryLimitBytes)
		require.Positive(t, m.NetworkInBytes, "the health checks came over the network")
		require.Positive(t, m.NetworkOutBytes)
		require.False(t, m.At.IsZero())
	}
	none, err := l.provider.Metrics(t.Context(), l.target("nothing", schemas.TypeCompute))
	require.NoError(t, err)
	require.Empty(t, none)
}

func TestReadingASampleOfTheEngine(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	sample := container.StatsResponse{
		PreRead: start, Read: start.Add(2 * time.Second),
		PreCPUStats: container.CPUStats{CPUUsage: container.CPUUsage{TotalUsage: 1e9}},
		CPUStats:    container.CPUStats{CPUUsage: container.CPUUsage{TotalUsage: 4e9}},
		Networks:    map[string]container.NetworkStats{"eth0": {RxBytes: 1, TxBytes: 2}, "eth1": {RxBytes: 10, TxBytes: 20}},
	}
	cases := map[string]struct {
		memory container.MemoryStats
		want   int64
	}{
		"cgroup v1 leaves out the whole group's cache": {container.MemoryStats{Usage: 100, Stats: map[string]uint64{"total_inactive_file": 30, "inactive_file": 10}}, 70},
		"cgroup v2 leaves out its cache":               {container.MemoryStats{Usage: 100, Stats: map[string]uint64{"inactive_file": 10}}, 90},
		"without details it is all":                    {container.MemoryStats{Usage: 100}, 100},
		"a cache larger than the usage is not trusted": {container.MemoryStats{Usage: 100, Stats: map[string]uint64{"inactive_file": 200}}, 100},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			sample.MemoryStats = c.memory
			m := reading(sample)
			require.Equal(t, c.want, m.MemoryBytes)
			require.InDelta(t, 1.5, m.CPU, 1e-9)
			require.Equal(t, int64(11), m.NetworkInBytes)
			require.Equal(t, int64(22), m.NetworkOutBytes)
		})
	}
	require.Zero(t, cores(container.StatsResponse{Read: start}), "one sample says nothing about usage")
}
