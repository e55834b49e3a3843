package manifest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"windlass/plan"
	"windlass/schemas"
	"windlass/schemas/quantity"
	"windlass/schemas/traffic"
)

// loadBalancer is a Service in front of the target's pods, and a way in from outside the
// cluster for the ports that are published.
func (t *translation) loadBalancer(b schemas.LoadBalancer) error {
	b = b.WithDefaults()
	namespace, err := t.namespace()
	if err != nil {
		return err
	}
	if len(b.SecurityGroups) > 0 {
		return t.invalid("properties.securityGroups", "a load balancer has no pods of its own on Kubernetes that could be in a group", "leave it out, and give the groups to the target")
	}
	web, direct, err := t.published(b)
	if err != nil {
		return err
	}
	target := PodSelector(plan.Target{Scope: t.Scope, Resource: b.Target})
	var ports []any
	for _, l := range b.Listen {
		ports = append(ports, servicePort(l, l.Port))
	}
	t.add("v1", "Service", namespace, ServiceName(t.Resource), fields{"spec": fields{"selector": target, "ports": ports}})
	t.direct(namespace, target, direct)
	if t.isNetwork(namespace) {
		t.reachable(namespace, target, slices.Concat(web, direct))
	}
	if len(web) == 0 {
		return nil
	}
	if err := t.certificates(namespace, web); err != nil {
		return err
	}
	if t.options.routes() {
		return t.gatewayRoutes(namespace, web, b.TrafficPolicy)
	}
	return t.ingress(namespace, web)
}

// published are the ports that are reached from outside of the cluster: those for
// requests, and those whose bytes are passed on as they are.
func (t *translation) published(b schemas.LoadBalancer) (web, direct []schemas.Listen, err error) {
	taken := map[int]bool{}
	for i, l := range b.Listen {
		if err := t.permittedTLS(i, l); err != nil {
			return nil, nil, err
		}
		if *l.HostPort != 0 && taken[*l.HostPort] {
			return nil, nil, t.invalid(fmt.Sprintf("properties.listen[%d].hostPort", i), fmt.Sprintf("port %d is published twice, and in a cluster no address of a host tells them apart", *l.HostPort), "publish it once")
		}
		taken[*l.HostPort] = true
		switch {
		case *l.HostPort == 0:
		case l.Protocol == traffic.TCP:
			direct = append(direct, l)
		default:
			web = append(web, l)
		}
	}
	return web, direct, nil
}

// direct has the cluster's own load balancer pass connections on. The Service is one of
// its own, since a Service publishes all of its ports or none.
func (t *translation) direct(namespace string, target map[string]string, published []schemas.Listen) {
	var ports []any
	for _, l := range published {
		ports = append(ports, servicePort(l, *l.HostPort))
	}
	if len(ports) > 0 {
		t.add("v1", "Service", namespace, ServiceName(t.Resource+"-published"), fields{"spec": fields{"type": "LoadBalancer", "selector": target, "ports": ports}})
	}
}

// reachable lets everybody connect to the published ports of the target on a Network,
// which is closed otherwise: what comes from outside comes through pods of the cluster
// that are not on it. In other namespaces a policy would close what it does not name. Pods
// with security groups are left out: their groups decide alone.
func (t *translation) reachable(namespace string, target map[string]string, published []schemas.Listen) {
	var ports []any
	known := map[int]bool{}
	for _, l := range published {
		if !known[l.TargetPort] {
			ports = append(ports, fields{"port": l.TargetPort, "protocol": "TCP"})
		}
		known[l.TargetPort] = true
	}
	if len(ports) > 0 {
		t.add("networking.k8s.io/v1", "NetworkPolicy", namespace, ObjectName(t.Resource), fields{"spec": fields{
			"podSelector": fields{"matchLabels": target, "matchExpressions": []any{unguarded()}}, "policyTypes": []any{"Ingress"}, "ingress": []any{fields{"ports": ports}},
		}})
	}
}

// servicePort is a port of a Service that passes connections on to the target.
func servicePort(l schemas.Listen, port int) fields {
	return fields{"name": "port-" + strconv.Itoa(port), "port": port, "targetPort": l.TargetPort, "protocol": "TCP"}
}

// permittedTLS refuses certificates where nothing in the cluster could use them.
func (t *translation) permittedTLS(i int, l schemas.Listen) error {
	if l.TLS == nil {
		return nil
	}
	field := fmt.Sprintf("properties.listen[%d].tls", i)
	switch {
	case l.TLS.ClientCA != "":
		return t.invalid(field+".clientCA", "the Kubernetes provider does not ask clients for certificates", "leave it out, or have the Compute ask for them")
	case l.Protocol == traffic.TCP:
		return t.invalid(field, "a Service passes the bytes of a TCP port on as they are", "leave it out and have the Compute end TLS, or use protocol HTTP")
	case *l.HostPort == 0:
		return t.invalid(field, "TLS ends where requests come into the cluster, and this port is not published", "leave it out, or set hostPort")
	}
	return nil
}

