package schemas

import "encoding/json"

// IsContainerCommand says whether a command is to the life cycle of a container.
func IsContainerCommand(eventType string) bool {
	switch eventType {
	case CommandContainerRun, CommandContainerStop, CommandContainerStart, CommandContainerPause,
		CommandContainerResume, CommandContainerRestart, CommandContainerRemove:
		return true
	}
	return false
}

// ContainerRunRequested is the data of a container.run.requested command.
type ContainerRunRequested struct {
	// Document is a Container: an object, or a string that holds its YAML or JSON text,
	// so that faults name the lines of the file.
	Document json.RawMessage `json:"document"`
}

// ContainerRequested is the data of the other commands to a container.
type ContainerRequested struct {
	Environment string `json:"environment"`
	Container   string `json:"container"`
	Reason      string `json:"reason,omitempty"`
}

// ContainerScope is how a container is addressed: in subjects, its name stands where
// that of an Infrastructure stands for other commands and events.
func ContainerScope(environment, container string) Scope {
	return Scope{Environment: environment, Infrastructure: container}
}

func parseContainerRun(data *Tree) (*Command, error) {
	document, err := documentOf(data)
	if err != nil {
		return nil, err
	}
	container, infrastructure, err := document.container()
	if err != nil {
		return nil, err
	}
	scope := ContainerScope(container.Spec.Environment, container.Metadata.Name)
	return &Command{Type: CommandContainerRun, Scope: scope, Infrastructure: infrastructure, Container: &container.Spec.ContainerPolicy, document: document}, nil
}

// documentOf is the document in the data of a command.
func documentOf(data *Tree) (*Tree, error) {
	document, _ := data.Member("document")
	text, ok := document.Value.(string)
	if !ok {
		return document, nil
	}
	document, err := ParseTree([]byte(text))
	if err != nil {
		return nil, inDocument(err)
	}
	return document, nil
}
