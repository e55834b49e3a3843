package packetfilter

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
)

// Table is the table of one provider. Callers hold its lock while they read what
// they decide on and write. Errors are or wrap ErrNotPermitted where the right to
// change the packet filter is missing.
type Table struct{ table *nftables.Table }

// New returns the table of the provider of that name. It changes nothing.
func New(provider string) *Table {
	return &Table{table: &nftables.Table{Name: "windlass-" + provider, Family: nftables.TableFamilyIPv4}}
}

// lockName is a socket that nobody connects to. The kernel gives the name to one
// process at a time, in the same network namespace that the table is in, and takes
// it back when the process ends in any way.
const lockName = "@windlass-packet-filter"

const lockInterval = 10 * time.Millisecond

// Lock waits until no other process works on the tables. The returned function
// gives the lock back.
func (t *Table) Lock(ctx context.Context) (func(), error) {
	for {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", lockName)
		if err == nil {
			return func() { listener.Close() }, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("lock the packet filter: %w", err)
		}
		select {
		case <-time.After(lockInterval):
		case <-ctx.Done():
			return nil, fmt.Errorf("lock the packet filter: %w", ctx.Err())
		}
	}
}

// bufferBytes bounds one transaction and the kernel's answers to it.
const bufferBytes = 32 << 20

func connect() (*nftables.Conn, error) {
	return nftables.New(nftables.WithSockOptions(func(c *netlink.Conn) error {
		return errors.Join(c.SetReadBuffer(bufferBytes), c.SetWriteBuffer(bufferBytes))
	}))
}