// certificateName is that of the Secret with the certificate of a port.
func (t *translation) certificateName(l schemas.Listen) string {
	return ObjectName(t.Resource + "-tls-" + strconv.Itoa(*l.HostPort))
}

func (t *translation) certificates(namespace string, published []schemas.Listen) error {
	for _, l := range published {
		if l.TLS == nil {
			continue
		}
		certificate, err := t.reveal(l.TLS.Certificate)
		if err != nil {
			return err
		}
		key, err := t.reveal(l.TLS.Key)
		if err != nil {
			return err
		}
		pair := map[string]string{"tls.crt": certificate, "tls.key": key}
		t.secret(namespace, t.certificateName(l), "kubernetes.io/tls", pair)
	}
	return nil
}

// ingress takes everything that comes to its address to the first published port: which
// port it comes to is the controller's matter.
func (t *translation) ingress(namespace string, published []schemas.Listen) error {
	first := published[0]
	if len(published) > 1 {
		return t.invalid("properties.listen", "an Ingress takes all requests to one port, and several are published", "publish one port, or configure a gateway for the provider")
	}
	spec := fields{"defaultBackend": fields{"service": fields{"name": ServiceName(t.Resource), "port": fields{"number": first.Port}}}}
	if t.options.IngressClass != "" {
		spec["ingressClassName"] = t.options.IngressClass
	}
	if first.TLS != nil {
		spec["tls"] = []any{fields{"secretName": t.certificateName(first)}}
	}
	t.add("networking.k8s.io/v1", "Ingress", namespace, ObjectName(t.Resource), fields{"spec": spec})
	return nil
}

const gatewayAPI = "gateway.networking.k8s.io/v1"

// gatewayRoutes has a Gateway take the requests to each published port.
func (t *translation) gatewayRoutes(namespace string, published []schemas.Listen, policy traffic.Policy) error {
	parentNamespace, parent, shared := strings.Cut(t.options.Gateway, "/")
	if !shared {
		parentNamespace, parent = namespace, ObjectName(t.Resource)
		t.gateway(namespace, parent, published)
	}
	for _, l := range published {
		if shared && l.TLS != nil {
			return t.invalid("properties.listen", fmt.Sprintf("port %d has a certificate, and TLS ends at the gateway %s of the provider, which has its own", *l.HostPort, t.options.Gateway), "leave tls out")
		}
		to := fields{"name": parent, "namespace": parentNamespace, "port": *l.HostPort}
		rule := fields{"backendRefs": []any{fields{"name": ServiceName(t.Resource), "port": l.Port}}}
		if bound := policy.Timeout.RequestTimeout; bound != nil {
			rule["timeouts"] = fields{"request": gatewayDuration(*bound)}
		}
		t.add(gatewayAPI, "HTTPRoute", namespace, ObjectName(t.Resource+"-"+strconv.Itoa(*l.HostPort)), fields{"spec": fields{"parentRefs": []any{to}, "rules": []any{rule}}})
	}
	return nil
}

// gateway adds a Gateway that listens on the published ports.
func (t *translation) gateway(namespace, name string, published []schemas.Listen) {
	var listeners []any
	for _, l := range published {
		listener := fields{"name": "port-" + strconv.Itoa(*l.HostPort), "port": *l.HostPort, "protocol": "HTTP"}
		if l.TLS != nil {
			listener["protocol"], listener["tls"] = "HTTPS", fields{"certificateRefs": []any{fields{"name": t.certificateName(l)}}}
		}
		listeners = append(listeners, listener)
	}
	t.add(gatewayAPI, "Gateway", namespace, name, fields{"spec": fields{"gatewayClassName": t.options.GatewayClass, "listeners": listeners}})
}

// gatewayDuration writes a duration as the Gateway API does, in whole milliseconds, rounded
// up; 0s is without a bound, as it is in documents.
// https://gateway-api.sigs.k8s.io/geps/gep-2257/
func gatewayDuration(d quantity.Duration) string {
	if d == 0 {
		return "0s"
	}
	left := (time.Duration(d) + time.Millisecond - 1).Truncate(time.Millisecond)
	var text strings.Builder
	for _, unit := range []struct {
		name string
		long time.Duration
	}{{"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}} {
		if n := left / unit.long; n > 0 {
			fmt.Fprintf(&text, "%d%s", n, unit.name)
			left -= n * unit.long
		}
	}
	return text.String()
}
