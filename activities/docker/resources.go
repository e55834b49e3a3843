package docker

import (
	"net/netip"
	"strconv"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

const (
	nanoPerCore = 1_000_000_000
	// sharesPerCore is the weight of one core, as Kubernetes counts it; the kernel
	// takes no weight below minShares.
	sharesPerCore = 1024
	minShares     = 2
)

// resources translates limits and requests. Memory and swap are limited to the
// same amount, so that a container cannot swap its way around the limit.
func resources(d plan.Desired, r schemas.Requirements) (container.Resources, error) {
	var out container.Resources
	amount := func(name string, read func() (int64, error)) (int64, error) {
		v, err := read()
		if err != nil {
			return 0, &activities.Fault{Kind: activities.Invalid, Resource: d.Resource, Field: "properties.resources." + name, Message: err.Error(), Err: err}
		}
		return v, nil
	}
	var err error
	if out.NanoCPUs, err = amount("cpuLimit", r.CPULimit.Nano); err != nil {
		return out, err
	}
	request, err := amount("cpuRequest", r.CPURequest.Nano)
	if err != nil {
		return out, err
	}
	if request > 0 {
		out.CPUShares = max(minShares, request*sharesPerCore/nanoPerCore)
	}
	if out.Memory, err = amount("memoryLimit", r.MemoryLimit.Bytes); err != nil {
		return out, err
	}
	out.MemorySwap = out.Memory
	out.MemoryReservation, err = amount("memoryRequest", r.MemoryRequest.Bytes)
	return out, err
}

// hostBinding is the address and port of the host that a port is published on.
func hostBinding(p schemas.Port) (network.PortBinding, error) {
	ip, err := netip.ParseAddr(p.HostIP)
	if err != nil {
		return network.PortBinding{}, err
	}
	return network.PortBinding{HostIP: ip, HostPort: strconv.Itoa(p.HostPort)}, nil
}
