package schemas

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"windlass/schemas/quantity"
	"windlass/schemas/traffic"
)

// ProxyMetricsPort is where a LoadBalancer serves its metrics on its networks, so
// that it cannot listen there.
const ProxyMetricsPort = 9902

// LoadBalancer spreads connections over the replicas of a Compute. It knows them as
// they come and go, and passes nothing to one that is not ready or about to end.
type LoadBalancer struct {
	// Target is a reference to a Compute, such as ${users.name}, that is on a network.
	Target string `json:"target"`
	// Listen are the ports that are taken on.
	Listen []Listen `json:"listen"`
	// Networks are as in Compute; at least one is the target's. The default is those
	// of the target.
	Networks []string `json:"networks,omitempty"`
	// SecurityGroups are as in Compute.
	SecurityGroups []string     `json:"securityGroups,omitempty"`
	Resources      Requirements `json:"resources,omitzero"`
	// Replicas is from 1 to 16; the default is 1. More than one publish no host port:
	// they share the name on their networks.
	Replicas *int `json:"replicas,omitempty"`
	// TrafficPolicy says how connections are spread and what a failing replica means.
	// Without retry, a request whose replica could not be reached is passed to another
	// one, since nothing was sent; retry: {maxRetries: 0} does not.
	TrafficPolicy traffic.Policy `json:"trafficPolicy,omitzero"`
	// AccessLog writes a line per request to the containers' output.
	AccessLog bool `json:"accessLog,omitempty"`
	// StopGracePeriod is how long open requests have when the balancer ends; the
	// default is 30s.
	StopGracePeriod *quantity.Duration `json:"stopGracePeriod,omitempty"`
}

// Listen is one port of a LoadBalancer.
type Listen struct {
	// Port is from 1 to 65535, on the balancer's networks.
	Port int `json:"port"`
	// TargetPort is the port of the replicas; the default is the first that the target declares.
	TargetPort int `json:"targetPort,omitempty"`
	// HostPort publishes the port on the host; the default is Port, 0 does not publish it.
	HostPort *int `json:"hostPort,omitempty"`
	// HostIP is the address to publish on; the default is 127.0.0.1.
	HostIP string `json:"hostIP,omitempty"`
	// Protocol is HTTP (default) or TCP.
	Protocol traffic.Protocol `json:"protocol,omitempty"`
	// TLS is ended at the balancer; the default is plain text.
	TLS *ListenTLS `json:"tls,omitempty"`
}

// ListenTLS is the certificate of a port.
type ListenTLS struct {
	// Certificate and Key are PEM and references such as ${secret.EDGE_KEY}.
	Certificate string `json:"certificate"`
	Key         string `json:"key"`
	// ClientCA, PEM and a reference to a secret, has clients show a certificate that
	// it has signed.
	ClientCA string `json:"clientCA,omitempty"`
	// AllowedClients are the DNS or URI names of which a client's certificate must
	// carry one; the default is any that ClientCA has signed.
	AllowedClients []string `json:"allowedClients,omitempty"`
}

var defaultDrainPeriod = quantity.Duration(30 * time.Second)

// WithDefaults returns a copy in which every optional field has its value, but for
// those that come from the target, which a parsed document has.
func (b LoadBalancer) WithDefaults() LoadBalancer {
	if b.Replicas == nil {
		one := 1
		b.Replicas = &one
	}
	if b.StopGracePeriod == nil {
		b.StopGracePeriod = &defaultDrainPeriod
	}
	if b.TrafficPolicy.Retry == nil {
		every := 1.0 // a try that reached nobody is no load for anybody
		b.TrafficPolicy.Retry = &traffic.Retry{RetryOn: []traffic.RetryOn{traffic.RetryConnectFailure}, Budget: &every}
	}
	b.Listen = slices.Clone(b.Listen)
	for i := range b.Listen {
		l := &b.Listen[i]
		if l.HostPort == nil {
			l.HostPort = &l.Port
		}
		if l.HostIP == "" {
			l.HostIP = "127.0.0.1"
		}
		if l.Protocol == "" {
			l.Protocol = traffic.HTTP
		}
	}
	return b
}

// completeLoadBalancers fills in what a LoadBalancer has from its target by default,
// so that a change of the target's ports or networks is one of the balancer too.
// What is wrong stays as it is, for validation to tell.
func (i *Infrastructure) completeLoadBalancers() error {
	for n := range i.Spec.Resources {
		r := &i.Spec.Resources[n]
		if r.Type != TypeLoadBalancer {
			continue
		}
		b, err := Decode[LoadBalancer](*r)
		if err != nil {
			continue
		}
		target, ok := i.balanced(b)
		if !ok {
			continue
		}
		if r.Properties, err = completed(r.Properties, b, target); err != nil {
			return fmt.Errorf("properties of LoadBalancer %q: %w", r.Name, err)
		}
	}
	return nil
}