func failure(doing string, err error) error {
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("%s: %w", doing, ErrNotPermitted)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// Exists says whether there is anything of the provider in the kernel.
func (t *Table) Exists() (bool, error) {
	c, err := connect()
	if err != nil {
		return false, failure("open the packet filter", err)
	}
	tables, err := c.ListTablesOfFamily(t.table.Family)
	if err != nil {
		return false, failure("list the tables of the packet filter", err)
	}
	return slices.ContainsFunc(tables, func(other *nftables.Table) bool { return other.Name == t.table.Name }), nil
}

// Labels returns the labels of every group of the table, which must exist. A group
// whose labels were damaged is none.
func (t *Table) Labels() ([]map[string]string, error) {
	c, err := connect()
	if err != nil {
		return nil, failure("open the packet filter", err)
	}
	jumps, err := t.rules(c, egressChain)
	if err != nil {
		return nil, err
	}
	var all []map[string]string
	for _, jump := range jumps {
		hash, ok := jumpsTo(jump)
		if !ok {
			continue
		}
		chain, _, _ := chainsOf(hash)
		rules, err := t.rules(c, chain)
		if err != nil {
			return nil, err
		}
		comments := make([][]byte, len(rules))
		for i, r := range rules {
			comments[i] = r.UserData
		}
		if found := labels(comments); found != nil {
			all = append(all, found)
		}
	}
	return all, nil
}

// jumpsTo returns the hash of the group whose egress chain a rule leads to.
func jumpsTo(r *nftables.Rule) (string, bool) {
	for _, e := range r.Exprs {
		if v, ok := e.(*expr.Verdict); ok {
			return strings.CutPrefix(v.Chain, egressChain+"-")
		}
	}
	return "", false
}

func (t *Table) rules(c *nftables.Conn, chain string) ([]*nftables.Rule, error) {
	rules, err := c.GetRules(t.table, &nftables.Chain{Name: chain, Table: t.table})
	if err != nil {
		return nil, failure("read the rules of chain "+chain, err)
	}
	return rules, nil
}

// Write makes the table hold these groups and addresses and nothing else, in one
// transaction: at every moment either the former rules or the new ones hold.
func (t *Table) Write(groups []Group, addresses Addresses) error {
	c, err := connect()
	if err != nil {
		return failure("open the packet filter", err)
	}
	exists, err := t.Exists()
	if err != nil {
		return err
	}
	content, err := newContent(sorted(groups))
	if err != nil {
		return err
	}
	var chains []string
	var found []*nftables.Set
	if exists {
		if t.sound(c) {
			// The chains that the kernel calls stay where they are: between the end of
			// one and the beginning of another a packet could pass.
			if chains, err = t.chains(c); err != nil {
				return err
			}
			if found, err = c.GetSets(t.table); err != nil {
				return failure("read the sets", err)
			}
			c.FlushTable(t.table)
		} else {
			c.DelTable(t.table)
		}
	}
	c.AddTable(t.table)
	for n, name := range content.sets {
		set := &nftables.Set{Table: t.table, ID: uint32(n + 1), Name: name, KeyType: nftables.TypeIPAddr, Interval: name == subnetsSet}
		if err := c.AddSet(set, nil); err != nil {
			return failure("add set "+name, err)
		}
		if slices.ContainsFunc(found, func(s *nftables.Set) bool { return s.Name == name }) {
			c.FlushSet(set)
		}
		if err := add(c, set, addresses.ofSet(name)); err != nil {
			return err
		}
	}
	for _, chain := range content.chains {
		c.AddChain(t.chain(chain.name))
	}
	for _, chain := range content.chains {
		for _, r := range chain.rules {
			c.AddRule(&nftables.Rule{Table: t.table, Chain: &nftables.Chain{Name: chain.name}, Exprs: r.expressions, UserData: r.comment})
		}
	}
	for _, name := range chains {
		if !content.has(name) {
			c.DelChain(&nftables.Chain{Name: name, Table: t.table})
		}
	}
	for _, set := range found {
		if !slices.Contains(content.sets, set.Name) {
			set.Table = t.table
			c.DelSet(set)
		}
	}
	if err := c.Flush(); err != nil {
		return failure("write the rules", err)
	}
	return nil
}

// add gives a set its elements, in portions that fit into a message. Those of an
// interval are two after each other.
func add(c *nftables.Conn, set *nftables.Set, addresses []netip.Addr) error {
	const portion = 500
	for part := range slices.Chunk(addresses, portion) {
		elements := make([]nftables.SetElement, len(part))
		for i, a := range part {
			elements[i].Key = a.AsSlice()
			elements[i].IntervalEnd = set.Interval && i%2 == 1
		}
		if err := c.SetAddElements(set, elements); err != nil {
			return failure("fill set "+set.Name, err)
		}
	}
	return nil
}

// SetAddresses brings the sets of the table, which must exist, to these addresses
// and leaves its rules as they are.
func (t *Table) SetAddresses(addresses Addresses) error {
	c, err := connect()
	if err != nil {
		return failure("open the packet filter", err)
	}
	found, err := c.GetSets(t.table)
	if err != nil {
		return failure("read the sets", err)
	}
	changed := false
	for _, set := range found {
		set.Table = t.table
		wanted := addresses.ofSet(set.Name)
		current, err := t.addresses(c, set)
		if err != nil {
			return err
		}
		if slices.Equal(wanted, current) {
			continue
		}
		changed = true
		c.FlushSet(set)
		if err := add(c, set, wanted); err != nil {
			return err
		}
	}
	if !changed {
		return nil
	}
	if err := c.Flush(); err != nil {
		return failure("write the addresses", err)
	}
	return nil
}

// addresses are those in a set, sorted. The kernel adds to intervals that nothing
// lies before the first one.
func (t *Table) addresses(c *nftables.Conn, set *nftables.Set) ([]netip.Addr, error) {
	elements, err := c.GetSetElements(set)
	if err != nil {
		return nil, failure("read set "+set.Name, err)
	}
	var all []netip.Addr
	for _, e := range elements {
		if address, ok := netip.AddrFromSlice(e.Key); ok && !address.IsUnspecified() {
			all = append(all, address)
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return all, nil
}

// Remove takes the table away; one that is gone is no error.
func (t *Table) Remove() error {
	exists, err := t.Exists()
	if err != nil || !exists {
		return err
	}
	c, err := connect()
	if err != nil {
		return failure("open the packet filter", err)
	}
	c.DelTable(t.table)
	if err := c.Flush(); err != nil {
		return failure("remove the table", err)
	}
	return nil
}

// Differences says in words what of the groups was changed by hand, by the name of
// the group. The table, which must exist, may hold other groups and guard other
// addresses as well.
func (t *Table) Differences(groups []Group, addresses Addresses) (map[string][]string, error) {
	c, err := connect()
	if err != nil {
		return nil, failure("open the packet filter", err)
	}
	intact, err := t.Intact()
	if err != nil {
		return nil, err
	}
	found, err := c.GetSets(t.table)
	if err != nil {
		return nil, failure("read the sets", err)
	}
	all := map[string][]string{}
	for _, g := range groups {
		var reasons []string
		if !intact {
			reasons = append(reasons, "the chains in front of the groups were changed")
		}
		more, err := t.groupDifferences(c, g)
		if err != nil {
			return nil, err
		}
		reasons = append(reasons, more...)
		for _, name := range sets([]Group{g}) {
			differs, err := t.setDiffers(c, name, found, addresses)
			if err != nil {
				return nil, err
			}
			if differs {
				reasons = append(reasons, "the addresses in set "+name+" are not those of the containers")
			}
		}
		if len(reasons) > 0 {
			all[g.Name] = reasons
		}
	}
	return all, nil
}

// Intact says whether the kernel still closes what is guarded, whatever the groups
// are. The table must exist.
func (t *Table) Intact() (bool, error) {
	c, err := connect()
	if err != nil {
		return false, failure("open the packet filter", err)
	}
	sets, err := c.GetSets(t.table)
	if err != nil {
		return false, failure("read the sets", err)
	}
	content, err := newContent(nil)
	if err != nil {
		return false, err
	}
	intact := t.sound(c)
	for _, name := range []string{guardedSet, subnetsSet} {
		intact = intact && slices.ContainsFunc(sets, func(s *nftables.Set) bool { return s.Name == name })
	}
	for _, chain := range content.chains {
		if intact && chain.base != nil {
			if intact, err = t.holds(c, chain); err != nil {
				return false, err
			}
		}
	}
	return intact, nil
}

func (t *Table) groupDifferences(c *nftables.Conn, g Group) ([]string, error) {
	content, err := newContent([]Group{g})
	if err != nil {
		return nil, err
	}
	_, ingress, egress := chainsOf(hash(g.Name))
	words := map[string]string{
		ingress: "its ingress rules were changed", egress: "its egress rules were changed",
		ingressChain: "its ingress rules are not reached", egressChain: "its egress rules are not reached",
	}
	var reasons []string
	for _, chain := range content.chains {
		if words[chain.name] == "" {
			continue
		}
		holds, err := t.holds(c, chain)
		if err != nil {
			return nil, err
		}
		if !holds {
			reasons = append(reasons, words[chain.name])
		}
	}
	return reasons, nil
}

// setDiffers compares a set with what it should hold. Of the guarded addresses and
// subnets the given ones have to be there: others are those of other groups.
func (t *Table) setDiffers(c *nftables.Conn, name string, found []*nftables.Set, addresses Addresses) (bool, error) {
	at := slices.IndexFunc(found, func(s *nftables.Set) bool { return s.Name == name })
	if at < 0 {
		return true, nil
	}
	current, err := t.addresses(c, &nftables.Set{Name: name, Table: t.table})
	if err != nil {
		return false, err
	}
	wanted := addresses.ofSet(name)
	if name == guardedSet || name == subnetsSet {
		return slices.ContainsFunc(wanted, func(a netip.Addr) bool { return !slices.Contains(current, a) }), nil
	}
	return !slices.Equal(current, wanted), nil
}

// holds compares the rules of a chain with those that it should have. The chains
// that lead to groups may have more of them, for other groups.
func (t *Table) holds(c *nftables.Conn, chain chain) (bool, error) {
	rules, err := t.rules(c, chain.name)
	if err != nil {
		return false, err
	}
	var wanted, current []string
	for _, r := range chain.rules {
		text, err := encoded(r.expressions)
		if err != nil {
			return false, err
		}
		wanted = append(wanted, text)
	}
	for _, r := range rules {
		text, err := encoded(r.Exprs)
		if err != nil {
			return false, err
		}
		current = append(current, text)
	}
	if chain.shared {
		return !slices.ContainsFunc(wanted, func(text string) bool { return !slices.Contains(current, text) }), nil
	}
	return slices.Equal(wanted, current), nil
}

// sound says whether the kernel calls the chains that it should call where it should.
func (t *Table) sound(c *nftables.Conn) bool {
	for name, b := range bases {
		found, err := c.ListChain(t.table, name)
		if err != nil || found.Hooknum == nil || *found.Hooknum != *b.hook || *found.Priority != *b.priority {
			return false
		}
	}
	return true
}

// chains lists the chains of the table.
func (t *Table) chains(c *nftables.Conn) ([]string, error) {
	all, err := c.ListChainsOfTableFamily(t.table.Family)
	if err != nil {
		return nil, failure("list the chains", err)
	}
	var names []string
	for _, found := range all {
		if found.Table.Name == t.table.Name {
			names = append(names, found.Name)
		}
	}
	return names, nil
}

// chain describes a chain to the kernel.
func (t *Table) chain(name string) *nftables.Chain {
	chain := &nftables.Chain{Name: name, Table: t.table}
	if b := bases[name]; b != nil {
		accept := nftables.ChainPolicyAccept
		chain.Type, chain.Hooknum, chain.Priority, chain.Policy = nftables.ChainTypeFilter, b.hook, b.priority, &accept
	}
	return chain
}
