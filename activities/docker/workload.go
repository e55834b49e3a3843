package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

// workload is what a Compute, a Database and a LoadBalancer have in common: containers of one
// kind, with what the engine is told about each of them.
type workload struct {
	desired  plan.Desired
	replicas int
	// exclusive says that the containers hold volumes or ports of the host, so that
	// the old and the new version of a replica cannot run at the same time.
	exclusive bool
	// networks are joined in this order; the first is the container's default.
	networks []string
	ports    []schemas.Port
	// volumes are those that must exist already, for the faults that name them.
	volumes []schemas.VolumeMount
	restart schemas.RestartPolicy
	// job says that the replicas run to their end.
	job bool
	// steps are the init steps of each replica, in their order.
	steps []*workload
	// step is the name of the init step that this workload is; empty for replicas.
	step string
	// imageField is the path of the property that decides the image.
	imageField string
	// health is nil when a running replica is a ready one.
	health *schemas.Health
	// newProbe makes the check of one replica; nil together with health.
	newProbe func() probe
	// prepare, when set, is called with a container that was made and not started yet.
	prepare func(ctx context.Context, id, name string) error
	// balancers pass requests to the replicas.
	balancers []*balancer
	// config and host hold revealed secrets: they go to the engine and nowhere else.
	config *container.Config
	host   *container.HostConfig
}

// attach makes the containers members of security groups, given by their names.
func (w *workload) attach(groups []string) {
	if len(groups) > 0 {
		w.config.Labels[activities.LabelSecurityGroups] = strings.Join(groups, ",")
	}
}

// guarded says that the containers have security groups, and so may not start
// before the packet filter knows them.
func (w *workload) guarded() bool { return w.config.Labels[activities.LabelSecurityGroups] != "" }

// create is what the engine is asked for one replica with that address on its first
// network, if it is to keep one.
func (w *workload) create(index int, address netip.Addr) client.ContainerCreateOptions {
	config := *w.config
	config.Labels = maps.Clone(w.config.Labels)
	config.Labels[activities.LabelReplica] = strconv.Itoa(index)
	options := client.ContainerCreateOptions{
		Name: w.containerName(index), Config: &config, HostConfig: w.host,
	}
	// Engines before API 1.44 take one network when they create a container; the
	// others are connected before the start.
	if len(w.networks) > 0 {
		options.NetworkingConfig = &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
			w.networks[0]: endpointSettings(w.networkAliases(w.networks[0], index), address),
		}}
	}
	return options
}

// containerName is the name of the container with that index.
func (w *workload) containerName(index int) string {
	name := containerName(w.desired, index)
	if w.step != "" {
		name += "." + w.step
	}
	return name
}

// aliases are the names by which a replica is found on its networks: the
// resource's, which all replicas share, and one of its own.
func aliases(resource string, index int) []string {
	return []string{resource, resource + "-" + strconv.Itoa(index)}
}

// networkAliases are the aliases on a network. The engine refuses them on the
// networks that it brings itself; an init step is found by nobody.
func (w *workload) networkAliases(name string, index int) []string {
	if w.step != "" || slices.Contains(engineNetworks, name) {
		return nil
	}
	return aliases(w.desired.Resource, index)
}

// engineNetworks are those that the engine brings itself.
var engineNetworks = []string{network.NetworkBridge, network.NetworkHost, network.NetworkNone, network.NetworkDefault}

// newWorkload fills in what does not depend on the type of the resource.
func newWorkload(d plan.Desired, outputs schemas.Outputs, replicas int, networks []string, requirements schemas.Requirements, restart schemas.RestartPolicy, grace time.Duration) (*workload, error) {
	labels, err := objectLabels(d, outputs, nil)
	if err != nil {
		return nil, err
	}
	labels[activities.LabelReplicas] = strconv.Itoa(replicas)
	labels[activities.LabelNetworks] = strings.Join(networks, ",")
	limits, err := resources(d, requirements)
	if err != nil {
		return nil, err
	}
	seconds := int(math.Ceil(grace.Seconds()))
	w := &workload{
		desired: d, replicas: replicas, networks: networks, restart: restart,
		config: &container.Config{Labels: labels, StopTimeout: &seconds},
		host:   &container.HostConfig{Resources: limits},
	}
	if len(networks) > 0 {
		w.host.NetworkMode = container.NetworkMode(networks[0])
	}
	return w, nil
}

