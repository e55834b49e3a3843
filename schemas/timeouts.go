package schemas

import "windlass/schemas/quantity"

// Timeouts bound how long an operation on a resource may take, from its beginning
// to its end with all retries. The default is without limit, as long as a retry can
// help; a single attempt has an hour.
type Timeouts struct {
	Create quantity.Duration `json:"create,omitempty"`
	// Update bounds a replacement too.
	Update quantity.Duration `json:"update,omitempty"`
	Delete quantity.Duration `json:"delete,omitempty"`
}

// Of is the bound of an action, 0 for none.
func (t Timeouts) Of(a Action) quantity.Duration {
	switch a {
	case ActionCreate:
		return t.Create
	case ActionUpdate, ActionReplace:
		return t.Update
	case ActionDelete:
		return t.Delete
	}
	return 0
}
