// Package handover lets processes that follow each other listen on the same
// sockets. A supervisor holds them; a serving process asks for each over a socket
// pair, gets a copy, and may end at any moment: connections that nobody has taken
// yet wait in the kernel for the next one. It knows nothing of what is served.
package handover

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxMessage bounds a request and an answer, in bytes.
const maxMessage = 64 << 10

// The kinds of request.
const (
	listen  = "listen"
	release = "release"
	ready   = "ready"
	upgrade = "upgrade"
)

type request struct {
	Kind string `json:"kind"`
	// Address is what to listen on, or no more.
	Address string `json:"address,omitempty"`
	// Binary is a path.
	Binary string `json:"binary,omitempty"`
}

type answer struct {
	Error string `json:"error,omitempty"`
}

// Pair returns the two ends of a connection: one for a Holder, and one to pass to
// the serving process.
func Pair() (own *net.UnixConn, other *os.File, err error) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socket pair: %w", err)
	}
	other = os.NewFile(uintptr(ends[1]), "handover")
	own, err = connectionOf(os.NewFile(uintptr(ends[0]), "handover"))
	if err != nil {
		other.Close()
		return nil, nil, err
	}
	return own, other, nil
}

// connectionOf takes the file over.
func connectionOf(file *os.File) (*net.UnixConn, error) {
	defer file.Close()
	connection, err := net.FileConn(file)
	if err != nil {
		return nil, fmt.Errorf("handover: %w", err)
	}
	return connection.(*net.UnixConn), nil
}

// send writes a message, with a file where there is one.
func send(c *net.UnixConn, message any, file *os.File) error {
	text, err := json.Marshal(message)
	if err != nil {
		return err
	}
	if file == nil {
		_, _, err = c.WriteMsgUnix(text, nil, nil)
		return err
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	// File.Fd would make the socket block, in every process that has it.
	err = raw.Control(func(descriptor uintptr) {
		_, _, sent = c.WriteMsgUnix(text, unix.UnixRights(int(descriptor)), nil)
	})
	return errors.Join(err, sent)
}

// receive reads a message, with the file that came along, if any. The error is
// io.EOF when the other end is gone.
func receive(c *net.UnixConn, message any) (*os.File, error) {
	text, rights := make([]byte, maxMessage), make([]byte, unix.CmsgSpace(4))
	n, m, _, _, err := c.ReadMsgUnix(text, rights)
	switch {
	case errors.Is(err, syscall.ECONNRESET), err == nil && n == 0:
		return nil, io.EOF
	case err != nil:
		return nil, err
	}
	file, err := fileOf(rights[:m])
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text[:n], message); err != nil {
		if file != nil {
			file.Close()
		}
		return nil, fmt.Errorf("handover: %w", err)
	}
	return file, nil
}

func fileOf(rights []byte) (*os.File, error) {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil || len(messages) == 0 {
		return nil, err
	}
	descriptors, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(descriptors) == 0 {
		return nil, err
	}
	unix.CloseOnExec(descriptors[0])
	return os.NewFile(uintptr(descriptors[0]), "socket"), nil
}
