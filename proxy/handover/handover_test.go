package handover

import (
	"errors"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// orders notes what was asked for.
type orders struct {
	mu      sync.Mutex
	ready   int
	upgrade func(binary string) error
}

func (o *orders) Ready() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ready++
}

func (o *orders) Upgrade(binary string) error { return o.upgrade(binary) }

// newGuest is a serving process in this one.
func newGuest(t *testing.T, h *Holder, o *orders) *Guest {
	t.Helper()
	own, other, err := Pair()
	require.NoError(t, err)
	go h.Serve(own, o)
	g, err := NewGuest(other)
	require.NoError(t, err)
	t.Cleanup(func() { g.connection.Close() })
	return g
}

func newHolder(t *testing.T) *Holder {
	h := NewHolder()
	t.Cleanup(h.Close)
	return h
}

func held(h *Holder) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.files)
}

// accepts serves one connection of the listener with a word.
func accepts(l net.Listener, word string) {
	c, err := l.Accept()
	if err != nil {
		return
	}
	defer c.Close()
	_, _ = io.WriteString(c, word)
}

func heard(t *testing.T, address net.Addr) string {
	t.Helper()
	c, err := net.Dial(address.Network(), address.String())
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Minute)))
	text, err := io.ReadAll(c)
	require.NoError(t, err)
	return string(text)
}

func TestAConnectionWaitsForTheNextProcess(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "unix:" + filepath.Join(t.TempDir(), "socket")} {
		t.Run(address, func(t *testing.T) {
			h := newHolder(t)
			first := newGuest(t, h, &orders{})
			l, err := first.Listen(t.Context(), address)
			require.NoError(t, err)
			go accepts(l, "first")
			require.Equal(t, "first", heard(t, l.Addr()))

			first.Leave()
			require.NoError(t, l.Close())
			waiting := make(chan string)
			go func() { waiting <- heard(t, l.Addr()) }()
			second := newGuest(t, h, &orders{})
			again, err := second.Listen(t.Context(), address)
			require.NoError(t, err)
			require.Equal(t, l.Addr(), again.Addr())
			go accepts(again, "second")
			require.Equal(t, "second", <-waiting)
		})
	}
}

func TestAListenerThatIsClosedForGoodIsGivenUp(t *testing.T) {
	h := newHolder(t)
	g := newGuest(t, h, &orders{})
	l, err := g.Listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	_, err = net.Dial("tcp", l.Addr().String())
	require.ErrorContains(t, err, "connection refused")
	require.Zero(t, held(h))
}

func TestWhatTheNextProcessDoesNotAskForIsGivenUp(t *testing.T) {
	h := newHolder(t)
	first := newGuest(t, h, &orders{})
	kept, err := first.Listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	dropped, err := first.Listen(t.Context(), "unix:"+filepath.Join(t.TempDir(), "socket"))
	require.NoError(t, err)
	first.Leave()
	kept.Close()
	dropped.Close()

	o := &orders{}
	second := newGuest(t, h, o)
	_, err = second.Listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, second.Ready())
	o.mu.Lock()
	require.Equal(t, 1, o.ready)
	o.mu.Unlock()
	require.Equal(t, 1, held(h))
	_, err = net.Dial("unix", dropped.Addr().String())
	require.ErrorContains(t, err, "connection refused")
}

func TestAnOrderIsAnsweredAndARefusalIsTold(t *testing.T) {
	g := newGuest(t, newHolder(t), &orders{upgrade: func(binary string) error {
		if binary == "bad" {
			return errors.New("it does not start")
		}
		return nil
	}})
	require.NoError(t, g.Upgrade("good"))
	require.EqualError(t, g.Upgrade("bad"), "it does not start")
	_, err := g.Listen(t.Context(), "256.0.0.1:1")
	require.ErrorContains(t, err, "256.0.0.1")
}

func TestASupervisorThatIsGoneIsTold(t *testing.T) {
	own, other, err := Pair()
	require.NoError(t, err)
	g, err := NewGuest(other)
	require.NoError(t, err)
	own.Close()
	require.ErrorContains(t, g.Ready(), "supervisor")
}
