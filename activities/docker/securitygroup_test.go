package docker

import (
	"strings"
	"testing"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"windlass/plan"
	"windlass/schemas"
)

func TestNothingPassesThatNoGroupAllows(t *testing.T) {
	t.Parallel()
	l := newGuardLab(t)
	l.applied(l.listener("open"))
	l.applied(l.caller("stranger"))
	l.passes("stranger", "open", "tcp:8080")

	l.applied(l.group("closed", schemas.SecurityGroup{}))
	l.applied(l.listener("server", "closed"))
	l.applied(l.caller("shut-in", "closed"))
	l.dropped("stranger", "server", "tcp:8080")
	l.dropped("stranger", "server", "udp:8080")
	l.dropped("shut-in", "open", "tcp:8080")
	l.dropped("shut-in", "server", "tcp:8080")
	l.droppedAt("shut-in", l.gateway(), "tcp:2375")
	require.Equal(t, plan.HealthHealthy, l.observed("server").Replicas[0].Health, "the worker reaches it")
	l.passes("stranger", "open", "tcp:8080")
}

func TestWhatIsSentToAllReachesNobodyWhereThereIsAMember(t *testing.T) {
	t.Parallel()
	l := newGuardLab(t)
	l.applied(l.listener("open"))
	l.applied(l.caller("stranger"))
	toAll := []string{strings.TrimSuffix(l.subnet, "0/24") + "255:8080", "255.255.255.255:8080", "239.255.0.1:5353"}
	for _, address := range toAll {
		l.eventually(func() bool { return strings.HasPrefix(l.heardBy("stranger", address), "heard by 1:") }, "heard at "+address)
	}

	l.applied(l.group("closed", schemas.SecurityGroup{}))
	server := l.listener("server", "closed")
	l.applied(server)
	for _, address := range toAll {
		require.Equal(t, "heard by 0:", l.heardBy("stranger", address), address)
	}
	l.passes("stranger", "open", "tcp:8080")

	require.NoError(t, l.delete(server.Target))
	for _, address := range toAll {
		l.eventually(func() bool { return strings.HasPrefix(l.heardBy("stranger", address), "heard by 1:") }, "heard at "+address)
	}
}

func TestIngressByCIDRPortsAndProtocol(t *testing.T) {
	t.Parallel()
	l := newGuardLab(t)
	l.applied(l.group("web", schemas.SecurityGroup{Ingress: []schemas.IngressRule{
		ingress(schemas.ProtocolTCP, 8080, 8090, schemas.Peer{CIDR: l.subnet}),
		ingress(schemas.ProtocolTCP, 9000, 0, schemas.Peer{CIDR: "203.0.113.0/24"}),
	}}))
	l.applied(l.group("echo", schemas.SecurityGroup{Ingress: []schemas.IngressRule{ingress(schemas.ProtocolICMP, 0, 0)}}))
	l.applied(l.listener("answering", "echo"))
	server := l.listener("server", "web")
	l.applied(server)
	l.applied(l.caller("client"))
	l.passes("client", "server", "tcp:8080")
	l.passes("client", "server", "tcp:8085")
	l.dropped("client", "server", "udp:8080")
	l.dropped("client", "server", "tcp:9000")
	l.dropped("client", "server", "icmp:0")
	l.passes("client", "answering", "icmp:0")
	l.dropped("client", "answering", "tcp:8080")

	before := l.observed("server").Replicas[0]
	_, err := l.engine.ContainerRestart(t.Context(), before.ID, client.ContainerRestartOptions{})
	require.NoError(t, err)
	l.eventually(func() bool { return l.observed("server").State == plan.StateReady }, "restarted")
	after := l.observed("server").Replicas[0]
	require.Equal(t, before.ID, after.ID)
	require.Equal(t, before.Address, after.Address)
	require.True(t, after.StartedAt.After(before.StartedAt))
	l.passes("client", "server", "tcp:8085")
	l.dropped("client", "server", "tcp:9000")
	require.Equal(t, "1 unchanged", l.summary(server))
}
