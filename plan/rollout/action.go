package rollout

import "fmt"

// Kind is what an action does.
type Kind string

// The kinds of action.
const (
	// Start makes a replica of a version, and ends when it is available.
	Start Kind = "start"
	// Cancel ends the Start or the Drain of a replica that runs. It has no end of its
	// own: the Start still has.
	Cancel Kind = "cancel"
	// Route changes which replicas the proxies pass requests to, at once.
	Route Kind = "route"
	// Drain waits until a replica that gets no new requests has none in flight.
	Drain Kind = "drain"
	// Remove ends a replica and removes it.
	Remove Kind = "remove"
	// SetAside ends a replica that failed and keeps it to be looked at.
	SetAside Kind = "setaside"
	// Analyse measures the target version as the canary step says.
	Analyse Kind = "analyse"
)

// Action is one thing to be done. Set and Index say with which replica, except for
// Route and Analyse.
type Action struct {
	Kind  Kind   `json:"kind"`
	Set   string `json:"set,omitempty"`
	Index int    `json:"index"`
	Name  string `json:"name,omitempty"`
	// Join and Leave are the replicas that a Route takes in and out.
	Join  []Member `json:"join,omitempty"`
	Leave []Member `json:"leave,omitempty"`
	// Weight is the share of the target version in percent, after a Route; nil is
	// without shares.
	Weight *int `json:"weight,omitempty"`
	// Step is the place of the canary step that an Analyse belongs to.
	Step int `json:"step,omitempty"`
}

// String tells the action in a few words.
func (a Action) String() string {
	switch a.Kind {
	case Route:
		text := "route"
		for _, m := range a.Join {
			text += fmt.Sprintf(" +%s/%d", m.Set, m.Index)
		}
		for _, m := range a.Leave {
			text += fmt.Sprintf(" -%s/%d", m.Set, m.Index)
		}
		if a.Weight != nil {
			text += fmt.Sprintf(" %d%%", *a.Weight)
		}
		return text
	case Analyse:
		return fmt.Sprintf("analyse step %d", a.Step)
	default:
		return fmt.Sprintf("%s %s/%d", a.Kind, a.Set, a.Index)
	}
}
