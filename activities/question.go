package activities

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
)

// Answer is what one provider says to a question.
type Answer[T any] struct {
	// Provider is its name.
	Provider string
	Value    T
	// Err is why there is no value. A provider that does not answer in time gives a
	// *Fault of kind Unavailable.
	Err error
}

// AskProviders puts a question to all of the providers at the same time, so that one
// that does not answer delays no other, and returns the answers in the order of their
// names. Each has as long as patience says of its name, 0 until ctx ends; it is not
// waited for any longer, also where it does not notice that its context ended.
func AskProviders[T any](ctx context.Context, providers Providers, patience func(name string) time.Duration, question func(context.Context, Provider) (T, error)) []Answer[T] {
	answers := make([]Answer[T], 0, len(providers))
	for name := range providers {
		answers = append(answers, Answer[T]{Provider: name})
	}
	slices.SortFunc(answers, func(a, b Answer[T]) int { return strings.Compare(a.Provider, b.Provider) })
	var group sync.WaitGroup
	for i := range answers {
		group.Go(func() {
			a := &answers[i]
			a.Value, a.Err = askProvider(ctx, providers[a.Provider], patience(a.Provider), question)
		})
	}
	group.Wait()
	return answers
}

func askProvider[T any](ctx context.Context, provider Provider, patience time.Duration, question func(context.Context, Provider) (T, error)) (T, error) {
	bounded, cancel := ctx, context.CancelFunc(func() {})
	if patience > 0 {
		bounded, cancel = context.WithTimeout(ctx, patience)
	}
	defer cancel()
	type outcome struct {
		value T
		err   error
	}
	answered := make(chan outcome, 1)
	go func() {
		value, err := question(bounded, provider)
		answered <- outcome{value, err}
	}()
	var none T
	select {
	case o := <-answered:
		if o.err == nil || bounded.Err() == nil {
			return o.value, o.err
		}
	case <-bounded.Done():
	}
	if !errors.Is(bounded.Err(), context.DeadlineExceeded) {
		return none, bounded.Err()
	}
	return none, &Fault{Kind: Unavailable, Message: "it did not answer in time", Hint: "see whether it runs and can be reached from where the worker runs", Err: bounded.Err()}
}
