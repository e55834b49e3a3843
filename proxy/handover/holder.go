package handover

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
)

// unixPrefix begins an address that is the path of a socket.
const unixPrefix = "unix:"

// Holder holds listening sockets for the processes that serve them.
type Holder struct {
	mu    sync.Mutex
	files map[string]*os.File
}

// NewHolder returns a Holder that holds nothing.
func NewHolder() *Holder { return &Holder{files: map[string]*os.File{}} }

// Orders is what a serving process may ask of its supervisor beside sockets.
type Orders interface {
	// Ready is called when the process serves.
	Ready()
	// Upgrade is asked to let the binary at a path serve from now on, and returns when
	// it does, or why it does not.
	Upgrade(binary string) error
}

// Serve answers a serving process until its end of the connection is closed. When it
// says that it is ready, sockets that it did not ask for are given up.
func (h *Holder) Serve(c *net.UnixConn, orders Orders) {
	defer c.Close()
	asked := map[string]bool{}
	for {
		var r request
		if _, err := receive(c, &r); err != nil {
			return
		}
		var file *os.File
		var err error
		switch r.Kind {
		case listen:
			asked[r.Address] = true
			file, err = h.socket(r.Address)
		case release:
			delete(asked, r.Address)
			h.give(func(address string) bool { return address == r.Address })
		case ready:
			h.give(func(address string) bool { return !asked[address] })
			orders.Ready()
		case upgrade:
			err = orders.Upgrade(r.Binary)
		default:
			err = fmt.Errorf("%q is no request", r.Kind)
		}
		var a answer
		if err != nil {
			a.Error = err.Error()
		}
		if send(c, a, file) != nil {
			return
		}
	}
}

// socket is the socket of an address, which is opened the first time.
func (h *Holder) socket(address string) (*os.File, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if file := h.files[address]; file != nil {
		return file, nil
	}
	listener, err := open(address)
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	file, err := listener.File()
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	h.files[address] = file
	return file, nil
}

// fileListener is a net.Listener of a kind that has a file.
type fileListener interface {
	net.Listener
	File() (*os.File, error)
}

func open(address string) (fileListener, error) {
	path, isUnix := strings.CutPrefix(address, unixPrefix)
	if !isUnix {
		listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
		if err != nil {
			return nil, err
		}
		return listener.(*net.TCPListener), nil
	}
	// One that a supervisor left that was killed; nobody listens there any more.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	listener.SetUnlinkOnClose(false)
	return listener, nil
}

// give gives up the sockets of these addresses.
func (h *Holder) give(gone func(address string) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for address, file := range h.files {
		if gone(address) {
			file.Close()
			delete(h.files, address)
		}
	}
}

// Close gives up all sockets.
func (h *Holder) Close() { h.give(func(string) bool { return true }) }
