package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"windlass/proxy/handover"
)

const (
	// A serving process that ends by itself is started again after restartDelay, which
	// doubles up to longestDelay while it does not get ready.
	restartDelay = 50 * time.Millisecond
	longestDelay = 5 * time.Second
	// slack is how long a process has to end after its drain timeout.
	slack = 2 * time.Second
)

// Supervisor starts serving processes and holds their sockets. It stays the program
// that was started: an upgrade exchanges what serves. It is small, and does nothing
// that a new version would do otherwise.
type Supervisor struct {
	Settings
	own    string
	store  store
	holder *handover.Holder

	// upgrading lets one upgrade at a time happen.
	upgrading sync.Mutex
	// mu guards what follows.
	mu       sync.Mutex
	current  *child
	children map[*child]bool
	stopping bool
	failures int
	// wake tells Run that a process has ended.
	wake chan struct{}
}

// NewSupervisor returns a supervisor that Run sets to work.
func NewSupervisor(s Settings) (*Supervisor, error) {
	own, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the own binary: %w", err)
	}
	if err := os.MkdirAll(s.State, 0o700); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	stale, _ := filepath.Glob(s.Socket + ".*") // of processes that ended with an earlier supervisor
	for _, path := range stale {
		_ = os.Remove(path)
	}
	return &Supervisor{Settings: s, own: own, store: store{s.State}, holder: handover.NewHolder(), children: map[*child]bool{}, wake: make(chan struct{}, 1)}, nil
}

// Run serves until ctx ends and then waits until what is in flight is done, at most
// for the drain timeout.
func (s *Supervisor) Run(ctx context.Context) error {
	defer s.holder.Close()
	for {
		delay := s.ensure()
		timer := time.NewTimer(delay)
		select {
		case <-ctx.Done():
			timer.Stop()
			return s.stop()
		case <-s.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// ensure starts a serving process where there is none, and returns when to look
// again.
func (s *Supervisor) ensure() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil {
		return time.Hour
	}
	binary := s.own
	// What an upgrade left is tried first, and given up where it does not get ready.
	if stored := s.store.binary(); stored != "" && s.failures%2 == 0 {
		binary = stored
	}
	c, err := s.start(binary, false)
	if err != nil {
		s.Logger.Error("no process serves; trying again", "error", err)
		s.failures++
		return s.delay()
	}
	s.current, s.children[c] = c, true
	go s.watch(c)
	return time.Hour
}

// watch ends a process that does not get ready in time.
func (s *Supervisor) watch(c *child) {
	if err := s.await(c); err != nil {
		s.Logger.Error("a process does not serve", "binary", c.binary, "error", err)
		c.kill()
		return
	}
	s.mu.Lock()
	s.failures = 0
	s.mu.Unlock()
}

// await returns when a process serves, or why it does not.
func (s *Supervisor) await(c *child) error {
	select {
	case <-c.ready:
		return nil
	case <-c.ended:
		return fmt.Errorf("it ended: %v", c.err)
	case <-time.After(s.ReadyTimeout):
		return fmt.Errorf("it was not ready within %s", s.ReadyTimeout)
	}
}

func (s *Supervisor) delay() time.Duration {
	return min(restartDelay<<min(s.failures, 10), longestDelay)
}

// ended notes the end of a process. The one that should serve is started again.
func (s *Supervisor) ended(c *child) {
	s.mu.Lock()
	delete(s.children, c)
	crashed := s.current == c && !s.stopping
	var delay time.Duration
	if crashed {
		s.Logger.Error("the serving process ended; starting it again", "error", c.err)
		delay = s.delay()
		s.failures++
	}
	s.mu.Unlock()
	if !crashed {
		s.wakeUp()
		return
	}
	time.AfterFunc(delay, func() {
		s.mu.Lock()
		if s.current == c {
			s.current = nil
		}
		s.mu.Unlock()
		s.wakeUp()
	})
}

func (s *Supervisor) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// upgrade lets another binary serve. Only when it does, the former process stops to
// take connections and ends when it is done with those that it has.
func (s *Supervisor) upgrade(binary string) error {
	s.upgrading.Lock()
	defer s.upgrading.Unlock()
	s.mu.Lock()
	if s.stopping {
		s.mu.Unlock()
		return errors.New("the proxy is about to end")
	}
	next, err := s.start(binary, true)
	if err != nil {
		s.mu.Unlock()
		return err
	}
	s.children[next] = true
	s.mu.Unlock()
	if err := s.await(next); err != nil {
		next.kill()
		return fmt.Errorf("%s does not serve, and the former version goes on: %w", binary, err)
	}
	if err := s.store.keepBinary(binary); err != nil {
		next.kill()
		return fmt.Errorf("%s cannot be kept for the next start, and the former version goes on: %w", binary, err)
	}
	s.mu.Lock()
	former := s.current
	s.current, s.failures = next, 0
	s.mu.Unlock()
	s.Logger.Info("another version serves", "binary", binary)
	if former != nil {
		time.AfterFunc(answerTime, former.leave)
	}
	return nil
}

// answerTime lets a process answer whoever asked it for its own replacement.
const answerTime = 50 * time.Millisecond

// stop lets all processes finish what they have.
func (s *Supervisor) stop() error {
	s.mu.Lock()
	s.stopping = true
	for c := range s.children {
		c.leave()
	}
	s.mu.Unlock()
	deadline := time.NewTimer(s.DrainTimeout + slack)
	defer deadline.Stop()
	for {
		s.mu.Lock()
		left := len(s.children)
		s.mu.Unlock()
		if left == 0 {
			return nil
		}
		select {
		case <-s.wake:
		case <-deadline.C:
			s.mu.Lock()
			for c := range s.children {
				c.kill()
			}
			s.mu.Unlock()
			return fmt.Errorf("%d processes did not end within %s, and were killed", left, s.DrainTimeout+slack)
		}
	}
}

// arguments are those of a serving process.
func (s *Supervisor) arguments(strict bool) []string {
	return []string{
		"serve", "--state", s.State, "--socket", s.Socket, "--metrics", s.Metrics,
		"--access-log=" + strconv.FormatBool(s.AccessLog), "--drain-timeout", s.DrainTimeout.String(),
		"--strict=" + strconv.FormatBool(strict),
	}
}
