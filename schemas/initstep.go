package schemas

import "fmt"

// InitStep is a container that runs to its end before a replica starts, such as a
// migration or a download. It joins the networks and mounts the volumes of the
// replica and has its limits.
type InitStep struct {
	// Name is a DNS label, unique in the Compute.
	Name string `json:"name"`
	// Image is the image reference; the default is the Compute's image, which is then
	// run with the Compute's user and working directory. Policy and credentials are
	// the Compute's; credentials go to the registry of the Compute's image only.
	Image string `json:"image,omitempty"`
	// Command replaces the image's entrypoint; Args replaces its command.
	Command []string `json:"command,omitempty"`
	Args    []string `json:"args,omitempty"`
	// Environment holds variables; those of the Compute are not inherited.
	Environment map[string]string `json:"environment,omitempty"`
}

// initSteps refuses two steps of one name: their containers would be the same.
func (v *validation) initSteps(index int, steps []InitStep) {
	known := map[string]bool{}
	for i, s := range steps {
		if known[s.Name] {
			v.fault(elementPath(v.path(index, "properties.initSteps"), i)+".name", fmt.Sprintf("init step %q is declared twice", s.Name))
		}
		known[s.Name] = true
	}
}
