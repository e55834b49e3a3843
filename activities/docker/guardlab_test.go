package docker

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/activities/docker/packetfilter"
	"windlass/plan"
	"windlass/schemas"
)

// guardLab is a lab with a provider, and so a table in the packet filter, of its own.
type guardLab struct {
	*lab
	// network and subnet are of a network on which addresses stay.
	network, subnet string
}

func newGuardLab(t *testing.T) *guardLab {
	t.Helper()
	l := newLab(t)
	l.place = l.scope.Infrastructure
	l.provider = newNamedProvider(t, l.place, "")
	_, err := l.provider.filter.Exists()
	require.NoError(t, err, "the tests of security groups need to be root, or to have CAP_NET_ADMIN")
	t.Cleanup(func() { require.NoError(t, packetfilter.New(l.scope.Infrastructure).Remove()) })
	g := &guardLab{lab: l, subnet: anySubnet()}
	g.network = l.applied(l.declare("net", schemas.TypeNetwork, schemas.Network{Subnet: g.subnet}))["name"]
	return g
}

// anySubnet is one of 25,600 subnets that nothing else uses, as a rule.
func anySubnet() string {
	var b [2]byte
	_, _ = rand.Read(b[:]) // It never fails.
	return fmt.Sprintf("10.%d.%d.0/24", 100+int(b[0])%100, b[1])
}

func (l *guardLab) group(name string, g schemas.SecurityGroup) plan.Desired {
	l.Helper()
	return l.declare(name, schemas.TypeSecurityGroup, g)
}

// listener declares a container that answers on TCP ports 8080, 8085 and 9000 on UDP port 8080,
// and on UDP port 5353 of a multicast group, and is healthy as soon as the worker reaches it.
func (l *guardLab) listener(name string, groups ...string) plan.Desired {
	l.Helper()
	return l.member(name, schemas.Compute{
		Args: []string{"listen", "tcp:8080", "tcp:8085", "tcp:9000", "udp:8080", "multicast:5353"}, SecurityGroups: groups,
		Health: &schemas.Health{TCP: &schemas.TCPCheck{Port: 8080}, Interval: duration(100 * time.Millisecond), StartPeriod: duration(time.Minute)},
	})
}

// caller declares a container from which connections can be opened.
func (l *guardLab) caller(name string, groups ...string) plan.Desired {
	l.Helper()
	return l.member(name, schemas.Compute{Args: []string{"sleep"}, SecurityGroups: groups})
}

func (l *guardLab) member(name string, c schemas.Compute) plan.Desired {
	l.Helper()
	for i, group := range c.SecurityGroups {
		c.SecurityGroups[i] = objectName(l.target(group, schemas.TypeSecurityGroup))
	}
	if c.Networks == nil {
		c.Networks = []string{l.network}
	}
	c.StopGracePeriod = duration(0)
	return l.compute(name, c)
}

// address of the first replica of a resource.
func (l *guardLab) address(resource string) string {
	l.Helper()
	replicas := l.observed(resource).Replicas
	require.NotEmpty(l, replicas)
	require.NotEmpty(l, replicas[0].Address)
	return replicas[0].Address
}

// The bounds of connections: one that must pass has time on a busy machine, and one
// that must not is given up soon.
const (
	passTimeout = "20s"
	dropTimeout = "700ms"
	// shoutTimeout is how long answers are counted.
	shoutTimeout = "1s"
)

// passes opens a connection from inside the first container of a resource. The port
// is such as "tcp:8080".
func (l *guardLab) passes(from, to, port string) {
	l.Helper()
	output := l.dial(from, l.address(to), port, passTimeout)
	require.Equal(l, "connected", output, "%s to %s at %s", from, to, port)
}

// dropped tries the same and hears nothing, not even a refusal.
func (l *guardLab) dropped(from, to, port string) {
	l.Helper()
	l.droppedAt(from, l.address(to), port)
}

func (l *guardLab) droppedAt(from, address, port string) {
	l.Helper()
	output := l.dial(from, address, port, dropTimeout)
	require.Contains(l, output, "not connected", "%s to %s at %s", from, address, port)
	require.Contains(l, output, "timeout", "%s to %s at %s", from, address, port)
}

func (l *guardLab) dial(from, address, port, timeout string) string {
	l.Helper()
	network, number, _ := strings.Cut(port, ":")
	return l.within(from, "dial", network, address+":"+number, timeout)
}

// heardBy says how many answer what a container sends to an address of many.
func (l *guardLab) heardBy(from, address string) string {
	l.Helper()
	return l.within(from, "shout", address, shoutTimeout)
}

// within runs the fixture in the first container of a resource.
func (l *guardLab) within(resource string, arguments ...string) string {
	l.Helper()
	replicas := l.observed(resource).Replicas
	require.NotEmpty(l, replicas)
	_, output, trouble, err := l.provider.run(l.Context(), replicas[0].ID, append([]string{"/fixture"}, arguments...), nil)
	require.NoError(l, err)
	return strings.TrimSpace(output + trouble)
}

// ingress and egress are the short forms of rules.
func ingress(protocol schemas.TrafficProtocol, from, to int, sources ...schemas.Peer) schemas.IngressRule {
	return schemas.IngressRule{Traffic: schemas.Traffic{Protocol: protocol, FromPort: from, ToPort: to}, Sources: sources}
}

func egress(protocol schemas.TrafficProtocol, from, to int, targets ...schemas.Peer) schemas.EgressRule {
	return schemas.EgressRule{Traffic: schemas.Traffic{Protocol: protocol, FromPort: from, ToPort: to}, Targets: targets}
}

// gateway is the host's own address on the network.
func (l *guardLab) gateway() string {
	l.Helper()
	return strings.TrimSuffix(l.subnet, "0/24") + "1"
}
