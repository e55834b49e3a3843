package docker

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"windlass/activities"
	"windlass/dev/images"
	"windlass/plan"
	"windlass/schemas"
)

// table is the one of the lab's provider, as others see it.
func (l *guardLab) table() *nftables.Table {
	return &nftables.Table{Name: "windlass-" + l.place, Family: nftables.TableFamilyIPv4}
}

func (l *guardLab) chains(table *nftables.Table) map[string][]*nftables.Rule {
	l.Helper()
	c, err := nftables.New()
	require.NoError(l, err)
	all, err := c.ListChainsOfTableFamily(table.Family)
	require.NoError(l, err)
	found := map[string][]*nftables.Rule{}
	for _, chain := range all {
		if chain.Table.Name != table.Name {
			continue
		}
		found[chain.Name], err = c.GetRules(table, chain)
		require.NoError(l, err)
	}
	return found
}

func allow8080() schemas.SecurityGroup {
	return schemas.SecurityGroup{Ingress: []schemas.IngressRule{ingress(schemas.ProtocolTCP, 8080, 0)}}
}

func TestARuleThatIsDeletedByHandIsFoundAndPutBack(t *testing.T) {
	t.Parallel()
	l := newGuardLab(t)
	web := l.group("web", allow8080())
	l.applied(web)
	l.applied(l.listener("server", "web"))
	l.applied(l.caller("client"))
	require.Equal(t, "1 unchanged", l.summary(web))

	c, err := nftables.New()
	require.NoError(t, err)
	for name, rules := range l.chains(l.table()) {
		if strings.HasPrefix(name, "ingress-") && name != "ingress-forward" {
			rules[0].Table = l.table()
			require.NoError(t, c.DelRule(rules[0]))
		}
	}
	require.NoError(t, c.Flush())
	l.dropped("client", "server", "tcp:8080")
	seen := l.observed("web")
	require.Equal(t, plan.StateDegraded, seen.State)
	require.Equal(t, "its ingress rules were changed", seen.Reason)
	require.Equal(t, "1 to update", l.summary(web))

	l.applied(web)
	require.Equal(t, "1 unchanged", l.summary(web))
	l.passes("client", "server", "tcp:8080")
	before := l.chains(l.table())
	l.applied(web)
	after := l.chains(l.table())
	require.Len(t, after, len(before))
	for name := range before {
		require.Len(t, after[name], len(before[name]), name)
	}
}

func TestNoMemberStartsBeforeWhatClosesItIsWhole(t *testing.T) {
	t.Parallel()
	l := newGuardLab(t)
	l.applied(l.group("web", allow8080()))
	l.applied(l.caller("client"))
	c, err := nftables.New()
	require.NoError(t, err)
	c.FlushChain(&nftables.Chain{Name: "ingress-forward", Table: l.table()})
	require.NoError(t, c.Flush())
	require.Equal(t, "the chains in front of the groups were changed", l.observed("web").Reason)
	l.applied(l.listener("server", "web"))
	l.dropped("client", "server", "tcp:9000")
	l.passes("client", "server", "tcp:8080")
	require.Equal(t, plan.StateReady, l.observed("web").State, l.observed("web").Reason)
}

func TestChangedRulesHoldWithoutNewContainers(t *testing.T) {
	t.Parallel()
	l := newGuardLab(t)
	l.applied(l.group("web", allow8080()))
	l.applied(l.listener("server", "web"))
	l.applied(l.caller("client"))
	before := l.observed("server").Replicas[0].ID
	changed := l.group("web", schemas.SecurityGroup{Ingress: []schemas.IngressRule{ingress(schemas.ProtocolTCP, 9000, 0)}})
	require.Equal(t, "1 to update", l.summary(changed))
	l.applied(changed)
	require.Equal(t, "1 unchanged", l.summary(changed))
	require.Equal(t, before, l.observed("server").Replicas[0].ID)
	l.passes("client", "server", "tcp:9000")
	l.dropped("client", "server", "tcp:8080")
}

func TestADeletedGroupLeavesNothingAndTouchesNothingElse(t *testing.T) {
	t.Parallel()
	l := newGuardLab(t)
	c, err := nftables.New()
	require.NoError(t, err)
	other := c.AddTable(&nftables.Table{Name: "other-" + l.place, Family: nftables.TableFamilyIPv4})
	chain := c.AddChain(&nftables.Chain{Name: "mine", Table: other, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter})
	c.AddRule(&nftables.Rule{Table: other, Chain: chain, Exprs: []expr.Any{&expr.Counter{}}})
	require.NoError(t, c.Flush())
	t.Cleanup(func() {
		c.DelTable(other)
		require.NoError(t, c.Flush())
	})

	web, db := l.group("web", allow8080()), l.group("db", allow8080())
	server := l.listener("server", "web", "db")
	for _, d := range []plan.Desired{web, db, server} {
		l.applied(d)
	}
	f := requireFault(t, l.delete(web.Target), activities.Conflict)
	require.Contains(t, f.Message, "is attached to "+containerName(server, 0))
	require.NotEmpty(t, f.Hint)
	require.Equal(t, "1 unchanged", l.summary(web))

	require.NoError(t, l.delete(server.Target))
	require.NoError(t, l.delete(web.Target))
	require.Equal(t, "1 unchanged", l.summary(db), "the other group stays")
	require.NoError(t, l.delete(db.Target))
	require.NoError(t, l.delete(db.Target), "gone is no error")
	exists, err := l.provider.filter.Exists()
	require.NoError(t, err)
	require.False(t, exists)
	require.Len(t, l.chains(other)["mine"], 1)
	scopes, err := l.provider.Scopes(t.Context())
	require.NoError(t, err)
	require.Equal(t, []schemas.Scope{l.scope}, scopes, "the network is left")
}