// hold decides whether the replicas can overlap, and with it how they restart.
//
// An exclusive replica that was stopped to hand over its volume or port must not
// come back when the engine restarts in the middle of an update, which is what
// "always" would do; "unless-stopped" is the same in every other respect.
func (w *workload) hold(mounts []mount.Mount, ports []schemas.Port) error {
	w.host.Mounts = mounts
	w.ports = ports
	w.exclusive = len(mounts) > 0
	w.config.ExposedPorts = network.PortSet{}
	w.host.PortBindings = network.PortMap{}
	for i, declared := range ports {
		field := fmt.Sprintf("properties.ports[%d]", i)
		port, err := network.ParsePort(fmt.Sprintf("%d/%s", declared.ContainerPort, strings.ToLower(declared.Protocol)))
		if err != nil {
			return &activities.Fault{Kind: activities.Invalid, Resource: w.desired.Resource, Field: field, Message: err.Error(), Err: err}
		}
		w.config.ExposedPorts[port] = struct{}{}
		if declared.HostPort == 0 {
			continue
		}
		w.exclusive = true
		binding, err := hostBinding(declared)
		if err != nil {
			return &activities.Fault{Kind: activities.Invalid, Resource: w.desired.Resource, Field: field + ".hostIP", Message: err.Error(), Err: err}
		}
		w.host.PortBindings[port] = append(w.host.PortBindings[port], binding)
	}
	return w.restarts()
}

// restarts sets what the engine does when a replica ends, and keeps what it is told in
// a label.
func (w *workload) restarts() error {
	switch w.restart {
	case schemas.RestartNever:
		w.host.RestartPolicy.Name = container.RestartPolicyDisabled
	case schemas.RestartOnFailure:
		w.host.RestartPolicy.Name = container.RestartPolicyOnFailure
	default:
		w.host.RestartPolicy.Name = container.RestartPolicyAlways
		if w.exclusive {
			w.host.RestartPolicy.Name = container.RestartPolicyUnlessStopped
		}
	}
	text, err := json.Marshal(settingsOf(w.host))
	if err != nil {
		return fmt.Errorf("%s: settings: %w", w.desired.Resource, err)
	}
	w.config.Labels[activities.LabelSettings] = string(text)
	return nil
}

// watch sets the health check. A check over HTTP or TCP is kept in a label, so
// that Observe can run it without the declaration.
func (w *workload) watch(health *schemas.Health, newProbe func() probe) error {
	w.health, w.newProbe = health, newProbe
	if health == nil || health.Exec != nil {
		return nil
	}
	text, err := json.Marshal(health)
	if err != nil {
		return fmt.Errorf("%s: health check: %w", w.desired.Resource, err)
	}
	w.config.Labels[activities.LabelHealth] = string(text)
	return nil
}

// leave has the balancers pass no more requests to a container, and waits for those
// that it has.
func (w *workload) leave(ctx context.Context, name string, say activities.Progress) error {
	for _, b := range w.balancers {
		say(fmt.Sprintf("taking %s out of %s", name, b.target.Resource))
		if err := b.leave(ctx, name, say); err != nil {
			return err
		}
	}
	return nil
}

// settle has the balancers know the declared containers and no others.
func (w *workload) settle(ctx context.Context, say activities.Progress) error {
	names := make([]string, w.replicas)
	for index := range names {
		names[index] = w.containerName(index)
	}
	for _, b := range w.balancers {
		if err := b.settle(ctx, names, say); err != nil {
			return err
		}
	}
	return nil
}
