package integration

import "sync"

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
	sprung chan struct{}
}

// arm forgets the calls so far and springs at the n-th from now, counted from 1;
// 0 springs never. The returned channel closes when the trap has sprung.
func (t *trap) arm(n int, when moment, spring func()) <-chan struct{} {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.calls, t.at, t.when, t.spring = nil, n, when, spring
	t.sprung = make(chan struct{})
	return t.sprung
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
		spring()
		close(sprung)
	})
	if t.when == beforeCall {
		return act, nil
	}
	return nil, act
}
