package stack

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// AddressError says that a server cannot listen where it was told to.
type AddressError struct {
	// Server is "NATS", "Temporal" or "web UI".
	Server string
	// Address is the host:port that was asked for.
	Address string
	// Err is what the system answered.
	Err error
}

func (e *AddressError) Error() string {
	return fmt.Sprintf("%s cannot listen on %s: %v", e.Server, e.Address, e.Err)
}

func (e *AddressError) Unwrap() error { return e.Err }

// reservation keeps a port until its server is about to listen on it. The servers of the stack take no listener, so
// there is a moment between release and listen in which another process can take a port that was asked for; the server
// then reports it. A port that was picked is kept from other stacks until close.
type reservation struct {
	listener net.Listener
	// claim is nil for a port that was asked for.
	claim net.Listener
}

func reserve(server, address string) (*reservation, error) {
	if address == "" {
		address = "127.0.0.1:0"
	}
	r, err := take(address)
	if err != nil {
		return nil, &AddressError{Server: server, Address: address, Err: rootCause(err)}
	}
	return r, nil
}

// The ports that are picked where any will do lie below those that Linux gives to outgoing connections, from 32768 on:
// one of them could take the port in the moment after the release.
const (
	firstPort = 20_000
	lastPort  = 32_767
	// picks is how many are tried.
	picks = 100
)

// take picks a port where the address has none.
func take(address string) (*reservation, error) {
	host, port, err := net.SplitHostPort(address)
	if err == nil && port == "0" {
		for range picks {
			if r, err := pick(host, firstPort+rand.IntN(lastPort-firstPort+1)); err == nil {
				return r, nil
			}
		}
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	return &reservation{listener: listener}, nil
}

// pick takes a port that neither a server listens on nor another stack has picked for one that does not listen yet.
func pick(host string, port int) (*reservation, error) {
	claim, err := claimPort(port)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		_ = claim.Close()
		return nil, err
	}
	return &reservation{listener: listener, claim: claim}, nil
}

// claimPort says to other stacks that a port is picked: a server is seconds away from listening on a busy machine.
// Names of abstract sockets belong to a network namespace, like ports, and end with their process.
func claimPort(port int) (net.Listener, error) {
	return net.Listen("unix", fmt.Sprintf("@windlass-dev-port-%d", port))
}

// rootCause drops the address that net puts in front of the system's answer.
func rootCause(err error) error {
	for {
		inner, ok := err.(interface{ Unwrap() error })
		if !ok || inner.Unwrap() == nil {
			return err
		}
		err = inner.Unwrap()
	}
}

// release lets a server listen.
func (r *reservation) release() { _ = r.listener.Close() }

// close gives the port up. Nil is none.
func (r *reservation) close() {
	if r == nil {
		return
	}
	r.release()
	if r.claim != nil {
		_ = r.claim.Close()
	}
}

func (r *reservation) tcp() *net.TCPAddr { return r.listener.Addr().(*net.TCPAddr) }

func (r *reservation) ip() string { return r.tcp().IP.String() }

func (r *reservation) port() int { return r.tcp().Port }

// dial is the address for clients on this machine, also when the server listens on all addresses.
func (r *reservation) dial() string {
	if r.tcp().IP.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", fmt.Sprint(r.port()))
	}
	return r.tcp().String()
}
