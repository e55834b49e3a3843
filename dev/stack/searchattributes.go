package stack

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"windlass/workflows"
)

// addSearchAttributes adds what a data directory of an earlier Windlass does not have yet, and returns when the server
// accepts all of them.
func addSearchAttributes(ctx context.Context, temporal client.Client) error {
	present, err := temporal.OperatorService().ListSearchAttributes(ctx,
		&operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return fmt.Errorf("list search attributes: %w", err)
	}
	missing := workflows.SearchAttributes()
	for name, want := range missing {
		found, ok := present.GetCustomAttributes()[name]
		if ok && found != want {
			return fmt.Errorf("search attribute %s is of type %v and should be %v: choose another data directory", name, found, want)
		}
		if ok {
			delete(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}

	_, err = temporal.OperatorService().AddSearchAttributes(ctx,
		&operatorservice.AddSearchAttributesRequest{Namespace: namespace, SearchAttributes: missing})
	if err != nil {
		return fmt.Errorf("add search attributes: %w", err)
	}
	for name := range missing {
		err := poll(ctx, func() error {
			_, err := temporal.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{
				Namespace: namespace, Query: name + " IS NULL"})
			return err
		})
		if err != nil {
			return fmt.Errorf("wait for search attribute %s: %w", name, err)
		}
	}
	return nil
}

// poll tries until it succeeds or the context ends, and returns the last error then.
func poll(ctx context.Context, try func() error) error {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-ticker.C:
		}
	}
}