// completed are the properties with what comes from the target; everything else is
// left as it is written.
func completed(properties json.RawMessage, b LoadBalancer, target Compute) (json.RawMessage, error) {
	value, err := decodeJSON(properties)
	if err != nil {
		return nil, err
	}
	written, _ := value.(map[string]any)
	if len(b.Networks) == 0 {
		written["networks"] = target.Networks
	}
	listen, _ := written["listen"].([]any)
	for n, l := range b.Listen {
		if one, ok := listen[n].(map[string]any); ok && l.TargetPort == 0 && len(target.Ports) > 0 {
			one["targetPort"] = target.Ports[0].ContainerPort
		}
	}
	return json.Marshal(written)
}

// balanced is the Compute that a LoadBalancer refers to.
func (i *Infrastructure) balanced(b LoadBalancer) (Compute, bool) {
	name, ok := nameReference(b.Target)
	if !ok {
		return Compute{}, false
	}
	r := i.Resource(name)
	if r == nil || r.Type != TypeCompute {
		return Compute{}, false
	}
	c, err := Decode[Compute](*r)
	return c, err == nil
}

// loadBalancer checks a LoadBalancer against its target.
func (v *validation) loadBalancer(index int, r *Resource) {
	b, err := Decode[LoadBalancer](*r)
	if err != nil {
		v.fault(v.path(index, "properties"), err.Error())
		return
	}
	b = b.WithDefaults()
	v.requirements(v.path(index, "properties.resources"), b.Resources)
	v.guard(index, r, b.SecurityGroups, b.Networks)
	v.listeners(index, b)
	for _, f := range b.TrafficPolicy.Validate() {
		v.fault(v.path(index, "properties.trafficPolicy")+"."+f.Field, f.Reason)
	}
	path := v.path(index, "properties.target")
	target, ok := v.referred(b.Target)
	switch {
	case !ok:
		v.fault(path, fmt.Sprintf("%q is not accepted; a reference to a Compute such as ${users.name} is expected", b.Target))
		return
	case target == nil: // references has said so
		return
	case target.Type != TypeCompute:
		v.fault(path, fmt.Sprintf("%q is a %s; a reference to a Compute is expected", target.Name, target.Type))
		return
	case target.Provider != r.Provider:
		v.fault(path, fmt.Sprintf("%q is of provider %s, but the resource is of provider %s; both have to be of one provider", target.Name, target.Provider, r.Provider))
		return
	}
	c, err := Decode[Compute](*target)
	if err != nil {
		return // compute has said so
	}
	v.balancing(index, b, target.Name, c)
}

// balancing checks that the replicas of the target can be reached.
func (v *validation) balancing(index int, b LoadBalancer, name string, target Compute) {
	switch {
	case target.EndState == EndStateCompleted:
		v.fault(v.path(index, "properties.target"), fmt.Sprintf("%q is a job, which serves nobody", name))
	case len(target.Networks) == 0:
		v.fault(v.path(index, "properties.target"), fmt.Sprintf("%q is on no network, so that its replicas have no names; give it one with networks", name))
	case !slices.ContainsFunc(b.Networks, func(network string) bool { return slices.Contains(target.Networks, network) }):
		v.fault(v.path(index, "properties.networks"), fmt.Sprintf("none of them is a network of %q; add one of its networks, or leave networks out", name))
	}
	for n, l := range b.Listen {
		path := elementPath(v.path(index, "properties.listen"), n)
		if l.TargetPort == 0 {
			v.fault(path, fmt.Sprintf("%q declares no port; set targetPort to the port that its replicas listen on", name))
		}
		declared := slices.ContainsFunc(target.Ports, func(p Port) bool { return p.ContainerPort == l.TargetPort && p.withDefaults().Protocol == "TCP" })
		if len(target.Ports) > 0 && !declared {
			v.fault(path+".targetPort", fmt.Sprintf("%q has no TCP port %d; declare it in its ports", name, l.TargetPort))
		}
	}
}

// listeners checks the ports of a LoadBalancer against each other.
func (v *validation) listeners(index int, b LoadBalancer) {
	taken := map[int]bool{}
	for n, l := range b.Listen {
		path := elementPath(v.path(index, "properties.listen"), n)
		if taken[l.Port] {
			v.fault(path+".port", fmt.Sprintf("port %d is listened on twice", l.Port))
		}
		taken[l.Port] = true
		if l.Port == ProxyMetricsPort {
			v.fault(path+".port", fmt.Sprintf("port %d is where a LoadBalancer serves its metrics; choose another", l.Port))
		}
		if *l.HostPort != 0 && *b.Replicas > 1 {
			v.fault(path, fmt.Sprintf("%d replicas cannot all publish host port %d; set hostPort: 0 or replicas: 1", *b.Replicas, *l.HostPort))
		}
		if l.TLS != nil && len(l.TLS.AllowedClients) > 0 && l.TLS.ClientCA == "" {
			v.fault(path+".tls.allowedClients", "has no meaning without clientCA, which says whose certificates count")
		}
	}
}
