package docker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

func TestSourcesByResourceAndByGroup(t *testing.T) {
	t.Parallel()
	l := newGuardLab(t)
	// Names of what is not there yet: groups may name each other.
	l.applied(l.group("db", schemas.SecurityGroup{Ingress: []schemas.IngressRule{
		ingress(schemas.ProtocolTCP, 8080, 0, schemas.Peer{Resource: "gateway"}),
		ingress(schemas.ProtocolTCP, 9000, 0, schemas.Peer{Group: "web"}),
	}}))
	l.applied(l.group("web", schemas.SecurityGroup{Egress: []schemas.EgressRule{egress(schemas.ProtocolAny, 0, 0, schemas.Peer{Group: "db"})}}))
	l.applied(l.listener("server", "db"))
	l.applied(l.caller("gateway"))
	l.applied(l.caller("client", "web"))
	l.applied(l.caller("stranger"))

	l.passes("gateway", "server", "tcp:8080")
	l.dropped("gateway", "server", "tcp:9000")
	l.passes("client", "server", "tcp:9000")
	l.dropped("client", "server", "tcp:8080")
	l.dropped("stranger", "server", "tcp:8080")
	l.dropped("stranger", "server", "tcp:9000")

	// A new version of a named resource has another address.
	former := l.address("gateway")
	newer := l.member("gateway", schemas.Compute{Args: []string{"sleep"}, Environment: map[string]string{"VERSION": "2"}})
	l.applied(newer)
	require.NotEqual(t, former, l.address("gateway"))
	l.passes("gateway", "server", "tcp:8080")

	require.NoError(t, l.delete(newer.Target))
	require.Equal(t, plan.StateReady, l.observed("db").State, l.observed("db").Reason)
}

func TestEgressByResourceCIDRPortAndProtocol(t *testing.T) {
	t.Parallel()
	l := newGuardLab(t)
	l.applied(l.listener("server"))
	l.applied(l.listener("other"))
	l.applied(l.group("web", schemas.SecurityGroup{Egress: []schemas.EgressRule{
		egress(schemas.ProtocolTCP, 8080, 8090, schemas.Peer{Resource: "server"}),
		egress(schemas.ProtocolUDP, 8080, 0, schemas.Peer{CIDR: l.address("other") + "/32"}),
	}}))
	l.applied(l.caller("client", "web"))
	l.passes("client", "server", "tcp:8085")
	l.dropped("client", "server", "tcp:9000")
	l.dropped("client", "server", "udp:8080")
	l.passes("client", "other", "udp:8080")
	l.dropped("client", "other", "tcp:8080")
}

func TestRulesOfSeveralGroupsAreUnited(t *testing.T) {
	t.Parallel()
	l := newGuardLab(t)
	for name, port := range map[string]int{"first": 8080, "second": 9000} {
		l.applied(l.group(name, schemas.SecurityGroup{Ingress: []schemas.IngressRule{ingress(schemas.ProtocolTCP, port, 0)}}))
	}
	l.applied(l.listener("both", "first", "second"))
	l.applied(l.listener("one", "first"))
	l.applied(l.caller("client"))
	l.passes("client", "both", "tcp:8080")
	l.passes("client", "both", "tcp:9000")
	l.dropped("client", "both", "tcp:8085")
	l.passes("client", "one", "tcp:8080")
	l.dropped("client", "one", "tcp:9000")
}

func TestWhatTheSenderMayTheReceiverMayStillRefuse(t *testing.T) {
	t.Parallel()
	l := newGuardLab(t)
	l.applied(l.group("anywhere", schemas.SecurityGroup{Egress: []schemas.EgressRule{egress(schemas.ProtocolAny, 0, 0)}}))
	l.applied(l.group("closed", schemas.SecurityGroup{}))
	l.applied(l.listener("server", "closed"))
	l.applied(l.listener("open"))
	l.applied(l.caller("client", "anywhere"))
	l.dropped("client", "server", "tcp:8080")
	l.passes("client", "open", "tcp:8080")
}

func TestAMemberIsGuardedOnEachOfItsNetworks(t *testing.T) {
	t.Parallel()
	l := newGuardLab(t)
	second := l.applied(l.declare("second", schemas.TypeNetwork, schemas.Network{Subnet: anySubnet()}))["name"]
	l.applied(l.group("web", schemas.SecurityGroup{Ingress: []schemas.IngressRule{ingress(schemas.ProtocolTCP, 8080, 0)}}))
	d := l.member("server", schemas.Compute{
		Args: []string{"listen", "tcp:8080", "tcp:9000"}, Networks: []string{l.network, second}, SecurityGroups: []string{"web"}, Replicas: two(),
	})
	l.applied(d)
	l.applied(l.member("client", schemas.Compute{Args: []string{"sleep"}, Networks: []string{second}}))
	for _, r := range l.observed("server").Replicas {
		endpoint := l.inspect(r.Name).NetworkSettings.Networks[second]
		require.Equal(t, endpoint.IPAddress, fixedAddress(endpoint))
		require.Equal(t, "connected", l.dial("client", endpoint.IPAddress.String(), "tcp:8080", passTimeout))
		l.droppedAt("client", endpoint.IPAddress.String(), "tcp:9000")
	}
}

func TestADatabaseIsGuardedAndStillReached(t *testing.T) {
	t.Parallel()
	l := newGuardLab(t)
	l.applied(l.group("db", schemas.SecurityGroup{Ingress: []schemas.IngressRule{ingress(schemas.ProtocolTCP, 5432, 0, schemas.Peer{Resource: "client"})}}))
	l.applied(l.declare("users-db", schemas.TypeDatabase, schemas.Database{
		Engine: "postgres", Version: "15", Networks: []string{l.network}, StartPeriod: duration(3 * time.Minute),
		SecurityGroups: []string{objectName(l.target("db", schemas.TypeSecurityGroup))},
	}))
	l.applied(l.caller("client"))
	l.applied(l.caller("stranger"))
	l.droppedAt("stranger", l.address("users-db"), "tcp:5432")
	require.NotContains(t, l.dial("client", l.address("users-db"), "tcp:5432", passTimeout), "dial tcp", "it is connected, and the server answers no greeting")
}

func TestAnInitStepIsGuardedLikeItsReplica(t *testing.T) {
	t.Parallel()
	l := newGuardLab(t)
	l.applied(l.listener("server"))
	l.applied(l.group("web", schemas.SecurityGroup{Egress: []schemas.EgressRule{egress(schemas.ProtocolTCP, 8080, 0)}}))
	dials := func(port string) plan.Desired {
		return l.member("client", schemas.Compute{Args: []string{"sleep"}, SecurityGroups: []string{"web"}, InitSteps: []schemas.InitStep{
			{Name: "dial", Args: []string{"dial", "tcp", l.address("server") + ":" + port, "1s"}},
		}})
	}
	f := l.fault(dials("9000"), activities.Unhealthy)
	require.Contains(t, f.Message, "init step dial of replica 0 ended with exit code 1")
	l.applied(dials("8080"))
}