func TestAfterAStartOfTheHostMembersAreClosedUntilTheirGroupsAreThereAgain(t *testing.T) {
	t.Parallel()
	l := newGuardLab(t)
	web := l.group("web", allow8080())
	require.NoError(t, l.provider.RestoreSecurityGroups(t.Context()), "nothing has groups")
	exists, err := l.provider.filter.Exists()
	require.NoError(t, err)
	require.False(t, exists)
	l.applied(web)
	scopes, err := l.provider.Scopes(t.Context())
	require.NoError(t, err)
	require.Equal(t, []schemas.Scope{l.scope}, scopes)
	server := l.listener("server", "web")
	l.applied(server)
	l.applied(l.caller("client"))

	require.NoError(t, l.provider.filter.Remove())
	l.passes("client", "server", "tcp:9000")
	observed, err := l.provider.Observe(t.Context(), l.scope)
	require.NoError(t, err)
	require.Equal(t, "1 to create, 1 unchanged", plan.Diff([]plan.Desired{web, server}, onlyOf(observed, "web", "server")).String())

	require.NoError(t, l.provider.RestoreSecurityGroups(t.Context()))
	l.dropped("client", "server", "tcp:9000")
	l.dropped("client", "server", "tcp:8080")
	l.applied(web)
	l.passes("client", "server", "tcp:8080")
	l.dropped("client", "server", "tcp:9000")
}

func onlyOf(observed []plan.Observed, names ...string) []plan.Observed {
	var found []plan.Observed
	for _, o := range observed {
		for _, name := range names {
			if o.Resource == name {
				found = append(found, o)
			}
		}
	}
	return found
}

func TestAnAddressThatSomethingElseTookIsGivenUp(t *testing.T) {
	t.Parallel()
	l := newGuardLab(t)
	l.applied(l.group("web", allow8080()))
	server := l.listener("server", "web")
	l.applied(server)
	l.applied(l.caller("client"))
	former := l.observed("server").Replicas[0]
	_, err := l.engine.ContainerStop(t.Context(), former.ID, client.ContainerStopOptions{})
	require.NoError(t, err)
	l.stranger(netip.MustParseAddr(former.Address))

	l.applied(server)
	after := l.observed("server").Replicas[0]
	require.NotEqual(t, former.Address, after.Address)
	require.Equal(t, plan.StateReady, l.observed("web").State, l.observed("web").Reason)
	l.passes("client", "server", "tcp:8080")
	l.dropped("client", "server", "tcp:9000")
	require.Equal(t, "connected", l.dial("client", former.Address, "tcp:9000", passTimeout), "the address is not guarded any more")
}

// stranger runs a container that is not of this provider.
func (l *guardLab) stranger(address netip.Addr) {
	l.Helper()
	made, err := l.engine.ContainerCreate(l.Context(), client.ContainerCreateOptions{
		Name: "stranger-" + l.scope.Infrastructure, Config: &container.Config{Image: images.FixtureReference, Cmd: []string{"listen", "tcp:9000"}},
		HostConfig:       &container.HostConfig{NetworkMode: container.NetworkMode(l.network)},
		NetworkingConfig: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{l.network: endpointSettings(nil, address)}},
	})
	require.NoError(l, err)
	_, err = l.engine.ContainerStart(l.Context(), made.ID, client.ContainerStartOptions{})
	require.NoError(l, err)
}

func TestAMemberThatIsConnectedByHandIsFoundAndPutBack(t *testing.T) {
	t.Parallel()
	l := newGuardLab(t)
	free := l.applied(l.declare("free", schemas.TypeNetwork, schemas.Network{}))["name"]
	l.applied(l.group("web", allow8080()))
	server := l.listener("server", "web")
	l.applied(server)
	l.applied(l.caller("client"))
	before := l.observed("server").Replicas[0]
	_, err := l.engine.NetworkDisconnect(t.Context(), l.network, client.NetworkDisconnectOptions{Container: before.ID})
	require.NoError(t, err)
	for _, name := range []string{l.network, free} {
		_, err = l.engine.NetworkConnect(t.Context(), name, client.NetworkConnectOptions{Container: before.ID})
		require.NoError(t, err)
	}
	seen := l.observed("server")
	require.Equal(t, plan.StateDegraded, seen.State)
	require.Contains(t, seen.Reason, "its address on network "+l.network+" may change, so that its security groups do not hold there")
	require.Contains(t, seen.Reason, "its address on network "+free+" may change")

	l.applied(server)
	require.Equal(t, "1 unchanged", l.summary(server))
	require.Equal(t, before.ID, l.observed("server").Replicas[0].ID)
	require.Equal(t, plan.StateReady, l.observed("web").State, l.observed("web").Reason)
	l.passes("client", "server", "tcp:8080")
	l.dropped("client", "server", "tcp:9000")
}

