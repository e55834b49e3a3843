package stack

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
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
// there is a moment between release and listen in which another process can take the port; the server then reports it.
type reservation struct {
	listener net.Listener
	once     sync.Once
}

func reserve(server, address string) (*reservation, error) {
	if address == "" {
		address = "127.0.0.1:0"
	}
	listener, err := listen(address)
	if err != nil {
		return nil, &AddressError{Server: server, Address: address, Err: rootCause(err)}
	}
	return &reservation{listener: listener}, nil
}

// The ports that are picked where any will do lie below those that Linux gives to outgoing connections, from 32768 on:
// one of them could take the port in the moment after the release.
const (
	firstPort = 20_000
	lastPort  = 32_767
	// picks is how many are tried.
	picks = 100
)

// listen picks a port where the address has none.
func listen(address string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(address)
	if err == nil && port == "0" {
		for range picks {
			picked := firstPort + rand.IntN(lastPort-firstPort+1)
			if listener, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(picked))); err == nil {
				return listener, nil
			}
		}
	}
	return net.Listen("tcp", address)
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

func (r *reservation) release() { r.once.Do(func() { _ = r.listener.Close() }) }

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
