// Package rollout decides how the replicas of one Compute move from one version to
// the next. It is a pure state machine: time and what happened go in, and what is to
// be done comes out.
//
// A caller makes a State with New from what it found, and then, until Done:
//
//   - calls Decide with the present time and begins every Action that it returns,
//   - waits until an action has ended, a replica turned unhealthy, somebody sent a
//     command, or the time of Wake has come,
//   - tells the state so with Started, Routed, Drained, Removed, SetAside, Unhealthy,
//     Analysed, Broke or Command.
//
// An action that was begun is never asked for again. A State is plain data: written
// as JSON and read again while no action is running, it goes on where it was.
package rollout
