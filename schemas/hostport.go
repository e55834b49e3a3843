package schemas

import "fmt"

// publication is a port of a host that a resource publishes.
type publication struct {
	address
	// path is the field that says so.
	path string
}

// address is a port of a host.
type address struct {
	provider, ip, protocol string
	port                   int
}

// hostPorts refuses two publications of one port of one host.
func (v *validation) hostPorts() {
	taken := map[address]string{}
	for i := range v.document.Spec.Resources {
		r := &v.document.Spec.Resources[i]
		for _, p := range v.publications(i, r) {
			if other, ok := taken[p.address]; ok {
				v.fault(p.path, fmt.Sprintf("%s already publishes %s port %d on %s", other, p.protocol, p.port, p.ip))
			}
			taken[p.address] = r.Name
		}
	}
}

// publications are the ports of the host that a resource publishes. What cannot be
// decoded has been told where the resource is checked.
func (v *validation) publications(index int, r *Resource) []publication {
	var found []publication
	switch r.Type {
	case TypeCompute:
		c, _ := Decode[Compute](*r)
		for n, p := range c.WithDefaults().Ports {
			if p.HostPort != 0 {
				found = append(found, publication{address{r.Provider, p.HostIP, p.Protocol, p.HostPort}, elementPath(v.path(index, "properties.ports"), n) + ".hostPort"})
			}
		}
	case TypeLoadBalancer:
		b, _ := Decode[LoadBalancer](*r)
		for n, l := range b.WithDefaults().Listen {
			if *l.HostPort != 0 {
				found = append(found, publication{address{r.Provider, l.HostIP, "TCP", *l.HostPort}, elementPath(v.path(index, "properties.listen"), n) + ".hostPort"})
			}
		}
	}
	return found
}
