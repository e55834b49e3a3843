package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"windlass/activities"
)

// settings are what can be changed by hand on a container that exists. Those that
// it was made with are kept in a label, since the engine forgets them then.
type settings struct {
	// NanoCPUs are billionths of a core, CPUShares a weight, memory is in bytes; 0
	// is without limit.
	NanoCPUs          int64                       `json:"nanoCPUs,omitempty"`
	CPUShares         int64                       `json:"cpuShares,omitempty"`
	Memory            int64                       `json:"memory,omitempty"`
	MemoryReservation int64                       `json:"memoryReservation,omitempty"`
	Restart           container.RestartPolicyMode `json:"restart,omitempty"`
}

func settingsOf(h *container.HostConfig) settings {
	return settings{
		NanoCPUs: h.NanoCPUs, CPUShares: h.CPUShares,
		Memory: h.Memory, MemoryReservation: h.MemoryReservation,
		Restart: h.RestartPolicy.Name,
	}
}

// differences tells in words what has been changed.
func (s settings) differences(made settings) []string {
	var found []string
	changed := func(name string, is, was int64, words func(int64) string) {
		if is != was {
			found = append(found, fmt.Sprintf("its %s is %s, not %s", name, words(is), words(was)))
		}
	}
	cores := func(nano int64) string { return fmt.Sprintf("%g cores", float64(nano)/nanoPerCore) }
	bytes := func(n int64) string { return units.BytesSize(float64(n)) }
	changed("CPU limit", s.NanoCPUs, made.NanoCPUs, cores)
	changed("CPU weight", s.CPUShares, made.CPUShares, func(n int64) string { return fmt.Sprint(n) })
	changed("memory limit", s.Memory, made.Memory, bytes)
	changed("memory request", s.MemoryReservation, made.MemoryReservation, bytes)
	if s.Restart != made.Restart {
		found = append(found, fmt.Sprintf("its restart policy is %s, not %s", s.Restart, made.Restart))
	}
	return found
}

// drift tells in words what was changed by hand on a container since it was made.
func drift(c *container.InspectResponse) []string {
	var found []string
	var made settings
	if text := c.Config.Labels[activities.LabelSettings]; text != "" && c.HostConfig != nil && json.Unmarshal([]byte(text), &made) == nil {
		found = settingsOf(c.HostConfig).differences(made)
	}
	for _, name := range detached(c) {
		found = append(found, fmt.Sprintf("it is not connected to network %s", name))
	}
	for _, name := range unfixed(c) {
		found = append(found, fmt.Sprintf("its address on network %s may change, so that its security groups do not hold there", name))
	}
	return found
}

// unfixed are the networks on which a running container with security groups has an
// address that it does not keep: somebody connected it by hand.
func unfixed(c *container.InspectResponse) []string {
	if !c.State.Running || c.NetworkSettings == nil || c.Config.Labels[activities.LabelSecurityGroups] == "" {
		return nil
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(c.NetworkSettings.Networks)) {
		if !fixedAddress(c.NetworkSettings.Networks[name]).IsValid() {
			names = append(names, name)
		}
	}
	return names
}

// detached are the networks that a running container should be on and is not.
func detached(c *container.InspectResponse) []string {
	if !c.State.Running || c.NetworkSettings == nil {
		return nil
	}
	var names []string
	for _, name := range separated(c.Config.Labels[activities.LabelNetworks]) {
		if c.NetworkSettings.Networks[name] == nil {
			names = append(names, name)
		}
	}
	return names
}

// mend undoes what was changed by hand on a running container. It reports false
// when that cannot be done in place: the engine takes no limit away again.
func (r *replica) mend(ctx context.Context, c *container.InspectResponse) (bool, error) {
	if len(drift(c)) == 0 {
		return true, nil
	}
	w, p := r.workload, r.provider
	r.say("putting back what was changed on " + r.title())
	missing := detached(c)
	for _, name := range unfixed(c) {
		if err := p.disconnect(ctx, w.desired.Resource, name, c.ID, w.containerName(r.index)); err != nil {
			return false, err
		}
		if slices.Contains(w.networks, name) {
			missing = append(missing, name)
		}
	}
	for _, name := range missing {
		j := r.joining(name, c.ID)
		j.running = true
		if err := p.join(ctx, w.desired.Resource, j); err != nil {
			return false, err
		}
	}
	if settingsOf(c.HostConfig) != settingsOf(w.host) {
		limits := w.host.Resources
		_, err := settle(ctx, func(ctx context.Context) (client.ContainerUpdateResult, error) {
			return p.engine.ContainerUpdate(ctx, c.ID, client.ContainerUpdateOptions{Resources: &limits, RestartPolicy: &w.host.RestartPolicy})
		})
		if err != nil {
			return false, engineFault(ctx, w.desired.Resource, "put back the settings of "+r.title(), err)
		}
	}
	mended, err := p.inspect(ctx, w.desired.Resource, c.ID)
	if err != nil || mended == nil {
		return false, err
	}
	return len(drift(mended)) == 0, nil
}
