package docker

import (
	"strconv"
	"strings"

	"windlass/plan"
)

// objectName is the name of a network or volume. Environments, infrastructures
// and resources are DNS labels, which contain no dot, so that two different
// targets never have the same name.
func objectName(t plan.Target) string {
	return strings.Join([]string{t.Environment, t.Infrastructure, t.Resource}, ".")
}

// dataVolumeName is the name of the volume that holds a Database's data.
func dataVolumeName(t plan.Target) string { return objectName(t) + ".data" }

// containerName is the name of one replica. The spec hash is a part of it, so
// that the old and the new version of a replica can stand side by side.
func containerName(d plan.Desired, index int) string {
	hash := d.SpecHash
	if len(hash) > 8 {
		hash = hash[:8]
	}
	return strings.Join([]string{objectName(d.Target), strconv.Itoa(index), hash}, ".")
}
