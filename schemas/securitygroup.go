package schemas

// SecurityGroup says which connections the resources that it is attached to may
// take and open. A resource with at least one group is closed in both directions
// but for what one of its groups allows; replies of a connection that is allowed
// pass by themselves.
type SecurityGroup struct {
	// Ingress allows connections to the members; with none, nothing comes in.
	Ingress []IngressRule `json:"ingress,omitempty"`
	// Egress allows connections from the members; with none, nothing goes out.
	Egress []EgressRule `json:"egress,omitempty"`
}

// Traffic is a kind of connection, by protocol and by port of the side that takes it.
type Traffic struct {
	Protocol TrafficProtocol `json:"protocol"`
	// FromPort and ToPort are the first and the last port, from 1 to 65535, for
	// ProtocolTCP and ProtocolUDP only. Without FromPort every port is meant; the
	// default of ToPort is FromPort.
	FromPort int `json:"fromPort,omitempty"`
	ToPort   int `json:"toPort,omitempty"`
}

// IngressRule allows traffic to the members of a group.
type IngressRule struct {
	Traffic
	// Sources may open the connections; none means anyone.
	Sources []Peer `json:"sources,omitempty"`
}

// EgressRule allows traffic from the members of a group.
type EgressRule struct {
	Traffic
	// Targets may be connected to; none means anyone.
	Targets []Peer `json:"targets,omitempty"`
}

// Peer is the other side of a connection. Exactly one of its fields is set.
type Peer struct {
	// CIDR is an IPv4 subnet such as 10.0.0.0/8.
	CIDR string `json:"cidr,omitempty"`
	// Resource is the name of a Compute, Database or LoadBalancer of the document. It is a name
	// and no reference, so that it makes no dependency: groups may name resources
	// that depend on them.
	Resource string `json:"resource,omitempty"`
	// Group is the name of a SecurityGroup of the document and means its members.
	Group string `json:"group,omitempty"`
}

// TrafficProtocol is a protocol of a rule.
type TrafficProtocol string

// The protocols of rules.
const (
	ProtocolTCP  TrafficProtocol = "TCP"
	ProtocolUDP  TrafficProtocol = "UDP"
	ProtocolICMP TrafficProtocol = "ICMP"
	// ProtocolAny is every protocol, with every port.
	ProtocolAny TrafficProtocol = "Any"
)

// WithDefaults returns a copy in which ToPort has its value.
func (t Traffic) WithDefaults() Traffic {
	if t.ToPort == 0 {
		t.ToPort = t.FromPort
	}
	return t
}
