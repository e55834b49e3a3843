package rollout_test

import (
	"testing"

	"windlass/schemas"
)

// BenchmarkAThousandReplicas is the whole of deciding about a rollout, with nothing done.
func BenchmarkAThousandReplicas(b *testing.B) {
	for b.Loop() {
		s := story{strategy: schemas.Strategy{MaxSurge: portion(10)}, target: 1000, stable: 1000, rounds: 10_000}
		if _, state := s.tell(b); state.Phase != schemas.RolloutSucceeded {
			b.Fatal(state.Phase)
		}
	}
}
