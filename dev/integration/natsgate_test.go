package integration

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// natsGate stands between a worker and NATS, reads what both sides say, and counts
// what the worker wants to have stored.
type natsGate struct {
	trap
	target  string
	address string

	mutex       sync.Mutex
	listener    net.Listener
	connections map[net.Conn]bool
}

func newNATSGate(t *testing.T, target string) *natsGate {
	t.Helper()
	g := &natsGate{target: target, address: "127.0.0.1:0"}
	g.open(t)
	t.Cleanup(g.shut)
	return g
}

// open takes connections, at the same address each time.
func (g *natsGate) open(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", g.address)
	require.NoError(t, err)
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.address, g.listener, g.connections = listener.Addr().String(), listener, map[net.Conn]bool{}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go g.serve(listener, client)
		}
	}()
}

// shut refuses connections and breaks those that there are.
func (g *natsGate) shut() {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	_ = g.listener.Close()
	for connection := range g.connections {
		_ = connection.Close()
	}
	g.connections = nil
}

// keep remembers a connection of the listener, unless the gate was shut meanwhile.
func (g *natsGate) keep(of net.Listener, c net.Conn) bool {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if g.connections == nil || g.listener != of {
		return false
	}
	g.connections[c] = true
	return true
}

func (g *natsGate) serve(of net.Listener, client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", g.target)
	if err != nil {
		return
	}
	defer server.Close()
	if !g.keep(of, client) || !g.keep(of, server) {
		return
	}
	w := &natsWire{gate: g, client: client, server: server}
	var ended sync.WaitGroup
	ended.Go(func() { w.copy(server, client, w.asked) })
	ended.Go(func() { w.copy(client, server, w.answered) })
	ended.Wait()
}

// natsWire is one connection of a client by way of the gate.
type natsWire struct {
	gate           *natsGate
	client, server net.Conn

	mutex sync.Mutex
	// reply is the subject of the answer at which the trap springs.
	reply string
	after func()
}

// copy passes on the frames that pass allows, and ends both sides at the first that it does not.
func (w *natsWire) copy(to, from net.Conn, pass func(natsFrame) bool) {
	defer w.client.Close()
	defer w.server.Close()
	reader := bufio.NewReader(from)
	for {
		frame, err := readNATSFrame(reader)
		if err != nil || !pass(frame) {
			return
		}
		if _, err := to.Write(frame.raw); err != nil {
			return
		}
	}
}

func (w *natsWire) asked(f natsFrame) bool {
	if !f.stores() {
		return true
	}
	before, after := w.gate.enter(f.verb + " " + f.subject)
	if before != nil {
		before()
		return false
	}
	if after != nil {
		w.mutex.Lock()
		defer w.mutex.Unlock()
		w.reply, w.after = f.reply, after
	}
	return true
}

func (w *natsWire) answered(f natsFrame) bool {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.after == nil || f.subject != w.reply {
		return true
	}
	w.after()
	return false
}

// natsFrame is one message of NATS' protocol.
type natsFrame struct {
	raw                  []byte
	verb, subject, reply string
}

// stores says whether the frame asks for something to be kept, and for an answer.
func (f natsFrame) stores() bool {
	if f.reply == "" || f.verb != "PUB" && f.verb != "HPUB" {
		return false
	}
	for _, prefix := range []string{"windlass.", "$KV.", "$JS.ACK."} {
		if strings.HasPrefix(f.subject, prefix) {
			return true
		}
	}
	return false
}

func readNATSFrame(r *bufio.Reader) (natsFrame, error) {
	line, err := r.ReadBytes('\n')
	if err != nil {
		return natsFrame{}, err
	}
	words := strings.Fields(string(bytes.TrimSpace(line)))
	if len(words) == 0 {
		return natsFrame{raw: line}, nil
	}
	f := natsFrame{raw: line, verb: strings.ToUpper(words[0])}
	// What stands before the reply, which may be missing, and how many sizes follow it.
	shape := map[string][2]int{"PUB": {2, 1}, "HPUB": {2, 2}, "MSG": {3, 1}, "HMSG": {3, 2}}
	form, carries := shape[f.verb]
	if !carries || len(words) < form[0]+form[1] {
		return f, nil
	}
	f.subject = words[1]
	if len(words) > form[0]+form[1] {
		f.reply = words[form[0]]
	}
	size, err := strconv.Atoi(words[len(words)-1])
	if err != nil {
		return f, err
	}
	payload := make([]byte, size+2)
	if _, err := io.ReadFull(r, payload); err != nil {
		return f, err
	}
	f.raw = append(f.raw, payload...)
	return f, nil
}
