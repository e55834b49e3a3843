package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"

	"windlass/activities"
	"windlass/plan"
)

// Metrics implements activities.Provider. It lasts about a second, in which the
// engine takes two samples of each running replica. A replica that ends meanwhile
// is left out.
func (p *Provider) Metrics(ctx context.Context, target plan.Target) ([]activities.Metrics, error) {
	if err := p.mine(target); err != nil {
		return nil, err
	}
	containers, err := p.listContainers(ctx, target.Resource, activities.IdentityLabels(target))
	if err != nil {
		return nil, err
	}
	_, containers = separateSteps(containers)
	readings := make([]*activities.Metrics, len(containers))
	group, groupContext := errgroup.WithContext(ctx)
	for i, c := range containers {
		if c.State != container.StateRunning {
			continue
		}
		group.Go(func() error {
			var err error
			readings[i], err = p.measure(groupContext, target, c)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var measured []activities.Metrics
	for _, m := range readings {
		if m != nil {
			measured = append(measured, *m)
		}
	}
	return measured, nil
}

// measure returns nil for a container that does not run any more.
func (p *Provider) measure(ctx context.Context, t plan.Target, c listed) (*activities.Metrics, error) {
	stats, err := read(ctx, func(ctx context.Context) (container.StatsResponse, error) {
		var stats container.StatsResponse
		answer, err := p.engine.ContainerStats(ctx, c.ID, client.ContainerStatsOptions{IncludePreviousSample: true})
		if err != nil {
			return stats, err
		}
		defer answer.Body.Close()
		err = json.NewDecoder(answer.Body).Decode(&stats)
		return stats, err
	})
	if errdefs.IsNotFound(err) || errdefs.IsConflict(err) || errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, engineFault(ctx, t.Resource, fmt.Sprintf("measure container %s", c.name()), err)
	}
	if stats.CPUStats.CPUUsage.TotalUsage == 0 {
		return nil, nil
	}
	full, err := p.inspect(ctx, t.Resource, c.ID)
	if err != nil || full == nil {
		return nil, err
	}
	m := reading(stats)
	m.Replica = c.name()
	m.MemoryLimitBytes = full.HostConfig.Memory
	return &m, nil
}

// reading translates a sample of the engine.
func reading(s container.StatsResponse) activities.Metrics {
	m := activities.Metrics{At: s.Read, CPU: cores(s), MemoryBytes: workingSet(s.MemoryStats)}
	for _, n := range s.Networks {
		m.NetworkInBytes += int64(n.RxBytes)
		m.NetworkOutBytes += int64(n.TxBytes)
	}
	return m
}

// cores is the processor time used between the two samples per time that passed.
func cores(s container.StatsResponse) float64 {
	passed := s.Read.Sub(s.PreRead)
	before, after := s.PreCPUStats.CPUUsage.TotalUsage, s.CPUStats.CPUUsage.TotalUsage
	if s.PreRead.IsZero() || passed <= 0 || after < before {
		return 0
	}
	return float64(after-before) / float64(passed.Nanoseconds())
}

// workingSet is the memory in use without the file cache that the kernel can drop
// at once, as the docker command counts it: cgroup v1 calls the latter
// total_inactive_file, cgroup v2 inactive_file.
func workingSet(m container.MemoryStats) int64 {
	inactive, v1 := m.Stats["total_inactive_file"]
	if !v1 {
		inactive = m.Stats["inactive_file"]
	}
	if inactive > m.Usage {
		return int64(m.Usage)
	}
	return int64(m.Usage - inactive)
}
