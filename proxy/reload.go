package proxy

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"time"
)

// reloadInterval is how often at most files are looked at.
const reloadInterval = time.Second

// reloaded is what files hold, read again when they have changed.
type reloaded[T any] struct {
	files []string
	read  func() (T, error)

	mu      sync.Mutex
	held    T
	stamp   []time.Time
	checked time.Time
}

// load reads the files, which must be right the first time.
func load[T any](read func() (T, error), files ...string) (*reloaded[T], error) {
	r := &reloaded[T]{files: files, read: read}
	stamp, err := r.stampOf()
	if err != nil {
		return nil, err
	}
	if r.held, err = read(); err != nil {
		return nil, err
	}
	r.stamp, r.checked = stamp, time.Now()
	return r, nil
}

func (r *reloaded[T]) stampOf() ([]time.Time, error) {
	stamp := make([]time.Time, len(r.files))
	for i, file := range r.files {
		info, err := os.Stat(file)
		if err != nil {
			return nil, fmt.Errorf("certificate: %w", err)
		}
		stamp[i] = info.ModTime()
	}
	return stamp, nil
}

// current is what the files hold. One that is being written, or is broken, changes nothing.
func (r *reloaded[T]) current() T {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.checked) < reloadInterval {
		return r.held
	}
	r.checked = time.Now()
	stamp, err := r.stampOf()
	if err != nil || slices.EqualFunc(stamp, r.stamp, time.Time.Equal) {
		return r.held
	}
	if held, err := r.read(); err == nil {
		r.held, r.stamp = held, stamp
	}
	return r.held
}
