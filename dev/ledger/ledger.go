// Package ledger is a provider whose resources do nothing but be recorded, in a file
// with a line for each change. It shows what the engine itself costs, without a
// place that takes its time, and is for tests and benchmarks only.
package ledger

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

var _ activities.Provider = (*Ledger)(nil)

// Ledger is the provider. It is safe for concurrent use by one process.
type Ledger struct {
	mutex sync.Mutex
	file  *os.File
	held  map[plan.Target]plan.Observed
	// lines counts the changes that were written.
	lines int
}

// entry is one line of the file: what became of a resource.
type entry struct {
	Resource plan.Observed `json:"resource"`
	Gone     bool          `json:"gone,omitempty"`
}

// Open reads the file, which it makes when there is none. The caller closes it.
func Open(path string) (*Ledger, error) {
	l := &Ledger{held: map[plan.Target]plan.Observed{}}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	l.file = file
	if err := l.read(); err != nil {
		return nil, errors.Join(fmt.Errorf("ledger: %w", err), file.Close())
	}
	return l, nil
}

// read takes in the file, and cuts off what a process that died wrote of its last line.
func (l *Ledger) read() error {
	lines := bufio.NewReader(l.file)
	whole := int64(0)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return l.file.Truncate(whole)
		}
		if err != nil {
			return err
		}
		var e entry
		if err := json.Unmarshal(line, &e); err != nil {
			return err
		}
		l.note(e)
		whole += int64(len(line))
	}
}

// Close closes the file.
func (l *Ledger) Close() error {
	if err := l.file.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
		return fmt.Errorf("ledger: %w", err)
	}
	return nil
}

// Lines is how many changes were written since the file was opened.
func (l *Ledger) Lines() int {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.lines
}

func (l *Ledger) note(e entry) {
	if e.Gone {
		delete(l.held, e.Resource.Target)
		return
	}
	l.held[e.Resource.Target] = e.Resource
}

func (l *Ledger) write(e entry) error {
	text, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	if _, err := l.file.Write(append(text, '\n')); err != nil {
		return &activities.Fault{Kind: activities.Unavailable, Resource: e.Resource.Resource, Message: "the ledger cannot be written", Err: err}
	}
	l.lines++
	l.note(e)
	return nil
}

// Version implements activities.Provider.
func (l *Ledger) Version(context.Context) (string, error) { return "Ledger", nil }

// ReplaceOn implements activities.Provider.
func (l *Ledger) ReplaceOn(schemas.ResourceType) []string { return nil }

// Adopts implements activities.Provider: there is nothing to take over.
func (l *Ledger) Adopts(context.Context, plan.Desired) (string, error) { return "", nil }

// Permit implements activities.Provider.
func (l *Ledger) Permit(plan.Desired, plan.Observed) error { return nil }

// Outputs implements activities.Provider.
func (l *Ledger) Outputs(d plan.Desired) (schemas.Outputs, error) {
	return schemas.Outputs{"name": d.Resource}, nil
}

// Images implements activities.Provider.
func (l *Ledger) Images(plan.Desired) ([]activities.Image, error) { return nil, nil }

// Pull implements activities.Provider.
func (l *Ledger) Pull(context.Context, activities.Image, activities.Secrets, activities.Progress) error {
	return nil
}

// Observe implements activities.Provider.
func (l *Ledger) Observe(_ context.Context, scope schemas.Scope) ([]plan.Observed, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	var found []plan.Observed
	for _, o := range l.held {
		if o.Scope == scope {
			found = append(found, o)
		}
	}
	return found, nil
}

// Scopes implements activities.Provider.
func (l *Ledger) Scopes(context.Context) ([]schemas.Scope, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	var scopes []schemas.Scope
	for t := range l.held {
		scopes = append(scopes, t.Scope)
	}
	return scopes, nil
}

// Apply implements activities.Provider.
func (l *Ledger) Apply(_ context.Context, d plan.Desired, _ activities.Secrets, _ activities.Progress) (schemas.Outputs, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	outputs := schemas.Outputs{"name": d.Resource}
	if l.held[d.Target].SpecHash == d.SpecHash {
		return outputs, nil
	}
	return outputs, l.write(entry{Resource: plan.Observed{
		Target: d.Target, Revision: d.Revision, SpecHash: d.SpecHash, Properties: d.Properties, DependsOn: d.DependsOn,
		State: plan.StateReady, Outputs: outputs,
	}})
}

// Delete implements activities.Provider.
func (l *Ledger) Delete(_ context.Context, t plan.Target, _ activities.Progress) error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if _, there := l.held[t]; !there {
		return nil
	}
	return l.write(entry{Resource: plan.Observed{Target: t}, Gone: true})
}

// Metrics implements activities.Provider.
func (l *Ledger) Metrics(context.Context, plan.Target) ([]activities.Metrics, error) { return nil, nil }
