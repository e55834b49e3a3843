package process

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"windlass/proxy/handover"
)

// The descriptors that a serving process finds open: the way to its supervisor, and
// a pipe that ends when the supervisor does.
const (
	handoverDescriptor   = 3
	supervisorDescriptor = 4
)

// child is a serving process.
type child struct {
	supervisor *Supervisor
	binary     string
	command    *exec.Cmd
	// life is open as long as the supervisor lives.
	life *os.File
	// ready is closed when the process serves, ended when it has ended.
	ready, ended chan struct{}
	once         sync.Once
	// err is how it ended; set before ended is closed.
	err error
}

// start starts a binary as serving process. A strict one ends when it cannot do what
// is configured.
func (s *Supervisor) start(binary string, strict bool) (*child, error) {
	own, other, err := handover.Pair()
	if err != nil {
		return nil, err
	}
	defer other.Close()
	reading, writing, err := os.Pipe()
	if err != nil {
		own.Close()
		return nil, fmt.Errorf("pipe: %w", err)
	}
	defer reading.Close()
	c := &child{supervisor: s, binary: binary, life: writing, ready: make(chan struct{}), ended: make(chan struct{})}
	c.command = exec.Command(binary, s.arguments(strict)...)
	c.command.Stdout, c.command.Stderr = os.Stdout, os.Stderr
	c.command.ExtraFiles = []*os.File{other, reading}
	// A terminal's Ctrl-C is for the supervisor, which passes it on.
	c.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.command.Start(); err != nil {
		own.Close()
		writing.Close()
		return nil, fmt.Errorf("start %s: %w", binary, err)
	}
	go c.wait(own)
	return c, nil
}

func (c *child) wait(connection *net.UnixConn) {
	go c.supervisor.holder.Serve(connection, c)
	c.err = c.command.Wait()
	connection.Close()
	c.life.Close()
	close(c.ended)
	c.supervisor.ended(c)
}

// Ready implements handover.Orders.
func (c *child) Ready() { c.once.Do(func() { close(c.ready) }) }

// Upgrade implements handover.Orders.
func (c *child) Upgrade(binary string) error { return c.supervisor.upgrade(binary) }

// leave asks the process to finish what it has and to end.
func (c *child) leave() { _ = c.command.Process.Signal(syscall.SIGTERM) } // it may have ended

func (c *child) kill() { _ = c.command.Process.Kill() }
