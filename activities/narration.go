package activities

import (
	"sync"
	"time"
)

// narrationInterval is the longest silence during a call: a caller that hears
// nothing for several seconds takes the call for dead.
const narrationInterval = time.Second

// Narrate wraps the progress of a provider's call so that the last message is repeated while nothing new
// happens. The returned stop ends the repetition and must be called.
func Narrate(progress Progress) (say Progress, stop func()) {
	if progress == nil {
		return func(string) {}, func() {}
	}
	var (
		mu   sync.Mutex
		last = "working"
		done = make(chan struct{})
		idle sync.WaitGroup
	)
	idle.Go(func() {
		ticker := time.NewTicker(narrationInterval)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				mu.Lock()
				message := last
				mu.Unlock()
				progress(message)
			}
		}
	})
	say = func(message string) {
		mu.Lock()
		last = message
		mu.Unlock()
		progress(message)
	}
	return say, func() {
		close(done)
		idle.Wait()
	}
}
