package packetfilter

import (
	"crypto/rand"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/nftables"
	"github.com/stretchr/testify/require"
)

// newTable returns a table of its own that is empty before and after the test.
func newTable(t *testing.T) *Table {
	t.Helper()
	table := New("test-" + strings.ToLower(rand.Text()[:10]))
	_, err := table.Exists()
	require.NoError(t, err, "the tests of the packet filter need to be root, or to have CAP_NET_ADMIN")
	t.Cleanup(func() { require.NoError(t, table.Remove()) })
	return table
}

func addresses(texts ...string) []netip.Addr {
	var all []netip.Addr
	for _, text := range texts {
		all = append(all, netip.MustParseAddr(text))
	}
	return all
}

func scene() ([]Group, Addresses) {
	web := Group{Name: "web", Labels: map[string]string{"resource": "web", "properties": strings.Repeat("ä{}\"", 400)},
		Ingress: []Rule{
			{Protocol: TCP, FromPort: 80, ToPort: 90, CIDR: netip.MustParsePrefix("10.0.0.0/8")},
			{Protocol: UDP, FromPort: 53, ToPort: 53, Group: "db"}, {Protocol: ICMP, CIDR: netip.MustParsePrefix("0.0.0.0/0")}, {Resource: "gateway"},
		},
		Egress: []Rule{{}},
	}
	db := Group{Name: "db", Labels: map[string]string{"resource": "db"}, Ingress: []Rule{{Group: "web"}}}
	return []Group{web, db}, Addresses{
		Guarded:   addresses("10.40.0.2", "10.40.0.3"),
		Subnets:   []netip.Prefix{netip.MustParsePrefix("10.40.0.0/24"), netip.MustParsePrefix("10.40.1.0/25"), netip.MustParsePrefix("192.168.7.16/28")},
		Groups:    map[string][]netip.Addr{"web": addresses("10.40.0.2"), "db": addresses("10.40.0.3", "10.40.0.2")},
		Resources: map[string][]netip.Addr{"gateway": addresses("10.40.0.9")},
	}
}

func TestWhatIsWrittenIsFoundAgain(t *testing.T) {
	t.Parallel()
	table := newTable(t)
	groups, a := scene()
	for range 2 { // a second time changes nothing
		require.NoError(t, table.Write(groups, a))
		found, err := table.Labels()
		require.NoError(t, err)
		require.ElementsMatch(t, []map[string]string{groups[0].Labels, groups[1].Labels}, found)
		differences, err := table.Differences(groups, a)
		require.NoError(t, err)
		require.Empty(t, differences)
	}
}

func TestAGroupThatGoesLeavesNothing(t *testing.T) {
	t.Parallel()
	table := newTable(t)
	groups, a := scene()
	require.NoError(t, table.Write(groups, a))
	require.NoError(t, table.Write(groups[1:], a))
	found, err := table.Labels()
	require.NoError(t, err)
	require.Equal(t, []map[string]string{groups[1].Labels}, found)
	c, err := connect()
	require.NoError(t, err)
	names, err := table.chains(c)
	require.NoError(t, err)
	require.Len(t, names, len(bases)+2+3, names)
	sets, err := c.GetSets(table.table)
	require.NoError(t, err)
	require.Len(t, sets, 4, "guarded addresses and subnets, its own members, and those of the group that it names")

	require.NoError(t, table.Remove())
	exists, err := table.Exists()
	require.NoError(t, err)
	require.False(t, exists)
	require.NoError(t, table.Remove(), "gone is no error")
}

func TestAddressesChangeWithoutTheRules(t *testing.T) {
	t.Parallel()
	table := newTable(t)
	groups, a := scene()
	require.NoError(t, table.Write(groups, a))
	a.Groups["db"] = addresses("10.40.0.77")
	a.Guarded = nil
	for i := range 2000 {
		a.Guarded = append(a.Guarded, netip.AddrFrom4([4]byte{10, 41, byte(i / 250), byte(i % 250)}))
	}
	differences, err := table.Differences(groups, a)
	require.NoError(t, err)
	require.Len(t, differences, 2)
	require.NoError(t, table.SetAddresses(a))
	differences, err = table.Differences(groups, a)
	require.NoError(t, err)
	require.Empty(t, differences)
}

