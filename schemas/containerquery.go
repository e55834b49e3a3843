package schemas

import "time"

// ContainersRequest asks for single containers.
type ContainersRequest struct {
	// Environment and Container select; empty is every one.
	Environment string `json:"environment,omitempty"`
	Container   string `json:"container,omitempty"`
	// Removed includes containers that were removed.
	Removed bool `json:"removed,omitempty"`
	// Live asks the engines how the containers are and what they use, which takes about
	// a second.
	Live bool `json:"live,omitempty"`
}

// ContainersAnswer is sorted by environment and name.
type ContainersAnswer struct {
	Containers []ContainerView `json:"containers"`
	// Unreachable are the providers that did not answer when the request is live.
	Unreachable []ProviderStatus `json:"unreachable,omitempty"`
}

// ContainerView is what is recorded of a container, and where it was asked for what its
// engine says of it now; Live is nil when there is none.
type ContainerView struct {
	Record ContainerRecord `json:"record"`
	Live   *ReplicaStatus  `json:"live,omitempty"`
}

// The bounds of an answer with logs.
const (
	DefaultLogLines = 100
	MaxLogLines     = 5000
	MaxLogBytes     = 512 << 10
)

// LogsRequest asks for what a container has written.
type LogsRequest struct {
	Environment string `json:"environment"`
	Container   string `json:"container"`
	// Tail is how many of the newest lines; the default is DefaultLogLines, the most
	// MaxLogLines.
	Tail int `json:"tail,omitempty"`
	// After leaves out what was written at that time or before.
	After time.Time `json:"after,omitzero"`
}

// LogsAnswer has the newest lines that fit in MaxLogBytes, oldest first.
type LogsAnswer struct {
	Lines []LogLine `json:"lines"`
	// Truncated says that older lines were left out for want of room.
	Truncated bool `json:"truncated,omitempty"`
}

// LogLine is one line. Stream is stdout or stderr.
type LogLine struct {
	Time   time.Time `json:"time"`
	Stream string    `json:"stream"`
	Text   string    `json:"text"`
}
