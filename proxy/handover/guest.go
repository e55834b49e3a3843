package handover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
)

// Guest is a serving process's way to the Holder of its sockets.
type Guest struct {
	connection *net.UnixConn
	// mu lets one request at a time wait for its answer.
	mu sync.Mutex
	// leaving says that the sockets are somebody else's now.
	leaving atomic.Bool
}

// NewGuest takes over the end of the connection that was passed to the process.
func NewGuest(file *os.File) (*Guest, error) {
	connection, err := connectionOf(file)
	if err != nil {
		return nil, err
	}
	return &Guest{connection: connection}, nil
}

// Listen returns a listener on an address, host:port or unix:path, which may have
// been open long before. Closed, it is given up, unless the process leaves.
func (g *Guest) Listen(_ context.Context, address string) (net.Listener, error) {
	file, err := g.ask(request{Kind: listen, Address: address})
	if err != nil {
		return nil, err
	}
	if file == nil {
		return nil, fmt.Errorf("listen on %s: no socket came", address)
	}
	defer file.Close()
	listener, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	if u, ok := listener.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	return &shared{Listener: listener, guest: g, address: address}, nil
}

// Ready says that the process serves.
func (g *Guest) Ready() error {
	_, err := g.ask(request{Kind: ready})
	return err
}

// Upgrade asks for the binary at a path to serve from now on.
func (g *Guest) Upgrade(binary string) error {
	_, err := g.ask(request{Kind: upgrade, Binary: binary})
	return err
}

// Leave says that listeners that are closed from now on are not given up: the next
// process serves them.
func (g *Guest) Leave() { g.leaving.Store(true) }

func (g *Guest) ask(r request) (*os.File, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := send(g.connection, r, nil); err != nil {
		return nil, lost(err)
	}
	var a answer
	file, err := receive(g.connection, &a)
	if err != nil {
		return nil, lost(err)
	}
	if a.Error != "" {
		return nil, errors.New(a.Error)
	}
	return file, nil
}

func lost(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("the supervisor is gone")
	}
	return fmt.Errorf("ask the supervisor: %w", err)
}

// shared is a listener on a socket that the supervisor holds too.
type shared struct {
	net.Listener
	guest   *Guest
	address string
	once    sync.Once
}

func (s *shared) Close() error {
	err := s.Listener.Close()
	s.once.Do(func() {
		if !s.guest.leaving.Load() {
			_, _ = s.guest.ask(request{Kind: release, Address: s.address}) // a supervisor that is gone holds nothing
		}
	})
	return err
}
