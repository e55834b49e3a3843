package schemas

// IsRolloutCommand says whether a command is an order to a rollout.
func IsRolloutCommand(eventType string) bool {
	switch eventType {
	case CommandRolloutPause, CommandRolloutResume, CommandRolloutPromote, CommandRolloutAbort:
		return true
	}
	return false
}

// RolloutRequested is the data of the commands to a rollout.
type RolloutRequested struct {
	Scope
	// Resource is the Compute whose rollout is meant.
	Resource string `json:"resource"`
	// All, of a promotion, ends every wait that there is and will be.
	All    bool   `json:"all,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// rolloutOrder is what a command asks of a rollout; empty when it is no such command.
func rolloutOrder(eventType string, all bool) RolloutOrder {
	switch eventType {
	case CommandRolloutPause:
		return RolloutPause
	case CommandRolloutResume:
		return RolloutResume
	case CommandRolloutAbort:
		return RolloutAbort
	case CommandRolloutPromote:
		if all {
			return RolloutPromoteAll
		}
		return RolloutPromote
	}
	return ""
}
