package manifest

import (
	"fmt"
	"strconv"
	"strings"

	"windlass/schemas"
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
	target := ScopeLabels(t.Scope)
	target[LabelResource] = b.Target
	var ports, reachable []any
	var published []schemas.Listen
	direct := false
	for i, l := range b.Listen {
		if l.TLS != nil && (l.TLS.ClientCA != "" || len(l.TLS.AllowedClients) > 0) {
			return t.invalid(fmt.Sprintf("properties.listen[%d].tls.clientCA", i), "the Kubernetes provider does not ask clients for certificates", "leave it out, or have the Compute ask for them")
		}
		ports = append(ports, fields{"name": portName(l), "port": l.Port, "targetPort": l.TargetPort, "protocol": "TCP"})
		if *l.HostPort == 0 {
			continue
		}
		reachable = append(reachable, fields{"port": l.TargetPort, "protocol": "TCP"})
		if l.Protocol == traffic.TCP {
			direct = true
			continue
		}
		published = append(published, l)
	}
	spec := fields{"selector": target, "ports": ports}
	if direct {
		spec["type"] = "LoadBalancer"
	}
	t.add("v1", "Service", namespace, ServiceName(t.Resource), fields{"spec": spec})
	if len(reachable) > 0 {
		// What comes from outside comes through pods of the cluster that are on no Network.
		// Pods with security groups are left out: their groups decide alone.
		t.add("networking.k8s.io/v1", "NetworkPolicy", namespace, ObjectName(t.Resource+"-published"), fields{"spec": fields{
			"podSelector": fields{"matchLabels": target, "matchExpressions": []any{unguarded()}}, "policyTypes": []any{"Ingress"}, "ingress": []any{fields{"ports": reachable}},
		}})
	}
	if len(published) == 0 {
		return nil
	}
	if err := t.certificates(namespace, published); err != nil {
		return err
	}
	if t.options.routes() {
		t.gatewayRoutes(namespace, published, b.TrafficPolicy)
		return nil
	}
	return t.ingress(namespace, published)
}

func portName(l schemas.Listen) string { return "port-" + strconv.Itoa(l.Port) }

// certificateName is that of the Secret with the certificate of a port.
func (t *translation) certificateName(l schemas.Listen) string {
	return ObjectName(t.Resource + "-tls-" + strconv.Itoa(l.Port))
}

func (t *translation) certificates(namespace string, published []schemas.Listen) error {
	for _, l := range published {
		if l.TLS == nil {
			continue
		}
		pair := map[string]string{"tls.crt": l.TLS.Certificate, "tls.key": l.TLS.Key}
		for key, value := range pair {
			revealed, err := t.secrets.Reveal(value)
			if err != nil {
				return err
			}
			pair[key] = revealed
		}
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
func (t *translation) gatewayRoutes(namespace string, published []schemas.Listen, policy traffic.Policy) {
	parentNamespace, parent, shared := strings.Cut(t.options.Gateway, "/")
	if !shared {
		parentNamespace, parent = namespace, ObjectName(t.Resource)
		var listeners []any
		for _, l := range published {
			listener := fields{"name": portName(l), "port": l.Port, "protocol": "HTTP"}
			if l.TLS != nil {
				listener["protocol"], listener["tls"] = "HTTPS", fields{"certificateRefs": []any{fields{"name": t.certificateName(l)}}}
			}
			listeners = append(listeners, listener)
		}
		t.add(gatewayAPI, "Gateway", parentNamespace, parent, fields{"spec": fields{"gatewayClassName": t.options.GatewayClass, "listeners": listeners}})
	}
	for _, l := range published {
		to := fields{"name": parent, "namespace": parentNamespace, "port": l.Port}
		rule := fields{"backendRefs": []any{fields{"name": ServiceName(t.Resource), "port": l.Port}}}
		if bound := policy.Timeout.RequestTimeout; bound != nil {
			rule["timeouts"] = fields{"request": strconv.FormatInt(seconds(*bound, 1), 10) + "s"}
		}
		t.add(gatewayAPI, "HTTPRoute", namespace, ObjectName(t.Resource+"-"+strconv.Itoa(l.Port)), fields{"spec": fields{"parentRefs": []any{to}, "rules": []any{rule}}})
	}
}
