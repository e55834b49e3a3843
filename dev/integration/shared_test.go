package integration

import "testing"

// TestOnOneStack runs what can share servers and worker, since nothing is killed.
func TestOnOneStack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.startWorker(t)
	t.Run("all", func(t *testing.T) { // returns when every parallel test below has ended
		for name, test := range map[string]func(*testing.T, *world){
			"nonsense is refused with its place and the next command is served":      testNonsense,
			"a revision that fails leaves the one before it":                         testFailures,
			"a first revision that fails leaves nothing, unless it is to be kept":    testFirstFailure,
			"operations start when their own dependencies are done":                  testOrder,
			"drift is seen, told and put back":                                       testDrift,
			"what is protected or retained outlives everything":                      testProtection,
			"any edit of any graph ends as it is declared":                           testRandom,
			"a deployment that is cancelled by hand says so and leaves nothing lost": testCancellation,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t, w)
			})
		}
	})
}
