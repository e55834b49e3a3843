//go:build !linux

package packetfilter

import "context"

// Table stands for the table of a provider where there is no nf_tables.
type Table struct{}

// New returns a table that is never there.
func New(string) *Table { return &Table{} }

// Lock returns at once.
func (*Table) Lock(context.Context) (func(), error) { return func() {}, nil }

// Exists says that there is nothing.
func (*Table) Exists() (bool, error) { return false, ErrNotPermitted }

// Labels returns ErrNotPermitted, and so do the others.
func (*Table) Labels() ([]map[string]string, error) { return nil, ErrNotPermitted }

// Write returns ErrNotPermitted.
func (*Table) Write([]Group, Addresses) error { return ErrNotPermitted }

// SetAddresses returns ErrNotPermitted.
func (*Table) SetAddresses(Addresses) error { return ErrNotPermitted }

// Remove returns ErrNotPermitted.
func (*Table) Remove() error { return ErrNotPermitted }

// Intact returns ErrNotPermitted.
func (*Table) Intact() (bool, error) { return false, ErrNotPermitted }

// Differences returns ErrNotPermitted.
func (*Table) Differences([]Group, Addresses) (map[string][]string, error) {
	return nil, ErrNotPermitted
}
