package packetfilter

import (
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// register holds the value that the next expression looks at.
const register = 1

// side is where the header of a packet has an address, in bytes from its start.
type side uint32

const (
	source      side = 12
	destination side = 16
)

func (s side) load() expr.Any {
	return &expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: uint32(s), Len: net.IPv4len}
}

// in matches packets whose address on that side is in the set.
func (s side) in(set string) []expr.Any {
	return []expr.Any{s.load(), &expr.Lookup{SourceRegister: register, SetName: set}}
}

// within matches packets whose address on that side is in the subnet.
func (s side) within(subnet netip.Prefix) []expr.Any {
	address := subnet.Addr().As4()
	return []expr.Any{s.load(),
		&expr.Bitwise{SourceRegister: register, DestRegister: register, Len: net.IPv4len, Mask: net.CIDRMask(subnet.Bits(), 32), Xor: make([]byte, net.IPv4len)},
		equal(address[:])}
}

func equal(data []byte) expr.Any {
	return &expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: data}
}

// replies matches packets of connections that were let through before, and the
// errors that belong to them.
func replies() []expr.Any {
	states := binary.NativeEndian.AppendUint32(nil, expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED)
	return []expr.Any{
		&expr.Ct{Register: register, Key: expr.CtKeySTATE},
		&expr.Bitwise{SourceRegister: register, DestRegister: register, Len: 4, Mask: states, Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: register, Data: make([]byte, 4)},
	}
}

func verdict(kind expr.VerdictKind) expr.Any { return &expr.Verdict{Kind: kind} }

func jump(chain string) expr.Any { return &expr.Verdict{Kind: expr.VerdictJump, Chain: chain} }

// expressions match what the rule allows, where peer is the side of the other one.
func (r Rule) expressions(peer side) []expr.Any {
	var all []expr.Any
	if r.Protocol != 0 {
		all = append(all, &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: register}, equal([]byte{r.Protocol}))
	}
	if r.FromPort != 0 {
		const destinationPort, portLength = 2, 2
		all = append(all,
			&expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Offset: destinationPort, Len: portLength},
			&expr.Cmp{Op: expr.CmpOpGte, Register: register, Data: binary.BigEndian.AppendUint16(nil, r.FromPort)},
			&expr.Cmp{Op: expr.CmpOpLte, Register: register, Data: binary.BigEndian.AppendUint16(nil, r.ToPort)})
	}
	switch {
	case r.set() != "":
		all = append(all, peer.in(r.set())...)
	case r.CIDR.IsValid() && r.CIDR.Bits() > 0:
		all = append(all, peer.within(r.CIDR)...)
	}
	return append(all, verdict(expr.VerdictAccept))
}

// encoded is the form in which rules are compared.
func encoded(expressions []expr.Any) (string, error) {
	var all []byte
	for _, e := range expressions {
		data, err := expr.Marshal(unix.NFPROTO_IPV4, e)
		if err != nil {
			return "", err
		}
		all = append(all, data...)
	}
	return string(all), nil
}
