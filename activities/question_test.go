package activities

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestProvidersAreAskedSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		providers := Providers{"broken": newFake(), "deaf": newFake(), "fast": newFake(), "hung": newFake(), "slow": newFake()}
		names := map[Provider]string{}
		for name, p := range providers {
			names[p] = name
		}
		refused := errors.New("connection refused")
		released := make(chan struct{})
		began := time.Now()
		answers := AskProviders(t.Context(), providers, func(name string) time.Duration {
			if name == "slow" {
				return 0
			}
			return 3 * time.Second
		}, func(ctx context.Context, p Provider) (string, error) {
			switch name := names[p]; name {
			case "broken":
				return "", refused
			case "hung": // notices that its context ended
				<-ctx.Done()
				return "", ctx.Err()
			case "deaf": // does not
				<-released
				return "too late", nil
			case "slow":
				time.Sleep(5 * time.Second)
				return "late", nil
			default:
				return name, nil
			}
		})
		require.Equal(t, 5*time.Second, time.Since(began))
		close(released)
		require.Len(t, answers, 5)
		require.Equal(t, Answer[string]{Provider: "broken", Err: refused}, answers[0])
		require.Equal(t, Answer[string]{Provider: "fast", Value: "fast"}, answers[2])
		require.Equal(t, Answer[string]{Provider: "slow", Value: "late"}, answers[4])
		for _, i := range []int{1, 3} {
			require.True(t, IsKind(answers[i].Err, Unavailable), answers[i].Provider)
			require.EqualError(t, answers[i].Err, "it did not answer in time; see whether it runs and can be reached from where the worker runs")
			require.Empty(t, answers[i].Value)
		}
	})
}

func TestAQuestionThatIsGivenUpIsNobodysFault(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	answers := AskProviders(ctx, Providers{"docker": newFake()}, func(string) time.Duration { return 0 }, func(ctx context.Context, _ Provider) (int, error) {
		cancel()
		<-ctx.Done()
		return 0, ctx.Err()
	})
	require.ErrorIs(t, answers[0].Err, context.Canceled)
	require.False(t, IsKind(answers[0].Err, Unavailable))
}
