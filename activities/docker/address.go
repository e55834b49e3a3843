package docker

import (
	"maps"
	"slices"

	"github.com/moby/moby/api/types/container"
)

// address is the IP address at which a running container is reached from the
// host: that of the first declared network that has one, or else of any. It is
// empty when there is none.
func address(c *container.InspectResponse, networks []string) string {
	if c.HostConfig != nil && c.HostConfig.NetworkMode.IsHost() {
		return "127.0.0.1"
	}
	if c.NetworkSettings == nil || !c.State.Running {
		return ""
	}
	names := append(slices.Clone(networks), slices.Sorted(maps.Keys(c.NetworkSettings.Networks))...)
	for _, name := range names {
		endpoint := c.NetworkSettings.Networks[name]
		if endpoint == nil {
			continue
		}
		if endpoint.IPAddress.IsValid() {
			return endpoint.IPAddress.String()
		}
		if endpoint.GlobalIPv6Address.IsValid() {
			return endpoint.GlobalIPv6Address.String()
		}
	}
	return ""
}
