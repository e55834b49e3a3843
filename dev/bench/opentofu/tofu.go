// Package opentofu pins the OpenTofu that benchmarks compare with, in a module of its
// own, so that nothing of it is linked into Windlass.
package opentofu
