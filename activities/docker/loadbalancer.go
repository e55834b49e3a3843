package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/moby/moby/api/types/container"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
	"windlass/schemas/quantity"
	"windlass/schemas/traffic"
)

const (
	// The checks of a proxy.
	proxyInterval    = 500 * time.Millisecond
	proxyStartPeriod = 10 * time.Second
)

// applyLoadBalancer brings the proxies of a LoadBalancer to its declaration. Their
// containers are made anew for what an engine cannot change; the rest, and the
// labels that say what was declared, is in the configuration, which they take while
// they run.
func (p *Provider) applyLoadBalancer(ctx context.Context, d plan.Desired, outputs schemas.Outputs, secrets activities.Secrets, say activities.Progress) error {
	declared, err := decode[schemas.LoadBalancer](d)
	if err != nil {
		return err
	}
	declared = declared.WithDefaults()
	labels, err := objectLabels(d, outputs, nil)
	if err != nil {
		return err
	}
	image, version, err := p.proxyImage(ctx, d.Resource, say)
	if err != nil {
		return err
	}
	labels[activities.LabelProxy] = version
	w, err := proxyWorkload(d, declared, outputs, image)
	if err != nil {
		return err
	}
	files, err := tlsFiles(declared, secrets)
	if err != nil {
		return err
	}
	b := &balancer{provider: p, target: d.Target}
	wanted := func(current traffic.Configuration) (traffic.Configuration, error) {
		endpoints, err := b.observedEndpoints(ctx, declared.Target, current)
		return trafficConfiguration(declared, labels, routing{endpoints, routingOf(current).subsets}), err
	}
	w.prepare = func(ctx context.Context, id, name string) error {
		return b.equip(ctx, proxy{p, d.Resource, id, name}, files, wanted)
	}
	if err := p.applyWorkload(ctx, w, secrets, say); err != nil {
		return err
	}
	if err := b.upgrade(ctx, image, version, say); err != nil {
		return err
	}
	say("configuring the proxies")
	return b.configure(ctx, files, wanted)
}

// equip gives a proxy that has not been started what it is to do. It is as new as
// what the others do, so that it takes what they are given next.
func (b *balancer) equip(ctx context.Context, x proxy, files map[string][]byte, wanted func(traffic.Configuration) (traffic.Configuration, error)) error {
	all, err := b.instances(ctx)
	if err != nil {
		return err
	}
	current := latest(all)
	first, err := wanted(current)
	if err != nil {
		return err
	}
	first.Version = max(current.Version, 1)
	text, err := content(first)
	if err != nil {
		return err
	}
	placed := map[string][]byte{configurationFile: text}
	maps.Copy(placed, files)
	return x.place(ctx, placed)
}

// proxyWorkload translates what of a LoadBalancer the engine is told.
func proxyWorkload(d plan.Desired, declared schemas.LoadBalancer, outputs schemas.Outputs, image string) (*workload, error) {
	shape, err := shapeOf(d, declared)
	if err != nil {
		return nil, err
	}
	d.SpecHash = shape
	w, err := newWorkload(d, outputs, *declared.Replicas, declared.Networks, declared.Resources, schemas.RestartAlways, time.Duration(*declared.StopGracePeriod))
	if err != nil {
		return nil, err
	}
	w.imageField = "type"
	w.attach(declared.SecurityGroups)
	w.config.Labels[activities.LabelTarget] = declared.Target
	w.config.Image = image
	w.config.Cmd = proxyArguments(time.Duration(*declared.StopGracePeriod), declared.AccessLog)
	w.config.Healthcheck = &container.HealthConfig{Test: []string{"NONE"}}
	ports := make([]schemas.Port, len(declared.Listen))
	for i, l := range declared.Listen {
		ports[i] = schemas.Port{ContainerPort: l.Port, HostPort: *l.HostPort, HostIP: l.HostIP, Protocol: "TCP"}
	}
	if err := w.hold(nil, ports); err != nil {
		return nil, err
	}
	interval, start := quantity.Duration(proxyInterval), quantity.Duration(proxyStartPeriod)
	health := schemas.Health{TCP: &schemas.TCPCheck{Port: declared.Listen[0].Port}, Interval: &interval, StartPeriod: &start}.WithDefaults()
	return w, w.watch(&health, func() probe { return networkProbe(health) })
}

// shapeOf is the hash of what a container of a LoadBalancer is made anew for.
func shapeOf(d plan.Desired, b schemas.LoadBalancer) (string, error) {
	shape := schemas.LoadBalancer{
		Target: b.Target, Networks: b.Networks, SecurityGroups: b.SecurityGroups, Resources: b.Resources,
		Replicas: b.Replicas, StopGracePeriod: b.StopGracePeriod, AccessLog: b.AccessLog,
	}
	for _, l := range b.Listen {
		port := schemas.Listen{Port: l.Port, HostPort: l.HostPort, HostIP: l.HostIP}
		if l.Protocol == traffic.TCP { // a proxy does not change the protocol of a port that is open
			port.Protocol = l.Protocol
		}
		shape.Listen = append(shape.Listen, port)
	}
	text, err := json.Marshal(shape)
	if err != nil {
		return "", fmt.Errorf("%s: %w", d.Resource, err)
	}
	return plan.Hash(d.Type, text)
}

// tlsFiles are the certificates and keys of the listeners, by the names of their files.
func tlsFiles(b schemas.LoadBalancer, secrets activities.Secrets) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, l := range b.Listen {
		if l.TLS == nil {
			continue
		}
		for kind, text := range map[string]string{"crt": l.TLS.Certificate, "key": l.TLS.Key, "ca": l.TLS.ClientCA} {
			if text == "" {
				continue
			}
			revealed, err := secrets.Reveal(text)
			if err != nil {
				return nil, err
			}
			files[tlsFileName(l.Port, kind)] = []byte(revealed)
		}
	}
	return files, nil
}

// trafficConfiguration is what a LoadBalancer's proxies do with these endpoints, given by
// the names of their containers.
func trafficConfiguration(b schemas.LoadBalancer, labels map[string]string, r routing) traffic.Configuration {
	c := traffic.Configuration{Labels: labels}
	for _, l := range b.Listen {
		service := serviceName(b.Target, l)
		listener := traffic.Listener{Name: fmt.Sprint(l.Port), Port: l.Port, Protocol: l.Protocol, Service: service}
		if l.TLS != nil {
			listener.TLS = &traffic.ListenerTLS{CertificateFile: tlsFile(l.Port, "crt"), KeyFile: tlsFile(l.Port, "key"), AllowedClients: l.TLS.AllowedClients}
			if l.TLS.ClientCA != "" {
				listener.TLS.ClientCAFile = tlsFile(l.Port, "ca")
			}
		}
		c.Listeners = append(c.Listeners, listener)
		if slices.ContainsFunc(c.Services, func(s traffic.Service) bool { return s.Name == service }) {
			continue
		}
		s := traffic.Service{Name: service, Policy: b.TrafficPolicy, Endpoints: []traffic.Endpoint{}, Subsets: r.subsets}
		for _, e := range r.endpoints {
			e.Address = fmt.Sprintf("%s:%d", e.ID, l.TargetPort)
			s.Endpoints = append(s.Endpoints, e)
		}
		c.Services = append(c.Services, s)
	}
	return c
}

// serviceName tells the ports of a target apart, and how they are spoken with.
func serviceName(target string, l schemas.Listen) string {
	name := fmt.Sprintf("%s:%d", target, l.TargetPort)
	if l.Protocol == traffic.TCP {
		name += "/tcp"
	}
	return name
}
