package starter

import (
	"time"

	"windlass/schemas"
)

// picture is what a live display draws.
type picture interface {
	// apply takes in the next event.
	apply(schemas.Event)
	// render draws the lines; a height above 0 bounds them.
	render(now time.Time, height int) []line
	// failuresOf returns the failures of the Infrastructure that the event is about.
	failuresOf(schemas.Event) []schemas.Failure
}

var (
	_ picture = (*tree)(nil)
	_ picture = (*fleet)(nil)
)