func TestManyRulesAreOneTransaction(t *testing.T) {
	t.Parallel()
	table := newTable(t)
	g := Group{Name: "large", Labels: map[string]string{"properties": strings.Repeat("x", 200_000)}}
	for port := range uint16(5000) {
		g.Ingress = append(g.Ingress, Rule{Protocol: TCP, FromPort: port + 1, ToPort: port + 1, Resource: "gateway"})
	}
	require.NoError(t, table.Write([]Group{g}, Addresses{}))
	found, err := table.Labels()
	require.NoError(t, err)
	require.Equal(t, []map[string]string{g.Labels}, found)
	differences, err := table.Differences([]Group{g}, Addresses{})
	require.NoError(t, err)
	require.Empty(t, differences)
}

func TestWhatWasChangedByHandIsToldAndPutBack(t *testing.T) {
	t.Parallel()
	_, ingress, egress := chainsOf(hash("web"))
	deleted := func(chain string, n int) func(*testing.T, *Table, *nftables.Conn) {
		return func(t *testing.T, table *Table, c *nftables.Conn) {
			rules, err := table.rules(c, chain)
			require.NoError(t, err)
			rules[n].Table, rules[n].Chain = table.table, &nftables.Chain{Name: chain}
			require.NoError(t, c.DelRule(rules[n]))
		}
	}
	for name, test := range map[string]struct {
		change func(*testing.T, *Table, *nftables.Conn)
		reason string
	}{
		"a rule of ingress":               {deleted(ingress, 1), "its ingress rules were changed"},
		"a rule of egress":                {deleted(egress, 0), "its egress rules were changed"},
		"the way to ingress":              {deleted(ingressChain, 0), "its ingress rules are not reached"},
		"the drop of what nothing allows": {deleted(ingressForward, 2), "the chains in front of the groups were changed"},
		"one rule more": {func(t *testing.T, table *Table, c *nftables.Conn) {
			c.AddRule(&nftables.Rule{Table: table.table, Chain: &nftables.Chain{Name: ingress}, Exprs: Rule{}.expressions(source)})
		}, "its ingress rules were changed"},
		"an address": {func(t *testing.T, table *Table, c *nftables.Conn) {
			set := &nftables.Set{Table: table.table, Name: guardedSet, KeyType: nftables.TypeIPAddr}
			require.NoError(t, c.SetDeleteElements(set, []nftables.SetElement{{Key: netip.MustParseAddr("10.40.0.2").AsSlice()}}))
		}, "the addresses in set guarded are not those of the containers"},
		"a chain that the kernel calls": {func(t *testing.T, table *Table, c *nftables.Conn) {
			c.FlushChain(table.chain(egressInput))
			c.DelChain(table.chain(egressInput))
		}, "the chains in front of the groups were changed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			table := newTable(t)
			groups, a := scene()
			require.NoError(t, table.Write([]Group{groups[1], groups[0]}, a))
			c, err := connect()
			require.NoError(t, err)
			// The chains that lead to groups list them by name: db, web.
			test.change(t, table, c)
			require.NoError(t, c.Flush())
			differences, err := table.Differences(groups, a)
			require.NoError(t, err)
			require.Contains(t, strings.Join(append(differences["web"], differences["db"]...), "; "), test.reason)

			require.NoError(t, table.Write(groups, a))
			differences, err = table.Differences(groups, a)
			require.NoError(t, err)
			require.Empty(t, differences)
		})
	}
}

func TestASubnetIsClosedToItsLastAddress(t *testing.T) {
	t.Parallel()
	a := Addresses{Guarded: addresses("10.0.0.5"), Subnets: []netip.Prefix{netip.MustParsePrefix("10.0.1.128/25"), netip.MustParsePrefix("10.0.0.0/23"), netip.MustParsePrefix("10.0.0.0/23")}}
	require.Equal(t, addresses("10.0.0.5", "10.0.1.255"), a.ofSet(guardedSet))
	a.Subnets = []netip.Prefix{netip.MustParsePrefix("10.0.3.0/28"), netip.MustParsePrefix("10.0.2.0/24")}
	require.Equal(t, addresses("10.0.2.0", "10.0.3.0", "10.0.3.0", "10.0.3.16"), a.ofSet(subnetsSet))
}
