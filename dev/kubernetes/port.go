package kubernetes

import (
	"fmt"
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// port is a TCP port on 127.0.0.1 that stays ours while no server listens on it: a socket is bound to it that does not listen.
// A server of the same user may share it by SO_REUSEPORT and everybody else is refused, and so is a connection while no server
// runs.
type port struct {
	number int
	socket int
}

func reservePort() (*port, error) {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	number, err := bindShared(socket)
	if err != nil {
		_ = unix.Close(socket)
		return nil, fmt.Errorf("reserve a port: %w", err)
	}
	return &port{number: number, socket: socket}, nil
}

func bindShared(socket int) (number int, err error) {
	if err := unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return 0, os.NewSyscallError("setsockopt", err)
	}
	if err := unix.Bind(socket, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, os.NewSyscallError("bind", err)
	}
	address, err := unix.Getsockname(socket)
	if err != nil {
		return 0, os.NewSyscallError("getsockname", err)
	}
	return address.(*unix.SockaddrInet4).Port, nil
}

func (p *port) String() string { return strconv.Itoa(p.number) }

func (p *port) address() string { return net.JoinHostPort(loopback, p.String()) }

// release gives the port back. Nil is none.
func (p *port) release() {
	if p != nil {
		_ = unix.Close(p.socket)
	}
}
