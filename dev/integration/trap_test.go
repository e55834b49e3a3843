package integration

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// moment says when a trap springs.
type moment string

const (
	// beforeCall is when the other side has not heard of the call.
	beforeCall moment = "before"
	// afterCall is when the other side has done what was asked and the answer is
	// still on its way.
	afterCall moment = "after"
)

// trap counts the calls that pass a gate, and springs at one of them. The zero
// value counts only.
type trap struct {
	mutex  sync.Mutex
	calls  []string
	at     int
	when   moment
	spring func()
	// sprung is what arm returned last, and springing says that it closes.
	sprung    chan struct{}
	springing bool
}

// arm forgets the calls so far and springs at the n-th from now, counted from 1;
// 0 springs never. The returned channel closes when the trap has sprung.
func (t *trap) arm(n int, when moment, spring func()) <-chan struct{} {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.calls, t.at, t.when, t.spring = nil, n, when, spring
	t.sprung, t.springing = make(chan struct{}), false
	return t.sprung
}

// disarm says whether the trap has sprung, and waits for the end of that. Unless it
// has, it will not: also not at a call that is under way.
func (t *trap) disarm() bool {
	t.mutex.Lock()
	sprung, springing := t.sprung, t.springing
	if !springing {
		t.at, t.sprung = 0, nil
	}
	t.mutex.Unlock()
	if springing {
		<-sprung
	}
	return springing
}

// counted returns the calls since the trap was armed.
func (t *trap) counted() []string {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return t.calls
}

// enter counts a call and returns what to do before it is passed on and when its
// answer is there; nil is nothing. A call that has something to do is not to go
// further after that.
func (t *trap) enter(name string) (before, after func()) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.calls = append(t.calls, name)
	if len(t.calls) != t.at {
		return nil, nil
	}
	spring, sprung := t.spring, t.sprung
	act := sync.OnceFunc(func() {
		if t.begins(sprung) {
			spring()
			close(sprung)
		}
	})
	if t.when == beforeCall {
		return act, nil
	}
	return nil, act
}

// begins says whether a trap may spring that was armed with that channel.
func (t *trap) begins(sprung chan struct{}) bool {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if t.sprung != sprung {
		return false
	}
	t.springing = true
	return true
}

func TestATrapThatIsDisarmedDoesNotSpringAtACallUnderWay(t *testing.T) {
	t.Parallel()
	var sprung int
	trap := &trap{}
	trap.arm(1, afterCall, func() { sprung++ })
	_, after := trap.enter("a call")
	require.False(t, trap.disarm())
	after()
	require.Zero(t, sprung)

	trap.arm(1, afterCall, func() { sprung++ })
	_, after = trap.enter("a call")
	after()
	require.True(t, trap.disarm())
	require.Equal(t, 1, sprung)
}