func TestMembersStayGuardedWhenTheirNetworkIsReplaced(t *testing.T) {
	t.Parallel()
	l := newGuardLab(t)
	l.applied(l.group("web", allow8080()))
	l.applied(l.listener("server", "web"))
	l.applied(l.caller("client"))
	l.applied(l.declare("net", schemas.TypeNetwork, schemas.Network{Subnet: anySubnet()}))
	require.Equal(t, plan.StateReady, l.observed("web").State, l.observed("web").Reason)
	l.passes("client", "server", "tcp:8080")
	l.dropped("client", "server", "tcp:9000")
}

func TestWhateverCallOfADeploymentWithGroupsIsLostTheNextOneFinishes(t *testing.T) {
	t.Parallel()
	g := newGuardLab(t)
	second := anySubnet()
	all := func() []plan.Desired {
		web := g.member("server", schemas.Compute{
			Args: []string{"listen", "tcp:8080", "tcp:9000"}, SecurityGroups: []string{"web"},
			Networks: []string{g.network, objectName(g.target("second", schemas.TypeNetwork))},
		})
		return []plan.Desired{
			g.declare("net", schemas.TypeNetwork, schemas.Network{Subnet: g.subnet}), g.declare("second", schemas.TypeNetwork, schemas.Network{Subnet: second}),
			g.group("web", allow8080()), web,
		}
	}
	walkIn(g.lab, 5,
		func(l *lab, _ int) error { l.clear(); return nil },
		func(l *lab, _ int) error { return l.applyEach(all()...) },
		func(l *lab, _ int) {
			l.requireExactly(all()...)
			for _, name := range []string{"web", "server"} {
				require.Equal(l, plan.StateReady, l.observed(name).State, l.observed(name).Reason)
			}
		})
	g.applied(g.caller("client"))
	g.passes("client", "server", "tcp:8080")
	g.dropped("client", "server", "tcp:9000")
}

func TestWhereNothingCanBeGuardedAFaultSaysWhy(t *testing.T) {
	t.Parallel()
	l := newGuardLab(t)
	web := l.group("web", allow8080())

	t.Run("a network without a declared subnet", func(t *testing.T) {
		free := l.applied(l.declare("free", schemas.TypeNetwork, schemas.Network{}))["name"]
		d := l.member("server", schemas.Compute{Networks: []string{free}, SecurityGroups: []string{"web"}})
		require.Contains(t, l.fault(d, activities.Invalid).Message, free)
	})
	t.Run("a kernel that does not filter bridges", func(t *testing.T) {
		l.provider.bridgeSetting = filepath.Join(t.TempDir(), "none")
		defer func() { l.provider.bridgeSetting = bridgeSetting }()
		f := l.fault(web, activities.Invalid)
		require.Contains(t, f.Message, "bridge-nf-call-iptables cannot be read")
		require.Contains(t, f.Hint, "br_netfilter")
	})
	t.Run("an engine on another host", func(t *testing.T) {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Api-Version", "1.41")
			_, _ = w.Write([]byte(`[{"Name":"far","Id":"0123456789abcdef","Driver":"bridge"}]`))
		}))
		defer server.Close()
		here := l.provider
		defer func() { l.provider = here }()
		l.provider = newNamedProvider(t, l.place, "tcp://"+strings.TrimPrefix(server.URL, "http://"))
		require.Contains(t, l.fault(web, activities.Invalid).Message, "is not on the host of this worker")
	})
	t.Run("a worker without the right", func(t *testing.T) {
		l.applied(web)
		withoutRights(t, func() {
			f := l.fault(web, activities.Invalid)
			require.Contains(t, f.Hint, "CAP_NET_ADMIN")
			f = l.fault(l.listener("server", "web"), activities.Invalid)
			require.Contains(t, f.Hint, "CAP_NET_ADMIN")
			l.applied(l.caller("client"))
			all, err := l.provider.Observe(t.Context(), l.scope)
			require.NoError(t, err)
			require.Empty(t, onlyOf(all, "web"), "it sees no groups")
			require.Len(t, onlyOf(all, "client"), 1)
		})
	})
}

// withoutRights runs work on a thread that may not change the network.
func withoutRights(t *testing.T, work func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var data [2]unix.CapUserData
		if !checkNoError(t, unix.Capget(&header, &data[0])) {
			return
		}
		data[0].Effective &^= 1 << unix.CAP_NET_ADMIN
		if checkNoError(t, unix.Capset(&header, &data[0])) {
			work()
		}
	}()
	<-done
}

func checkNoError(t *testing.T, err error) bool {
	if err != nil {
		t.Error(err)
	}
	return err == nil
}
